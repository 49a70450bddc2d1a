"""Pictures of rooms by ray casting: colour with light, shadow and texture, depth, object ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.items import Geometry, tensor
from semabs_core.data.rooms.paints import Paint, albedo
from semabs_core.types import Camera

SUPERSAMPLING = 2
OFFSET_M = 2e-3
"""How far shadow rays start from their surface."""
NEAR_M = 0.35
"""Surfaces within this distance darken a point's ambient light."""
GRAIN = 4
"""Light is averaged over this many neighbours to each side (in supersampled pixels)."""


@dataclass(frozen=True)
class Light:
    """A round lamp or window.

    Attributes:
        position: (3,) viewer frame, metres.
        color: (3,) linear RGB times power.
        radius_m: of the sphere that shines; larger is softer.
    """

    position: NDArray[np.float64]
    color: NDArray[np.float64]
    radius_m: float = 0.15


@dataclass(frozen=True)
class Lighting:
    """Lamps, and light from everywhere.

    Attributes:
        lights: the lamps.
        ambient: (3,) linear RGB.
        exposure: factor on the linear picture.
    """

    lights: list[Light]
    ambient: NDArray[np.float64]
    exposure: float = 1.0


@dataclass(frozen=True)
class Hits:
    """What rays meet; N rays that hit something.

    Attributes:
        found: (R,) bool, which of all rays these are.
        part: (N,) int64.
        points: (N, 3) viewer frame, metres.
        normals: (N, 3) smooth, towards the eye, viewer frame.
        flat: (N, 3) of the triangles, towards the eye, viewer frame.
        local_points: (N, 3) body frame, metres.
        local_normals: (N, 3) body frame.
        directions: (N, 3) unit, from the eye.
    """

    found: NDArray[np.bool_]
    part: NDArray[np.int64]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    flat: NDArray[np.float32]
    local_points: NDArray[np.float32]
    local_normals: NDArray[np.float32]
    directions: NDArray[np.float32]


def camera_rays(camera: Camera, T_viewer_camera: NDArray, factor: int = 1) -> NDArray[np.float32]:
    """Rays (H * factor, W * factor, 6) through pixel centres; directions have length 1 along z."""
    K = camera.K
    u = (np.arange(camera.width * factor) + 0.5) / factor - 0.5
    v = (np.arange(camera.height * factor) + 0.5) / factor - 0.5
    x, y = np.meshgrid((u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1])
    directions = np.stack([x, y, np.ones_like(x)], axis=-1) @ T_viewer_camera[:3, :3].T
    origins = np.broadcast_to(T_viewer_camera[:3, 3], directions.shape)
    return np.concatenate([origins, directions], axis=-1).astype(np.float32)


def depth_and_ids(
    geometry: Geometry, camera: Camera, T_viewer_camera: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """What each pixel's centre meets.

    Returns:
        Exact depth (H, W) in metres along the optical axis (0 for nothing), item index (H, W) or
        -1, and the absolute cosine (H, W) between ray and surface normal.
    """
    depth, parts, facing = depth_and_parts(geometry, camera, T_viewer_camera)
    return depth, np.where(parts >= 0, geometry.item_of[parts], np.int32(-1)), facing


def depth_and_parts(
    geometry: Geometry, camera: Camera, T_viewer_camera: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """As :func:`depth_and_ids`, but with the index of the part that each pixel's centre meets."""
    rays = camera_rays(camera, T_viewer_camera)
    hit = geometry.raycaster.cast_rays(tensor(rays), nthreads=1)
    depth = hit["t_hit"].numpy()
    found = np.isfinite(depth)
    triangle = hit["primitive_ids"].numpy()
    parts = np.full(depth.shape, -1, dtype=np.int32)
    parts[found] = geometry.part_of[triangle[found]]
    unit = _unit(rays[..., 3:])
    facing = np.abs((hit["primitive_normals"].numpy() * unit).sum(axis=-1))
    return np.where(found, depth, 0).astype(np.float32), parts, facing


def cast(geometry: Geometry, rays: NDArray[np.float32]) -> Hits:
    """What rays (R, 6) meet."""
    hit = geometry.raycaster.cast_rays(tensor(rays), nthreads=1)
    distance = hit["t_hit"].numpy()
    found = np.isfinite(distance)
    triangle = hit["primitive_ids"].numpy()[found].astype(np.int64)
    u, v = hit["primitive_uvs"].numpy()[found].T[..., None]

    def blend(corners: tuple[NDArray, NDArray, NDArray]) -> NDArray:
        return corners[0] * (1 - u - v) + corners[1] * u + corners[2] * v

    def of_corner(values: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        return values[triangle, 0], values[triangle, 1], values[triangle, 2]

    vertex = geometry.triangles[triangle].astype(np.int64)
    normals = _unit(blend(of_corner(geometry.normals)))
    flat = _unit(hit["primitive_normals"].numpy()[found])
    directions = _unit(rays[found, 3:])
    facing = -np.sign(_dot(flat, directions))[:, None]
    return Hits(
        found=found,
        part=geometry.part_of[triangle].astype(np.int64),
        points=rays[found, :3] + rays[found, 3:] * distance[found, None],
        normals=normals * np.sign(_dot(normals, flat))[:, None] * facing,
        flat=flat * facing,
        local_points=blend(tuple(geometry.local[vertex[:, i]] for i in range(3))),
        local_normals=blend(of_corner(geometry.local_normals)),
        directions=directions,
    )


def illumination(
    geometry: Geometry, hits: Hits, lighting: Lighting, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light that reaches each hit: (N, 3) diffuse, and (N, 3) for the highlights."""
    count = len(hits.part)
    start = hits.points + hits.flat * np.float32(OFFSET_M)
    sky = (0.75 + 0.25 * hits.normals[:, 2]) * _openness(geometry, start, hits, rng)
    diffuse = sky[:, None] * lighting.ambient.astype(np.float32)
    shine = np.zeros((count, 3), dtype=np.float32)
    for light in lighting.lights:
        target = light.position.astype(np.float32) + np.float32(light.radius_m) * _directions(
            count, rng
        )
        to_light = target - start
        square = _dot(to_light, to_light)
        direction = to_light / np.sqrt(square)[:, None]
        lit = _dot(hits.normals, direction).clip(0) * (_dot(hits.flat, direction) > 0)
        asked = np.flatnonzero(lit)
        rays = np.concatenate([start[asked], to_light[asked]], axis=1)
        lit[asked] *= ~_blocked(geometry, rays)
        power = ((lit > 0) / (square + 0.4))[:, None] * light.color.astype(np.float32)
        diffuse += lit[:, None] * power
        half = _unit(direction - hits.directions)
        shine += (_dot(hits.normals, half).clip(0) ** 40)[:, None] * power
    return diffuse, shine


def even_out(light: NDArray[np.float32], hits: Hits, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Light (N, 3) without grain: means over neighbours on the same side of the same part."""
    axis = np.abs(hits.flat).argmax(axis=1)
    side = np.take_along_axis(hits.flat, axis[:, None], axis=1)[:, 0] > 0
    keys = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    keys[hits.found] = hits.part * 6 + axis * 2 + side
    image = np.zeros((*shape, 3), dtype=np.float32)
    image.reshape(-1, 3)[hits.found] = light
    grid = keys.reshape(shape)
    for direction in (0, 1):
        total, count = image.copy(), np.ones((*shape, 1), dtype=np.float32)
        for step in range(1, GRAIN + 1):
            near, far = [slice(None)] * 2, [slice(None)] * 2
            near[direction], far[direction] = slice(None, -step), slice(step, None)
            a, b = tuple(near), tuple(far)
            same = (grid[a] == grid[b])[..., None].astype(np.float32)
            total[a] += image[b] * same
            total[b] += image[a] * same
            count[a] += same
            count[b] += same
        image = total / count
    return image.reshape(-1, 3)[hits.found]


def _openness(
    geometry: Geometry, start: NDArray, hits: Hits, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(N,) ambient light that near surfaces leave, from one random ray each."""
    direction = _unit(hits.normals + np.float32(0.98) * _directions(len(start), rng))
    rays = np.concatenate([start, direction * np.float32(NEAR_M)], axis=1)
    return np.where(_blocked(geometry, rays), np.float32(0.3), np.float32(1.0))


def _blocked(geometry: Geometry, rays: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N,) bool: whether something lies on rays (N, 6) within their direction's length."""
    return geometry.raycaster.test_occlusions(tensor(rays), tnear=0.0, tfar=1.0, nthreads=1).numpy()


def _directions(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(N, 3) random unit vectors."""
    return _unit(rng.standard_normal((count, 3), dtype=np.float32))


def _dot(a: NDArray, b: NDArray) -> NDArray:
    return np.einsum("ni,ni->n", a, b)


def surface_colors(
    hits: Hits, paints: list[Paint]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Own colours (N, 3) linear, gloss (N,) and glow (N,) of hits."""
    colors = np.zeros((len(hits.part), 3), dtype=np.float32)
    order = np.argsort(hits.part, kind="stable")
    parts, starts = np.unique(hits.part[order], return_index=True)
    for part, members in zip(parts, np.split(order, starts[1:])):
        colors[members] = albedo(
            paints[part], hits.local_points[members], hits.local_normals[members]
        )
    gloss = np.array([paint.gloss for paint in paints])[hits.part]
    glow = np.array([paint.glow for paint in paints])[hits.part]
    return colors.clip(0, 1) ** np.float32(2.2), gloss.astype(np.float32), glow.astype(np.float32)


def develop(
    camera: Camera,
    hits: Hits,
    paints: list[Paint],
    lit: tuple[NDArray, NDArray],
    exposure: float,
    factor: int = SUPERSAMPLING,
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 of hits under their light."""
    colors, gloss, glow = surface_colors(hits, paints)
    diffuse, shine = lit
    linear = colors * (diffuse * (1 - glow[:, None]) + 1.1 * glow[:, None] / exposure)
    linear = linear + 0.6 * (gloss**1.5)[:, None] * shine
    image = np.zeros((len(hits.found), 3), dtype=np.float32)
    image[hits.found] = 1 - np.exp(-1.25 * exposure * linear)
    image = image.reshape(camera.height, factor, camera.width, factor, 3).mean(axis=(1, 3))
    return np.rint(255 * image.clip(0, 1) ** (1 / 2.2)).astype(np.uint8)


def photograph(
    geometry: Geometry,
    camera: Camera,
    T_viewer_camera: NDArray,
    lighting: Lighting,
    rng: np.random.Generator,
    other_paints: list[Paint] | None = None,
) -> list[NDArray[np.uint8]]:
    """Pictures (H, W, 3) uint8: with the objects' paints, and with other ones where given."""
    rays = camera_rays(camera, T_viewer_camera, SUPERSAMPLING).reshape(-1, 6)
    hits = cast(geometry, rays)
    diffuse, shine = illumination(geometry, hits, lighting, rng)
    shape = (camera.height * SUPERSAMPLING, camera.width * SUPERSAMPLING)
    lit = (even_out(diffuse, hits, shape), shine)
    pictures = [develop(camera, hits, geometry.paints, lit, lighting.exposure)]
    if other_paints is not None:
        tint = rng.uniform(0.75, 1.2, 3)
        level = lighting.exposure * float(rng.uniform(0.8, 1.25))
        dyed = (lit[0] * tint, lit[1] * tint)
        pictures.append(develop(camera, hits, other_paints, dyed, level))
    return pictures


def _unit(vectors: NDArray) -> NDArray:
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(length, np.float32(1e-9))[..., None]
