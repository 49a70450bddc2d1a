"""Recordings: rosbag2 folders, single ``.mcap`` and ``.db3`` files, and ROS 1 ``.bag`` files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.camera_topics import INFO_KIND, Topic
from semabs_core.readers.messages import (
    ConvertError,
    depth_to_metres,
    image_to_rgb,
    is_compressed,
    nanoseconds,
)

STORAGE_SUFFIXES = (".mcap", ".db3")
BAG_SUFFIXES = (*STORAGE_SUFFIXES, ".bag")
TF = "tf2_msgs/msg/TFMessage"
TYPES = {
    "sensor_msgs/msg/Image": "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage": "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/CameraInfo": "sensor_msgs/msg/CameraInfo",
    TF: TF,
    "tf/msg/tfMessage": TF,
}
"""What is read, a camera and TF, and how it is called today (the last is ROS 1's first TF)."""
ROS_2 = get_typestore(Stores.LATEST)
"""Today's layouts; those of a ROS 1 bag have one field more in every header."""
UNFINISHED = {".active": "rosbag reindex", ".zstd": "ros2 bag reindex"}


@dataclass(frozen=True)
class Recorded:
    """A message of a recording.

    Attributes:
        topic: its topic.
        time_ns: when it was recorded.
        message: with the fields of its type.
    """

    topic: str
    time_ns: int
    message: Any

    @property
    def stamps_ns(self) -> list[int]:
        """The stamps in it, nanoseconds."""
        return [nanoseconds(header.stamp) for header in headers(self.message)]


def headers(message: Any) -> list[Any]:
    """The headers of an image, a calibration or transforms."""
    if hasattr(message, "transforms"):
        return [transform.header for transform in message.transforms]
    return [message.header]


class Recording:
    """An open recording; only the messages of a camera and of TF are read.

    Attributes:
        topics: topic to message type, all of them.
        start_ns: when it begins.
    """

    def __init__(self, path: Path) -> None:
        """Open a recording.

        Args:
            path: a rosbag2 folder (whole, split, compressed, or without its ``metadata.yaml``), a
                folder of ``.bag`` files, or one file.

        Raises:
            SceneError: if it is missing, damaged or empty.
        """
        self.path = path
        files = bag_files(path)
        try:
            self.reader = AnyReader(files, default_typestore=ROS_2)
            self.reader.open()
        except Exception as error:  # the formats' readers raise errors of many kinds
            raise SceneError(f"{path} is no readable bag: {_one_line(error)}") from error
        self.topics = {c.topic: c.msgtype for c in self.reader.connections}
        if not self.reader.message_count:
            self.close()
            raise SceneError(f"{path} holds no message")
        self.start_ns = self.reader.start_time

    def close(self) -> None:
        """Close the files."""
        with suppress(Exception):
            self.reader.close()

    def of_type(self, kind: str) -> list[str]:
        """The topics of a message type, by today's name."""
        return sorted(topic for topic, name in self.topics.items() if TYPES.get(name) == kind)

    def read(
        self,
        topics: list[str],
        report: Callable[[str], object],
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Recorded]:
        """The messages of some topics in the order of recording; damaged ones are left out.

        Args:
            topics: which; their types must be among ``TYPES``.
            report: told of what is left out, one line each.
            start_ns: not those that were recorded before.
            stop_ns: only those that were recorded before.
        """
        wanted = [c for c in self.reader.connections if c.topic in topics]
        if not wanted:
            return
        messages = self.reader.messages(wanted, start_ns, stop_ns)
        while True:
            try:
                connection, time_ns, raw = next(messages)
            except StopIteration:
                return
            except Exception as error:  # of the storage: nothing can be read behind it
                report(f"the rest of {self.path} is damaged: {_one_line(error)}")
                return
            try:
                message = self.decode(connection.msgtype, raw)
            except Exception as error:
                after = (time_ns - self.start_ns) * 1e-9
                report(
                    f"a message of {connection.topic} {after:.1f} s after the start is damaged and "
                    f"left out: {_one_line(error)}"
                )
                continue
            yield Recorded(connection.topic, time_ns, message)

    def today(self, kind: str, raw: bytes) -> bytes:
        """A stored message of one of ``TYPES`` in today's layout (CDR)."""
        return raw if self.reader.is2 else bytes(ROS_2.ros1_to_cdr(raw, TYPES[kind]))

    def decode(self, kind: str, raw: bytes) -> Any:
        """A stored message as an object with its fields."""
        return ROS_2.deserialize_cdr(self.today(kind, raw), TYPES[kind])

    def first(self, topic: str) -> Recorded | None:
        """The first message of a topic that is whole."""
        return next(self.read([topic], lambda _: None), None)

    def describe(self) -> list[Topic]:
        """All topics; images and calibrations with what their first message says.

        Topics of images and calibrations without a message are left out.
        """
        described = []
        for name, kind in sorted(self.topics.items()):
            if TYPES.get(kind) in (None, TF):
                described.append(Topic(name, kind))
            elif recorded := self.first(name):
                described.append(describe(name, kind, recorded.message))
        return described


def describe(name: str, kind: str, message: Any) -> Topic:
    """A topic of an image or a calibration by one of its messages."""
    frame = message.header.frame_id
    if kind.endswith(f"/{INFO_KIND}"):
        return Topic(name, kind, frame, message.width, message.height)
    if not is_compressed(message):
        return Topic(name, kind, frame, message.width, message.height, message.encoding)
    unsized = Topic(name, kind, frame, encoding=message.format)
    height = width = 0
    with suppress(ConvertError):
        if unsized.role == "depth":
            height, width = depth_to_metres(message).shape
        elif unsized.role == "rgb":
            height, width = image_to_rgb(message).shape[:2]
    return Topic(name, kind, frame, width, height, message.format)


def bag_files(path: Path) -> list[Path]:
    """What to open for a path: a folder with its metadata, or files.

    Raises:
        SceneError: if there is nothing to open.
    """
    if not path.exists():
        raise SceneError(f"there is no scene file or bag {path}")
    if path.is_file():
        if path.suffix not in BAG_SUFFIXES:
            raise SceneError(
                f"{path} is no readable bag: it must be a folder or end in "
                f"{', '.join(BAG_SUFFIXES)}" + _remedy(path)
            )
        metadata = path.parent / "metadata.yaml"
        whole = metadata.is_file() and path.name in metadata.read_text(errors="replace")
        return [path.parent if whole else path]
    if (path / "metadata.yaml").is_file():
        return [path]
    inside = sorted(file for file in path.iterdir() if file.is_file())
    for suffixes in (STORAGE_SUFFIXES, (".bag",)):
        if files := [file for file in inside if file.suffix in suffixes]:
            return files
    raise SceneError(
        f"{path} is no readable bag: it holds neither metadata.yaml nor files that end in "
        f"{', '.join(BAG_SUFFIXES)}" + "".join(sorted({_remedy(file) for file in inside}))
    )


def _remedy(file: Path) -> str:
    """What makes an unfinished file readable."""
    tool = UNFINISHED.get(file.suffix)
    return f"; {tool} makes a bag of {file.name}" if tool else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
