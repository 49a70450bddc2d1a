"""Which cube in front of a robot is looked at: the default one, or one where the readings are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_data import DEFAULT_SCENE_SCALE
from semabs_core.geometry import Matrix, region_to_bounds

SCENE_BOUNDS = np.array([[-1.0, -1.0, -0.1], [1.0, 1.0, 1.9]])
CAMERA_X = -1.5
LIFTS_M = (0.0, 0.05)
"""How far below the floor that a robot believes in its region begins."""
DEFAULT_SHARE = 0.62
"""How often the default region is taken where it holds something."""
CLOSE_DEFAULT_SHARE = 0.25
"""The same of close-ups."""
ENOUGH = 0.25
"""A default region that holds a smaller share of the readings is not used."""
GOAL = 0.6
SIZES_M = (1.0, 5.0)
CLOSE_SIZES_M = (0.8, 1.4)


@dataclass(frozen=True)
class Sight:
    """What a camera sees, R readings.

    Attributes:
        points: (R, 3) metres, in the frame below the camera.
        depth_m: (R,) along the optical axis.
        things: (R,) the item that each hits; -1 for floor, walls and ceiling.
        on_surface: (R,) bool, whether that is the surface of a close-up or stands on it.
    """

    points: NDArray[np.float64]
    depth_m: NDArray[np.float32]
    things: NDArray[np.int32]
    on_surface: NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """A cube in the viewer frame.

    Attributes:
        kind: ``default``, ``fitted`` or ``surface``.
        low: (3,) lower corner, metres.
        size_m: edge.
        share: of the readings that it holds.
    """

    kind: str
    low: NDArray[np.float64]
    size_m: float
    share: float

    @property
    def T_scene_viewer(self) -> Matrix:  # noqa: N802
        """(4, 4) the similarity onto the networks' bounds."""
        return region_to_bounds(self.low, self.size_m, SCENE_BOUNDS)


def draw_region(rng: np.random.Generator, sight: Sight, top_m: float | None) -> Region:
    """The default region, one of another size around the readings, or the top of a table.

    Args:
        rng: source of chance.
        sight: what the camera sees.
        top_m: height of the surface that a close-up looks at, None for other views.
    """
    lift = float(rng.uniform(*LIFTS_M))
    usual = default_region(sight, lift)
    chance = DEFAULT_SHARE if top_m is None else CLOSE_DEFAULT_SHARE
    things = sight.points[sight.things >= 0]
    useful = usual.share >= ENOUGH and _share(things, usual.low, usual.size_m) >= ENOUGH
    if rng.random() < chance and useful:
        return usual
    if top_m is not None and rng.random() < 0.7:
        size = float(rng.uniform(*CLOSE_SIZES_M))
        middle = (
            np.median(sight.points[sight.on_surface], axis=0)
            if sight.on_surface.any()
            else (np.median(sight.points, axis=0))
        )
        low = middle - size / 2 + rng.normal(0, 0.06, 3) * size
        low[2] = top_m - float(rng.uniform(0.0, 0.12))
        return _region("surface", low, size, sight)
    return _fitted(rng, sight, lift)


def default_region(sight: Sight, lift_m: float) -> Region:
    """The region of the published scenes."""
    size = 2 / DEFAULT_SCENE_SCALE
    ahead = (SCENE_BOUNDS[0, 0] - CAMERA_X) / DEFAULT_SCENE_SCALE
    return _region("default", np.array([ahead, -size / 2, -lift_m]), size, sight)


def _fitted(rng: np.random.Generator, sight: Sight, lift_m: float) -> Region:
    """A region of random size, larger until it holds most of the readings."""
    size = float(np.exp(rng.uniform(*np.log(SIZES_M))))
    shift = rng.normal(0, 0.06, 2)
    while True:
        low = np.array([*(_best(sight.points[:, :2], size) + shift * size), -lift_m])
        region = _region("fitted", low, size, sight)
        if region.share >= GOAL or size >= SIZES_M[1]:
            return region
        size = min(1.15 * size, SIZES_M[1])


def _best(points: NDArray, size: float) -> NDArray[np.float64]:
    """Lower corner (2,) of a square that holds many of the points: the fullest span per axis."""
    corner = np.zeros(2)
    for axis in (0, 1):
        ordered = np.sort(points[:, axis])
        count = np.searchsorted(ordered, ordered + size) - np.arange(len(ordered))
        first = int(count.argmax())
        last = min(first + int(count[first]), len(ordered)) - 1
        corner[axis] = (ordered[first] + ordered[last] - size) / 2
    return corner


def _region(kind: str, low: NDArray, size: float, sight: Sight) -> Region:
    return Region(kind, low, size, _share(sight.points, low, size))


def _share(points: NDArray, low: NDArray, size: float) -> float:
    """Share of points (N, 3) in a cube, with 5 cm of grace below it."""
    if not len(points):
        return 0.0
    return float(((points >= low - (0, 0, 0.05)) & (points <= low + size)).all(axis=1).mean())
