"""The stand-in of message_filters: sequences whose outcome is worked out by hand."""

# ruff: noqa: E402 (what is imported decides whether the tests apply)

import random
import time
from types import SimpleNamespace

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")
message_filters = pytest.importorskip(
    "message_filters", reason="needs the underlay to be built and sourced"
)
if not getattr(message_filters, "__semabs_stand_in__", False):
    pytest.skip("the real message_filters is installed, not the stand-in", allow_module_level=True)

from builtin_interfaces.msg import Time as TimeMessage
from message_filters import (
    ApproximateTimeSynchronizer,
    Cache,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
from rclpy.clock import ClockType
from rclpy.time import Time
from std_msgs.msg import Header, String


def message(milliseconds, name=""):
    sec, rest = divmod(milliseconds, 1000)
    stamp = TimeMessage(sec=sec, nanosec=rest * 1_000_000)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), at=milliseconds, name=name)


def at(seconds):
    """The time of a message's stamp, which is ROS time."""
    return Time(seconds=seconds, clock_type=ClockType.ROS_TIME)


def run(make, arrivals, inputs):
    """Feed (input, milliseconds) pairs; return the sets that come out, as milliseconds."""
    filters = [SimpleFilter() for _ in range(inputs)]
    out = []
    sync = make(filters)
    sync.registerCallback(lambda *messages: out.append(tuple(m.at for m in messages)))
    for index, milliseconds in arrivals:
        filters[index].signalMessage(message(milliseconds))
    return out


def test_callbacks_get_messages_and_their_arguments():
    source, calls = SimpleFilter(), []
    assert source.registerCallback(lambda *args: calls.append(args), "a", "b") == 0
    assert source.registerCallback(lambda *args: calls.append(args)) == 1
    source.signalMessage(1, 2)
    assert calls == [(1, 2, "a", "b"), (1, 2)]


@pytest.mark.parametrize(
    ("queue_size", "arrivals", "expected"),
    [
        (5, [(0, 1), (1, 1), (1, 2), (0, 2)], [(1, 1), (2, 2)]),
        (5, [(0, 1), (1, 2), (0, 3), (1, 4)], []),
        (5, [(0, 3), (0, 1), (0, 2), (1, 2), (1, 1), (1, 3)], [(2, 2), (1, 1), (3, 3)]),
        (2, [(0, 1), (0, 2), (0, 3), (1, 1), (1, 3)], [(3, 3)]),  # 1 made room
        (2, [(0, 2), (0, 3), (0, 1), (1, 1), (1, 2)], [(2, 2)]),  # 1 never got a place
        (1, [(0, 1), (0, 1), (1, 1), (1, 1)], [(1, 1)]),
    ],
)
def test_exact_time(queue_size, arrivals, expected):
    assert run(lambda filters: TimeSynchronizer(filters, queue_size), arrivals, 2) == expected


@pytest.mark.parametrize(
    ("queue_size", "arrivals", "expected"),
    [
        # within 100 ms, each message once
        (5, [(0, 0), (1, 50), (0, 200), (1, 260)], [(0, 50), (200, 260)]),
        # exactly 100 ms is too far
        (5, [(0, 0), (1, 100)], []),
        (5, [(0, 0), (1, 99)], [(0, 99)]),
        # the nearest of those that wait
        (5, [(0, 0), (0, 40), (0, 80), (1, 50)], [(40, 50)]),
        # never waits for a better one
        (5, [(0, 0), (1, 90), (1, 10)], [(0, 90)]),
        # what is left can still match
        (5, [(0, 0), (0, 40), (1, 50), (1, 60)], [(40, 50), (0, 60)]),
        # the oldest stamp makes room
        (2, [(0, 0), (0, 1000), (0, 2000), (1, 0), (1, 2000)], [(2000, 2000)]),
        # older than everything in a full queue: no place, no match
        (1, [(1, 0), (0, 1000), (0, 0)], []),
    ],
)
def test_approximate_time(queue_size, arrivals, expected):
    made = run(lambda filters: ApproximateTimeSynchronizer(filters, queue_size, 0.1), arrivals, 2)
    assert made == expected


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        # 0 and 90 are within 100 ms of 50 each, and of each other
        ([(0, 0), (1, 90), (2, 50)], [(0, 90, 50)]),
        # 0 and 120 are too far apart; the next candidate of the middle filter will do
        ([(0, 0), (1, 120), (1, 80), (2, 60)], [(0, 80, 60)]),
        # nearest first: (40, 45) before (0, 45)
        ([(0, 0), (0, 40), (1, 45), (2, 50)], [(40, 45, 50)]),
        # nothing fits together although each is near the new one
        ([(0, 0), (1, 120), (2, 60)], []),
    ],
)
def test_approximate_time_of_three(arrivals, expected):
    made = run(lambda filters: ApproximateTimeSynchronizer(filters, 5, 0.1), arrivals, 3)
    assert made == expected


def test_headerless_messages_are_dropped_unless_allowed():
    bare, out = SimpleNamespace(), []
    for allowed in (False, True):
        filters = [SimpleFilter(), SimpleFilter()]
        sync = ApproximateTimeSynchronizer(filters, 5, 10.0, allow_headerless=allowed)
        sync.registerCallback(lambda *messages: out.append(messages))
        for source in filters:
            source.signalMessage(bare)
        assert out == ([(bare, bare)] if allowed else [])


def test_time_of_arrival_instead_of_stamps():
    first, second = SimpleFilter(), SimpleFilter()
    sync = ApproximateTimeSynchronizer([first, second], 5, 10.0, sync_arrival_time=True)
    out = []
    sync.registerCallback(lambda *messages: out.append([m.at for m in messages]))
    first.signalMessage(message(0))
    second.signalMessage(message(999_000))
    assert out == [[0, 999_000]]


def test_callback_that_raises_leaves_the_synchronizer_usable():
    filters, out = [SimpleFilter(), SimpleFilter()], []
    sync = ApproximateTimeSynchronizer(filters, 5, 0.1)

    def callback(*messages):
        if not out:
            out.append("raised")
            raise RuntimeError("not now")
        out.append([m.at for m in messages])

    sync.registerCallback(callback)
    filters[0].signalMessage(message(0))
    with pytest.raises(RuntimeError, match="not now"):
        filters[1].signalMessage(message(0))
    filters[0].signalMessage(message(10))
    filters[1].signalMessage(message(10))
    assert out == ["raised", [10, 10]]


def test_callback_may_feed_its_own_synchronizer():
    filters, out = [SimpleFilter(), SimpleFilter()], []
    sync = TimeSynchronizer(filters, 5)

    def callback(first, second):
        out.append(first.at)
        if first.at < 3:
            for source in filters:
                source.signalMessage(message(first.at + 1))

    sync.registerCallback(callback)
    for source in filters:
        source.signalMessage(message(1))
    assert out == [1, 2, 3]


def test_cache():
    source, passed_on = SimpleFilter(), []
    cache = Cache(source, 3)
    cache.registerCallback(passed_on.append)
    assert cache.getLast() is None
    assert cache.getOldestTime() is None
    messages = [message(1000 * second) for second in range(5)]
    for item in messages:
        source.signalMessage(item)
    assert passed_on == messages
    assert cache.getOldestTime() == at(2)
    assert cache.getLastestTime() == at(4)
    assert cache.getInterval(at(2), at(3)) == messages[2:4]
    assert cache.getElemAfterTime(at(2.5)) is messages[3]
    assert cache.getElemBeforeTime(at(2.5)) is messages[2]
    assert cache.getElemBeforeTime(at(1.5)) is None
    assert cache.getLast() is messages[4]


def test_missing_parts_name_the_real_package():
    with pytest.raises(ImportError, match=r"ros-.*-message-filters"):
        from message_filters import LatestTimeSynchronizer  # noqa: F401
    with pytest.raises(AttributeError, match=r"ros-.*-message-filters"):
        _ = message_filters.anything


def test_subscribers_over_dds(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=random.SystemRandom().randrange(1, 100))
    node = rclpy.create_node("filters", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        subscribers = [
            Subscriber(node, Header, "left", qos_profile=5),
            Subscriber(node, Header, "right", 5),
        ]
        assert subscribers[0].getTopic() == "left"
        assert subscribers[0].topic_name == "/left"  # looks like a subscription
        assert Subscriber(node, String, "text").msg_type is String
        with pytest.raises(AttributeError):
            _ = subscribers[0].anything
        publishers = [node.create_publisher(Header, name, 5) for name in ("left", "right")]
        received = []
        for index, subscriber in enumerate(subscribers):
            subscriber.registerCallback(lambda msg, i: received.append((i, msg.frame_id)), index)
        deadline = time.monotonic() + 10.0
        while len(set(received)) < 2 and time.monotonic() < deadline:
            for publisher in publishers:
                publisher.publish(Header(frame_id=publisher.topic_name))
            executor.spin_once(timeout_sec=0.05)
        assert set(received) == {(0, "/left"), (1, "/right")}
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
