"""The dense grid that networks are asked on, in memory of a few bytes per voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core import geometry
from semabs_core.config import QueryConfig
from semabs_core.types import RGBDFrame
from semabs_core.voxels import grid_axes, grid_points

SLAB = 2**18
"""So many points are looked at together when the camera's view of a grid is worked out."""


@dataclass(frozen=True)
class QueryGrid:
    """A dense grid over the bounds and what the camera says about it.

    Voxels go by their flat index, z runs fastest. Their points are worked out where they are
    needed: for a fine grid they alone would fill the memory.

    Attributes:
        axes: (3, R) float32, coordinates along x, y and z, scene frame.
        T_world_scene: (4, 4) similarity, scene frame to world.
        seen: (R ** 3,) bool, inside the frustum (all True where that mask is off).
        open: (M,) int32, ascending indices of the voxels inside the frustum and not seen to be
            free: what the networks are asked.
    """

    axes: Tensor
    T_world_scene: NDArray[np.float64]
    seen: NDArray[np.bool_]
    open: NDArray[np.int32]

    def points(self, index: Tensor) -> Tensor:
        """(m, 3) float32 points of voxels (m,) in the scene frame, on the device of the index."""
        return grid_points(self.axes.to(index.device), index.long())

    def world(self, index: NDArray[np.integer]) -> NDArray[np.float64]:
        """(m, 3) float64 points of voxels (m,) in the world frame, metres."""
        points = self.points(torch.from_numpy(index)).numpy().astype(np.float64)
        return geometry.transform_points(self.T_world_scene, points)


def make_query_grid(
    frame: RGBDFrame,
    bounds: NDArray[np.float64],
    T_world_scene: NDArray[np.float64],
    T_scene_camera: NDArray[np.float64],
    margin: float,
    options: QueryConfig,
) -> QueryGrid:
    """The query grid of a task with its masks.

    Args:
        frame: whose camera rules voxels out.
        bounds: (2, 3) lower and upper corner, scene frame.
        T_world_scene: (4, 4) similarity.
        T_scene_camera: (4, 4) similarity, camera metres to scene units.
        margin: how far below the bounds readings count, scene units. The lowest voxels stand for
            it: where the camera did not look through it too, they are not free.
        options: resolution and masks.
    """
    axes = torch.from_numpy(np.stack(grid_axes(bounds, options.resolution)))
    count = options.resolution**3
    seen = np.ones(count, dtype=bool)
    view = (frame.depth_m, frame.camera, T_scene_camera, options.free_space_margin_m)
    parts = []
    for start in range(0, count, SLAB):
        index = torch.arange(start, min(start + SLAB, count))
        points = grid_points(axes, index).numpy().astype(np.float64)
        in_view = geometry.in_frustum(points, frame.camera, T_scene_camera)
        if options.mask_frustum:
            seen[start : start + SLAB] = in_view
        is_open = seen[start : start + SLAB].copy()
        if options.mask_free_space:
            free = np.flatnonzero(in_view)
            free = free[geometry.seen_free(points[free], *view)]
            lowest = index.numpy()[free] % options.resolution == 0
            below = points[free[lowest]] - [0, 0, margin]
            is_open[free[~lowest]] = False
            is_open[free[lowest]] = ~geometry.seen_free(below, *view)
        parts.append(np.flatnonzero(is_open).astype(np.int32) + np.int32(start))
    return QueryGrid(axes, T_world_scene, seen, np.concatenate(parts))
