"""The stand-ins of tf2_py and tf2_ros: answers worked out by hand."""

# ruff: noqa: E402 (what is imported decides whether the tests apply)

import importlib
import math
import os
import random
import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")
tf2_ros = pytest.importorskip("tf2_ros", reason="needs the underlay to be built and sourced")
if not getattr(tf2_ros, "__semabs_stand_in__", False):
    pytest.skip("the real tf2_ros is installed, not the stand-in", allow_module_level=True)

import tf2_py
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import PointStamped, TransformStamped
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.time import Time
from tf2_msgs.srv import FrameGraph

LATEST = Time()
DEADLINE_S = 10.0


def at(seconds):
    return Time(nanoseconds=round(seconds * 1e9))


def edge(parent, child, seconds, xyz=(0.0, 0.0, 0.0), yaw=0.0):
    """A TransformStamped, turned about z by `yaw` degrees."""
    message = TransformStamped()
    message.header.frame_id = parent
    message.header.stamp = at(seconds).to_msg()
    message.child_frame_id = child
    translation = message.transform.translation
    translation.x, translation.y, translation.z = map(float, xyz)
    message.transform.rotation.z = math.sin(math.radians(yaw) / 2)
    message.transform.rotation.w = math.cos(math.radians(yaw) / 2)
    return message


def numbers(message):
    """((x, y, z), yaw in degrees) of a rotation about z."""
    t, q = message.transform.translation, message.transform.rotation
    assert (q.x, q.y) == pytest.approx((0.0, 0.0), abs=1e-12)
    return (t.x, t.y, t.z), math.degrees(2 * math.atan2(q.z, q.w))


def seconds_of(message):
    return message.header.stamp.sec + message.header.stamp.nanosec / 1e9


@pytest.fixture
def core():
    return tf2_py.BufferCore()


@pytest.fixture
def robot(core):
    """map -> base (moving, turned left at (1, 2)) -> camera 1 m ahead, lidar 1 m left, reversed."""
    for seconds in (1.0, 2.0):
        core.set_transform(edge("map", "base", seconds, (1, 2, 0), 90), "odometry")
    core.set_transform_static(edge("base", "camera", 0, (1, 0, 0)), "urdf")
    core.set_transform_static(edge("base", "lidar", 0, (0, 1, 0), 180), "urdf")
    return core


# The tree


@pytest.mark.parametrize(
    ("target", "source", "xyz", "yaw"),
    [
        ("map", "base", (1, 2, 0), 90),
        ("map", "camera", (1, 3, 0), 90),
        ("camera", "map", (-3, 1, 0), -90),
        ("lidar", "camera", (-1, 1, 0), 180),
        ("camera", "lidar", (-1, 1, 0), 180),
        ("base", "base", (0, 0, 0), 0),
    ],
)
def test_paths_up_down_and_across(robot, target, source, xyz, yaw):
    answer = robot.lookup_transform_core(target, source, at(1.5))
    got_xyz, got_yaw = numbers(answer)
    assert got_xyz == pytest.approx(xyz, abs=1e-12)
    assert math.remainder(got_yaw - yaw, 360) == pytest.approx(0, abs=1e-9)
    assert (answer.header.frame_id, answer.child_frame_id) == (target, source)
    assert seconds_of(answer) == 1.5


def test_random_tree_agrees_with_matrices(core):
    """Any two of 30 frames: the product of 4x4 matrices from one to the root and down again."""
    rng = np.random.default_rng(0)
    to_root = {"frame_0": np.eye(4)}
    for index in range(1, 30):
        parent, child = f"frame_{rng.integers(index)}", f"frame_{index}"
        message = edge(parent, child, 1.0, rng.normal(size=3))
        w, x, y, z = q = (lambda v: v / np.linalg.norm(v))(rng.normal(size=4))
        rotation = message.transform.rotation
        rotation.w, rotation.x, rotation.y, rotation.z = map(float, q)
        matrix = np.eye(4)
        matrix[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        t = message.transform.translation
        matrix[:3, 3] = t.x, t.y, t.z
        to_root[child] = to_root[parent] @ matrix
        core.set_transform_static(message, "test")
    for _ in range(100):
        target, source = (f"frame_{i}" for i in rng.integers(30, size=2))
        expected = np.linalg.inv(to_root[target]) @ to_root[source]
        answer = core.lookup_transform_core(target, source, LATEST).transform
        t, q = answer.translation, answer.rotation
        assert (t.x, t.y, t.z) == pytest.approx(expected[:3, 3], abs=1e-12)
        # trace of a rotation = 4 w^2 - 1, and w is not negative
        assert q.w == pytest.approx(math.sqrt(max(0, np.trace(expected))) / 2, abs=1e-7)


def test_unconnected_trees(robot):
    robot.set_transform_static(edge("moon", "rover", 0), "test")
    with pytest.raises(tf2_py.ConnectivityException, match="not part of the same tree"):
        robot.lookup_transform_core("map", "rover", LATEST)
    with pytest.raises(tf2_py.ConnectivityException):
        robot.lookup_transform_core("map", "rover", at(1.5))


def test_loop_is_reported_and_not_followed_for_ever(core):
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a"), ("x", "y")):
        core.set_transform_static(edge(parent, child, 0), "test")
    with pytest.raises(tf2_py.LookupException, match="loop"):
        core.lookup_transform_core("y", "a", at(1.0))


def test_unknown_frame(robot):
    with pytest.raises(tf2_py.LookupException, match=r"elbow.*does not exist"):
        robot.lookup_transform_core("map", "elbow", LATEST)
    assert robot.can_transform_core("map", "elbow", LATEST)[0] == 0


def test_frame_in_itself_needs_no_data(core):
    assert core.can_transform_core("nowhere", "nowhere", at(5.0)) == (1, "")
    assert numbers(core.lookup_transform_core("nowhere", "nowhere", at(5.0))) == ((0, 0, 0), 0)


@pytest.mark.parametrize(
    ("name", "text"), [("", "must not be empty"), ("/map", "must not start with a '/'")]
)
def test_bad_names_in_lookups(robot, name, text):
    with pytest.raises(tf2_py.InvalidArgumentException, match=text):
        robot.lookup_transform_core(name, "base", LATEST)
    possible, why = robot.can_transform_core("base", name, LATEST)
    assert not possible
    assert text in why


def test_leading_slash_is_taken_off_when_storing(core):
    core.set_transform_static(edge("/map", "/base", 0, (1, 0, 0)), "test")
    assert numbers(core.lookup_transform_core("map", "base", LATEST))[0] == (1, 0, 0)


def test_times_may_be_messages(robot):
    answer = robot.lookup_transform_core("map", "base", TimeMessage(sec=1, nanosec=500_000_000))
    assert seconds_of(answer) == 1.5
    with pytest.raises(TypeError, match="sec and nanosec, or nanoseconds"):
        robot.lookup_transform_core("map", "base", 1.5)


# Time


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


# What is refused


@pytest.mark.parametrize(
    ("parent", "child", "x", "quaternion"),
    [
        ("map", "", 0.0, (0, 0, 0, 1)),
        ("", "base", 0.0, (0, 0, 0, 1)),
        ("base", "base", 0.0, (0, 0, 0, 1)),
        ("/base", "base", 0.0, (0, 0, 0, 1)),
        ("map", "base", math.nan, (0, 0, 0, 1)),
        ("map", "base", 0.0, (0, math.nan, 0, 1)),
        ("map", "base", 0.0, (0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("store", ["set_transform", "set_transform_static"])
def test_unusable_transforms_are_ignored(core, store, parent, child, x, quaternion):
    message = edge(parent, child, 1.0, (x, 0, 0))
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = map(float, quaternion)
    assert getattr(core, store)(message, "test") is None
    assert core.all_frames_as_yaml() == "[]"


def test_long_quaternions_are_normalised(core):
    """As the real package does: it goes by way of a matrix, whatever its check says later."""
    message = edge("map", "base", 1.0)
    message.transform.rotation.z = message.transform.rotation.w = 3.0
    core.set_transform(message, "test")
    assert numbers(core.lookup_transform_core("map", "base", LATEST))[1] == pytest.approx(90)


# Clearing, replacing, reporting


def test_clear_forgets_what_moves(robot):
    robot.clear()
    assert not robot.can_transform_core("map", "base", LATEST)[0]
    assert robot.can_transform_core("base", "camera", LATEST)[0]
    assert robot._frameExists("map")


def test_static_frame_that_starts_to_move(robot):
    robot.set_transform(edge("base", "camera", 1.0, (5, 0, 0)), "test")
    assert robot.can_transform_core("base", "camera", at(1.0))[0]
    assert not robot.can_transform_core("base", "camera", at(1.5))[0]


def test_reports(robot):
    assert "Frame camera exists with parent base." in robot.all_frames_as_string()
    assert robot._getFrameStrings() == ["base", "map", "camera", "lidar"]
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(robot.all_frames_as_yaml())["base"] == {
        "parent": "map",
        "broadcaster": "odometry",
        "rate": 2.0,
        "most_recent_transform": 2.0,
        "oldest_transform": 1.0,
        "buffer_length": 1.0,
    }


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


def test_many_threads(core):
    """Writers and readers at once; every answer is one that was stored."""
    core.set_transform(edge("map", "base", 1.0, (1, 1, 0)), "test")
    failures = []

    def write(first):
        for step in range(300):
            value = first + step / 100
            core.set_transform(edge("map", "base", 1 + value, (value, value, 0)), "test")

    def read():
        for _ in range(300):
            x, y, _ = numbers(core.lookup_transform_core("map", "base", LATEST))[0]
            if x != y:
                failures.append((x, y))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 0.005)]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failures


# Buffer: waiting


def test_lookup_waits_for_what_comes():
    buffer = tf2_ros.Buffer()
    timer = threading.Timer(0.1, buffer.set_transform_static, (edge("map", "base", 0), "test"))
    timer.start()
    answer = buffer.lookup_transform("map", "base", LATEST, Duration(seconds=DEADLINE_S))
    assert answer.child_frame_id == "base"


def test_lookup_gives_up_after_its_timeout():
    buffer = tf2_ros.Buffer()
    start = time.monotonic()
    with pytest.raises(tf2_ros.LookupException):
        buffer.lookup_transform("map", "base", LATEST, timeout=Duration(seconds=0.2))
    assert time.monotonic() - start >= 0.2


def test_debug_tuple_says_why():
    buffer = tf2_ros.Buffer()
    assert buffer.can_transform("map", "base", LATEST) is False
    possible, why = buffer.can_transform("map", "base", LATEST, return_debug_tuple=True)
    assert not possible
    assert "map" in why
    request = ("map", LATEST, "base", LATEST, "odom")
    assert not buffer.can_transform_full(*request, return_debug_tuple=True)[0]


def test_futures_wait_for_their_own_transform():
    buffer = tf2_ros.Buffer()
    base = buffer.wait_for_transform_async("map", "base", at(1.0))
    hand = buffer.wait_for_transform_full_async("map", at(1.0), "hand", at(1.0), "base")
    dropped = buffer.wait_for_transform_async("map", "base", at(1.0))
    dropped.cancel()
    buffer.set_transform(edge("map", "base", 0.5), "test")
    assert not base.done()
    buffer.set_transform(edge("map", "base", 1.5), "test")
    assert base.result().child_frame_id == "base"
    assert not hand.done()
    buffer.set_transform_static(edge("base", "hand", 0), "test")
    assert hand.result().child_frame_id == "hand"
    assert dropped.cancelled()
    assert not buffer._awaited


def test_future_passes_on_unexpected_errors():
    future = tf2_ros.Buffer().wait_for_transform_async("map", "base", "noon")
    assert isinstance(future.exception(), TypeError)


def test_callbacks_of_futures_may_use_the_buffer():
    buffer = tf2_ros.Buffer()
    seen = []
    future = buffer.wait_for_transform_async("map", "base", LATEST)
    future.add_done_callback(lambda _: seen.append(buffer.can_transform("map", "base", LATEST)))
    buffer.set_transform_static(edge("map", "base", 0), "test")
    assert seen == [True]


# Objects


def test_transform_needs_a_registered_type():
    buffer = tf2_ros.Buffer()
    with pytest.raises(tf2_ros.TypeException, match="nothing is registered"):
        buffer.transform(TransformStamped(), "map")


def test_transform_and_convert():
    class Place:
        def __init__(self, header, x):
            self.header, self.x = header, x

    tf2_ros.TransformRegistration().add(
        Place, lambda place, t: Place(t.header, place.x + t.transform.translation.x)
    )
    tf2_ros.ConvertRegistration().add_to_msg(Place, lambda place: PointStamped(header=place.header))
    tf2_ros.ConvertRegistration().add_from_msg(PointStamped, lambda message: message)
    tf2_ros.ConvertRegistration().add_convert((Place, float), lambda place: place.x)
    buffer = tf2_ros.Buffer()
    for seconds, x in ((1.0, 10), (2.0, 20)):
        buffer.set_transform(edge("map", "base", seconds, (x, 0, 0)), "test")
    place = tf2_ros.Stamped(Place(None, 1.0), at(1.0).to_msg(), "base")
    assert buffer.transform(place, "map").x == 11.0
    assert buffer.transform(place, "map", new_type=float) == 11.0
    assert buffer.transform(place, "map", new_type=PointStamped).header.frame_id == "map"
    assert buffer.transform_full(place, "base", at(2.0), "map").x == -9.0
    copy = tf2_ros.convert(place, Place)
    assert copy is not place
    assert copy.x == 1.0
    with pytest.raises(tf2_ros.TypeException):
        tf2_ros.convert(place, int)


def test_interface_must_be_filled_in():
    with pytest.raises(tf2_ros.NotImplementedException):
        tf2_ros.BufferInterface().lookup_transform("map", "base", LATEST)


# What is not here


def test_missing_parts_name_the_real_package():
    with pytest.raises(ImportError, match=r"ros-.*-tf2-ros-py"):
        from tf2_ros import BufferClient  # noqa: F401
    with pytest.raises(ImportError, match=r"ros-.*-tf2-ros-py"):
        importlib.import_module("tf2_ros.buffer_client")
    with pytest.raises(AttributeError, match=r"ros-.*-tf2-py"):
        _ = tf2_py.anything
    with pytest.raises(AttributeError, match=r"ros-.*-tf2-py"):
        _ = tf2_py.BufferCore()._chain
    assert not hasattr(tf2_ros, "anything")


# Over DDS


@pytest.fixture
def context(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=random.SystemRandom().randrange(1, 100))
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def make_node(context):
    nodes = []

    def make(name):
        nodes.append(rclpy.create_node(f"{name}_{os.getpid()}", context=context))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def test_static_frames_reach_those_who_come_later(make_node):
    broadcaster = tf2_ros.StaticTransformBroadcaster(make_node("talker"))
    broadcaster.sendTransform(edge("map", "base", 0, (1, 0, 0)))
    broadcaster.sendTransform([edge("base", "camera", 0), edge("map", "base", 0, (2, 0, 0))])
    buffer = tf2_ros.Buffer()
    tf2_ros.TransformListener(buffer, make_node("listener"), spin_thread=True)
    answer = buffer.lookup_transform("map", "camera", LATEST, Duration(seconds=DEADLINE_S))
    assert numbers(answer)[0] == (2, 0, 0)


def test_moving_frames_and_unregister(context, make_node):
    talker, listening = make_node("talker"), make_node("listener")
    broadcaster = tf2_ros.TransformBroadcaster(talker)
    buffer = tf2_ros.Buffer(node=listening)
    listener = tf2_ros.TransformListener(buffer, listening)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(listening)

    def spin_until(done, deadline_s=DEADLINE_S):
        end = time.monotonic() + deadline_s
        while not done() and time.monotonic() < end:
            broadcaster.sendTransform(
                iter([edge("map", "base", talker.get_clock().now().nanoseconds / 1e9)])
            )
            executor.spin_once(timeout_sec=0.05)
        return done()

    assert spin_until(lambda: buffer.can_transform("map", "base", LATEST))
    client = talker.create_client(FrameGraph, "tf2_frames")
    assert client.wait_for_service(DEADLINE_S)
    executor.add_node(talker)
    answer = client.call_async(FrameGraph.Request())
    assert spin_until(answer.done)
    assert "parent: 'map'" in answer.result().frame_yaml

    listener.unregister()
    buffer.clear()
    assert not spin_until(lambda: buffer.can_transform("map", "base", LATEST), 0.5)


def test_quality_of_service(make_node):
    node = make_node("both")
    tf2_ros.TransformBroadcaster(node)
    tf2_ros.StaticTransformBroadcaster(node)
    tf2_ros.TransformListener(tf2_ros.Buffer(), node)
    for topic, durability in (
        ("/tf", DurabilityPolicy.VOLATILE),
        ("/tf_static", DurabilityPolicy.TRANSIENT_LOCAL),
    ):
        for info in (
            *node.get_publishers_info_by_topic(topic),
            *node.get_subscriptions_info_by_topic(topic),
        ):
            assert info.topic_type == "tf2_msgs/msg/TFMessage"
            assert info.qos_profile.durability == durability
            assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
