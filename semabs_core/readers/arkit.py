"""ARKitScenes folders (Baruch et al., 2021): the low-resolution images of a phone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.folder import FolderSequence, FrameFiles, finish, intrinsics_of
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.poses import Track, read_lines, read_numbers, rigid
from semabs_core.readers.sequence import Reader

UNITS_PER_M = 1000.0
PARTS = ("lowres_wide", "lowres_depth", "lowres_wide_intrinsics")
TRAJECTORY = "lowres_wide.traj"
SLOP_S = 0.0051
"""Stamps in file names are rounded to milliseconds, and differ by one."""
GAP_S = 0.35
"""Poses come at 10 Hz."""


def matches(path: Path) -> bool:
    """Whether a path is such a folder."""
    folders = path.is_dir() and all((path / name).is_dir() for name in PARTS[:2])
    return folders and (path / TRAJECTORY).is_file()


def open_arkit(path: Path, options: ReadOptions) -> FolderSequence:
    """Read a folder of one video.

    Raises:
        SceneError: if its files are unusable.
    """
    colors, depths, pincams = (
        _by_stamp(path / name, suffix)
        for name, suffix in zip(PARTS, (".png", ".png", ".pincam"), strict=True)
    )
    track = _track(path / TRAJECTORY)
    files = []
    for stamp, color in colors:
        depth, pincam = _nearest(depths, stamp), _nearest(pincams, stamp)
        pose = track.at(stamp)
        if depth is not None and pincam is not None and pose is not None:
            files.append(FrameFiles(color, depth, _pincam(pincam), pose, stamp))
    if not files:
        raise SceneError(
            f"{path} has no image whose stamp is in {', '.join(PARTS)} and {TRAJECTORY}"
        )
    units = options.depth_scale or UNITS_PER_M
    notes = [f"depth has {units:g} units per metre; poses are world to camera, inverted; z is up"]
    if left_out := len(colors) - len(files):
        notes.append(f"{left_out} of {len(colors)} images have no depth, intrinsics or pose")
    return finish(FolderSequence(path.name, files, units, notes=notes), options, up="z")


def _by_stamp(folder: Path, suffix: str) -> list[tuple[float, Path]]:
    """Files named ``<video>_<seconds>`` by their stamps."""
    found = []
    for file in folder.glob(f"*{suffix}") if folder.is_dir() else ():
        try:
            found.append((float(file.name.removesuffix(suffix).rpartition("_")[2]), file))
        except ValueError:
            continue
    return sorted(found)


def _nearest(stamped: list[tuple[float, Path]], stamp: float) -> Path | None:
    """The file of a stamp."""
    if not stamped:
        return None
    times = np.array([time for time, _ in stamped])
    nearest = int(np.abs(times - stamp).argmin())
    return stamped[nearest][1] if abs(times[nearest] - stamp) <= SLOP_S else None


def _pincam(file: Path) -> NDArray[np.float64]:
    """Intrinsics: width, height, fx, fy, cx, cy."""
    numbers = read_numbers(file)
    if numbers.size != 6:
        raise SceneError(f"{file} must hold width height fx fy cx cy, got {numbers.size} numbers")
    return intrinsics_of(numbers[2:], str(file))


def _track(file: Path) -> Track:
    """Poses: stamp, rotation vector, translation, which bring the world to the camera."""
    try:
        rows = np.array([[float(word) for word in words] for words in read_lines(file)])
        rows = rows.reshape(-1, 7)
    except ValueError:
        raise SceneError(
            f"{file} must have lines of seven numbers: stamp, rotation vector, translation"
        ) from None
    if not len(rows) or not np.isfinite(rows).all():
        raise SceneError(f"{file} holds no pose, or one that is not finite")
    poses = [np.linalg.inv(rigid(Rotation.from_rotvec(row[1:4]), row[4:])) for row in rows]
    return Track(rows[:, 0], np.stack(poses), GAP_S, SLOP_S)


ARKIT = Reader(
    "ARKitScenes",
    "a folder with lowres_wide/, lowres_depth/, lowres_wide_intrinsics/ and lowres_wide.traj",
    "millimetres; poses world to camera (inverted), z up; intrinsics per frame; floor estimated",
    ("depth_scale",),
    matches,
    open_arkit,
)
