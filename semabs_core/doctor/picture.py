"""A frame with the region and the floor drawn into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from semabs_core import geometry
from semabs_core.config import RegionConfig
from semabs_core.files import write_atomic
from semabs_core.types import RGBDFrame

WIDTH = 640
REGION, FLOOR, READING = (255, 80, 60), (70, 220, 120), (80, 200, 255)
GRID_M = 0.5
NEAREST_M = 0.05
"""Lines are cut so far before the camera."""
EDGES = [(i, j) for i in range(8) for j in range(i + 1, 8) if bin(i ^ j).count("1") == 1]
"""Corners of a cube, numbered by their bits, that an edge joins."""


def draw_region(frame: RGBDFrame, region: RegionConfig, caption: str) -> PIL.Image.Image:
    """The picture; floor readings are tinted, the region's box and its floor are lines.

    Args:
        frame: what the camera sees.
        region: where the region and the floor are.
        caption: a line below the picture.
    """
    scale = max(round(WIDTH / frame.camera.width), 1)
    tinted = _tint_floor(frame, region.floor_z_m)
    size = (frame.camera.width * scale, frame.camera.height * scale)
    picture = PIL.Image.fromarray(tinted).resize(size, PIL.Image.Resampling.BICUBIC)
    draw = PIL.ImageDraw.Draw(picture)
    T = geometry.invert(frame.T_world_camera) @ geometry.viewer_frame(
        frame.T_world_camera, region.floor_z_m
    )
    lower = np.array(region.region_min_m)
    upper = lower + region.region_size_m
    for start, end in _grid(lower, upper):
        _line(draw, frame, T, start, end, FLOOR, scale, 1)
    corners = np.array(
        [[(lower, upper)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)]
    )
    for i, j in EDGES:
        _line(draw, frame, T, corners[i], corners[j], REGION, scale, 2)
    return _captioned(picture, caption)


def save_picture(picture: PIL.Image.Image, file: Path) -> None:
    """Write a PNG, as a whole or not at all."""
    write_atomic(file, lambda part: picture.save(part, format="PNG"))


def _tint_floor(frame: RGBDFrame, floor_z_m: float, band_m: float = 0.05) -> NDArray[np.uint8]:
    """Colours with the readings near the floor's height tinted."""
    points = geometry.transform_points(
        frame.T_world_camera, geometry.back_project(frame.depth_m, frame.K)
    )
    valid = geometry.valid_depth(frame.depth_m)
    with np.errstate(invalid="ignore"):
        near = valid & (np.abs(points[..., 2] - floor_z_m) < band_m)
    rgb = frame.rgb.astype(np.float32)
    rgb[near] = 0.55 * rgb[near] + 0.45 * np.array(READING, np.float32)
    return rgb.astype(np.uint8)


def _grid(lower: NDArray, upper: NDArray) -> list[tuple[NDArray, NDArray]]:
    """Lines on the floor below the region."""
    lines = []
    for axis, other in ((0, 1), (1, 0)):
        for value in np.arange(lower[axis], upper[axis] + 1e-9, GRID_M):
            start, end = np.zeros(3), np.zeros(3)
            start[axis] = end[axis] = value
            start[other], end[other] = lower[other], upper[other]
            lines.append((start, end))
    return lines


def _line(
    draw: PIL.ImageDraw.ImageDraw,
    frame: RGBDFrame,
    T_camera_viewer: NDArray,
    start: NDArray,
    end: NDArray,
    color: tuple[int, int, int],
    scale: int,
    width: int,
) -> None:
    """A straight line of the viewer frame, as far as it is before the camera."""
    a, b = (geometry.transform_points(T_camera_viewer, point) for point in (start, end))
    if max(a[2], b[2]) <= NEAREST_M:
        return
    if a[2] < NEAREST_M:
        a = a + (b - a) * (NEAREST_M - a[2]) / (b[2] - a[2])
    if b[2] < NEAREST_M:
        b = b + (a - b) * (NEAREST_M - b[2]) / (a[2] - b[2])
    uv, _ = geometry.project(np.stack([a, b]), frame.K)
    limit = 20 * max(frame.camera.width, frame.camera.height)
    ends = ((uv + 0.5) * scale).clip(-limit, limit)
    draw.line([tuple(ends[0]), tuple(ends[1])], fill=color, width=width)


def _captioned(picture: PIL.Image.Image, caption: str) -> PIL.Image.Image:
    """The picture with a legend and a caption below it."""
    names = {"region": REGION, "its floor": FLOOR, "readings at floor height": READING}
    lines = _wrapped(caption, max(picture.width // 7, 20))
    canvas = PIL.Image.new("RGB", (picture.width, picture.height + 24 + 14 * len(lines)), "white")
    canvas.paste(picture, (0, 0))
    draw = PIL.ImageDraw.Draw(canvas)
    x, y = 6, picture.height + 5
    for name, color in names.items():
        draw.rectangle([x, y + 2, x + 9, y + 11], fill=color)
        draw.text((x + 13, y), name, fill="black")
        x += 26 + round(draw.textlength(name))
    for number, line in enumerate(lines):
        draw.text((6, y + 16 + 14 * number), line, fill="black")
    return canvas


def _wrapped(text: str, width: int) -> list[str]:
    """Text in lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
