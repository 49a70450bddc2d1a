"""The dense grid that networks are asked on, in memory of a few bytes per voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from semabs_core import geometry
from semabs_core.config import QueryConfig
from semabs_core.types import Camera, RGBDFrame
from semabs_core.voxels import grid_axes, grid_points

Matrix = NDArray[np.float64]

BEHIND = 0.25
"""How far behind a seen surface networks are asked, in voxels, so that noise leaves it inside."""
VIEWS_KEPT = 2
"""One per task."""
SAME = 1e-6
"""By so much a transform's numbers differ by rounding: a thousandth of a fine voxel."""


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
        open: (M,) int32, ascending indices of the voxels inside the frustum that hold readings or
            were not seen to be free: what the networks are asked.
        surface: (S,) int64, ascending, which of the M hold readings.
        surface_xyz: (S, 3) float32, where these are asked, scene frame.
    """

    axes: Tensor
    T_world_scene: NDArray[np.float64]
    seen: NDArray[np.bool_]
    open: NDArray[np.int32]
    surface: NDArray[np.int64]
    surface_xyz: NDArray[np.float32]

    def world(self, index: NDArray[np.integer]) -> NDArray[np.float64]:
        """(m, 3) float64 middles of voxels (m,) in the world frame, metres."""
        points = grid_points(self.axes, torch.from_numpy(index)).numpy().astype(np.float64)
        return geometry.transform_points(self.T_world_scene, points)


@dataclass(frozen=True)
class GridView:
    """What a camera has of a dense grid, whatever it sees there: kept from frame to frame.

    Attributes:
        axes: (3, R) float32, coordinates along x, y and z, scene frame.
        seen: (R ** 3,) bool, inside the frustum.
        in_view: (V,) int32, ascending indices of the voxels inside the frustum.
        pixel: (V,) int32, flat pixel index of each.
        depth_m: (V,) float32, of their middles along the optical axis.
        lowest: (B,) int32, which of the V are the lowest of the grid.
        below_pixel: (B,) int32, the pixel of the point the margin below each; -1 out of view.
        below_depth_m: (B,) float32, the depth of that point.
    """

    axes: Tensor
    seen: NDArray[np.bool_]
    in_view: NDArray[np.int32]
    pixel: NDArray[np.int32]
    depth_m: NDArray[np.float32]
    lowest: NDArray[np.int32]
    below_pixel: NDArray[np.int32]
    below_depth_m: NDArray[np.float32]


class GridViews:
    """The views of the last few cameras, regions and resolutions.

    A robot's camera keeps its place in the viewer's frame while the robot drives, but for rounding.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[tuple, Matrix, GridView]] = []

    def get(
        self,
        camera: Camera,
        bounds: NDArray[np.float64],
        T_scene_camera: Matrix,
        margin: float,
        resolution: int,
    ) -> GridView:
        """The view of a grid; see :func:`make_query_grid`."""
        size = (camera.width, camera.height, resolution, round(margin, 9))
        key = (*size, camera.K.tobytes(), bounds.tobytes())
        for number, (known, T, view) in enumerate(self._kept):
            if known == key and np.abs(T - T_scene_camera).max() < SAME:
                self._kept.insert(0, self._kept.pop(number))
                return view
        del self._kept[VIEWS_KEPT - 1 :]  # before the next is made, which may be large
        view = view_of_grid(camera, bounds, T_scene_camera, margin, resolution)
        self._kept.insert(0, (key, T_scene_camera, view))
        return view


def view_of_grid(
    camera: Camera,
    bounds: NDArray[np.float64],
    T_scene_camera: Matrix,
    margin: float,
    resolution: int,
) -> GridView:
    """What a camera has of a grid; see :func:`make_query_grid`."""
    along = grid_axes(bounds, resolution)
    axes = torch.from_numpy(np.stack(along))
    parts = []
    for number, (pixel, z) in enumerate(geometry.pixels_of_grid(along, camera, T_scene_camera)):
        there = np.flatnonzero(pixel >= 0)
        voxel = (there + number * resolution**2).astype(np.int32)
        parts.append((voxel, pixel[there], z[there].astype(np.float32)))
    in_view, pixel, depth_m = (np.concatenate(column) for column in zip(*parts, strict=True))
    lowest = np.flatnonzero(in_view % resolution == 0).astype(np.int32)
    index = torch.from_numpy(in_view[lowest]).long()
    below = grid_points(axes, index).numpy().astype(np.float64) - [0, 0, margin]
    below_pixel, below_z = geometry.pixels_of(below, camera, T_scene_camera)
    below_depth_m = below_z.astype(np.float32)
    seen = np.zeros(resolution**3, dtype=bool)
    seen[in_view] = True
    return GridView(axes, seen, in_view, pixel, depth_m, lowest, below_pixel, below_depth_m)


def make_query_grid(
    frame: RGBDFrame,
    readings: NDArray[np.float32],
    bounds: NDArray[np.float64],
    T_world_scene: NDArray[np.float64],
    T_scene_camera: NDArray[np.float64],
    margin: float,
    options: QueryConfig,
    views: GridViews,
) -> QueryGrid:
    """The query grid of a task with its masks.

    Args:
        frame: whose camera rules voxels out.
        readings: (V, 3) float32, its valid depth readings, scene frame.
        bounds: (2, 3) lower and upper corner, scene frame.
        T_world_scene: (4, 4) similarity.
        T_scene_camera: (4, 4) similarity, camera metres to scene units.
        margin: how far below the bounds readings count, scene units. The lowest voxels stand for
            it: where the camera did not look through it too, they are not free.
        options: resolution and masks.
        views: what cameras have of grids.
    """
    resolution = options.resolution
    view = views.get(frame.camera, bounds, T_scene_camera, margin, resolution)
    held, held_xyz = surface_voxels(readings, view.axes, T_scene_camera)
    free = np.zeros(len(view.in_view), dtype=bool)
    if options.mask_free_space:
        free = free_voxels(view, frame.depth_m, held, options.free_space_margin_m)
    if options.mask_frustum:
        seen, found = view.seen, view.in_view[~free]
    else:
        seen = np.ones(resolution**3, dtype=bool)
        is_open = seen.copy()
        is_open[view.in_view] = ~free
        found = np.flatnonzero(is_open).astype(np.int32)
    place, there = find_sorted(found, held)
    return QueryGrid(view.axes, T_world_scene, seen, found, place, held_xyz[there])


def free_voxels(
    view: GridView, depth_m: NDArray[np.float32], held: NDArray[np.int32], margin_m: float
) -> NDArray[np.bool_]:
    """Which voxels in view the camera looked through: those whose middles it did, as a rule.

    None that holds a reading: of a thing thinner than a voxel the middle may lie beside it, where
    the camera sees what is behind.

    Args:
        view: V voxels in view.
        depth_m: (H, W) float32, metres.
        held: (S,) int32 ascending indices of the voxels that hold readings.
        margin_m: how much nearer than the reading a middle must be, metres.

    Returns:
        (V,) bool; False where the pixel has no reading.
    """
    # Where there is no reading, nothing is nearer than it.
    limit = np.where(geometry.valid_depth(depth_m), depth_m, -np.inf).ravel()
    limit = (limit - margin_m).astype(np.float32)
    limits = torch.from_numpy(limit).index_select(0, torch.from_numpy(view.pixel))
    free = view.depth_m < limits.numpy()
    below = (view.below_pixel >= 0) & (view.below_depth_m < limit[view.below_pixel])
    free[view.lowest] &= below
    free[find_sorted(view.in_view, held)[0]] = False
    return free


def find_sorted(
    there: NDArray[np.integer], wanted: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where ascending numbers (n,) are among other ascending ones, and which (n,) are at all."""
    place = np.searchsorted(there, wanted)
    found = place < len(there)
    found[found] = there[place[found]] == wanted[found]
    return place[found], found


def voxel_numbers(
    points: NDArray[np.float32], axes: Tensor
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The voxel of a grid that each point is in.

    Args:
        points: (N, 3) float32, scene frame.
        axes: (3, R) float32 of the grid, the middles of its voxels.

    Returns:
        (n,) flat indices of the n points inside the grid; (N,) which these are.
    """
    resolution = axes.shape[1]
    flat = np.zeros(len(points), dtype=np.int32)
    inside = np.ones(len(points), dtype=bool)
    for along, (first, second) in zip(points.T, axes[:, :2].tolist(), strict=True):
        spacing = second - first
        cell = (along - np.float32(first - spacing / 2)) * np.float32(1 / spacing)
        inside &= (cell >= 0) & (cell < resolution)
        with np.errstate(invalid="ignore"):  # what is far outside
            flat = flat * np.int32(resolution) + cell.astype(np.int32)
    return flat[inside], inside


def piece_of(flat: NDArray[np.integer], start: int, resolution: int) -> NDArray[np.bool_]:
    """Which voxels hang together with one of them, over gaps of two voxels at most.

    Args:
        flat: (n,) flat indices of voxels of a grid.
        start: which of the n.
        resolution: voxels per axis of the grid.
    """
    voxels = np.stack(np.unravel_index(flat, (resolution,) * 3), axis=-1)
    voxels -= voxels.min(axis=0) - 1
    near = np.zeros(voxels.max(axis=0) + 2, dtype=np.bool_)
    near[tuple(voxels.T)] = True
    pieces, _ = ndimage.label(ndimage.binary_dilation(near, np.ones((3, 3, 3))))
    of_each = pieces[tuple(voxels.T)]
    return of_each == of_each[start]


def surface_voxels(
    readings: NDArray[np.float32], axes: Tensor, T_scene_camera: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The voxels that hold depth readings, and the mean of each one's, moved behind the surface.

    Args:
        readings: (V, 3) float32, scene frame.
        axes: (3, R) float32 of the grid.
        T_scene_camera: (4, 4) similarity, camera metres to scene units.

    Returns:
        (S,) int32 ascending flat indices; (S, 3) float32 points, scene frame, inside the voxel.
    """
    resolution = axes.shape[1]
    lower, spacing = axes[:, 0].numpy().astype(np.float64), float(axes[0, 1] - axes[0, 0])
    flat, inside = voxel_numbers(readings, axes)
    order = np.argsort(flat)
    flat = flat[order]
    first = np.flatnonzero(np.diff(flat, prepend=-1))
    surface, counts = flat[first], np.diff(first, append=len(flat))
    sorted_by_voxel = np.flatnonzero(inside)[order]
    columns = (along[sorted_by_voxel] for along in readings.T)
    sums = [np.add.reduceat(along, first, dtype=np.float64) for along in columns]
    mean = np.stack(sums, axis=1) / counts[:, None]
    rays = mean - T_scene_camera[:3, 3]
    rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-9)
    middle = lower + spacing * np.stack(np.unravel_index(surface, (resolution,) * 3), axis=1)
    half = spacing / 2
    moved = (mean + BEHIND * spacing * rays).clip(middle - half, middle + half)
    return surface, moved.astype(np.float32)
