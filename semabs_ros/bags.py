"""Recordings whose messages are those of the installed ROS, to be published again."""

from __future__ import annotations

from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from semabs_core.readers.recording import TF, TYPES, Recording

CLASSES = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    TF: TFMessage,
}
"""The installed message classes of what a recording is read for."""


class Bag(Recording):
    """An open recording with messages of the installed classes."""

    def decode(self, kind: str, raw: bytes) -> Any:
        """A stored message as the installed class.

        It is read by rosbags first, which checks lengths: rclpy's reader trusts them with the
        process's memory.
        """
        super().decode(kind, raw)
        return deserialize_message(bytes(self.today(kind, raw)), CLASSES[TYPES[kind]])
