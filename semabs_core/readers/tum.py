"""TUM RGB-D folders (Sturm et al., 2012), and what others write in their layout."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.folder import (
    FolderSequence,
    FrameFiles,
    finish,
    intrinsics_of,
    told_intrinsics,
)
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.poses import Track, read_lines, rigid
from semabs_core.readers.sequence import Reader

UNITS_PER_M = 5000.0
SLOP_S = 0.02
"""How far apart the stamps of colour and depth may be, as in the benchmark's ``associate.py``."""
GAP_S = 0.1
"""Poses come at 100 Hz; farther apart, the camera was not tracked."""
INTRINSICS = {
    "1": (517.3, 516.5, 318.6, 255.3),
    "2": (520.9, 521.0, 325.1, 249.7),
    "3": (535.4, 539.2, 320.1, 247.6),
}
"""Of the benchmark's three cameras, by the number behind ``freiburg``."""
DEFAULT = (525.0, 525.0, 319.5, 239.5)
"""What the benchmark gives for all three, where one does not want to tell them apart."""
FILES = ("rgb.txt", "depth.txt", "groundtruth.txt")


def matches(path: Path) -> bool:
    """Whether a path is such a folder."""
    return path.is_dir() and all((path / name).is_file() for name in FILES)


def open_tum(path: Path, options: ReadOptions) -> FolderSequence:
    """Read a folder; each colour image with the nearest depth and the pose at its stamp.

    Raises:
        SceneError: if its lists or pictures are unusable.
    """
    colors, depths = (_pictures(path, name) for name in FILES[:2])
    track = _track(path / FILES[2])
    K, notes = _intrinsics(path, options)
    units = options.depth_scale or UNITS_PER_M
    notes.append(f"depth has {units:g} units per metre; poses are of the optical frame")
    depth_stamps = np.array([stamp for stamp, _ in depths])
    files = []
    for stamp, color in colors:
        nearest = int(np.abs(depth_stamps - stamp).argmin())
        pose = track.at(stamp)
        if abs(depth_stamps[nearest] - stamp) <= SLOP_S and pose is not None:
            files.append(FrameFiles(color, depths[nearest][1], K, pose, stamp))
    if not files:
        raise SceneError(
            f"{path} has no colour image with depth within {SLOP_S} s and a pose: do the stamps of "
            "rgb.txt, depth.txt and groundtruth.txt come from one clock?"
        )
    if left_out := len(colors) - len(files):
        notes.append(f"{left_out} of {len(colors)} colour images have no depth or no pose")
    sequence = FolderSequence(path.name, files, units, notes=notes)
    return finish(sequence, options, up=None)


def _pictures(folder: Path, name: str) -> list[tuple[float, Path]]:
    """Stamps and files of a list, in the order of time."""
    found = []
    for words in read_lines(folder / name):
        try:
            found.append((float(words[0]), folder / words[1]))
        except (ValueError, IndexError):
            raise SceneError(
                f"{folder / name} must have lines 'stamp file', got {' '.join(words)[:80]!r}"
            ) from None
    if not found:
        raise SceneError(f"{folder / name} lists no picture")
    return sorted(found)


def _track(file: Path) -> Track:
    """Poses: stamp, position, quaternion (x y z w) of the camera in the world."""
    try:
        rows = np.array([[float(word) for word in words[:8]] for words in read_lines(file)])
        rows = rows.reshape(-1, 8)
    except ValueError:
        raise SceneError(
            f"{file} must have lines of eight numbers: stamp tx ty tz qx qy qz qw"
        ) from None
    rows = rows[np.isfinite(rows).all(axis=1) & (np.linalg.norm(rows[:, 4:], axis=1) > 0.5)]
    if not len(rows):
        raise SceneError(f"{file} holds no pose")
    poses = np.stack([rigid(Rotation.from_quat(row[4:]), row[1:4]) for row in rows])
    return Track(rows[:, 0], poses, GAP_S, SLOP_S)


def _intrinsics(path: Path, options: ReadOptions) -> tuple[NDArray[np.float64], list[str]]:
    """The layout does not hold them: told, or known by the folder's name, or the default."""
    told = told_intrinsics(options)
    if told is not None:
        return told, []
    camera = re.search(r"(?:freiburg|fr)([123])(?!\d)", str(path.resolve()))
    values = INTRINSICS[camera[1]] if camera else DEFAULT
    which = f"of freiburg{camera[1]}" if camera else "the benchmark's default"
    note = f"intrinsics are {which}, {' '.join(map(str, values))} (intrinsics= tells others)"
    return intrinsics_of(np.array(values), which), [note]


TUM = Reader(
    "TUM RGB-D",
    "a folder with rgb.txt, depth.txt and groundtruth.txt",
    "5000 units per metre; poses camera to world; up and floor estimated",
    ("depth_scale", "intrinsics"),
    matches,
    open_tum,
)
