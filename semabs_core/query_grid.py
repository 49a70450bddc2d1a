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

BEHIND = 0.25
"""How far behind a seen surface networks are asked, in voxels, so that noise leaves it inside."""
SLAB = 2**18
"""So many points are looked at together when the camera's view of a grid is worked out."""


@dataclass(frozen=True)
class QueryGrid:
    """A dense grid over the bounds and what the camera says about it.

    Voxels go by their flat index, z runs fastest. Their points are worked out where they are
    needed: for a fine grid they alone would fill the memory. A voxel that holds depth readings is
    asked for where they are, a little behind the surface: its middle may lie before it, in the
    open, and a surface that is seen must not get lost between two voxels.

    Attributes:
        axes: (3, R) float32, coordinates along x, y and z, scene frame.
        T_world_scene: (4, 4) similarity, scene frame to world.
        seen: (R ** 3,) bool, inside the frustum (all True where that mask is off).
        open: (M,) int32, ascending indices of the voxels inside the frustum and not seen to be
            free: what the networks are asked.
        surface: (S,) int64, ascending indices of the voxels that hold readings.
        surface_xyz: (S, 3) float32, where these are asked, scene frame.
    """

    axes: Tensor
    T_world_scene: NDArray[np.float64]
    seen: NDArray[np.bool_]
    open: NDArray[np.int32]
    surface: Tensor
    surface_xyz: Tensor

    def points(self, index: Tensor) -> Tensor:
        """Where voxels (m,) are asked: (m, 3) float32, scene frame, on the index's device."""
        device, index = index.device, index.long()
        points = grid_points(self.axes.to(device), index)
        if len(self.surface):
            surface = self.surface.to(device)
            place = torch.searchsorted(surface, index).clamp_max(len(surface) - 1)
            there = surface[place] == index
            points[there] = self.surface_xyz.to(device)[place[there]]
        return points

    def world(self, index: NDArray[np.integer]) -> NDArray[np.float64]:
        """(m, 3) float64 middles of voxels (m,) in the world frame, metres."""
        points = grid_points(self.axes, torch.from_numpy(index).long()).numpy().astype(np.float64)
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
    surface, surface_xyz = surface_voxels(frame, axes, T_scene_camera)
    return QueryGrid(axes, T_world_scene, seen, np.concatenate(parts), surface, surface_xyz)


def surface_voxels(
    frame: RGBDFrame, axes: Tensor, T_scene_camera: NDArray[np.float64]
) -> tuple[Tensor, Tensor]:
    """The voxels that hold depth readings, and the mean of each one's, moved behind the surface.

    Args:
        frame: the depth readings.
        axes: (3, R) float32 of the grid.
        T_scene_camera: (4, 4) similarity, camera metres to scene units.

    Returns:
        (S,) int64 ascending flat indices; (S, 3) float32 points, scene frame, inside the voxel.
    """
    resolution = axes.shape[1]
    lower, spacing = axes[:, 0].numpy().astype(np.float64), float(axes[0, 1] - axes[0, 0])
    readings = geometry.back_project(frame.depth_m, frame.K)[geometry.valid_depth(frame.depth_m)]
    points = geometry.transform_points(T_scene_camera, readings)
    cell = np.floor((points - lower) / spacing + 0.5).astype(np.int64)
    inside = ((cell >= 0) & (cell < resolution)).all(axis=1)
    flat = (cell[inside] * np.array([resolution**2, resolution, 1])).sum(axis=1)
    surface, which, counts = np.unique(flat, return_inverse=True, return_counts=True)
    mean = np.stack(
        [np.bincount(which, weights=points[inside, axis]) / counts for axis in range(3)], axis=1
    )
    rays = mean - T_scene_camera[:3, 3]
    rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-9)
    middle = lower + spacing * np.stack(np.unravel_index(surface, (resolution,) * 3), axis=1)
    half = spacing / 2
    moved = (mean + BEHIND * spacing * rays).clip(middle - half, middle + half)
    return torch.from_numpy(surface), torch.from_numpy(moved.astype(np.float32))
