"""Plays a scene file or a rosbag2/mcap as a camera driver with TF would: live stamps, real time."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.time import Time
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from semabs_core.data.scene_file import Scene, SceneError, built_in_scene, load_scene
from semabs_ros.convert import depth_to_image, matrix_to_transform, rgb_to_image

SCENE_SUFFIXES = (".npz", ".hdf5", ".h5")
ROLES = {"rgb": "rgb/image", "depth": "depth/image", "info": "rgb/camera_info"}
"""The topics of a bag that are played under the names that the node listens to."""


class Player(Node):
    """A camera that shows a recording.

    Parameters: ``scene`` (a ``.npz``/``.hdf5`` scene file, a rosbag2 folder or an ``.mcap`` file;
    empty for the built-in room), ``rate_hz`` of scene files, ``speed`` of bags, ``loop``,
    ``rgb_topic``, ``depth_topic``, ``info_topic`` of a bag (guessed where empty),
    ``depth_encoding`` (32FC1 or 16UC1), ``world_frame``, ``camera_frame``, ``reliability``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("player", **options)
        self.source = str(self._option("scene", ""))
        self.rate_hz = float(self._option("rate_hz", 5.0))
        self.speed = float(self._option("speed", 1.0))
        self.loop = bool(self._option("loop", True))
        self.depth_encoding = str(self._option("depth_encoding", "32FC1"))
        self.world_frame = str(self._option("world_frame", "map"))
        self.camera_frame = str(self._option("camera_frame", "camera_color_optical_frame"))
        self.recorded = {role: str(self._option(f"{role}_topic", "")) for role in ROLES}
        reliability = str(self._option("reliability", "reliable"))
        if self.depth_encoding not in ("32FC1", "16UC1"):
            raise ValueError(f"depth_encoding must be 32FC1 or 16UC1, got {self.depth_encoding!r}")
        if reliability not in ("reliable", "best_effort"):
            raise ValueError(f"reliability must be reliable or best_effort, got {reliability!r}")
        for name in ("rate_hz", "speed"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        self.qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability.upper()])

    def _option(self, name: str, default: Any) -> Any:
        """Declare a parameter; 10 is as good as 10.0."""
        any_type = ParameterDescriptor(dynamic_typing=True)
        return self.declare_parameter(name, default, any_type).value

    def play(self) -> None:
        """Play until the end (or for ever with ``loop``)."""
        path = Path(self.source)
        if not self.source or path.suffix in SCENE_SUFFIXES:
            self._play_scene(load_scene(path) if self.source else built_in_scene())
        else:
            self._play_bag(path)

    # --- scene files ------------------------------------------------------------------------------

    def _play_scene(self, scene: Scene) -> None:
        rgb_topic = self.create_publisher(Image, "rgb/image", self.qos)
        depth_topic = self.create_publisher(Image, "depth/image", self.qos)
        info_topic = self.create_publisher(CameraInfo, "rgb/camera_info", self.qos)
        broadcaster = TransformBroadcaster(self)
        self.get_logger().info(
            f"playing {scene.name}: {len(scene)} frame(s) of {scene.rgb.shape[2]}x"
            f"{scene.rgb.shape[1]} at {self.rate_hz:g} Hz{', looping' if self.loop else ''}"
        )
        due = time.monotonic()
        for index in self._indices(len(scene)):
            stamp = self.get_clock().now().to_msg()
            header = Header(stamp=stamp, frame_id=self.camera_frame)
            transform = TransformStamped(
                header=Header(stamp=stamp, frame_id=self.world_frame),
                child_frame_id=self.camera_frame,
                transform=matrix_to_transform(scene.T_world_camera[index]),
            )
            broadcaster.sendTransform(transform)
            info_topic.publish(camera_info(scene, header))
            rgb_topic.publish(rgb_to_image(scene.rgb[index], header))
            depth = depth_to_image(scene.depth_m[index], header, self.depth_encoding)
            depth_topic.publish(depth)
            due += 1 / self.rate_hz
            self._wait(due)

    def _indices(self, count: int) -> Iterator[int]:
        while rclpy.ok(context=self.context):
            yield from range(count)
            if not self.loop:
                return

    def _wait(self, due: float) -> None:
        """Serve the node until a monotonic time."""
        while rclpy.ok(context=self.context):
            left = due - time.monotonic()
            if left <= 0:
                return
            rclpy.spin_once(self, timeout_sec=left)

    # --- bags -------------------------------------------------------------------------------------

    def _play_bag(self, path: Path) -> None:
        if not path.exists():
            raise SceneError(f"there is no scene file or bag {path}")
        folder = path.parent if path.suffix == ".mcap" and _has_metadata(path.parent) else path
        try:
            reader = AnyReader([folder], default_typestore=get_typestore(Stores.LATEST))
            reader.open()
        except Exception as error:  # the formats' readers raise errors of many kinds
            raise SceneError(f"{path} is no readable rosbag2 or mcap: {error}") from error
        try:
            topics = self._bag_topics(reader)
            while rclpy.ok(context=self.context):
                self._play_once(reader, topics)
                if not self.loop:
                    return
        finally:
            reader.close()

    def _bag_topics(self, reader: Any) -> dict[str, tuple[Any, type]]:
        """A publisher and message type per topic whose type is installed here."""
        topics: dict[str, tuple[Any, type]] = {}
        names = self._renames({c.topic: c.msgtype for c in reader.connections})
        for connection in reader.connections:
            name = connection.msgtype.replace("/msg/", "/")
            try:
                package, kind = name.split("/")
                message = getattr(importlib.import_module(f"{package}.msg"), kind)
            except (ImportError, AttributeError, ValueError):
                self.get_logger().warning(f"{connection.topic} left out: no type {name} here")
                continue
            static = connection.topic == "/tf_static"
            qos = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            qos = qos if static else self.qos
            if connection.topic not in topics:
                played = names.get(connection.topic, connection.topic)
                publisher = self.create_publisher(message, played, qos)
                topics[connection.topic] = publisher, message
        if not topics:
            raise SceneError(f"{self.source} holds no message that can be played")
        shown = [f"{t} as {names[t]}" if t in names else t for t in sorted(topics)]
        self.get_logger().info(f"playing {len(topics)} topics: {', '.join(shown)}")
        return topics

    def _renames(self, recorded: dict[str, str]) -> dict[str, str]:
        """Recorded topics to the names that the node listens to: as told, else by type and name."""
        chosen = dict(self.recorded)
        for role, topic in chosen.items():
            if topic and topic not in recorded:
                known = ", ".join(sorted(recorded))
                raise SceneError(f"{role}_topic {topic} is not in {self.source}; it has {known}")
        guessed = guess_topics(recorded)
        return {chosen[role] or guessed[role]: ROLES[role] for role in ROLES
                if chosen[role] or guessed[role]}  # fmt: skip

    def _play_once(self, reader: Any, topics: dict[str, tuple[Any, type]]) -> None:
        """One pass; all stamps are moved so that the recording happens now."""
        wall, began = time.monotonic(), self.get_clock().now().nanoseconds
        for connection, recorded, raw in reader.messages():
            if connection.topic not in topics or not rclpy.ok(context=self.context):
                continue
            elapsed = (recorded - reader.start_time) * 1e-9 / self.speed
            self._wait(wall + elapsed)
            publisher, kind = topics[connection.topic]
            message = deserialize_message(bytes(raw), kind)
            shift_stamps(message, reader.start_time, began, self.speed)
            publisher.publish(message)


def guess_topics(recorded: dict[str, str]) -> dict[str, str]:
    """Which topics of a bag are colour, depth and the colour camera's calibration.

    Args:
        recorded: topic to message type, as rosbag2 writes them.

    Returns:
        For each of ``ROLES`` a topic, empty where none looks like it.
    """

    def best(kind: str, score: Callable[[str], int]) -> str:
        found = [topic for topic, name in recorded.items() if name.endswith(f"/{kind}")]
        return max(sorted(found), key=score, default="")

    def is_depth(topic: str) -> bool:
        return "depth" in topic and "infra" not in topic

    depth = best("Image", lambda t: is_depth(t) * (2 + ("align" in t or "regist" in t)))
    depth = depth if is_depth(depth) else ""
    colors = ("color", "rgb", "image_rect_color", "left")
    rgb = best("Image", lambda t: (not is_depth(t)) * (1 + any(word in t for word in colors)))
    rgb = "" if is_depth(rgb) else rgb
    camera = rgb.rsplit("/", 1)[0]
    info = best("CameraInfo", lambda t: (t.rsplit("/", 1)[0] == camera) * 2 + (not is_depth(t)))
    return {"rgb": rgb, "depth": depth, "info": info}


def camera_info(scene: Scene, header: Header) -> CameraInfo:
    """The calibration of a scene's camera: no distortion."""
    info = CameraInfo(header=header, height=scene.rgb.shape[1], width=scene.rgb.shape[2])
    info.distortion_model = "plumb_bob"
    info.d = [0.0] * 5
    info.k = scene.K.ravel().tolist()
    info.r = np.eye(3).ravel().tolist()
    info.p = np.hstack([scene.K, np.zeros((3, 1))]).ravel().tolist()
    return info


def shift_stamps(message: Any, start_ns: int, now_ns: int, speed: float) -> None:
    """Move the stamps of a message (or of a TF message's parts) to now."""
    parts = getattr(message, "transforms", None) or [message]
    for part in parts:
        header = getattr(part, "header", None)
        if header is None:
            continue
        recorded = header.stamp.sec * 10**9 + header.stamp.nanosec
        moved = now_ns + int((recorded - start_ns) / speed)
        header.stamp = Time(nanoseconds=max(moved, 0)).to_msg()


def _has_metadata(folder: Path) -> bool:
    return (folder / "metadata.yaml").exists()


def main() -> None:
    """Play until done or interrupted; a scene that cannot be played is one clear line."""
    rclpy.init()
    try:
        player = Player()
        player.play()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (SceneError, ValueError) as error:
        print(f"player: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        sys.exit(2)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
