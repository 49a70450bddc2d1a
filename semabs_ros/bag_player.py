"""Plays the camera and the TF of a recording."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage
from tf2_msgs.msg import TFMessage
from tf2_ros import StaticTransformBroadcaster

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.camera_topics import choose_camera
from semabs_core.readers.messages import ConvertError, depth_to_metres, image_to_rgb, nanoseconds
from semabs_core.readers.recording import TF, Recorded, headers
from semabs_ros.bags import Bag
from semabs_ros.player_node import Player
from semabs_ros.timeline import Timeline

MOST_LINES = 20
"""How many different faults of a recording are logged."""
LATE_NS = 10**9


class BagPlayer:
    """One recording, played by a player node."""

    def __init__(self, player: Player, path: Path) -> None:
        """Open the recording and find its camera.

        Raises:
            SceneError: if it cannot be read, or says nothing of the camera's pose.
            TopicError: if it is not clear which topics are the camera.
        """
        self.player, self.bag = player, Bag(path)
        self.said: set[str] = set()
        self.camera = choose_camera(self.bag.describe(), player.told)
        self.roles = {
            self.camera.rgb.name: "rgb", self.camera.depth.name: "depth",
            self.camera.info.name: "info",
        }  # fmt: skip
        self.transforms = [] if player.camera_pose is not None else self.bag.of_type(TF)
        if player.camera_pose is None and not self.transforms:
            raise SceneError(
                f"{path} holds no TF, so that the camera's pose is not known: give camera_pose "
                "(CAMERA_POSE= of make demo), 'x y z roll pitch yaw' in metres and degrees"
            )
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.tf = player.create_publisher(TFMessage, "/tf", 100)
        self.tf_static = player.create_publisher(TFMessage, "/tf_static", latched)
        self.images = 0

    def play(self) -> None:
        """Play until the end, or for ever.

        Raises:
            SceneError: if no image can be played.
        """
        player, bag = self.player, self.bag
        self._tell()
        if player.camera_pose is not None:
            pose = player.pose(player.camera_pose, Time().to_msg(), self.camera.rgb.frame)
            StaticTransformBroadcaster(player).sendTransform(pose)
        first = [bag.first(topic) for topic in (*self.roles, *self.transforms) if not static(topic)]
        known = [(one.time_ns, min(one.stamps_ns, default=0)) for one in first if one is not None]
        timeline = Timeline(bag.start_ns, known, player.speed)
        try:
            for _ in player.passes():
                self._play_once(timeline)
                if not self.images:
                    raise SceneError(f"no image of {self.camera.rgb.name} can be played")
        finally:
            bag.close()

    def _tell(self) -> None:
        """Say what is played and what is not."""
        played = {**self.roles, **dict.fromkeys(self.transforms, "tf")}
        log = self.player.get_logger()
        log.info(f"playing {self.camera}, TF of {', '.join(self.transforms) or 'camera_pose'}")
        left_out = sorted(self.bag.topics.keys() - played.keys())
        if left_out:
            log.info(f"left out (only a camera and TF are played): {', '.join(left_out)}")

    def _say(self, text: str) -> None:
        """Log a fault of the recording, once."""
        if text not in self.said and len(self.said) < MOST_LINES:
            self.said.add(text)
            self.player.get_logger().warning(text)

    def _play_once(self, timeline: Timeline) -> None:
        """One pass; all stamps are moved so that the recording happens now."""
        player = self.player
        now = player.get_clock().now().nanoseconds
        timeline.begin(now)
        monotonic = time.monotonic_ns() - now
        for recorded in self.bag.read([*self.roles, *self.transforms], self._say):
            stamp = 0 if static(recorded.topic) else max(recorded.stamps_ns, default=0)
            due = timeline.due_ns(recorded.time_ns, stamp) + monotonic
            if not player.wait(due * 1e-9):
                return
            if time.monotonic_ns() - due > LATE_NS:
                self._say("playing falls behind: give a lower speed, or smaller images")
            self._move(recorded, timeline)
            try:
                self._publish(recorded)
            except ConvertError as error:
                self._say(f"a message of {recorded.topic} is left out: {error}")
            if stamp:
                timeline.played(max(recorded.stamps_ns))

    def _move(self, recorded: Recorded, timeline: Timeline) -> None:
        """Put stamps to now, and frames as tf2 knows them (ROS 1 let them begin with a slash)."""
        for header in headers(recorded.message):
            moved = timeline.move(nanoseconds(header.stamp))
            header.stamp = Time(nanoseconds=moved).to_msg()
            header.frame_id = header.frame_id.lstrip("/")
        for transform in getattr(recorded.message, "transforms", []):
            transform.child_frame_id = transform.child_frame_id.lstrip("/")

    def _publish(self, recorded: Recorded) -> None:
        """A message under the name that the node listens to; compressed images as plain ones."""
        message, role = recorded.message, self.roles.get(recorded.topic)
        if role is None:
            (self.tf_static if static(recorded.topic) else self.tf).publish(message)
        elif isinstance(message, CompressedImage) and role == "rgb":
            self.player.publish_color(image_to_rgb(message), message.header)
        elif isinstance(message, CompressedImage):
            self.player.publish_depth(depth_to_metres(message), message.header)
        else:
            if role == "info" and self.camera.rgb.rectified:
                message = rectified_info(message)
            self.player.publishers_of[role].publish(message)
        self.images += role == "rgb"


def static(topic: str) -> bool:
    """Whether a TF topic holds transforms that are always valid."""
    return topic.endswith("tf_static")


def rectified_info(info: CameraInfo) -> CameraInfo:
    """The calibration of rectified images: the matrix P, no distortion."""
    P = np.array(info.p, dtype=float).reshape(3, 4)
    if P[0, 0] > 0:
        info.k = P[:, :3].ravel().tolist()
        info.d = [0.0] * len(info.d)
        info.r = np.eye(3).ravel().tolist()
    return info
