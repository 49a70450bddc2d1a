"""Sequences whose frames are files: what all folder formats share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.pictures import bring_together, read_depth_picture, read_picture
from semabs_core.readers.poses import read_numbers
from semabs_core.readers.sequence import Wordless
from semabs_core.readers.upright import upright
from semabs_core.types import RGBDFrame


@dataclass(frozen=True)
class FrameFiles:
    """Where a frame is stored.

    Attributes:
        color: picture.
        depth: picture, or ``.npy``.
        K_color: (3, 3), pixels of the colour picture.
        T_world_camera: (4, 4) rigid, camera (x right, y down, z forward) to the files' world.
        stamp_s: seconds; 0 where the files tell no time.
        K_depth: (3, 3) of the depth picture, where it has another view than colour.
    """

    color: Path
    depth: Path
    K_color: NDArray[np.float64]
    T_world_camera: NDArray[np.float64]
    stamp_s: float = 0.0
    K_depth: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class FolderSequence(Wordless):
    """RGB-D frames in files, read when they are asked for.

    Attributes:
        name: for people.
        files: of each frame.
        units_per_m: stored depth units of a metre; None for integer millimetres, float metres.
        T_ours_theirs: (4, 4) rigid, from the files' world to one with z up and the floor at 0.
        notes: what was recognised or assumed.
    """

    name: str
    files: Sequence[FrameFiles]
    units_per_m: float | None
    T_ours_theirs: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    notes: list[str] = field(default_factory=list)

    @property
    def stamps_s(self) -> NDArray[np.float64]:
        """(n,) seconds."""
        return np.array([files.stamp_s for files in self.files])

    def __len__(self) -> int:
        return len(self.files)

    def frame(self, index: int) -> RGBDFrame:
        """One frame.

        Raises:
            SceneError: if its files are missing, damaged, or do not belong together.
        """
        files = self.files[index]
        rgb = read_picture(files.color)
        depth = read_depth_picture(files.depth, self.units_per_m)
        try:
            rgb, K = bring_together(rgb, depth, files.K_color, files.K_depth)
            pose = self.T_ours_theirs @ files.T_world_camera
            return RGBDFrame(rgb, depth, K, pose, files.stamp_s)
        except ValueError as error:
            raise SceneError(f"{files.color}: {error}") from None


def finish(
    sequence: FolderSequence, options: ReadOptions, up: str | None, floor_known: bool = False
) -> FolderSequence:
    """A sequence whose first frame is readable, with z up and the floor at 0.

    Raises:
        SceneError: if it is empty, damaged, or nobody can tell where up is.
    """
    if not sequence.files:
        raise SceneError(f"{sequence.name} holds no frame with colour, depth and a pose")
    sequence.frame(0)
    T, notes = upright(sequence, options, up, floor_known)
    return dataclasses.replace(sequence, T_ours_theirs=T, notes=[*sequence.notes, *notes])


def by_number(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """The files of a folder by the number that their names end in (``frame000012.jpg``: 12)."""
    found = {}
    for file in sorted(folder.iterdir()):
        match = re.search(r"(\d+)$", file.stem)
        if match and file.suffix.lower() in suffixes:
            found[match[1].lstrip("0") or "0"] = file
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def told_intrinsics(options: ReadOptions) -> NDArray[np.float64] | None:
    """The intrinsics that are told, as four numbers or a file; None where none are.

    Raises:
        SceneError: if they are no intrinsics.
    """
    text = options.intrinsics
    if not text:
        return None
    words = text.replace(",", " ").split()
    try:
        return intrinsics_of(np.array([float(word) for word in words]), "intrinsics")
    except ValueError:
        if len(words) == 4:
            raise
    return intrinsics_of(read_numbers(Path(text)), text)


def intrinsics_of(numbers: NDArray, where: str) -> NDArray[np.float64]:
    """Fx fy cx cy, a 3x3 or a 4x4 matrix to (3, 3).

    Raises:
        SceneError: naming where they came from.
    """
    if numbers.size == 4:
        fx, fy, cx, cy = numbers
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    elif numbers.size in (9, 16):
        side = 3 if numbers.size == 9 else 4
        K = numbers.reshape(side, side)[:3, :3]
    else:
        raise SceneError(
            f"{where} must hold fx fy cx cy, or a 3x3 or 4x4 matrix, got {numbers.size} numbers"
        )
    if not (np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0):
        raise SceneError(f"{where} must hold positive focal lengths in pixels, got {K.tolist()}")
    return K.astype(np.float64)
