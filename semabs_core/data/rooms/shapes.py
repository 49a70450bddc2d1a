"""Closed primitives: boxes, prisms, lathed profiles, tubes and cushions, each one watertight.

Lengths are metres. ``at`` is the centre of a shape's base, but of balls the centre.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.parts import ORIGIN, Part, Vector, flat_part, smooth_part, unit

CREASE = 0.6
"""Neighbouring faces of a profile are shaded as one where their normals' cosine is above this."""

_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
_BOX = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


def box(size: Vector, paint: Paint, at: Vector = ORIGIN) -> Part:
    """A box; ``size`` along x, y, z."""
    return flat_part(_CORNERS * size + at, _BOX, paint)


def prism(outline: NDArray, height: float, paint: Paint, at: Vector = ORIGIN) -> Part:
    """An upright prism over an outline (n, 2), counter-clockwise and star-shaped about its mean."""
    outline = np.asarray(outline, dtype=np.float64)
    n = len(outline)
    rim = np.concatenate([outline, outline.mean(axis=0)[None]])
    vertices = np.concatenate([np.c_[rim, np.zeros(n + 1)], np.c_[rim, np.full(n + 1, height)]])
    i, j = np.arange(n), np.roll(np.arange(n), -1)
    bottom, top = np.full(n, n), np.full(n, 2 * n + 1)
    up = n + 1
    triangles = np.concatenate(
        [
            np.stack([i, j, j + up], axis=1),
            np.stack([i, j + up, i + up], axis=1),
            np.stack([j, i, bottom], axis=1),
            np.stack([i + up, j + up, top], axis=1),
        ]
    )
    return flat_part(vertices + at, triangles, paint)


def lathe(profile: NDArray, paint: Paint, at: Vector = ORIGIN, segments: int = 0) -> Part:
    """A profile turned about the z axis.

    Args:
        profile: (n, 2) radius and height, from the bottom outwards and up; it starts and ends on
            the axis (radius 0), or it is a loop whose last point is its first.
        paint: of the surface.
        at: where the profile's origin goes.
        segments: around the axis; 0 chooses by size.
    """
    profile = np.asarray(profile, dtype=np.float64)
    r, z = profile.T
    segments = segments or int(np.clip(10 + 90 * r.max(), 12, 32))
    phi = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    vertices = np.concatenate(
        [r[:, None, None] * ring, np.broadcast_to(z[:, None, None], (len(r), segments, 1))], axis=2
    )
    starts, ends = _profile_normals(profile)
    i, j = np.mgrid[0 : len(r) - 1, 0:segments]
    k = (j + 1) % segments

    def corner(row: NDArray, column: NDArray, normal: NDArray) -> NDArray:
        return np.concatenate([normal[i][..., :1] * ring[column], normal[i][..., 1:]], axis=-1)

    a, b = i * segments + j, i * segments + k
    c, d = (i + 1) * segments + k, (i + 1) * segments + j
    na, nb = corner(i, j, starts), corner(i, k, starts)
    nc, nd = corner(i, k, ends), corner(i, j, ends)
    lower, upper = r[i] > 0, r[i + 1] > 0
    triangles = np.concatenate(
        [np.stack([a, b, c], axis=-1)[lower], np.stack([a, c, d], axis=-1)[upper]]
    )
    normals = np.concatenate(
        [np.stack([na, nb, nc], axis=-2)[lower], np.stack([na, nc, nd], axis=-2)[upper]]
    )
    return Part(vertices.reshape(-1, 3) + at, triangles, normals, paint)


def cylinder(
    radius: float, height: float, paint: Paint, at: Vector = ORIGIN, top: float | None = None
) -> Part:
    """An upright cylinder, or a (cut) cone where the radius at the ``top`` differs."""
    top = radius if top is None else top
    rim = [(0, 0), (radius, 0), (top, height)] + ([(0, height)] if top > 0 else [])
    return lathe(np.array(rim), paint, at)


def rod(start: Vector, end: Vector, radius: float, paint: Paint, top: float | None = None) -> Part:
    """A cylinder (or cut cone) between two points."""
    return tube([start, end], radius, paint, end_radius=top)


def ball(radius: float | Vector, paint: Paint, at: Vector = ORIGIN) -> Part:
    """A sphere, or with three radii an ellipsoid; ``at`` is its centre."""
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), (3,))
    rings = 9 if radii.max() < 0.08 else 13
    theta = np.linspace(-np.pi / 2, np.pi / 2, rings)
    profile = np.stack([np.cos(theta), np.sin(theta)], axis=1)
    profile[[0, -1], 0] = 0.0
    sphere = lathe(profile, paint, segments=2 * rings - 4)
    return sphere.stretched(*radii).moved(*at)


def cup(
    radius: float,
    height: float,
    wall: float,
    paint: Paint,
    at: Vector = ORIGIN,
    top: float | None = None,
) -> Part:
    """A hollow vessel, open above; its radius at the ``top`` may differ."""
    top = radius if top is None else top
    outer = [(0, 0), (radius, 0), (top, height)]
    inner = [(top - wall, height), (max(radius - wall, wall), wall), (0, wall)]
    return lathe(np.array(outer + inner), paint, at)


def torus(radius: float, thickness: float, paint: Paint, at: Vector = ORIGIN) -> Part:
    """A lying ring; ``thickness`` is the radius of its section."""
    phi = np.linspace(0, 2 * np.pi, 11)
    loop = np.stack([radius + thickness * np.cos(phi), thickness * np.sin(phi)], axis=1)
    loop[-1] = loop[0]
    return lathe(loop, paint, at, segments=22)


def cushion(size: Vector, paint: Paint, at: Vector = ORIGIN, roundness: float = 0.5) -> Part:
    """A soft box (superellipsoid); roundness from 0 (box) to 1 (ellipsoid)."""
    eta = np.linspace(-np.pi / 2, np.pi / 2, 11)
    omega = np.linspace(0, 2 * np.pi, 24, endpoint=False)

    def power(x: NDArray) -> NDArray:
        return np.sign(x) * np.abs(x) ** max(roundness, 0.05)

    ring = np.stack([power(np.cos(omega)), power(np.sin(omega))], axis=1)
    radius = power(np.cos(eta).round(9))
    height = np.broadcast_to(power(np.sin(eta))[:, None, None], (len(eta), len(omega), 1))
    grid = np.concatenate([radius[:, None, None] * ring, height], axis=2).reshape(-1, 3)
    triangles = _grid_faces(len(eta), len(omega))
    n = len(omega)
    lower_pole, upper_pole = triangles[:, [0, 1]] < n, triangles[:, [1, 2]] >= n * (len(eta) - 1)
    triangles = triangles[~(lower_pole.all(axis=1) | upper_pole.all(axis=1))]
    vertices = grid * (np.asarray(size, dtype=np.float64) / 2) + (0, 0, size[2] / 2) + at
    return smooth_part(vertices, triangles, paint)


def tube(
    path: Sequence[Vector] | NDArray,
    radius: float,
    paint: Paint,
    end_radius: float | None = None,
    segments: int = 10,
) -> Part:
    """A round bar along a path (n, 3), closed at both ends, for handles, taps, rails and legs."""
    points = np.asarray(path, dtype=np.float64)
    tangents = unit(np.gradient(points, axis=0))
    side = np.cross(tangents[0], np.eye(3)[np.argmin(np.abs(tangents[0]))])
    radii = np.linspace(radius, radius if end_radius is None else end_radius, len(points))
    phi = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings, normals = [], []
    for point, tangent, size in zip(points, tangents, radii):
        side = unit(side - (side @ tangent) * tangent)
        other = np.cross(tangent, side)
        around = np.outer(np.cos(phi), side) + np.outer(np.sin(phi), other)
        rings.append(point + size * around)
        normals.append(around)
    n = len(points)
    body = _grid_faces(n, segments)
    vertices = np.concatenate([*rings, points[[0, -1]]])
    corner = np.concatenate(normals)[body]
    i, j = np.arange(segments), np.roll(np.arange(segments), -1)
    last = (n - 1) * segments
    caps = np.concatenate(
        [
            np.stack([j, i, np.full(segments, n * segments)], axis=1),
            np.stack([i + last, j + last, np.full(segments, n * segments + 1)], axis=1),
        ]
    )
    flat = np.repeat(np.stack([-tangents[0], tangents[-1]]), segments, axis=0)
    cap_normals = np.repeat(flat[:, None], 3, axis=1)
    return Part(
        vertices, np.concatenate([body, caps]), np.concatenate([corner, cap_normals]), paint
    )


def arc(
    centre: Vector, radius: float, start: float, end: float, plane: str = "xz", steps: int = 9
) -> NDArray[np.float64]:
    """Points (steps, 3) of a circle between two angles in degrees, in a plane such as ``xz``."""
    angle = np.radians(np.linspace(start, end, steps))
    points = np.tile(np.asarray(centre, dtype=np.float64), (steps, 1))
    points[:, "xyz".index(plane[0])] += radius * np.cos(angle)
    points[:, "xyz".index(plane[1])] += radius * np.sin(angle)
    return points


def _grid_faces(rows: int, segments: int) -> NDArray[np.int64]:
    """Triangles between the rings of a (rows, segments) grid that is closed around."""
    i, j = np.mgrid[0 : rows - 1, 0:segments].reshape(2, -1)
    k = (j + 1) % segments
    a, b, c, d = i * segments + j, i * segments + k, (i + 1) * segments + k, (i + 1) * segments + j
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _profile_normals(profile: NDArray) -> tuple[NDArray, NDArray]:
    """Normals (n - 1, 2) at the start and the end of each segment, smooth but for creases."""
    step = np.diff(profile, axis=0)
    flat = unit(np.stack([step[:, 1], -step[:, 0]], axis=1))
    starts, ends = flat.copy(), flat.copy()
    smooth = (flat[:-1] * flat[1:]).sum(axis=1) > CREASE
    between = unit(flat[:-1] + flat[1:])
    ends[:-1][smooth] = between[smooth]
    starts[1:][smooth] = between[smooth]
    if np.array_equal(profile[0], profile[-1]):
        starts[0] = ends[-1] = unit(flat[0] + flat[-1])
    return starts, ends
