"""What a recording holds of a camera, without its pictures: topics, stamps, TF."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semabs_core.readers.camera_topics import Topic, TopicError, Trio, choose_camera
from semabs_core.readers.messages import nanoseconds
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.recording import Recording
from semabs_core.readers.transforms import Transforms, read_transforms


@dataclass(frozen=True)
class Entry:
    """A message of an image or a calibration.

    Attributes:
        time_ns: when it was recorded.
        stamp_ns: of its header.
        frame_id: of its header.
    """

    time_ns: int
    stamp_ns: int
    frame_id: str


@dataclass(frozen=True)
class BagIndex:
    """What there is of a camera in a recording.

    Attributes:
        topics: all of them.
        camera: the topics of the camera; None where it is not clear.
        unclear: why not.
        entries: by role (``rgb``, ``depth``, ``info``), in the order of recording.
        info: the first calibration; None where there is none.
        transforms: TF.
        damage: what could not be read, one line each.
        qos: topic to the reliability that its publishers offer, where it is known.
    """

    topics: list[Topic]
    camera: Trio | None
    unclear: str
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    info: Any = None
    transforms: Transforms = field(default_factory=Transforms)
    damage: list[str] = field(default_factory=list)
    qos: dict[str, str] = field(default_factory=dict)

    def stamps_s(self, role: str) -> NDArray[np.float64]:
        """(n,) stamps of a role, seconds."""
        return np.array([entry.stamp_ns for entry in self.entries.get(role, [])]) * 1e-9

    def nearest(self, role: str, stamp_ns: int) -> Entry | None:
        """The message of a role whose stamp is nearest."""
        entries = self.entries.get(role)
        if not entries:
            return None
        stamps = np.array([entry.stamp_ns for entry in entries])
        return entries[int(np.abs(stamps - stamp_ns).argmin())]


def index_bag(recording: Recording, options: ReadOptions) -> BagIndex:
    """Look through a recording once; pictures are not kept."""
    topics = recording.describe()
    damage: list[str] = []
    transforms = read_transforms(recording, damage)
    try:
        camera = choose_camera(topics, options.topics)
    except TopicError as error:
        return BagIndex(topics, None, str(error), transforms=transforms, damage=damage)
    roles = {camera.rgb.name: "rgb", camera.depth.name: "depth", camera.info.name: "info"}
    entries: dict[str, list[Entry]] = {role: [] for role in roles.values()}
    info = None
    for recorded in recording.read(list(roles), damage.append):
        header, role = recorded.message.header, roles[recorded.topic]
        entries[role].append(
            Entry(recorded.time_ns, nanoseconds(header.stamp), header.frame_id.lstrip("/"))
        )
        if role == "info" and info is None:
            info = recorded.message
    qos = {c.topic: _reliability(c) for c in recording.reader.connections}
    return BagIndex(topics, camera, "", entries, info, transforms, damage, qos)


def _reliability(connection: object) -> str:
    """``reliable`` or ``best effort``, where the recording says it."""
    profiles = getattr(getattr(connection, "ext", None), "offered_qos_profiles", None) or []
    names = {str(getattr(profile.reliability, "name", "")).lower() for profile in profiles}
    return "/".join(sorted(name.replace("_", " ") for name in names if name))
