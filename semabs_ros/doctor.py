"""``semabs doctor --live``: listens to the cameras that publish now, and says what is wrong."""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from semabs_core.commands.doctor import tell
from semabs_core.config import SemabsConfig, load_config
from semabs_core.doctor.bags import check_recording
from semabs_core.doctor.examine import Examination
from semabs_core.doctor.findings import Report, error
from semabs_core.doctor.frames import check_frames
from semabs_core.doctor.machine import check_models, check_sockets, check_torch
from semabs_core.readers.bag import complete_frames
from semabs_core.readers.bag_index import BagIndex, Entry
from semabs_core.readers.calibration import Rectifier
from semabs_core.readers.camera_topics import ROLES, Topic, TopicError, Trio, choose_camera
from semabs_core.readers.messages import nanoseconds
from semabs_core.readers.options import ReadOptions, parse_read_options
from semabs_core.readers.recording import describe
from semabs_core.readers.transforms import Transforms
from semabs_core.readers.trios import messages_to_frame
from semabs_core.types import RGBDFrame

KINDS = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
}
KEPT = 30
"""Messages of each role that are kept to make frames of."""
FRAMES = 5


class Listener(Node):
    """Hears cameras and TF for a while."""

    def __init__(self, options: ReadOptions, **node_options: Any) -> None:
        super().__init__("semabs_doctor", **node_options)
        self.options = options
        self._served = SingleThreadedExecutor(context=self.context)
        self._served.add_node(self)
        self.first: dict[str, Any] = {}
        self.damage: list[str] = []
        self.transforms = Transforms()
        self.entries: dict[str, list[Entry]] = {role: [] for role in ROLES}
        self.messages: dict[str, deque] = {role: deque(maxlen=KEPT) for role in ROLES}
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for topic, qos, fixed in (("/tf", 100, False), ("/tf_static", latched, True)):
            self.create_subscription(TFMessage, topic, self._transform(fixed), qos)

    def _transform(self, fixed: bool) -> Callable[[TFMessage], None]:
        return lambda message: self.transforms.take(message, fixed, self.damage)

    def hear(self, seconds: float) -> None:
        """Serve the node for some time."""
        end = time.monotonic() + seconds
        while rclpy.ok(context=self.context) and (left := end - time.monotonic()) > 0:
            self._served.spin_once(timeout_sec=left)

    def listen(self, name: str, kind: type, receive: Callable[[Any], None]) -> Any:
        """Subscribe with what all publishers of a topic offer."""
        offers = [info.qos_profile for info in self.get_publishers_info_by_topic(name)]
        best = any(offer.reliability == ReliabilityPolicy.BEST_EFFORT for offer in offers)
        latched = bool(offers) and all(
            offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers
        )
        qos = QoSProfile(
            depth=10,
            reliability=ReliabilityPolicy.BEST_EFFORT if best else ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        return self.create_subscription(kind, name, receive, qos)

    def published(self) -> dict[str, str]:
        """Topics with a publisher, and their types."""
        found = self.get_topic_names_and_types()
        return {name: kinds[0] for name, kinds in found if self.count_publishers(name)}

    def look(self, seconds: float) -> list[Topic]:
        """All topics; those of images and calibrations by the first message that comes."""
        known = {name: kind for name, kind in self.published().items() if kind in KINDS}
        made = [
            self.listen(name, KINDS[kind], lambda message, name=name: self._first(name, message))
            for name, kind in known.items()
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.first.keys() < known.keys():
            self.hear(0.1)
        for subscription in made:
            self.destroy_subscription(subscription)
        return [
            describe(name, kind, self.first[name]) if name in self.first else Topic(name, kind)
            for name, kind in sorted(self.published().items())
        ]

    def _first(self, name: str, message: Any) -> None:
        self.first.setdefault(name, message)

    def record(self, camera: Trio, seconds: float) -> None:
        """Take stamps, and the last messages, of a camera."""
        topics = {"rgb": camera.rgb, "depth": camera.depth, "info": camera.info}
        for role, topic in topics.items():
            self.listen(topic.name, KINDS[topic.kind], lambda m, role=role: self._take(role, m))
        self.hear(seconds)

    def _take(self, role: str, message: Any) -> None:
        header = message.header
        now = self.get_clock().now().nanoseconds
        entry = Entry(now, nanoseconds(header.stamp), header.frame_id.lstrip("/"))
        self.entries[role].append(entry)
        self.messages[role].append((entry, message))

    def index(self, topics: list[Topic], camera: Trio | None, unclear: str) -> BagIndex:
        """What was heard, as of a recording."""
        info = self.messages["info"][-1][1] if self.messages["info"] else None
        qos = {topic.name: self._reliability(topic.name) for topic in topics}
        return BagIndex(
            topics, camera, unclear, self.entries, info, self.transforms, self.damage, qos
        )

    def _reliability(self, name: str) -> str:
        offers = self.get_publishers_info_by_topic(name)
        names = {offer.qos_profile.reliability.name.lower().replace("_", " ") for offer in offers}
        return "/".join(sorted(names))

    def frames(self, index: BagIndex) -> tuple[list[RGBDFrame], str, str]:
        """Some of the last frames, their world frame, and why there are no others.

        Raises:
            ValueError: if messages do not belong together or are damaged.
        """
        complete, world, why = complete_frames(index, self.options)
        kept = {
            role: {id(entry): message for entry, message in messages}
            for role, messages in self.messages.items()
        }
        rectified = bool(index.camera and index.camera.rgb.rectified)
        told = any(self.options.topics.values())
        frames, rectifier = [], Rectifier()
        for one in complete[::-1]:
            parts = [kept[role].get(id(getattr(one, role))) for role in ROLES]
            if len(frames) < FRAMES and all(part is not None for part in parts):
                made = messages_to_frame(*parts, one.T_world_camera, rectifier, rectified, told)
                frames.append(made)
        return frames, world, why


def examine_live(listener: Listener, config: SemabsConfig, seconds: float) -> Examination:
    """Listen to what is published now, and look at the machine.

    Args:
        listener: a node that nobody else spins.
        config: whose region and models count.
        seconds: how long to listen to the camera.
    """
    result = Examination(Report())
    listener.hear(1.0)  # until publishers are known
    topics = listener.look(max(seconds / 2, 3.0))
    camera, unclear = None, ""
    try:
        camera = choose_camera(topics, listener.options.topics)
        listener.record(camera, seconds)
    except TopicError as fault:
        unclear = str(fault)
    index = listener.index(topics, camera, unclear)
    sound = result.report.add(check_recording(index, listener.options))
    if camera is not None and all(listener.entries.values()):
        _look(listener, index, config, result, sound)
    result.report.add([*check_sockets(live=True), *check_torch(), *check_models(config)])
    return result


def _look(
    listener: Listener, index: BagIndex, config: SemabsConfig, result: Examination, sound: bool
) -> None:
    """The frames themselves."""
    try:
        frames, world, why = listener.frames(index)
    except ValueError as fault:
        result.report.add([error("frames", str(fault), "mend the driver's messages")])
        return
    if frames:
        result.frame = frames[0]
        camera = index.entries["rgb"][0].frame_id
        result.report.add(check_frames(frames, config.region, camera, world))
    elif sound:
        result.report.add([error("frames", f"none is complete: {why}", "see the lines before")])


def argument_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="semabs doctor --live", allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", default="")
    return parser


def main() -> None:
    """Listen, print, draw; exit code 1 where there is an error."""
    arguments = argument_parser().parse_args()
    try:
        config = load_config(arguments.config) if arguments.config else SemabsConfig()
        options = parse_read_options(arguments.read)
        rclpy.init()
        result = examine_live(Listener(options), config, arguments.seconds)
        tell(result, config.region, arguments.out)
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError) as fault:
        print(f"semabs: {fault}", file=sys.stderr)
        sys.exit(2)
    finally:
        rclpy.try_shutdown()
    sys.exit(1 if result.report.failed else 0)


if __name__ == "__main__":
    main()
