"""The filter that starts a chain: a topic."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from message_filters.simple_filter import SimpleFilter


class Subscriber(SimpleFilter):
    """Passes on what comes on a topic; else it looks like an rclpy subscription.

    Args:
        node: a node, lifecycle or not.
        msg_type: class of the messages.
        topic: name of the topic.
        qos_profile: a profile or a depth.
        kwargs: the other arguments of `Node.create_subscription`.
    """

    def __init__(
        self,
        node: Node,
        msg_type: type,
        topic: str,
        qos_profile: QoSProfile | int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        self.sub = node.create_subscription(
            msg_type, topic, self.callback, qos_profile=qos_profile, **kwargs
        )

    def callback(self, msg: Any) -> None:
        self.signalMessage(msg)

    def getTopic(self) -> str:
        return self.topic

    def __getattr__(self, key: str) -> Any:
        if key == "sub":  # not there yet: do not ask it
            raise AttributeError(key)
        return getattr(self.sub, key)
