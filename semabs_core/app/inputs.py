"""What visitors give the page: words, scene files, pictures with depth; every fault in one line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semabs_core.data.scene_file import Scene, load_scene
from semabs_core.types import RGBDFrame

MAX_PIXELS = 50_000_000
_DOWN = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Optical axes (x right, y down, z forward) in a body with x forward, y left, z up."""


def parse_labels(text: str) -> list[str]:
    """Names separated by commas or lines.

    Raises:
        ValueError: if there is none.
    """
    labels = [name.strip() for name in re.split(r"[,;\n]", text or "") if name.strip()]
    if not labels:
        raise ValueError("type at least one label; several are separated by commas")
    return labels


def read_image(path: str | os.PathLike) -> NDArray[np.uint8]:
    """A colour picture, (H, W, 3) uint8.

    Raises:
        ValueError: if the file is none, or a huge one.
    """
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"it has more than {MAX_PIXELS:,} pixels")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = error if isinstance(error, ValueError) else "it is no picture, or cut off"
        raise ValueError(f"{Path(path).name} cannot be read: {reason}") from None


def read_depth(path: str | os.PathLike, units_per_m: float) -> NDArray[np.float32]:
    """A depth picture, (H, W) float32 metres; 0 is no reading.

    Args:
        path: 16-bit PNG or TIFF of whole numbers, or ``.npy``, where float means metres.
        units_per_m: what a whole number is divided by: 1000 for millimetres.

    Raises:
        ValueError: if it is none of these.
    """
    file = Path(path)
    try:
        if file.suffix.lower() == ".npy":
            values = np.load(file, allow_pickle=False)
        else:
            with Image.open(file) as picture:
                values = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ValueError(f"{file.name} holds no depth: it is no picture and no .npy") from error
    if values.ndim != 2 or values.dtype == np.uint8 or values.dtype.kind not in "uif":
        raise ValueError(
            f"{file.name} holds no depth: it must have one channel of 16 bits (or .npy), it has "
            f"{values.shape[2] if values.ndim == 3 else 1} of {values.dtype}"
        )
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if not units_per_m > 0:
        raise ValueError(f"units per metre must be above 0, got {units_per_m:g}")
    return (values / units_per_m).astype(np.float32)


def parse_intrinsics(text: str) -> NDArray[np.float64]:
    """``fx fy cx cy`` in pixels to (3, 3).

    Raises:
        ValueError: if it is anything else.
    """
    numbers = re.findall(r"[-+0-9.eE]+", text or "")
    try:
        fx, fy, cx, cy = map(float, numbers)
    except ValueError:
        raise ValueError(
            f"the intrinsics must be four numbers, fx fy cx cy in pixels, got {text!r}"
        ) from None
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def camera_pose(height_m: float, down_deg: float) -> NDArray[np.float64]:
    """(4, 4) ``T_world_camera`` of a camera above the origin of a floor at z = 0, without roll.

    Args:
        height_m: above the floor.
        down_deg: how far it looks down.
    """
    angle = np.radians(down_deg)
    pitch = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    T = np.eye(4)
    T[:3, :3] = pitch @ _DOWN
    T[2, 3] = height_m
    return T


def frame_from_pictures(
    color: str, depth: str, intrinsics: str, units_per_m: float, height_m: float, down_deg: float
) -> RGBDFrame:
    """A colour picture and its registered depth as a frame.

    Raises:
        ValueError: if one is missing or they do not belong together; the text says what to do.
    """
    if not color or not depth:
        raise ValueError("give a scene file, or a colour picture and its depth")
    K = parse_intrinsics(intrinsics)
    pose = camera_pose(height_m, down_deg)
    return RGBDFrame(read_image(color), read_depth(depth, units_per_m), K, pose)


def read_scene(path: str) -> Scene:
    """A scene file; see :func:`semabs_core.data.scene_file.load_scene`.

    Raises:
        ValueError: if it cannot be used.
    """
    return load_scene(path)
