"""Ground truth: which object, if any, fills a point of the volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.items import Geometry, tensor

RAY = np.array([0.2837, 0.1719, 0.9433], dtype=np.float32)
"""Direction of the counting rays: steep, because rooms are shallow upwards, and along no edge."""
NEAR_SHARE = 0.5
SPREADS_M = (0.004, 0.015, 0.06)
"""How far points near an object are from its surface (standard deviations, metres)."""
DEPTH_M = 0.012
"""How deep inside an object points of its surface lie at most, metres."""
CUBE_M = 0.04
"""Evenly drawn points are in as many cubes of this edge as can be, metres."""
CANDIDATES = 4
"""So many evenly drawn points are drawn for one that is kept."""


def occupant(geometry: Geometry, points: NDArray[np.float32]) -> NDArray[np.int64]:
    """The item that fills each point, or -1; the last item where several do.

    A point is inside a closed part if a ray from it crosses the part's surface an odd number of
    times (as in Open3D's ``compute_occupancy``). An item is the union of its parts, which overlap,
    so the crossings are counted part by part.

    Args:
        geometry: the items.
        points: (N, 3) viewer frame, metres.
    """
    rays = np.concatenate([points, np.broadcast_to(RAY, points.shape)], axis=1)
    hits = geometry.raycaster.list_intersections(tensor(rays.astype(np.float32)), nthreads=1)
    ray = hits["ray_ids"].numpy().astype(np.int64)
    part = geometry.part_of[hits["primitive_ids"].numpy().astype(np.int64)].astype(np.int64)
    count = len(geometry.item_of)
    pairs, crossings = np.unique(ray * count + part, return_counts=True)
    pairs = pairs[crossings % 2 == 1]
    ray, part = np.divmod(pairs, count)
    low, high = _part_bounds(geometry)
    inside = ((points[ray] >= low[part]) & (points[ray] <= high[part])).all(axis=1)
    found = np.full(len(points), -1, dtype=np.int64)
    np.maximum.at(found, ray[inside], geometry.item_of[part[inside]])
    return found


def sample_points(
    geometry: Geometry,
    bounds: NDArray,
    count: int,
    rng: np.random.Generator,
    facet_m: float = np.inf,
    even_share: float = 0.0,
) -> NDArray[np.float64]:
    """Points of the volume, half of them near the items' surfaces, each item with a fair share.

    A floor's fair share does not reach all of it; evenly drawn points cover all surfaces alike.

    Args:
        geometry: the items.
        bounds: (2, 3) lower and upper corner of the volume, viewer frame, metres.
        count: how many.
        rng: source of chance.
        facet_m: larger triangles are divided until no edge of theirs in the volume is longer.
        even_share: share of the points that lie just inside the surfaces, in as many different
            places as can be; the others are drawn as said above.

    Returns:
        (count, 3) float64, viewer frame, metres, all inside the bounds.
    """
    low, high = np.asarray(bounds)
    triangles = geometry.vertices[geometry.triangles].astype(np.float64)
    item = geometry.item_of[geometry.part_of]
    if np.isfinite(facet_m):
        triangles, item = _divided(triangles, item, (low - 0.2, high + 0.2), facet_m)
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    centres = triangles.mean(axis=1)
    areas = np.where(((centres > low - 0.2) & (centres < high + 0.2)).all(axis=1), areas, 0)
    totals = np.bincount(item, weights=areas, minlength=int(geometry.item_of.max()) + 1)
    shares = np.sqrt(totals) + 0.35 * (totals > 0)
    chances = areas * (shares / np.maximum(totals, 1e-12))[item]
    even = int(count * even_share)
    near = int((count - even) * NEAR_SHARE)
    surface, unit = _on_surfaces(triangles, normals, chances, near, rng)
    kind = rng.integers(0, 4, size=near)
    inward = rng.uniform(0, DEPTH_M, near) * np.where(kind == 0, -1, 0)
    spread = np.array([0.0, *SPREADS_M])[kind]
    points = surface + unit * inward[:, None] + rng.normal(size=(near, 3)) * spread[:, None]
    if even:
        surface, unit = _on_surfaces(triangles, normals, areas, CANDIDATES * even, rng)
        surface -= unit * rng.uniform(0, DEPTH_M, (len(unit), 1))
        surface = surface[((surface > low) & (surface < high)).all(axis=1)]
        points = np.concatenate([points, surface[_spread(surface, CUBE_M)[:even]]])
    points = points[((points > low) & (points < high)).all(axis=1)]
    anywhere = rng.uniform(low, high, size=(count - len(points), 3))
    return np.concatenate([points, anywhere])


def _on_surfaces(
    triangles: NDArray, normals: NDArray, chances: NDArray, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (count, 3) of triangles (F, 3, 3), by chance, and the unit normals there."""
    chosen = rng.choice(len(chances), size=count, p=chances / chances.sum())
    weights = rng.dirichlet((1.0, 1.0, 1.0), size=count)
    points = (triangles[chosen] * weights[..., None]).sum(axis=1)
    lengths = np.linalg.norm(normals[chosen], axis=1, keepdims=True)
    return points, normals[chosen] / np.maximum(lengths, 1e-12)


def _spread(points: NDArray, cube_m: float) -> NDArray[np.int64]:
    """Order (N,) of points (N, 3): first one of every cube that has any, then its second, ..."""
    if not len(points):
        return np.arange(0)
    index = np.floor(points / cube_m).astype(np.int64)
    index -= index.min(axis=0)
    cube = np.ravel_multi_index(tuple(index.T), tuple(index.max(axis=0) + 1))
    order = np.argsort(cube, kind="stable")
    starts = np.flatnonzero(np.diff(cube[order], prepend=-1))
    turn = np.empty(len(points), dtype=np.int64)
    turn[order] = np.arange(len(points)) - np.repeat(starts, np.diff(starts, append=len(points)))
    return np.argsort(turn, kind="stable")


def _divided(
    triangles: NDArray, owners: NDArray, bounds: tuple[NDArray, NDArray], edge_m: float
) -> tuple[NDArray[np.float64], NDArray]:
    """Triangles (F, 3, 3) that reach into a box, halved at their longest edges; their owners."""
    low, high = bounds
    done: list[tuple[NDArray, NDArray]] = []
    while len(triangles):
        reach = ((triangles.max(axis=1) > low) & (triangles.min(axis=1) < high)).all(axis=1)
        triangles, owners = triangles[reach], owners[reach]
        lengths = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=2)
        small = lengths.max(axis=1) <= edge_m
        done.append((triangles[small], owners[small]))
        triangles, owners, lengths = triangles[~small], owners[~small], lengths[~small]
        turn = (lengths.argmax(axis=1)[:, None] + np.arange(3)) % 3
        a, b, c = np.moveaxis(np.take_along_axis(triangles, turn[..., None], axis=1), 1, 0)
        middle = (a + b) / 2
        halves = [np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)]
        triangles, owners = np.concatenate(halves), np.concatenate([owners, owners])
    return np.concatenate([t for t, _ in done]), np.concatenate([o for _, o in done])


def _part_bounds(geometry: Geometry) -> tuple[NDArray, NDArray]:
    """Lower and upper corners (P, 3) of the parts, viewer frame."""
    corners = geometry.vertices[geometry.triangles]
    starts = np.flatnonzero(np.diff(geometry.part_of, prepend=-1))
    low = np.minimum.reduceat(corners.min(axis=1), starts)
    return low, np.maximum.reduceat(corners.max(axis=1), starts)
