"""Publishing transforms that hold for ever, also for those who come later."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.transform_broadcaster import as_list


class StaticTransformBroadcaster:
    """Publishes on `/tf_static`, always everything that it was given so far.

    The topic is latched with depth 1, so a later subscriber gets the last message only. A frame
    that is sent again replaces its former transform.

    Args:
        node: creates the publisher.
        qos: a profile or a depth; by default reliable, transient local, depth 1.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(
                depth=1,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
                history=HistoryPolicy.KEEP_LAST,
            )
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self.net_message = TFMessage()

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several, together with the earlier ones."""
        latched = {sent.child_frame_id: sent for sent in self.net_message.transforms}
        latched.update((new.child_frame_id, new) for new in as_list(transform))
        self.net_message.transforms = list(latched.values())
        self.pub_tf.publish(self.net_message)
