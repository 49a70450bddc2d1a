"""Colours by name, and procedural surfaces: wood, cloth, tiles, marble, screens, pictures."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Color = tuple[float, float, float]

COLORS: dict[str, Color] = {
    "red": (0.75, 0.07, 0.06),
    "blue": (0.08, 0.2, 0.66),
    "green": (0.1, 0.47, 0.14),
    "yellow": (0.92, 0.75, 0.08),
    "orange": (0.92, 0.42, 0.05),
    "purple": (0.4, 0.12, 0.52),
    "pink": (0.93, 0.5, 0.63),
    "brown": (0.36, 0.2, 0.1),
    "white": (0.92, 0.91, 0.88),
    "black": (0.05, 0.05, 0.055),
    "gray": (0.46, 0.46, 0.47),
    "teal": (0.05, 0.45, 0.47),
}
"""The colours that occur in names, as sRGB in 0..1."""


@dataclass(frozen=True)
class Paint:
    """How a surface looks.

    Attributes:
        color: RGB in 0..1.
        pattern: a key of :data:`PATTERNS`.
        second: the pattern's other colour.
        scale: size of the pattern's features, metres.
        gloss: strength of the highlight, 0..1.
        glow: share of its own light, 0..1.
        seed: of the pattern.
        named: whether the object's name states this colour.
    """

    color: Color
    pattern: str = "plain"
    second: Color = (0.5, 0.5, 0.5)
    scale: float = 0.1
    gloss: float = 0.1
    glow: float = 0.0
    seed: int = 0
    named: bool = False


def jittered(color: Color, rng: np.random.Generator, amount: float = 1.0) -> Color:
    """A colour near another: hue by 0.015, saturation and value by 8 %, times ``amount``."""
    h, s, v = colorsys.rgb_to_hsv(*color)
    dh, ds, dv = rng.normal(0, 1, 3) * (0.012, 0.06, 0.07) * amount
    return colorsys.hsv_to_rgb(
        (h + dh) % 1, float(np.clip(s * (1 + ds), 0, 1)), float(np.clip(v * (1 + dv), 0.02, 0.97))
    )


def shaded(color: Color, factor: float) -> Color:
    """The colour, darker or lighter by a factor."""
    r, g, b = (float(min(1.0, max(0.0, channel * factor))) for channel in color)
    return r, g, b


def randomized(paint: Paint, rng: np.random.Generator) -> Paint:
    """Random colours and texture; a colour that the object's name states is kept."""
    color, second = (
        colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.1, 0.95), rng.uniform(0.15, 0.95))
        for _ in range(2)
    )
    return replace(
        paint,
        color=paint.color if paint.named else color,
        second=shaded(paint.color, rng.uniform(0.6, 1.3)) if paint.named else second,
        pattern=str(rng.choice(RANDOM_PATTERNS)),
        scale=float(np.exp(rng.uniform(np.log(0.02), np.log(0.4)))),
        gloss=float(rng.uniform(0, 0.6)),
        seed=int(rng.integers(1 << 31)),
    )


def albedo(paint: Paint, points: NDArray, normals: NDArray) -> NDArray[np.float64]:
    """The surface's own colour at points.

    Args:
        paint: of the surface.
        points: (N, 3) metres, body frame.
        normals: (N, 3) unit, body frame.

    Returns:
        (N, 3) RGB in 0..1.
    """
    share = PATTERNS[paint.pattern](points, normals, paint)[:, None]
    color = np.asarray(paint.color) * (1 - share) + np.asarray(paint.second) * share
    return color if paint.pattern != "art" else _art(points, normals, paint)


def value_noise(points: NDArray, seed: int) -> NDArray[np.float32]:
    """Smooth noise in 0..1 at points (N, 3) whose lattice has edge 1."""
    floor = np.floor(points)
    t = (points - floor).astype(np.float32)
    t = t * t * (3 - 2 * t)
    cell = floor.astype(np.int64)
    total = np.zeros(len(points), dtype=np.float32)
    for i, j, k in np.ndindex(2, 2, 2):
        weight = t[:, 0] if i else 1 - t[:, 0]
        weight = weight * (t[:, 1] if j else 1 - t[:, 1]) * (t[:, 2] if k else 1 - t[:, 2])
        total += weight * _hash(cell, seed, (i, j, k))
    return total


def _hash(
    cell: NDArray[np.int64], seed: int, offset: tuple[int, int, int] = (0, 0, 0)
) -> NDArray[np.float32]:
    """A number in 0..1 for each lattice cell (N, 3), shifted by an offset."""
    base = (
        offset[0] * 374761393 + offset[1] * 668265263 + offset[2] * 2147483647
    ) + seed * 974634777
    key = cell[:, 0] * 374761393 + cell[:, 1] * 668265263 + cell[:, 2] * 2147483647
    mixed = ((key + base) & 0xFFFFFFFF).astype(np.uint32)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177)
    mixed = (mixed ^ (mixed >> np.uint32(16))) * np.uint32(2246822519)
    return ((mixed >> np.uint32(8)).astype(np.float32)) / np.float32(1 << 24)


def plane(points: NDArray, normals: NDArray) -> NDArray[np.float64]:
    """(N, 2) coordinates in the plane that the surface faces most: (x, y), (x, z) or (y, z)."""
    axis = np.abs(normals).argmax(axis=1)
    pairs = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    return np.take_along_axis(points, pairs, axis=1)


def _plain(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    return np.zeros(len(points))


def _mottled(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    p = points / paint.scale
    return 0.65 * value_noise(p, paint.seed) + 0.35 * value_noise(3.1 * p, paint.seed + 1)


def _wood(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    """Grain along the body's y axis."""
    p = points / paint.scale * np.array([1.0, 0.12, 1.0])
    rings = value_noise(p, paint.seed) * 5 + (p[:, 0] + p[:, 2]) * 0.8
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * rings)
    return 0.55 * grain + 0.45 * value_noise(p * (7.0, 2.0, 7.0), paint.seed + 1)


def _cloth(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    return 0.5 * value_noise(points / 0.006, paint.seed) + 0.5 * value_noise(
        points / max(paint.scale, 0.03), paint.seed + 1
    )


def _stripes(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    return (np.mod((points[:, 1] + 0.3 * points[:, 0]) / paint.scale, 2) < 1).astype(float)


def _bands(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    return (np.mod(points[:, 2] / paint.scale, 2) < 1).astype(float)


def _checks(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    return np.mod(np.floor(plane(points, normals) / paint.scale).sum(axis=1), 2)


def _dots(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    offset = np.mod(plane(points, normals) / paint.scale, 1) - 0.5
    return (np.linalg.norm(offset, axis=1) < 0.28).astype(float)


def _tiles(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    """Tiles of slightly different tone with joints in the second colour."""
    uv = plane(points, normals) / paint.scale
    joint = (np.mod(uv, 1) < 0.035).any(axis=1)
    cell = np.floor(uv).astype(np.int64)
    tone = _hash(np.c_[cell, np.zeros(len(cell), dtype=np.int64)], paint.seed)
    return np.where(joint, 1.0, 0.18 * tone)


def _planks(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    """Floor boards of ``scale`` width along x."""
    row = np.floor(points[:, 1] / paint.scale)
    along = points[:, 0] / (8 * paint.scale) + 0.37 * row
    cell = np.stack([row, np.floor(along), np.zeros(len(row))], axis=1).astype(np.int64)
    joint = (np.mod(points[:, 1] / paint.scale, 1) < 0.04) | (np.mod(along, 1) < 0.006)
    p = points / 0.05 * np.array([0.12, 1.0, 1.0]) + 7.3 * row[:, None]
    return np.where(joint, 1.0, 0.5 * _hash(cell, paint.seed) + 0.3 * value_noise(p, paint.seed))


def _marble(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    p = points / paint.scale
    warp = value_noise(p, paint.seed) + 0.5 * value_noise(2.3 * p, paint.seed + 1)
    return np.abs(np.sin(np.pi * (1.2 * p.sum(axis=1) + 3 * warp))) ** 6 * 0.8


def _weave(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    """Wicker: short strands over and under."""
    angle = np.arctan2(points[:, 1], points[:, 0]) * max(np.abs(points[:, :2]).max(), 0.05)
    u, v = angle / paint.scale, points[:, 2] / paint.scale * 1.6
    return np.abs(np.sin(np.pi * (u + 0.5 * np.floor(v)))) * 0.5 + 0.5 * (np.mod(v, 1) < 0.3)


def _seams(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    """A basket ball's lines: three great circles and two arcs; ``scale`` is the radius."""
    p = points - (0, 0, paint.scale)
    p = p / paint.scale
    arcs = np.abs(np.abs(p[:, 1]) - 0.52 - 0.4 * p[:, 0] ** 2) < 0.045
    return ((np.abs(p[:, 0]) < 0.04) | (np.abs(p[:, 2]) < 0.04) | arcs).astype(float)


def _pages(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    """Lines of print."""
    u, v = plane(points, normals).T / paint.scale
    words = value_noise(np.stack([4 * u, np.floor(v), 0 * u], axis=1), paint.seed) > 0.3
    return ((np.mod(v, 1) < 0.45) & words).astype(float)


def _art(points: NDArray, normals: NDArray, paint: Paint) -> NDArray:
    """(N, 3) colours of a picture: soft areas between four colours."""
    p = points / paint.scale
    palette = np.random.default_rng(paint.seed).uniform(0.05, 0.95, (2, 3))
    a = value_noise(p, paint.seed)[:, None]
    b = (value_noise(1.7 * p, paint.seed + 1) > 0.52)[:, None]
    base = np.asarray(paint.color) * (1 - a) + np.asarray(paint.second) * a
    return np.where(b, base * 0.4 + palette[0] * 0.6, base * 0.7 + palette[1] * 0.3)


Pattern = Callable[[NDArray, NDArray, Paint], NDArray]
PATTERNS: dict[str, Pattern] = {
    "plain": _plain,
    "mottled": _mottled,
    "wood": _wood,
    "cloth": _cloth,
    "stripes": _stripes,
    "bands": _bands,
    "checks": _checks,
    "dots": _dots,
    "tiles": _tiles,
    "planks": _planks,
    "marble": _marble,
    "weave": _weave,
    "seams": _seams,
    "pages": _pages,
    "art": _plain,
}
RANDOM_PATTERNS = (
    "plain",
    "mottled",
    "wood",
    "cloth",
    "stripes",
    "bands",
    "checks",
    "dots",
    "tiles",
    "marble",
    "weave",
)
