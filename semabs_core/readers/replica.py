"""Replica sequences (Straub et al., 2019) as iMAP and NICE-SLAM rendered them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.folder import (
    FolderSequence,
    FrameFiles,
    finish,
    intrinsics_of,
    told_intrinsics,
)
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.poses import check_rigid, read_lines
from semabs_core.readers.sequence import Reader

UNITS_PER_M = 6553.5
INTRINSICS = (600.0, 600.0, 599.5, 339.5)
"""Of all rendered sequences (1200x680)."""


def matches(path: Path) -> bool:
    """Whether a path is such a folder."""
    return (path / "results").is_dir() and (path / "traj.txt").is_file()


def open_replica(path: Path, options: ReadOptions) -> FolderSequence:
    """Read a folder of one room; line i of traj.txt is the pose of frame i.

    Raises:
        SceneError: if its files are unusable.
    """
    results = path / "results"
    pictures = sorted(results.glob("frame*.jpg")) or sorted(results.glob("frame*.png"))
    colors = {f.stem.removeprefix("frame"): f for f in pictures}
    depths = {f.stem.removeprefix("depth"): f for f in sorted(results.glob("depth*.png"))}
    poses = _poses(path / "traj.txt")
    K, units, notes = _camera(path, options)
    files = [
        FrameFiles(color, depths[number], K, pose)
        for (number, color), pose in zip(colors.items(), poses)
        if number in depths
    ]
    if not files:
        raise SceneError(
            f"{path} has no frame: results/frame*.jpg with results/depth*.png and a line of "
            "traj.txt each"
        )
    if len(colors) != len(poses):
        notes.append(f"{len(colors)} images but {len(poses)} poses; the rest is left out")
    return finish(FolderSequence(path.name, files, units, notes=notes), options, up="z")


def _poses(file: Path) -> list[NDArray[np.float64]]:
    """4x4 matrices, a line each."""
    poses = []
    for number, words in enumerate(read_lines(file), 1):
        try:
            T = np.array([float(word) for word in words]).reshape(4, 4)
        except ValueError:
            raise SceneError(f"line {number} of {file} must hold 16 numbers (4x4)") from None
        poses.append(check_rigid(T, f"line {number} of {file}"))
    return poses


def _camera(path: Path, options: ReadOptions) -> tuple[NDArray[np.float64], float, list[str]]:
    """Intrinsics and depth units, of cam_params.json in the folder or above it."""
    values, units, source = np.array(INTRINSICS), UNITS_PER_M, "those of the published sequences"
    for file in (path / "cam_params.json", path.resolve().parent / "cam_params.json"):
        if file.is_file():
            try:
                camera = json.loads(file.read_text())["camera"]
                values = np.array([float(camera[name]) for name in ("fx", "fy", "cx", "cy")])
                units, source = float(camera.get("scale", UNITS_PER_M)), f"of {file}"
            except (ValueError, KeyError, TypeError) as error:
                raise SceneError(
                    f"{file} must hold camera: fx, fy, cx, cy and scale; {error!r}"
                ) from None
            break
    told = told_intrinsics(options)
    K = intrinsics_of(values, source) if told is None else told
    units = options.depth_scale or units
    if not units > 0:
        raise SceneError(f"the depth scale {source} must be positive, got {units:g}")
    note = f"intrinsics and depth scale are {source} ({units:g} units per metre); z is up"
    return K, units, [note]


REPLICA = Reader(
    "Replica",
    "a folder with results/frame*.jpg, results/depth*.png and traj.txt",
    "6553.5 units per metre or those of cam_params.json; poses camera to world (x right, y down, "
    "z forward), z up; floor estimated",
    ("depth_scale", "intrinsics"),
    matches,
    open_replica,
)
