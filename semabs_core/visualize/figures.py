"""Figures that a person understands without explanation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from semabs_core.files import write_atomic
from semabs_core.geometry import back_project, transform_points, valid_depth
from semabs_core.types import Completion, Localization, RGBDFrame
from semabs_core.visualize.colors import class_colors, heat
from semabs_core.visualize.meshes import Mesh, completion_mesh, cubes
from semabs_core.visualize.render import View, cast, look_at, shade

GAP = 12
INK = (25, 25, 25)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The typeface of all figures, from matplotlib's package."""
    path = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)


def write_png(image: NDArray[np.uint8], path: str | os.PathLike) -> None:
    """Write a picture, beside and renamed."""
    write_atomic(path, lambda part: Image.fromarray(image).save(part, format="PNG"))


def fit_text(text: str, size: int, width: int) -> str:
    """The text, cut with an ellipsis where it is wider than ``width`` pixels."""
    letters = font(size)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def titled(image: NDArray[np.uint8], title: str, size: int = 15) -> NDArray[np.uint8]:
    """A picture under a line of text."""
    bar = size + 13
    canvas = Image.new("RGB", (image.shape[1], image.shape[0] + bar), "white")
    canvas.paste(Image.fromarray(image), (0, bar))
    draw = ImageDraw.Draw(canvas)
    draw.text((4, 5), fit_text(title, size, image.shape[1] - 8), font=font(size), fill=INK)
    return np.asarray(canvas)


def tile(images: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Pictures of one size in rows of ``columns``, on white."""
    height, width = images[0].shape[:2]
    rows = -(-len(images) // columns)
    canvas = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, dtype=np.uint8
    )
    for i, image in enumerate(images):
        y, x = i // columns * (height + GAP), i % columns * (width + GAP)
        canvas[y : y + height, x : x + width] = image
    return canvas


def overlay(rgb: NDArray[np.uint8], relevancy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Relevancy (step 7) over the grey image: blue is less than the mean map, red is more.

    The colours span the map's own range of -m..m with m its largest magnitude, at least 0.02.
    """
    limit = max(float(np.abs(relevancy).max()), 0.02)
    grey = rgb.mean(axis=-1, keepdims=True)
    colors = heat(relevancy, -limit, limit)
    return np.rint(0.35 * grey + 0.65 * colors).clip(0, 255).astype(np.uint8)


def relevancy_mosaic(
    rgb: NDArray[np.uint8], maps: NDArray[np.float32], labels: Sequence[str]
) -> NDArray[np.uint8]:
    """The image and one panel per label.

    Args:
        rgb: (H, W, 3) uint8.
        maps: (L, H, W) float32, step 7.
        labels: L names.
    """
    panels = [titled(rgb, "image")]
    panels += [titled(overlay(rgb, m), label) for m, label in zip(maps, labels, strict=True)]
    columns = max(1, round(np.sqrt(len(panels) * rgb.shape[0] / rgb.shape[1] * 1.6)))
    return tile(panels, min(columns, len(panels)))


def legend(
    entries: Sequence[tuple[str, NDArray]], height: int, width: int = 250, size: int = 15
) -> NDArray[np.uint8]:
    """Names beside their colours, as many as fit."""
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    step = size + 10
    room = max(1, (height - 8) // step)
    for i, (name, color) in enumerate(entries[:room]):
        y = 4 + i * step
        last = i == room - 1 and len(entries) > room
        if not last:
            fill = tuple(round(255 * c) for c in color)
            draw.rectangle((6, y + 2, 6 + size, y + 2 + size), fill=fill, outline=INK)
        text = f"and {len(entries) - room + 1} more" if last else name
        draw.text(
            (14 + size, y), fit_text(text, size, width - 20 - size), font=font(size), fill=INK
        )
    return np.asarray(canvas)


def beside(*images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures in a row on white, aligned at the top."""
    height = max(image.shape[0] for image in images)
    padded = [
        np.pad(image, ((0, height - image.shape[0]), (0, GAP), (0, 0)), constant_values=255)
        for image in images
    ]
    return np.concatenate(padded, axis=1)


def scene_views(completion: Completion, content: Mesh, size: tuple[int, int]) -> list[View]:
    """Two views that just hold all of a mesh: over the camera's shoulder, and from the right."""
    forward, left, up = completion.T_world_grid[:3, :3].T
    ways = (-0.85 * forward + 0.2 * left + 0.4 * up, -0.45 * forward - 0.75 * left + 0.5 * up)
    return [_filled_view(content, way / np.linalg.norm(way), size) for way in ways]


def _filled_view(content: Mesh, way: NDArray, size: tuple[int, int], fov_deg: float = 40.0) -> View:
    """The view from where ``way`` (unit vector, world) points that a mesh just fills."""
    width, height = size
    tangent = np.tan(np.radians(fov_deg) / 2)
    centre = (content.vertices.min(axis=0) + content.vertices.max(axis=0)) / 2
    axes = look_at(centre + way, centre, width, height, fov_deg).T_world_camera[:3, :3]
    for _ in range(4):  # the middle of the picture moves the camera, and that the middle
        x, y, z = ((content.vertices - centre) @ axes).T
        needed = np.maximum(np.abs(x) * height / width, np.abs(y)) / tangent - z
        distance = 1.04 * needed.max()
        seen = np.stack([x, y]) / (z + distance)
        centre = centre + axes[:, :2] @ (seen.min(axis=1) + seen.max(axis=1)) / 2 * distance
    return look_at(centre + distance * way, centre, width, height, fov_deg)


def frame_mesh(frame: RGBDFrame, max_jump: float = 0.05) -> Mesh:
    """The visible surface as a mesh in the image's colours; broken where the depth jumps."""
    height, width = frame.depth_m.shape
    points = transform_points(frame.T_world_camera, back_project(frame.depth_m, frame.K))
    points = np.nan_to_num(points.reshape(-1, 3))
    index = np.arange(height * width).reshape(height, width)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    quads = np.stack([a, b, c, d], axis=-1).reshape(-1, 4)
    depth = np.where(valid_depth(frame.depth_m), frame.depth_m, np.nan).reshape(-1)[quads]
    with np.errstate(invalid="ignore"):
        good = np.ptp(depth, axis=1) < max_jump * depth.mean(axis=1)
    quads = quads[good]
    triangles = np.concatenate([quads[:, [0, 2, 1]], quads[:, [0, 3, 2]]])
    colors = frame.rgb.reshape(-1, 3)[quads].mean(axis=1) / 255
    return Mesh(points, triangles, np.tile(colors, (2, 1)))


def clip_to_region(mesh: Mesh, completion: Completion) -> Mesh:
    """The triangles of a mesh inside the completed region."""
    T = np.linalg.inv(completion.T_world_grid)
    local = mesh.vertices @ T[:3, :3].T + T[:3, 3]
    edge = completion.voxel_size_m * np.array(completion.labels.shape)
    inside = ((local >= 0) & (local <= edge)).all(axis=1)
    kept = inside[mesh.triangles].all(axis=1)
    used, triangles = np.unique(mesh.triangles[kept], return_inverse=True)
    return Mesh(mesh.vertices[used], triangles.reshape(-1, 3), mesh.colors[kept])


def completion_figure(
    frame: RGBDFrame, completion: Completion, size: tuple[int, int] = (520, 420)
) -> NDArray[np.uint8]:
    """What the camera measured, and the completed scene from two views with a legend."""
    mesh = completion_mesh(completion)
    surface = clip_to_region(frame_mesh(frame), completion)
    views = scene_views(completion, Mesh.join([surface, mesh]), size)
    counts = completion.voxels_per_class()
    colors = class_colors(completion.classes)
    entries = [
        (f"{name} ({counts[name]:,})", color)
        for name, color in zip(completion.classes, colors, strict=True)
        if counts[name]
    ]
    panels = [titled(shade(surface, views[0], ambient=0.85), "measured by the camera")]
    panels += [
        titled(shade(mesh, view), title)
        for view, title in zip(views, ("completed, behind the camera", "completed, from the right"))
    ]
    names = titled(legend(entries, size[1]), "class (voxels)")
    return beside(*panels, names)


def localization_figure(
    frame: RGBDFrame,
    completion: Completion,
    localization: Localization,
    question: str,
    size: tuple[int, int] = (520, 420),
) -> NDArray[np.uint8]:
    """The measured scene with the answer region and its best point, from two views.

    The region shines red through whatever is before it: the thing may lie inside another one.
    """
    surface = clip_to_region(frame_mesh(frame), completion)
    s = completion.voxel_size_m
    T = np.linalg.inv(completion.T_world_grid)
    local = localization.points_m @ T[:3, :3].T + T[:3, 3]
    index = np.floor(local / s).astype(int)
    occupied = np.zeros(completion.labels.shape, dtype=bool)
    index = index[((index >= 0) & (index < np.array(occupied.shape))).all(axis=1)]
    occupied[tuple(index.T)] = True
    region = cubes(occupied, s, completion.T_world_grid, np.array([0.9, 0.1, 0.1]))
    views = scene_views(completion, Mesh.join([surface, region]), size)
    panels = []
    for view, title in zip(views, ("red: where it may be", "the same, from the right")):
        picture = Image.fromarray(_shine_through(surface, region, view))
        _mark(picture, view, localization.position_m)
        panels.append(titled(np.asarray(picture), title))
    x, y, z = localization.position_m
    place = f"best point x {x:.2f}, y {y:.2f}, z {z:.2f} m"
    answer = f"“{question}”: {localization.outcome}, {place}"
    return titled(beside(*panels), answer, size=18)


def _shine_through(surface: Mesh, inner: Mesh, view: View) -> NDArray[np.uint8]:
    """A picture of a surface, and of what is before or behind it, half transparent."""
    around, within = (shade(mesh, view, ambient=0.85) for mesh in (surface, inner))
    hit = cast(inner, view).triangle >= 0
    around[hit] = np.rint(0.4 * around[hit] + 0.6 * within[hit])
    return around


def _mark(picture: Image.Image, view: View, point: NDArray) -> None:
    """Draw a cross-hair where a point (world, metres) is seen."""
    T = np.linalg.inv(view.T_world_camera)
    u, v, w = view.camera.K @ (T[:3, :3] @ point + T[:3, 3])
    if w <= 0:
        return
    x, y = u / w, v / w
    draw = ImageDraw.Draw(picture)
    for width, color in ((5, "white"), (2, "black")):
        draw.ellipse((x - 11, y - 11, x + 11, y + 11), outline=color, width=width)
        draw.line((x - 17, y, x + 17, y), fill=color, width=width)
        draw.line((x, y - 17, x, y + 17), fill=color, width=width)
