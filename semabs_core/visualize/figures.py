"""Figures that a person understands without explanation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from semabs_core.types import Completion, Localization, Region, RGBDFrame
from semabs_core.visualize.colors import class_colors, heat
from semabs_core.visualize.labels import (
    GAP,
    TEXT_SIZE,
    beside,
    color_bar,
    legend,
    tile,
    titled,
    titled_alike,
)
from semabs_core.visualize.meshes import Mesh, class_meshes, cubes
from semabs_core.visualize.render import SUPERSAMPLING, View, cast, shade
from semabs_core.visualize.views import clip_to_region, frame_mesh, scene_views

SIZE = (520, 420)
"""Width and height of a rendered panel, pixels."""
LOWEST_TOP = 0.25
"""Maps below this (step 7: the networks read values around 1) are weak, and look so alone too."""

ANSWER_LEGEND = tuple(zip(("best place", "about as good"), heat(np.array([1.0, 0.5])) / 255))
"""The ends of the colours of an answer, see :func:`answer_heat`."""


def relevancy_top(maps: NDArray[np.float32]) -> float:
    """The value of the uppermost colour: the largest of all maps, so that a weak one looks weak."""
    return max(float(maps.max()), LOWEST_TOP)


def overlay(
    rgb: NDArray[np.uint8], relevancy: NDArray[np.float32], top: float
) -> NDArray[np.uint8]:
    """Relevancy less the mean map over the image: the image alone where it is low.

    Args:
        rgb: (H, W, 3) uint8.
        relevancy: (H, W) float32.
        top: the value of the uppermost colour.
    """
    share = np.clip(relevancy / top, 0, 1)[..., None]
    opacity = 0.8 * np.clip((share - 0.05) / 0.4, 0, 1)
    mixed = (1 - opacity) * rgb + opacity * heat(share[..., 0])
    return np.rint(mixed).astype(np.uint8)


def relevancy_mosaic(
    rgb: NDArray[np.uint8], maps: NDArray[np.float32], labels: Sequence[str]
) -> NDArray[np.uint8]:
    """The image and a panel of its size per label, in one range of colours, with their bar.

    Args:
        rgb: (H, W, 3) uint8.
        maps: (L, H, W) float32, step 7.
        labels: L names.
    """
    height, width = rgb.shape[:2]
    size = max(TEXT_SIZE, round(max(height, width) / 40))
    top = relevancy_top(maps)
    pictures = [rgb, *(overlay(rgb, values, top) for values in maps)]
    panels = titled_alike(pictures, ["image", *labels], size)
    columns = max(1, round(np.sqrt(len(panels) * height / width * 1.6)))
    grid = tile(panels, min(columns, len(panels)))
    bar = color_bar(top, panels[0].shape[0], "relevancy above the mean", size)
    return beside(grid, bar)[:, :-GAP]


def completion_figure(
    frame: RGBDFrame, completion: Completion, size: tuple[int, int] = SIZE
) -> NDArray[np.uint8]:
    """What the camera measured, and the completed scene from two views with a legend."""
    solid = Mesh.join(list(class_meshes(completion).values()))
    surface = clip_to_region(frame_mesh(frame), completion.region)
    views = scene_views(completion.region, Mesh.join([surface, solid]), size)
    pictures = [shade(surface, views[0], ambient=0.85), *(shade(solid, view) for view in views)]
    titles = (
        "measured by the camera", "completed, behind the camera", "completed, from the right",
    )  # fmt: skip
    panels = titled_alike(pictures, titles)
    names = titled(legend(legend_entries(completion), size[1]), "class (voxels)")
    return beside(*panels, names)


def legend_entries(completion: Completion) -> list[tuple[str, NDArray]]:
    """Each class that has voxels, with how many, and its colour."""
    counts = completion.voxels_per_class()
    colors = class_colors(completion.classes)
    return [
        (f"{name} ({counts[name]:,})", color)
        for name, color in zip(completion.classes, colors, strict=True)
        if counts[name]
    ]


def localization_figure(
    frame: RGBDFrame,
    region: Region,
    localization: Localization,
    question: str,
    size: tuple[int, int] = SIZE,
) -> NDArray[np.uint8]:
    """The measured scene with the answer region and its best point, from two views.

    The answer shines through whatever is before it: the thing may lie inside another one.
    """
    surface = clip_to_region(frame_mesh(frame), region)
    answer = answer_mesh(localization, region)
    views = scene_views(region, Mesh.join([surface, answer]), size)
    pictures = [answer_picture(surface, answer, view, localization.position_m) for view in views]
    titles = ("coloured: where it most likely is, red best", "the same, from the right")
    panels = titled_alike(pictures, titles)
    return titled(beside(*panels), answer_text(localization, question), size=18)


def answer_text(localization: Localization, question: str) -> str:
    """The question, whether it is found, and where."""
    x, y, z = localization.position_m
    place = f"best point x {x:.2f}, y {y:.2f}, z {z:.2f} m"
    return f"“{question}”: {localization.outcome}, {place}"


def answer_heat(localization: Localization) -> NDArray[np.float64]:
    """RGB (M, 3) in 0..1 of the points of an answer: from green, the least of them, to red."""
    low, high = float(localization.scores.min()), float(localization.scores.max())
    span = max(high - low, 1e-6)
    return heat(localization.scores, low - span, high) / 255


def answer_mesh(localization: Localization, region: Region) -> Mesh:
    """The likeliest voxels of an answer in the colours of :func:`answer_heat`."""
    localization = localization.likeliest()
    size = localization.voxel_size_m
    if not np.isfinite(size):  # of a single point nobody knows the spacing
        size = float(localization.extent_m.max())
    local = localization.points_m @ region.T_world_region[:3, :3]  # by the cube's axes
    corner = local.min(axis=0)
    index = np.rint((local - corner) / size).astype(int)
    shape = tuple(index.max(axis=0) + 1)
    occupied, colors = np.zeros(shape, dtype=bool), np.zeros((*shape, 3))
    occupied[tuple(index.T)] = True
    colors[tuple(index.T)] = answer_heat(localization)
    T = region.T_world_region.copy()
    T[:3, 3] = T[:3, :3] @ (corner - size / 2)
    return cubes(occupied, size, T, colors)


def answer_picture(
    surface: Mesh, answer: Mesh, view: View, best: NDArray, samples: int = SUPERSAMPLING
) -> NDArray[np.uint8]:
    """An answer that shines through a surface, with a cross-hair at its best point."""
    picture = Image.fromarray(_shine_through(surface, answer, view, samples))
    _mark(picture, view, best)
    return np.asarray(picture)


def _shine_through(
    surface: Mesh, inner: Mesh, view: View, samples: int = SUPERSAMPLING
) -> NDArray[np.uint8]:
    """A picture of a surface, and of what is before or behind it, half transparent."""
    around, within = (shade(mesh, view, 0.85, samples) for mesh in (surface, inner))
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
        for sign in (-1, 1):
            draw.line((x + 11 * sign, y, x + 18 * sign, y), fill=color, width=width)
            draw.line((x, y + 11 * sign, x, y + 18 * sign), fill=color, width=width)
