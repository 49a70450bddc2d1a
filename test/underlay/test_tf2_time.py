"""The stand-in of tf2_py: transforms between, before and after what was stored, by hand."""

# ruff: noqa: E402 (what is imported decides whether the tests apply)

import math

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
tf2_ros = pytest.importorskip("tf2_ros", reason="needs the underlay to be built and sourced")
if not getattr(tf2_ros, "__semabs_stand_in__", False):
    pytest.skip("the real tf2_ros is installed, not the stand-in", allow_module_level=True)

import tf2_py
from rclpy.duration import Duration
from tf2_messages import LATEST, at, edge, numbers, seconds_of


def test_interpolation_is_linear_and_spherical(core):
    core.set_transform(edge("map", "base", 1.0, (0, 0, 0), 0), "test")
    core.set_transform(edge("map", "base", 2.0, (4, 8, -2), 90), "test")
    xyz, yaw = numbers(core.lookup_transform_core("map", "base", at(1.25)))
    assert xyz == pytest.approx((1, 2, -0.5), abs=1e-12)
    assert yaw == pytest.approx(22.5, abs=1e-9)


def test_interpolation_takes_the_shortest_arc(core):
    turned = edge("map", "base", 2.0, yaw=90)
    rotation = turned.transform.rotation
    rotation.z, rotation.w = -rotation.z, -rotation.w  # the same rotation
    core.set_transform(edge("map", "base", 1.0), "test")
    core.set_transform(turned, "test")
    yaw = numbers(core.lookup_transform_core("map", "base", at(1.5)))[1]
    assert yaw == pytest.approx(45, abs=1e-9)


def test_order_of_arrival_does_not_matter(core):
    for seconds in (3.0, 1.0, 2.0, 2.0):
        core.set_transform(edge("map", "base", seconds, (seconds**2, 0, 0)), "test")
    x = numbers(core.lookup_transform_core("map", "base", at(2.5)))[0][0]
    assert x == pytest.approx((4 + 9) / 2, abs=1e-12)
    assert "rate: 1.500" in core.all_frames_as_yaml()  # 3 in 2 s: the repeated one counts once


def test_change_of_parent_is_not_interpolated(core):
    core.set_transform_static(edge("map", "odom", 0, (100, 0, 0)), "test")
    core.set_transform(edge("map", "base", 1.0, (1, 0, 0)), "test")
    core.set_transform(edge("odom", "base", 2.0, (2, 0, 0)), "test")
    assert numbers(core.lookup_transform_core("map", "base", at(1.9)))[0] == (1, 0, 0)
    assert numbers(core.lookup_transform_core("map", "base", at(2.0)))[0] == (102, 0, 0)


def test_zero_asks_for_the_latest_common_time(core):
    for seconds in (1.0, 3.0):
        core.set_transform(edge("map", "base", seconds, (seconds, 0, 0)), "test")
    for seconds in (1.0, 2.0):
        core.set_transform(edge("base", "arm", seconds, (0, seconds, 0)), "test")
    core.set_transform_static(edge("arm", "hand", 0), "test")
    assert core.get_latest_common_time("map", "hand") == at(2.0)
    answer = core.lookup_transform_core("map", "hand", LATEST)
    assert seconds_of(answer) == 2.0
    assert numbers(answer)[0] == pytest.approx((2, 2, 0), abs=1e-12)


def test_static_frames_are_there_at_all_times(robot):
    for seconds in (0.0, 0.5, 1e6):
        assert seconds_of(robot.lookup_transform_core("base", "lidar", at(seconds))) == seconds
    assert robot.get_latest_common_time("base", "lidar") == LATEST


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "extrapolation into the past"), (2.1, "extrapolation into the future")],
)
def test_outside_of_the_data(robot, seconds, text):
    with pytest.raises(tf2_py.ExtrapolationException, match=text) as error:
        robot.lookup_transform_core("map", "camera", at(seconds))
    assert f"{seconds:.6f}" in str(error.value)
    assert "[camera] to frame [map]" in str(error.value)
    assert robot.can_transform_core("map", "camera", at(seconds)) == (0, str(error.value))
    # The edge without data is not on the way between these two:
    assert robot.can_transform_core("lidar", "camera", at(seconds)) == (1, "")


def test_single_sample_holds_at_its_own_time_only(core):
    core.set_transform(edge("map", "base", 1.0), "test")
    core.lookup_transform_core("map", "base", at(1.0))
    with pytest.raises(tf2_py.ExtrapolationException, match=r"the only data is of 1\.000000"):
        core.lookup_transform_core("map", "base", at(1.1))


def test_cache_time():
    core = tf2_py.BufferCore(Duration(seconds=1.0))
    for seconds in (10.0, 10.5, 11.2, 11.3):
        core.set_transform(edge("map", "base", seconds), "test")
    assert core.can_transform_core("map", "base", at(10.5))[0]
    assert "into the past" in core.can_transform_core("map", "base", at(10.2))[1]
    core.set_transform(edge("map", "base", 10.2), "late")  # older than 11.3 - 1
    assert "into the past" in core.can_transform_core("map", "base", at(10.2))[1]


def test_default_cache_time_is_ten_seconds(core):
    for seconds in (1.0, 11.0, 11.1, 11.2):
        core.set_transform(edge("map", "base", seconds), "test")
    assert not core.can_transform_core("map", "base", at(10.9))[0]
    assert core.can_transform_core("map", "base", at(11.0))[0]


def test_time_travel_through_a_fixed_frame(core):
    for seconds, x in ((1.0, 0), (2.0, 10)):
        core.set_transform(edge("map", "base", seconds, (x, 0, 0)), "test")
    request = {
        "target_frame": "base",
        "target_time": at(2.0),
        "source_frame": "base",
        "source_time": at(1.0),
        "fixed_frame": "map",
    }
    answer = core.lookup_transform_full_core(**request)
    assert numbers(answer)[0] == (-10, 0, 0)
    assert seconds_of(answer) == 2.0
    assert core.can_transform_full_core(**request) == (1, "")
    request["fixed_frame"] = "odom"
    assert "odom" in core.can_transform_full_core(**request)[1]


def test_velocity(core):
    """2 m/s along map's x while base, 1 m ahead of its wheel, turns left at 30 degrees/s."""
    for seconds in (1.0, 2.0, 3.0):
        core.set_transform(edge("map", "base", seconds, (2 * seconds, 0, 0), 30 * seconds), "test")
    linear, angular = core.lookupVelocityCore("base", "map", at(2.0), Duration(seconds=1.0))
    assert linear == pytest.approx((2, 0, 0), abs=1e-12)
    assert angular == pytest.approx((0, 0, math.radians(30)), abs=1e-12)
    # A point 1 m along map's y from base's origin is swept backwards:
    linear, _ = core.lookupVelocityFullCore(
        "base", "map", "map", (4.0, 1.0, 0.0), "map", at(2.0), Duration(seconds=1.0)
    )
    assert linear == pytest.approx((2 - math.radians(30), 0, 0), abs=1e-12)
