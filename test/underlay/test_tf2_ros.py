"""The stand-in of tf2_ros: buffers that wait, objects that are transformed, TF over DDS."""

# ruff: noqa: E402 (what is imported decides whether the tests apply)

import importlib
import os
import random
import threading
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")
tf2_ros = pytest.importorskip("tf2_ros", reason="needs the underlay to be built and sourced")
if not getattr(tf2_ros, "__semabs_stand_in__", False):
    pytest.skip("the real tf2_ros is installed, not the stand-in", allow_module_level=True)

import tf2_py
from geometry_msgs.msg import PointStamped, TransformStamped
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from tf2_messages import DEADLINE_S, LATEST, at, edge, numbers
from tf2_msgs.srv import FrameGraph

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
