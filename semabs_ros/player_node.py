"""The node that plays: parameters, publishers, waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from semabs_core.readers import READERS
from semabs_core.readers.camera_topics import ROLES
from semabs_core.readers.options import OPTION_NAMES, parse_read_options
from semabs_core.readers.poses import parse_pose
from semabs_ros.convert import depth_to_image, matrix_to_transform, rgb_to_image
from semabs_ros.programs import ProgramOption, read_options

OPTIONS = (
    ProgramOption(
        "scene",
        "",
        f"RGB-D of any format that is read: {', '.join(reader.name for reader in READERS)}; empty "
        "for the built-in room",
    ),
    ProgramOption("read", "", f"what files do not say: {', '.join(OPTION_NAMES)}, as in 'up=y'"),
    ProgramOption("rate_hz", 5.0, "frames per second of files"),
    ProgramOption("speed", 1.0, "how many times faster than recorded a recording is played"),
    ProgramOption("loop", True, "play again and again; stamps go on"),
    ProgramOption("rgb_topic", "", "colour topic of a recording; empty: found by its camera"),
    ProgramOption("depth_topic", "", "depth topic of a recording; empty: found by its camera"),
    ProgramOption("info_topic", "", "camera_info topic of a recording; empty: found by its camera"),
    ProgramOption(
        "camera_pose",
        "",
        "instead of a recording's TF, or for a single image: 'x y z roll pitch yaw' of the "
        "camera's body (x forward, z up) in the world frame, metres and degrees",
    ),
    ProgramOption("depth_encoding", "32FC1", "of the depth images: 32FC1 or 16UC1"),
    ProgramOption("world_frame", "map", "parent of the camera's frame, where its pose is given"),
    ProgramOption("camera_frame", "camera_color_optical_frame", "frame of the images of files"),
    ProgramOption("reliability", "reliable", "of the images: reliable or best_effort"),
)
TOPICS = tuple(f"{role}_topic" for role in ROLES)
CHOICES = {"depth_encoding": ("32FC1", "16UC1"), "reliability": ("reliable", "best_effort")}


class Player(Node):
    """A camera that shows a recording; ``OPTIONS`` are its parameters."""

    def __init__(self, **options: Any) -> None:
        super().__init__("player", **options)
        values = read_options(self, OPTIONS)
        for name, choices in CHOICES.items():
            if values[name] not in choices:
                raise ValueError(f"{name} must be {' or '.join(choices)}, got {values[name]!r}")
        for name in ("rate_hz", "speed"):
            if not (values[name] > 0 and np.isfinite(values[name])):
                raise ValueError(f"{name} must be positive, got {values[name]}")
        self.source, self.loop = values["scene"], values["loop"]
        self.rate_hz, self.speed = values["rate_hz"], values["speed"]
        told = {name: values[name] for name in ("camera_pose", *TOPICS) if values[name]}
        self.read_options = replace(parse_read_options(values["read"]), **told)
        self.told, pose = self.read_options.topics, self.read_options.camera_pose
        self.camera_pose = parse_pose(pose) if pose else None
        self.depth_encoding = values["depth_encoding"]
        self.world_frame, self.camera_frame = values["world_frame"], values["camera_frame"]
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[values["reliability"].upper()])
        self.publishers_of = {
            role: self.create_publisher(CameraInfo if role == "info" else Image, topic, qos)
            for role, topic in ROLES.items()
        }

    def passes(self) -> Iterator[int]:
        """Numbers of the passes: 0, and with ``loop`` on and on."""
        count = 0
        while rclpy.ok(context=self.context) and (self.loop or not count):
            yield count
            count += 1

    def wait(self, due_s: float) -> bool:
        """Serve the node until a monotonic time; returns False when the program is to end."""
        while rclpy.ok(context=self.context):
            left = due_s - time.monotonic()
            if left <= 0:
                return True
            rclpy.spin_once(self, timeout_sec=left)
        return False

    def publish_color(self, rgb: NDArray[np.uint8], header: Header) -> None:
        """Publish (H, W, 3) uint8."""
        self.publishers_of["rgb"].publish(rgb_to_image(rgb, header))

    def publish_depth(self, depth_m: NDArray[np.float32], header: Header) -> None:
        """Publish (H, W) metres in the encoding that is asked for."""
        self.publishers_of["depth"].publish(depth_to_image(depth_m, header, self.depth_encoding))

    def pose(self, T_world_camera: NDArray, stamp: Any, frame: str) -> TransformStamped:
        """The camera's pose for TF."""
        return TransformStamped(
            header=Header(stamp=stamp, frame_id=self.world_frame),
            child_frame_id=frame,
            transform=matrix_to_transform(T_world_camera),
        )
