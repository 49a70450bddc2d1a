"""Stamps and due times of a recording, worked out by hand. Needs no running node."""

import pytest

from semabs_ros.timeline import Timeline

SECOND = 10**9
START = 1000 * SECOND
NOW = 5000 * SECOND


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_stamps_and_due_times_go_along_with_the_clock(speed):
    """An image that was taken 0.1 s before it was recorded is played 0.1 s / speed after it."""
    timeline = Timeline(START, [(START, START - SECOND // 10), (START, START)], speed)
    timeline.begin(NOW)
    for after in (0, 1, 7):
        recorded = START + after * SECOND
        due = timeline.due_ns(recorded, recorded - SECOND // 10)
        assert due == NOW + int(after * SECOND / speed)
        moved = timeline.move(recorded - SECOND // 10)
        assert due - moved == pytest.approx(SECOND / 10 / speed, abs=2)


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_transforms_keep_their_place_between_images(speed):
    timeline = Timeline(START, [(START, START)], speed)
    timeline.begin(NOW)
    images = [timeline.move(START + i * SECOND) for i in range(2)]
    transform = timeline.move(START + SECOND // 4)
    assert (transform - images[0]) / (images[1] - images[0]) == pytest.approx(0.25)


def test_simulated_stamps_are_played_as_now():
    """Recorded at half of real time: 10 s of the simulation took 20 s."""
    stamps = [(START, 3 * SECOND), (START, 3 * SECOND + SECOND // 2)]
    timeline = Timeline(START, stamps, 2.0)
    timeline.begin(NOW)
    assert timeline.by_stamp
    assert timeline.move(3 * SECOND) == NOW
    # At speed 2 the ten simulated seconds take five, whatever they took when recorded.
    last = 13 * SECOND
    assert timeline.move(last) == NOW + 5 * SECOND
    assert timeline.due_ns(START + 20 * SECOND, last) == NOW + 5 * SECOND


def test_stamps_grow_over_a_loop():
    """Images come 0.3 s late: the first stamp of a pass lies before the pass."""
    late = 3 * SECOND // 10
    timeline = Timeline(START, [(START, START - late)], 1.0)
    now = NOW
    last = 0
    for _ in range(3):
        timeline.begin(now)
        for after in range(3):
            moved = timeline.move(START + after * SECOND - late)
            assert moved > last
            timeline.played(moved)
            last = moved
            now = timeline.due_ns(START + after * SECOND, 1)
        now += SECOND // 100


def test_no_stamp_stays_none():
    timeline = Timeline(START, [(START, 0)], 1.0)
    timeline.begin(NOW)
    assert timeline.move(0) == 0
    assert timeline.due_ns(START + SECOND, 0) == NOW + SECOND


def test_stamps_before_the_epoch_are_cut_off():
    timeline = Timeline(START, [(START, START)], 1.0)
    timeline.begin(NOW)
    assert timeline.move(1) == NOW - START + 1
    timeline.begin(SECOND)
    assert timeline.move(1) == 0
