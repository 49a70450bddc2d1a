"""Filling a buffer from the topics."""

from __future__ import annotations

import threading

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import Buffer

DEFAULT_TF_TOPIC = "/tf"
DEFAULT_STATIC_TF_TOPIC = "/tf_static"
_AUTHORITY = "default_authority"


class TransformListener:
    """Subscribes to the transform topics and stores what comes in a buffer.

    The subscriptions have a reentrant callback group of their own, so that an executor with
    several threads serves them while a callback of the node waits for a transform.

    Args:
        buffer: stores the transforms.
        node: creates the subscriptions.
        spin_thread: spin the node in a thread of its own, until rclpy is shut down; for nodes that
            nobody else spins.
        qos: a profile or a depth for the moving frames (default volatile, depth 100).
        static_qos: the same for the static ones (default transient local, depth 100).
        tf_topic: topic of the moving frames.
        tf_static_topic: topic of the static frames.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
        tf_topic: str = DEFAULT_TF_TOPIC,
        tf_static_topic: str = DEFAULT_STATIC_TF_TOPIC,
    ) -> None:
        self.buffer = buffer
        self.node = node
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage,
            tf_topic,
            self.callback,
            _profile(DurabilityPolicy.VOLATILE) if qos is None else qos,
            callback_group=self.group,
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            tf_static_topic,
            self.static_callback,
            _profile(DurabilityPolicy.TRANSIENT_LOCAL) if static_qos is None else static_qos,
            callback_group=self.group,
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.dedicated_listener_thread = threading.Thread(
                target=_spin, args=(self.executor, node), name="tf2_listener", daemon=True
            )
            self.dedicated_listener_thread.start()

    def __del__(self) -> None:
        # A thread of ours has ended by now: while it runs, it keeps node, subscriptions and us.
        if hasattr(self, "tf_static_sub"):
            self.unregister()

    def unregister(self) -> None:
        """Stop listening; what the buffer has stays there."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: TFMessage) -> None:
        for transform in data.transforms:
            self.buffer.set_transform(transform, _AUTHORITY)

    def static_callback(self, data: TFMessage) -> None:
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, _AUTHORITY)


def _profile(durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=100, durability=durability, history=HistoryPolicy.KEEP_LAST)


def _spin(executor: Executor, node: Node) -> None:
    executor.add_node(node)
    try:
        executor.spin()
    except ExternalShutdownException:
        pass  # the usual end
    finally:
        executor.remove_node(node)
