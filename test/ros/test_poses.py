"""TF as it is published: the root of the tree, loops, dead and unusable transforms."""

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from camera import transform
from rclpy.qos import ReliabilityPolicy
from support import wait_for
from tf2_ros import TransformException

from semabs_ros.poses import CameraPoses


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("semabs_ros.poses.monotonic", clock)
    return clock


@pytest.fixture
def poses(context, clock):
    node = rclpy.create_node("poses", context=context)
    poses = CameraPoses(node, cache_s=10.0)
    yield poses
    poses.stop()
    node.destroy_node()


def at(seconds):
    whole = int(seconds)
    return Time(sec=whole, nanosec=round((seconds - whole) * 1e9))


def moved(x):
    T = np.eye(4)
    T[0, 3] = x
    return T


def send(poses, parent, child, *seconds, x=0.0, static=False):
    store = poses.buffer.set_transform_static if static else poses.buffer.set_transform
    for when in seconds:
        store(transform(parent, child, moved(x), at(when)), "test")


@pytest.fixture
def robot(poses):
    """map -> odom -> base (moving), base -> optical (fixed)."""
    send(poses, "base", "optical", 0, x=1.0, static=True)
    send(poses, "odom", "base", 100, 101, x=10.0)
    send(poses, "map", "odom", 100, 101, x=100.0)
    return poses


def world_and_x(poses, seconds, world="", camera="optical"):
    name, T = poses.look_up(world, camera, at(seconds))
    return name, T[0, 3]


def test_the_root_is_the_top_of_the_tree(robot):
    assert world_and_x(robot, 100.5) == ("map", pytest.approx(111))
    assert world_and_x(robot, 100.5, world="odom") == ("odom", pytest.approx(11))


def test_leading_slashes_are_stripped_as_tf_does(robot):
    assert world_and_x(robot, 100.5, "/odom", "/optical") == ("odom", pytest.approx(11))


def test_a_lagging_transform_is_awaited_and_does_not_change_the_root(robot):
    assert world_and_x(robot, 100.5)[0] == "map"
    send(robot, "odom", "base", 102, x=10.0)
    with pytest.raises(
        TransformException, match="from 'odom' to its parent 'map' is 0.500 s older"
    ):
        robot.look_up("", "optical", at(101.5))
    late = TransformException("late")
    text = robot.explain("map", "optical", at(101.5), late)
    assert "transforms of 'odom' in 'map' come later than the images" in text
    assert "raise tf_timeout_s" in text
    send(robot, "map", "odom", 102, x=100.0)
    assert world_and_x(robot, 101.5) == ("map", pytest.approx(111))
    assert "tf_timeout_s" not in robot.explain("map", "optical", at(101.5), late)


@pytest.mark.parametrize("known", [False, True])
def test_one_stray_message_above_the_root_changes_nothing(robot, known):
    if known:
        assert world_and_x(robot, 100.5)[0] == "map"
    send(robot, "earth", "map", 100.2, x=1000.0)
    assert world_and_x(robot, 100.5) == ("map", pytest.approx(111))


def test_a_living_transform_above_the_root_is_taken_in(robot):
    assert world_and_x(robot, 100.5)[0] == "map"
    send(robot, "earth", "map", 100, 101, x=1000.0)
    assert world_and_x(robot, 100.6) == ("earth", pytest.approx(1111))


def test_a_localization_that_has_died_is_left_after_the_cache_time(robot, clock):
    assert world_and_x(robot, 100.5)[0] == "map"
    send(robot, "odom", "base", 105, x=10.0)
    with pytest.raises(
        TransformException, match="from 'odom' to its parent 'map' is 3.000 s older"
    ):
        robot.look_up("", "optical", at(104))
    clock.now += 11
    assert world_and_x(robot, 104) == ("odom", pytest.approx(11))
    send(robot, "map", "odom", 105, x=100.0)
    assert world_and_x(robot, 104) == ("map", pytest.approx(111))


def test_a_still_tree_is_given_a_moment_to_begin_to_move(poses, clock):
    send(poses, "base", "optical", 0, x=1.0, static=True)
    with pytest.raises(TransformException, match="nothing but static transforms"):
        poses.look_up("", "optical", at(100))
    clock.now += 2
    assert world_and_x(poses, 100) == ("base", 1)


@pytest.mark.parametrize("name", ["a: b", "7", "null", "- x", "'", "{", "a\nb", "x" * 10_000, "é"])
def test_odd_frame_names_do_not_matter(robot, name):
    send(robot, "map", name, 100, 101)
    send(robot, name, "leaf", 0, static=True)
    assert world_and_x(robot, 100.5) == ("map", pytest.approx(111))
    assert world_and_x(robot, 100.5, camera="leaf") == ("map", 0)
    send(robot, name, "map", 100, 101)  # now even above


def test_an_odd_name_can_be_the_root(robot):
    send(robot, "a: b", "map", 0, x=1000.0, static=True)
    assert world_and_x(robot, 100.5) == ("a: b", pytest.approx(1111))


def test_a_loop_is_named(robot):
    assert world_and_x(robot, 100.5)[0] == "map"
    send(robot, "base", "map", 100, 101)
    with pytest.raises(TransformException, match="loop, base -> odom -> map -> base"):
        robot.look_up("", "optical", at(100.5))


@pytest.mark.parametrize("world", ["", "map"])
def test_no_way_through_a_loop_is_taken_while_a_transform_is_late(poses, world):
    """TF itself would: down the loop's link, which is an identity here."""
    send(poses, "map", "optical", 100, 101, x=10.0)
    assert world_and_x(poses, 100.5, world) == ("map", 10)
    send(poses, "optical", "map", 0, static=True)
    with pytest.raises(TransformException, match="loop"):
        poses.look_up(world, "optical", at(101.5))


def test_one_message_that_would_close_a_loop_changes_nothing(robot):
    send(robot, "optical", "map", 100.2)
    assert world_and_x(robot, 100.5) == ("map", pytest.approx(111))


@pytest.mark.parametrize("camera", ["optical", "base"])
def test_the_camera_is_never_its_own_world(poses, camera):
    with pytest.raises(TransformException, match=f"no transform of the frame '{camera}'"):
        poses.look_up("", camera, at(100))
    send(poses, "map", camera, 50)
    with pytest.raises(
        TransformException, match=r"to its parent 'map' is 50.000 s older than the image"
    ):
        poses.look_up("", camera, at(100))


def test_an_empty_frame_id_is_named(poses):
    for camera in ("", "/"):
        with pytest.raises(TransformException, match="empty frame_id"):
            poses.look_up("", camera, at(100))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda t: setattr(t.transform.rotation, "w", 0.0), "the quaternion is zero"),
        (lambda t: setattr(t.transform.rotation, "x", float("nan")), "a number is not finite"),
        (lambda t: setattr(t.transform.translation, "x", float("inf")), "a number is not finite"),
        (lambda t: setattr(t.transform.translation, "z", -1e300), "it moves by more than 1e+08 m"),
    ],
)
def test_unusable_transforms_are_ignored_and_named(robot, spoil, reason):
    message = transform("base", "optical", moved(5), at(100.4))
    spoil(message)
    robot.buffer.set_transform(message, "test")
    assert world_and_x(robot, 100.5) == ("map", pytest.approx(111))
    error = TransformException("late")
    text = robot.explain("", "optical", at(100), error)
    assert f"its transforms are ignored: {reason}" in text
    send(robot, "base", "optical", 0, x=1.0, static=True)
    assert "ignored" not in robot.explain("", "optical", at(100), error)


def test_quaternions_of_any_length_are_normalised_as_tf_does(poses):
    message = transform("map", "optical", moved(5), at(100))
    message.transform.rotation.w = 3.0
    poses.buffer.set_transform(message, "test")
    _, T = poses.look_up("", "optical", at(100))
    np.testing.assert_allclose(T, moved(5), atol=1e-12)


def test_a_jump_in_time_forgets_what_moves_and_keeps_what_does_not(robot):
    send(robot, "world", "map", 0, static=True)
    assert world_and_x(robot, 100.5)[0] == "world"
    robot.clear()
    with pytest.raises(TransformException):
        robot.look_up("", "optical", at(100.5))
    send(robot, "odom", "base", 10, 11, x=10.0)
    send(robot, "map", "odom", 10, 11, x=100.0)
    assert world_and_x(robot, 10.5) == ("world", pytest.approx(111))


def test_explanations_are_short_whatever_the_names_are(poses):
    long = "x" * 10_000 + "\n"
    with pytest.raises(TransformException) as failed:
        poses.look_up("world" + long, long, at(100))
    text = poses.explain(long, long, at(100), failed.value)
    assert text.kind == "no transform"
    assert len(text) < 1000
    assert "\n" not in text


def test_no_transform_waits_for_one_that_was_lost(poses, peer):
    """A reliable reader would hold it; static ones, which are sent once, must all come."""

    def reliability(topic):
        offers = peer.get_subscriptions_info_by_topic(topic)
        return [offer.qos_profile.reliability for offer in offers]

    wait_for(lambda: reliability("/tf") and reliability("/tf_static"), what="subscriptions")
    assert reliability("/tf") == [ReliabilityPolicy.BEST_EFFORT]
    assert reliability("/tf_static") == [ReliabilityPolicy.RELIABLE]
