"""Where up is and how high the floor lies, as depth shows it.

Floors, tables and seats are level, so that of all directions up has the most surface facing it; the
lowest large level surface, below which there is nothing, is the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core import geometry
from semabs_core.types import RGBDFrame

Points = NDArray[np.float64]

WIDTH = 160
"""Pixels that a picture is thinned to before surfaces are looked for."""
BASELINE = 2
"""Normals come from neighbours so many thinned pixels away: noise weighs less."""
JUMP = 0.06
"""Neighbours whose depths differ by more (a part of the depth) are of two surfaces."""
LEANING_DEG = 60.0
"""How far from the mean picture's up the world's may be: cameras are pitched, but seldom rolled."""
LEVEL_DEG = 20.0
"""A surface is level whose normal is no further from up; noise of normals included."""
ALIKE_DEG = 8.0
UP_SHARE = 0.04
"""Of the surface that must face up for that to be told."""
BIN_M = 0.02
BAND_M = 0.06
"""How far from a plane its readings lie."""
PEAK = 0.15
"""A level surface counts from this part of the largest one on."""
BELOW_SHARE = 0.03


@dataclass(frozen=True)
class Surface:
    """Pieces of surface, world frame.

    Attributes:
        points: (N, 3) metres.
        normals: (N, 3) unit, towards the camera.
        area_m2: (N,) of each piece, square metres.
        up: (3,) unit, where the tops of the pictures point on average.
    """

    points: Points
    normals: Points
    area_m2: NDArray[np.float64]
    up: NDArray[np.float64]


@dataclass(frozen=True)
class Floor:
    """The lowest large level surface.

    Attributes:
        height_m: along up, metres.
        tilt_deg: between up and its normal.
        area_m2: how much of it is seen.
        below: share of all readings that are more than 10 cm below it.
    """

    height_m: float
    tilt_deg: float
    area_m2: float
    below: float


def surface_of(frames: Sequence[RGBDFrame]) -> Surface:
    """The surface that some frames show; ``points`` is empty where they show none."""
    nothing = (np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    parts = [nothing, *map(_pieces, frames)]
    points, normals, area = (np.concatenate([part[i] for part in parts]) for i in range(3))
    up = -np.sum([frame.T_world_camera[:3, 1] for frame in frames], axis=0)
    return Surface(points, normals, area, up / max(float(np.linalg.norm(up)), 1e-9))


def _pieces(frame: RGBDFrame) -> tuple[Points, Points, NDArray]:
    """Points, normals and areas of one frame."""
    step = max(frame.camera.width // WIDTH, 1)
    depth = frame.depth_m[::step, ::step]
    K = frame.K.copy()
    K[:2] /= step  # pixel i of the thinned image is pixel step * i of the whole one
    xyz = geometry.back_project(np.where(geometry.valid_depth(depth), depth, np.nan), K)
    b = BASELINE
    inner = (slice(b, -b), slice(b, -b))
    right, left = xyz[b:-b, 2 * b :], xyz[b:-b, : -2 * b]
    down, above = xyz[2 * b :, b:-b], xyz[: -2 * b, b:-b]
    centre = xyz[inner]
    normals = np.cross(down - above, right - left)  # towards the camera
    length = np.linalg.norm(normals, axis=-1)
    limit = JUMP * centre[..., 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth = length > 0
        for side in (right, left, down, above):
            smooth &= np.abs(side[..., 2] - centre[..., 2]) < limit
        normals = normals / length[..., None]
        facing = np.abs((normals * centre).sum(axis=-1)) / np.linalg.norm(centre, axis=-1)
        area = centre[..., 2] ** 2 / (K[0, 0] * K[1, 1]) / np.maximum(facing, 0.1)
    R = frame.T_world_camera[:3, :3]
    points = geometry.transform_points(frame.T_world_camera, centre[smooth])
    return points, normals[smooth] @ R.T, area[smooth]


def estimate_up(surface: Surface) -> tuple[NDArray[np.float64], float] | None:
    """The direction that most surface faces, among those that can be up.

    Returns:
        (3,) unit in the world of the frames, and the share of the surface that faces it; None
        where too little does.
    """
    if not len(surface.points):
        return None
    normals = surface.normals[:: max(len(surface.normals) // 20_000, 1)]
    tried = np.vstack([surface.up, _directions(600)])
    tried = tried[tried @ surface.up > np.cos(np.radians(LEANING_DEG))]
    alike = np.cos(np.radians(ALIKE_DEG))
    votes = (normals @ tried.T > alike).sum(axis=0)
    up = tried[int(votes.argmax())]
    for _ in range(5):
        near = normals[normals @ up > alike]
        if not len(near):
            return None
        up = near.mean(axis=0)
        up /= np.linalg.norm(up)
    share = float((normals @ up > alike).mean())
    return (up, share) if share >= UP_SHARE else None


def _directions(count: int) -> Points:
    """Unit vectors, evenly spread over the sphere (Fibonacci's spiral)."""
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    angle = np.pi * (1 + np.sqrt(5)) * i
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1)


def find_floor(surface: Surface, up: NDArray | None = None) -> Floor | None:
    """The lowest large level surface; None where nothing level is seen.

    Args:
        surface: of one or several frames.
        up: (3,) unit; the world's z axis where it is not given.
    """
    up = np.array([0.0, 0, 1]) if up is None else np.asarray(up, dtype=np.float64)
    level = surface.normals @ up > np.cos(np.radians(LEVEL_DEG))
    if level.sum() < 50:
        return None
    all_heights = surface.points @ up
    heights, area = all_heights[level], surface.area_m2[level]
    edges = np.arange(heights.min() - BIN_M, heights.max() + 2 * BIN_M, BIN_M)
    count, _ = np.histogram(heights, edges, weights=area)
    count = np.convolve(count, np.ones(3), mode="same")
    lowest = int(np.flatnonzero(count >= PEAK * count.max())[0])
    top = lowest + int(count[lowest : lowest + int(4 * BAND_M / BIN_M)].argmax())
    height = float(edges[top] + BIN_M / 2)
    within = level & (np.abs(all_heights - height) < 2 * BAND_M)
    normal, height = _fit(surface.points[within], up, height)
    return Floor(
        height_m=height,
        tilt_deg=float(np.degrees(np.arccos(np.clip(normal @ up, -1, 1)))),
        area_m2=float(surface.area_m2[within].sum()),
        below=float((all_heights < height - 0.1).mean()),
    )


def _fit(points: Points, up: NDArray, height: float) -> tuple[NDArray, float]:
    """A plane through points near a level one: its normal, and its height at their centre."""
    kept, normal = points, up
    for _ in range(4):
        if len(kept) < 20:
            break
        centre = kept.mean(axis=0)
        normal = np.linalg.svd(kept - centre, full_matrices=False)[2][2]
        normal = normal * np.sign(normal @ up)
        height = float(centre @ up)
        off = np.abs((points - centre) @ normal)
        kept = points[off < max(2.5 * float(np.median(off)), 0.01)]
    return normal, height
