"""The camera's topics: subscribed with the publishers' QoS, and what is wrong with each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from semabs_core.problem import NONE, Problem
from semabs_core.readers import camera_topics
from semabs_core.readers.camera_topics import ROLES
from semabs_core.text import shorten
from semabs_ros.node_config import NodeConfig

SILENCE_S = 5.0
"""After so long without what is expected the node says what is missing."""
RGB, DEPTH, INFO = ROLES.values()


@dataclass
class Topic:
    """One input topic and what came of it.

    Attributes:
        role: its relative name before remapping.
        name: its resolved name.
        kind: message type.
        reliable: reliability of the subscription; None while there is none.
        durable: whether the subscription gets what was published before it (latched topics).
        publishers: how many there are.
        received: how many messages came.
        times: when the last ones came, monotonic seconds.
        since: when the subscription was made, monotonic seconds.
        misfit: why a publisher and the subscription cannot come together; empty when they do.
        stamp_fault: why the last message's stamp is none; empty when it is one.
    """

    role: str
    name: str
    kind: type
    reliable: bool | None = None
    durable: bool = False
    publishers: int = 0
    received: int = 0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    since: float = 0.0
    misfit: Problem = NONE
    stamp_fault: Problem = NONE

    @property
    def rectified(self) -> bool:
        """Whether the name says that the images are rectified, as those of image_proc do."""
        return camera_topics.Topic(self.name, "").rectified is True

    def rate_hz(self) -> float:
        """Messages per second over the last ones; 0 when they have stopped."""
        times = list(self.times)
        if len(times) < 2:
            return 0.0
        interval = max(times[-1] - times[0], 1e-6) / (len(times) - 1)
        return 1 / interval if self.age_s() <= max(2.0, 3 * interval) else 0.0

    def age_s(self) -> float:
        """How long ago the last message came, seconds; infinite when none has come."""
        return time.monotonic() - self.times[-1] if self.times else float("inf")

    def fault(self) -> Problem:
        """Why nothing usable comes from the topic; empty when it does."""
        if not self.publishers:
            return Problem(f"{self.name} has no publisher (is {self.role} remapped?)", "publisher")
        if self.misfit:
            return self.misfit
        if self.stamp_fault:
            return self.stamp_fault
        if self.role.endswith(INFO) and self.received:
            return NONE  # once is enough
        if not self.rate_hz() and self.age_s() > SILENCE_S:
            return self._silence()
        return NONE

    def _silence(self) -> Problem:
        if not self.times and time.monotonic() - self.since < SILENCE_S:
            return Problem(f"the first message of {self.name} is awaited", "awaited")
        ago = f" any more (the last message came {self.age_s():.0f} s ago)" if self.times else ""
        text = f"{self.name} has a publisher but nothing arrives{ago}"
        if self.times:
            text += ": has the driver, the recording or the simulator stopped?"
        elif self.kind is not CameraInfo and not self.reliable:
            text += " (large best-effort images need larger socket buffers: see Troubleshooting)"
        else:
            text += ": is the driver running, does it wait for a trigger?"
        return Problem(text, "silent")


Receive = Callable[[Any], None]


class Subscriptions:
    """Subscriptions to colour, depth and camera_info that follow their publishers.

    Each is made when its topic has a publisher, and again when the publishers' reliability or
    durability has changed: a volatile subscription would never get a camera_info that was published
    once, before it, and a reliable or durable one gets nothing from publishers that offer less.

    Args:
        node: owns the subscriptions.
        config: returns the current node config.
        receivers: by role, what is called with each message whose stamp is one.
        prefix: goes before the roles, as in ``left/rgb/image``.
    """

    def __init__(
        self,
        node: Node,
        config: Callable[[], NodeConfig],
        receivers: dict[str, Receive],
        prefix: str = "",
    ) -> None:
        self._node, self._config = node, config
        self._group = MutuallyExclusiveCallbackGroup()
        self._made: dict[str, Subscription] = {}
        self._receivers = {prefix + role: receive for role, receive in receivers.items()}
        options = config()
        transports = {RGB: options.rgb_transport, DEPTH: options.depth_transport}
        self.topics = [
            self._topic(prefix + role, CameraInfo if role == INFO else Image,
                        transports.get(role, "raw"))
            for role in receivers
        ]  # fmt: skip

    def _topic(self, role: str, kind: type, transport: str) -> Topic:
        """An input; compressed transports have their own sub-topic and type."""
        name = self._node.resolve_topic_name(role)
        if transport == "raw":
            return Topic(role, name, kind)
        return Topic(role, f"{name}/{transport}", CompressedImage)

    def follow(self) -> None:
        """Subscribe, or again with another QoS, where the graph has changed."""
        changed = [topic for topic in self.topics if self._follow(topic)]
        if changed:
            names = ", ".join(
                f"{topic.name} ({'reliable' if topic.reliable else 'best effort'}"
                f"{', latched' if topic.durable else ''})"
                for topic in changed
            )
            self._node.get_logger().info(f"subscribed to {names}")

    def _follow(self, topic: Topic) -> bool:
        offers = self._node.get_publishers_info_by_topic(topic.name)
        topic.publishers = len(offers)
        topic.misfit = NONE if not offers else _wrong_type(topic, offers)
        if topic.misfit or not offers:
            return False
        wanted = self._config().reliability
        reliable = wanted == "reliable" or (
            wanted == "auto" and _all(offers, "reliability", ReliabilityPolicy.RELIABLE)
        )
        durable = _all(offers, "durability", DurabilityPolicy.TRANSIENT_LOCAL)
        topic.misfit = _wrong_reliability(topic, offers, reliable)
        made = topic.role in self._made  # not where making it has failed
        if made and (topic.reliable, topic.durable) == (reliable, durable):
            return False
        topic.reliable, topic.durable = reliable, durable
        self._subscribe(topic)
        return True

    def _subscribe(self, topic: Topic) -> None:
        self._release(topic.role)
        topic.since = time.monotonic()
        receive = self._receivers[topic.role]

        def admit(message: Any) -> None:
            topic.received += 1
            topic.times.append(time.monotonic())
            topic.stamp_fault = _stamp_fault(topic, message)
            if not topic.stamp_fault:
                receive(message)

        reliability = (
            ReliabilityPolicy.RELIABLE if topic.reliable else ReliabilityPolicy.BEST_EFFORT
        )
        durability = (
            DurabilityPolicy.TRANSIENT_LOCAL if topic.durable else DurabilityPolicy.VOLATILE
        )
        self._made[topic.role] = self._node.create_subscription(
            topic.kind,
            topic.name,
            admit,
            QoSProfile(
                depth=self._config().sync_queue_size, reliability=reliability, durability=durability
            ),
            callback_group=self._group,
            # rclpy's default event handlers break the executor when they are destroyed.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _release(self, role: str) -> None:
        subscription = self._made.pop(role, None)
        if subscription is not None:
            self._node.destroy_subscription(subscription)

    def stop(self) -> None:
        """Release all subscriptions."""
        for role in list(self._made):
            self._release(role)


def _all(offers: list[TopicEndpointInfo], policy: str, value: Any) -> bool:
    return all(getattr(offer.qos_profile, policy) == value for offer in offers)


def _wrong_type(topic: Topic, offers: list[TopicEndpointInfo]) -> Problem:
    """No publisher has the right type of message; one of several that has not, does not matter."""
    package, name = topic.kind.__module__.split(".")[0], topic.kind.__name__
    expected = f"{package}/msg/{name}"
    if any(offer.topic_type == expected for offer in offers):
        return NONE
    return Problem(
        f"{topic.name} is published as {shorten(offers[0].topic_type)}, not {expected} "
        f"(is {topic.role} remapped to the right topic, and the transport right?)",
        "type",
    )


def _wrong_reliability(topic: Topic, offers: list[TopicEndpointInfo], reliable: bool) -> Problem:
    """A subscription that was forced to be reliable gets nothing from best-effort publishers."""
    if reliable and any(
        offer.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for offer in offers
    ):
        return Problem(
            f"{topic.name}: its publisher's QoS does not fit (set reliability to auto)", "QoS"
        )
    return NONE


def _stamp_fault(topic: Topic, message: Any) -> Problem:
    """Why a message's stamp is none; camera_info that is published once may do without."""
    stamp = message.header.stamp
    zero = stamp.sec == 0 and stamp.nanosec == 0
    if topic.kind is CameraInfo and zero:
        return NONE
    if zero or stamp.sec < 0 or stamp.nanosec >= 10**9:
        return Problem(
            f"messages of {topic.name} have no usable stamp ({stamp.sec}.{stamp.nanosec:09d}): "
            "the camera driver must stamp them with the time of the exposure",
            "stamp",
        )
    return NONE
