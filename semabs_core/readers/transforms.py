"""The TF of a recording: which frame was where at what time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from semabs_core.readers.messages import stamp_to_seconds
from semabs_core.readers.poses import Track, rigid
from semabs_core.readers.recording import TF, Recording

GAP_S = 1.0
"""Transforms that are farther apart tell nothing of what is between them: a running node waits for
the later one no longer than half a second."""
REACH_S = 0.002
MOST_LINKS = 100


class Transforms:
    """A tree of frames; each has at most one parent.

    Attributes:
        parents: child to parent.
    """

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}
        self._moving: dict[str, list[tuple[float, NDArray]]] = {}
        self._static: dict[str, NDArray] = {}
        self._tracks: dict[str, Track] = {}

    def add(
        self, parent: str, child: str, T_parent_child: NDArray, stamp_s: float, static: bool
    ) -> None:
        """Take a transform."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        self.parents[child] = parent
        if static:
            self._static[child] = T_parent_child
        else:
            self._moving.setdefault(child, []).append((stamp_s, T_parent_child))
            self._tracks.pop(child, None)

    def take(self, message: Any, static: bool, report: list[str]) -> None:
        """Take a ``TFMessage``; what is no transform is added to the report."""
        for one in message.transforms:
            q, t = one.transform.rotation, one.transform.translation
            if not 0.5 < np.linalg.norm([q.x, q.y, q.z, q.w]) < 2:
                report.append(f"a transform of '{one.child_frame_id}' has no unit quaternion")
                continue
            T = rigid(Rotation.from_quat([q.x, q.y, q.z, q.w]), [t.x, t.y, t.z])
            stamp = stamp_to_seconds(one.header.stamp)
            self.add(one.header.frame_id, one.child_frame_id, T, stamp, static)

    def root(self, frame: str) -> str:
        """The frame above which there is none."""
        for _ in range(MOST_LINKS):
            if frame not in self.parents:
                return frame
            frame = self.parents[frame]
        return frame

    def at(self, world: str, frame: str, stamp_s: float) -> tuple[NDArray | None, str]:
        """``T_world_frame`` at a time; or None, and what is missing, for people."""
        up, why = self._to_root(frame, stamp_s)
        down, why_world = self._to_root(world, stamp_s)
        if self.root(frame) != self.root(world):
            return None, f"TF does not connect '{frame}' to '{world}'"
        if up is None or down is None:
            return None, why or why_world
        return np.linalg.inv(down) @ up, ""

    def _to_root(self, frame: str, stamp_s: float) -> tuple[NDArray | None, str]:
        T = np.eye(4)
        for _ in range(MOST_LINKS):
            parent = self.parents.get(frame)
            if parent is None:
                return T, ""
            link = self._link(frame, stamp_s)
            if link is None:
                return None, f"the transform from '{parent}' to '{frame}' is missing"
            T, frame = link @ T, parent
        return None, f"TF has a circle at '{frame}'"

    def _link(self, child: str, stamp_s: float) -> NDArray | None:
        if child in self._static:
            return self._static[child]
        if child not in self._tracks:
            stamps, transforms = zip(*self._moving[child])
            self._tracks[child] = Track(np.array(stamps), np.stack(transforms), GAP_S, REACH_S)
        return self._tracks[child].at(stamp_s)


def static(topic: str) -> bool:
    """Whether a TF topic holds transforms that are always valid."""
    return topic.endswith("tf_static")


def read_transforms(recording: Recording, report: list[str]) -> Transforms:
    """All transforms of a recording; what is damaged is added to the report."""
    transforms = Transforms()
    for recorded in recording.read(recording.of_type(TF), report.append):
        transforms.take(recorded.message, static(recorded.topic), report)
    return transforms
