"""Colour, depth and camera_info of the same moment, whatever comes and in whatever order."""

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from semabs_ros.pairing import Pairing


def stamped(kind, milliseconds):
    sec, rest = divmod(milliseconds, 1000)
    return kind(header=Header(stamp=Time(sec=sec, nanosec=rest * 10**6)))


def play(pairing, events):
    """Feed ("c" or "d", milliseconds); returns the pairs' (colour, depth) milliseconds."""
    pairs = []
    for kind, when in events:
        add = pairing.add_rgb if kind == "c" else pairing.add_depth
        pair = add(stamped(Image, when))
        if pair is not None:
            depth = pair.depth.header.stamp
            pairs.append((pair.stamp_ns // 10**6, depth.sec * 1000 + depth.nanosec // 10**6))
    return pairs


@pytest.mark.parametrize("order", ["cd", "dc"])
def test_equal_stamps_pair_in_either_order(order):
    events = [(kind, when) for when in (1000, 1033, 1066) for kind in order]
    assert play(Pairing(10, 0.05), events) == [(1000, 1000), (1033, 1033), (1066, 1066)]


@pytest.mark.parametrize("lost", ["c", "d"])
@pytest.mark.parametrize("order", ["cd", "dc"])
def test_a_lost_image_does_not_pair_the_others_with_their_neighbours(lost, order):
    events = [(kind, 1000 + 33 * i) for i in range(6) for kind in order if (kind, i) != (lost, 2)]
    expected = [(1000 + 33 * i, 1000 + 33 * i) for i in range(6) if i != 2]
    assert play(Pairing(10, 0.05), events) == expected


def test_a_constant_offset_within_the_slop_pairs_nearest_stamps():
    events = [e for i in range(4) for e in (("c", 1000 + 100 * i), ("d", 1020 + 100 * i))]
    assert play(Pairing(10, 0.05), events) == [(1000 + 100 * i, 1020 + 100 * i) for i in range(4)]


def test_single_shots_pair_at_once_and_a_slop_of_zero_wants_equal_stamps():
    assert play(Pairing(10, 0.05), [("d", 1000), ("c", 1030)]) == [(1030, 1000)]
    assert play(Pairing(10, 0.0), [("d", 1000), ("c", 1001)]) == []
    assert play(Pairing(10, 0.0), [("d", 1000), ("c", 1000)]) == [(1000, 1000)]


def test_images_from_the_future_block_nothing_for_long():
    """The synchronizer keeps the newest stamps, so none of the good images would find room."""
    future = [("c", 9_000_000 + i) for i in range(50)]
    good = [(kind, 1000 + 33 * i) for i in range(20) for kind in "cd"]
    pairing = Pairing(10, 0.05)
    pairs = play(pairing, future + good)
    assert pairs == [(1000 + 33 * i, 1000 + 33 * i) for i in range(10, 20)]
    assert pairing.restarts == 1


def test_a_second_publisher_from_the_future_lets_others_through():
    events = [
        event
        for i in range(100)
        for event in (("c", 1000 + 33 * i), ("c", 9_000_000 + 33 * i), ("d", 1000 + 33 * i))
    ]
    pairs = play(Pairing(10, 0.05), events)
    assert all(color == depth for color, depth in pairs)
    assert len(pairs) >= 40


def test_depth_that_is_slower_finds_the_nearest_colour_image():
    events = [
        event for i in range(30)
        for event in (("c", 1000 + 33 * i), *([("d", 1004 + 33 * i)] if i % 6 == 0 else []))
    ]  # fmt: skip
    expected = [(1000 + 33 * i, 1004 + 33 * i) for i in range(0, 30, 6)]
    assert play(Pairing(10, 0.05), events) == expected


def test_the_difference_of_the_stamps_is_known():
    pairing = Pairing(10, 0.05)
    assert pairing.ahead_s() == 0
    play(pairing, [("c", 5000), ("d", 2000)])
    assert pairing.ahead_s() == pytest.approx(3)


def test_camera_info_is_the_one_whose_stamp_fits_else_the_last():
    pairing = Pairing(10, 0.05)
    assert pairing.info_for(10**9) is None
    assert not pairing.calibrated
    for when in (1000, 1100, 1200):
        pairing.add_info(stamped(CameraInfo, when))
    assert pairing.info_for(1_110_000_000).header.stamp.nanosec == 100_000_000
    assert pairing.info_for(77_000_000_000).header.stamp.nanosec == 200_000_000
    pairing.clear()
    pairing.add_info(stamped(CameraInfo, 0))
    assert pairing.info_for(77_000_000_000).header.stamp.sec == 0
    assert pairing.info_for(1_200_000_000).header.stamp.nanosec == 200_000_000
