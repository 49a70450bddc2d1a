"""Recordings of ROS 2 and ROS 1 as sequences of frames, without ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.bag_index import BagIndex, Entry, index_bag
from semabs_core.readers.calibration import Rectifier
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.poses import parse_pose
from semabs_core.readers.recording import (
    BAG_SUFFIXES,
    UNFINISHED,
    Recording,
)
from semabs_core.readers.sequence import Reader, Wordless
from semabs_core.readers.trios import messages_to_frame
from semabs_core.readers.upright import upright
from semabs_core.types import RGBDFrame

SLOP_NS = 50_000_000
"""How far apart the stamps of a frame may be (the node's ``sync_slop_s``)."""


@dataclass(frozen=True)
class BagFrame:
    """Where a frame is in a recording.

    Attributes:
        rgb: colour image.
        depth: depth image.
        info: calibration.
        T_world_camera: (4, 4) rigid, in the recording's world frame.
    """

    rgb: Entry
    depth: Entry
    info: Entry
    T_world_camera: NDArray[np.float64]


@dataclass(frozen=True)
class BagSequence(Wordless):
    """RGB-D frames of a recording, read when they are asked for.

    Attributes:
        name: for people.
        recording: open.
        index: what there is.
        frames: those that are complete.
        world_frame: TF frame that the poses are in.
        told: whether topics were told, so that their frame_ids count no more.
        T_ours_theirs: (4, 4) rigid, from the world frame to ours.
        notes: what was recognised or assumed.
    """

    name: str
    recording: Recording
    index: BagIndex
    frames: list[BagFrame]
    world_frame: str
    told: bool
    T_ours_theirs: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    notes: list[str] = field(default_factory=list)
    rectifier: Rectifier = field(default_factory=Rectifier)

    @property
    def stamps_s(self) -> NDArray[np.float64]:
        """(n,) seconds, of the colour images."""
        return np.array([frame.rgb.stamp_ns for frame in self.frames]) * 1e-9

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> RGBDFrame:
        """One frame.

        Raises:
            SceneError: if its messages are damaged or do not belong together.
        """
        camera, found = self.index.camera, self.frames[index]
        assert camera is not None
        try:
            return messages_to_frame(
                self._message(camera.rgb.name, found.rgb),
                self._message(camera.depth.name, found.depth),
                self._message(camera.info.name, found.info),
                self.T_ours_theirs @ found.T_world_camera,
                self.rectifier,
                bool(camera.rgb.rectified),
                self.told,
            )
        except ValueError as error:
            raise SceneError(f"{self.recording.path}: {error}") from None

    def _message(self, topic: str, entry: Entry) -> Any:
        """A message by its entry."""
        damage: list[str] = []
        around = self.recording.read([topic], damage.append, entry.time_ns, entry.time_ns + 1)
        for recorded in around:
            if entry.stamp_ns in recorded.stamps_ns:
                return recorded.message
        raise ValueError(f"a message of {topic} cannot be read: {'; '.join(damage)}")


def matches(path: Path) -> bool:
    """Whether a path is a recording, or one that was not finished."""
    known = (*BAG_SUFFIXES, *UNFINISHED)
    if path.is_file():
        return path.suffix in known
    if not path.is_dir():
        return False
    inside = (file.suffix in known for file in path.iterdir() if file.is_file())
    return (path / "metadata.yaml").is_file() or any(inside)


def open_bag(path: Path, options: ReadOptions) -> BagSequence:
    """Read a recording: colour with the nearest depth, calibration, and TF at its stamp.

    Raises:
        SceneError: if it is damaged, its camera is not clear, or no frame is complete.
    """
    recording = Recording(path)
    try:
        return finish_bag(recording, index_bag(recording, options), options)
    except BaseException:
        recording.close()
        raise


def finish_bag(recording: Recording, index: BagIndex, options: ReadOptions) -> BagSequence:
    """The frames of an indexed recording; raises as :func:`open_bag`."""
    path, camera = recording.path, index.camera
    if camera is None:
        raise SceneError(f"{path}: {index.unclear}")
    frames, world, why = complete_frames(index, options)
    if not frames:
        raise SceneError(f"{path} holds no complete frame: {why}")
    notes = [f"camera {camera}; poses in '{world}'"]
    if left_out := len(index.entries["rgb"]) - len(frames):
        notes.append(f"{left_out} colour images are left out: {why}")
    told = any(options.topics.values())
    sequence = BagSequence(path.stem, recording, index, frames, world, told, notes=notes)
    fixed = not index.transforms.parents and not options.camera_pose
    T, more = upright(sequence, options, None if fixed else "z", floor_known=not fixed)
    return BagSequence(path.stem, recording, index, frames, world, told, T, [*notes, *more])


def complete_frames(index: BagIndex, options: ReadOptions) -> tuple[list[BagFrame], str, str]:
    """The frames that have everything, the world frame, and why others do not."""
    frames, why = [], ""
    pose = parse_pose(options.camera_pose) if options.camera_pose else None
    fixed = pose is None and not index.transforms.parents and options.up == "estimate"
    pose = np.eye(4) if fixed else pose
    assert index.camera is not None
    world = options.world_frame or index.transforms.root(index.camera.rgb.frame)
    for rgb in index.entries["rgb"]:
        depth, info = (index.nearest(role, rgb.stamp_ns) for role in ("depth", "info"))
        if depth is None or info is None:
            return [], world, f"{index.camera.info.name} or {index.camera.depth.name} is empty"
        if abs(depth.stamp_ns - rgb.stamp_ns) > SLOP_NS:
            apart = abs(depth.stamp_ns - rgb.stamp_ns) * 1e-6
            why = f"the nearest depth is {apart:.0f} ms away (at most {SLOP_NS * 1e-6:.0f})"
            continue
        T = pose
        if T is None:
            T, why_not = index.transforms.at(world, rgb.frame_id, rgb.stamp_ns * 1e-9)
            if T is None or world == rgb.frame_id:
                why = why_not or (
                    f"TF says nothing of '{rgb.frame_id}': give camera_pose, 'x y z roll pitch "
                    "yaw' in metres and degrees, or up=estimate for a camera that stands still"
                )
                continue
        frames.append(BagFrame(rgb, depth, info, T))
    return frames, world, why


BAG = Reader(
    "recording",
    f"a rosbag2 folder (whole, split or compressed), or a file: {', '.join(BAG_SUFFIXES)}",
    "colour, registered depth (16UC1 millimetres, 32FC1 metres), camera_info, TF; the world is "
    "the root of the camera's TF tree, z up (REP 105)",
    ("camera_pose", "world_frame", "rgb_topic", "depth_topic", "info_topic"),
    matches,
    open_bag,
)
