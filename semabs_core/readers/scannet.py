"""ScanNet scenes (Dai et al., 2017) as the data set's exporter of .sens files writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.folder import (
    FolderSequence,
    FrameFiles,
    by_number,
    finish,
    intrinsics_of,
    told_intrinsics,
)
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.pictures import COLOR_SUFFIXES, DEPTH_SUFFIXES
from semabs_core.readers.poses import check_rigid, read_matrix, read_numbers
from semabs_core.readers.sequence import Reader

UNITS_PER_M = 1000.0
FOLDERS = ("color", "depth", "pose", "intrinsic")


def matches(path: Path) -> bool:
    """Whether a path is such a folder."""
    return path.is_dir() and all((path / name).is_dir() for name in FOLDERS)


def open_scannet(path: Path, options: ReadOptions) -> FolderSequence:
    """Read a folder; colour is brought to the pixels of depth by the two cameras' intrinsics.

    Poses that tracking has lost are stored as infinities; their frames are left out.

    Raises:
        SceneError: if its files are unusable.
    """
    colors = by_number(path / "color", COLOR_SUFFIXES)
    depths = by_number(path / "depth", DEPTH_SUFFIXES)
    poses = by_number(path / "pose", (".txt",))
    K_color, K_depth = (
        intrinsics_of(read_numbers(file), str(file))
        for file in (path / "intrinsic" / f"intrinsic_{kind}.txt" for kind in ("color", "depth"))
    )
    told = told_intrinsics(options)
    K_color = K_color if told is None else told
    files, lost = [], 0
    for number in colors:
        if number not in depths or number not in poses:
            continue
        pose = read_matrix(poses[number])
        if not np.isfinite(pose).all():
            lost += 1
            continue
        pose = check_rigid(pose, str(poses[number]))
        files.append(FrameFiles(colors[number], depths[number], K_color, pose, K_depth=K_depth))
    if not files:
        raise SceneError(
            f"{path} has no frame whose number is in color/, depth/ and pose/ with a finite pose"
        )
    units = options.depth_scale or UNITS_PER_M
    notes = [f"depth has {units:g} units per metre; poses are camera to world, z up"]
    if lost:
        notes.append(f"{lost} frames without a tracked pose are left out")
    return finish(FolderSequence(path.name, files, units, notes=notes), options, up="z")


SCANNET = Reader(
    "ScanNet",
    "a folder with color/, depth/, pose/ and intrinsic/ (the exported .sens)",
    "millimetres; poses camera to world, z up; colour brought to depth's pixels; floor estimated",
    ("depth_scale", "intrinsics"),
    matches,
    open_scannet,
)
