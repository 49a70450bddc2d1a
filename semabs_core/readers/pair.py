"""One colour image with its depth and intrinsics."""

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
from semabs_core.readers.pictures import COLOR_SUFFIXES, DEPTH_SUFFIXES, check_picture
from semabs_core.readers.poses import parse_pose, read_numbers
from semabs_core.readers.sequence import Reader

COLOR_NAMES = ("rgb", "color", "colour", "image")
INTRINSICS_NAMES = ("intrinsics.txt", "intrinsics.json", "camera.json", "K.txt")


def matches(path: Path) -> bool:
    """Whether a path is a picture, or a folder with one and its depth."""
    if path.is_file():
        return path.suffix.lower() in COLOR_SUFFIXES
    return path.is_dir() and _color_in(path) is not None and _named(path, "depth") is not None


def open_pair(path: Path, options: ReadOptions) -> FolderSequence:
    """Read a pair.

    Raises:
        SceneError: if it is no picture, depth or intrinsics are missing, or they do not belong
            together.
    """
    color = path if path.is_file() else _color_in(path)
    assert color is not None
    check_picture(color)
    depth = Path(options.depth) if options.depth else _depth_of(color)
    K = told_intrinsics(options)
    if K is None:
        K = _intrinsics_of(color)
    units = options.depth_scale
    scale = "integer millimetres or float metres" if units is None else f"{units:g} units per metre"
    notes = [f"depth is {depth.name}, {scale}"]
    up, floor_known, pose = None, False, np.eye(4)
    if options.camera_pose:
        pose, up, floor_known = parse_pose(options.camera_pose), "z", True
    name = path.stem if path.is_file() else path.name
    sequence = FolderSequence(name, [FrameFiles(color, depth, K, pose)], units, notes=notes)
    return finish(sequence, options, up, floor_known)


def _color_in(folder: Path) -> Path | None:
    found = (_named(folder, name, COLOR_SUFFIXES) for name in COLOR_NAMES)
    return next((file for file in found if file is not None), None)


def _named(folder: Path, stem: str, suffixes: tuple[str, ...] = DEPTH_SUFFIXES) -> Path | None:
    files = (folder / f"{stem}{suffix}" for suffix in suffixes)
    return next((file for file in files if file.is_file()), None)


def _depth_of(color: Path) -> Path:
    """The depth that lies beside a picture."""
    stems = [f"{color.stem}_depth", "depth"]
    stems += [color.stem.replace(name, "depth") for name in COLOR_NAMES if name in color.stem]
    for stem in stems:
        file = _named(color.parent, stem)
        if file is not None and file != color:
            return file
    raise SceneError(
        f"{color} has no depth: there is no {' or '.join(dict.fromkeys(stems))} beside it "
        f"({', '.join(DEPTH_SUFFIXES)}); give depth=FILE (--read)"
    )


def _intrinsics_of(color: Path) -> NDArray[np.float64]:
    """The intrinsics that lie beside a picture."""
    names = [f"{color.stem}_intrinsics.txt", *INTRINSICS_NAMES]
    for name in names:
        file = color.parent / name
        if file.is_file():
            numbers = _json(file) if file.suffix == ".json" else read_numbers(file)
            return intrinsics_of(numbers, str(file))
    raise SceneError(
        f"{color} has no intrinsics: there is no {', '.join(names)} beside it; give "
        "intrinsics='fx fy cx cy' in pixels (--read)"
    )


def _json(file: Path) -> NDArray[np.float64]:
    """``fx``, ``fy``, ``cx``, ``cy``, or a matrix ``K``."""
    try:
        values = json.loads(file.read_text())
        if "K" in values:
            return np.array(values["K"], dtype=np.float64).ravel()
        return np.array([float(values[name]) for name in ("fx", "fy", "cx", "cy")])
    except (ValueError, KeyError, TypeError) as error:
        raise SceneError(f"{file} must hold fx, fy, cx and cy, or K: {error!r}") from None


PAIR = Reader(
    "one image",
    "a picture with its depth, or a folder with rgb.* or color.* and depth.*",
    "depth in 16 bits (millimetres) or .npy (metres if float); intrinsics and pose told, or "
    "intrinsics.txt beside it and up and floor estimated",
    ("depth_scale", "intrinsics", "depth", "camera_pose"),
    matches,
    open_pair,
)
