"""One frame and everything already worked out about it: input points, query grids, caches."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core import geometry
from semabs_core.config import QueryConfig, RegionConfig
from semabs_core.relevancy import EmbeddedTiles, OnProgress
from semabs_core.types import FrameError, RGBDFrame
from semabs_core.voxels import dense_grid, tsdf_grid


@dataclass(frozen=True)
class QueryGrid:
    """A dense grid over the bounds and what the camera says about it.

    Attributes:
        points: (R ** 3, 3) float32, scene frame.
        world: (R ** 3, 3) float64, world frame, metres.
        seen: (R ** 3,) bool, inside the frustum (all True where that mask is off).
        open: (R ** 3,) bool, inside the frustum and not seen to be free: what the networks are
            asked.
    """

    points: Tensor
    world: NDArray[np.float64]
    seen: NDArray[np.bool_]
    open: NDArray[np.bool_]


@dataclass
class FrameState:
    """A frame and everything already worked out about it.

    Attributes:
        frame: the RGB-D frame.
        bounds: (2, 3) lower and upper corner of the networks' grid, scene units.
        T_world_scene: (4, 4) similarity, scene frame to world.
        input_xyz: (N, 3) float32, the input points, scene frame.
        pixels: (N,) int64, flat pixel index of each.
        tiles: embedded tiles, once they are there and kept.
        maps: name to (H, W) relevancy, step 5.
        means: words to the mean of their maps.
        volumes: key to volume, most recently used last.
        grids: query grids by (resolution, masks).
        tsdfs: truncated signed distances by shape.
    """

    frame: RGBDFrame
    bounds: NDArray[np.float64]
    T_world_scene: NDArray[np.float64]
    input_xyz: Tensor
    pixels: Tensor
    tiles: list[EmbeddedTiles] | None = None
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    means: dict[tuple[str, ...], NDArray[np.float32]] = field(default_factory=dict)
    volumes: OrderedDict[tuple, Tensor] = field(default_factory=OrderedDict)
    grids: dict[tuple, QueryGrid] = field(default_factory=dict)
    tsdfs: dict[tuple[int, int, int], NDArray[np.float32]] = field(default_factory=dict)

    def grid(self, options: QueryConfig) -> QueryGrid:
        """The query grid of a task with its masks, made once."""
        masks = (options.mask_frustum, options.mask_free_space, options.free_space_margin_m)
        key = (options.resolution, *masks)
        if key not in self.grids:
            self.grids[key] = self._make_grid(options)
        return self.grids[key]

    def _make_grid(self, options: QueryConfig) -> QueryGrid:
        frame = self.frame
        view = (frame.camera, frame.T_world_camera)
        points = dense_grid(self.bounds, options.resolution)
        world = geometry.transform_points(self.T_world_scene, points.astype(np.float64))
        seen = np.ones(len(points), dtype=bool)
        if options.mask_frustum:
            seen = geometry.in_frustum(world, *view)
        is_open = seen.copy()
        if options.mask_free_space:
            margin = options.free_space_margin_m
            is_open &= ~geometry.seen_free(world, frame.depth_m, *view, margin)
        return QueryGrid(torch.from_numpy(points), world, seen, is_open)

    def tsdf(self, shape: tuple[int, int, int]) -> NDArray[np.float32]:
        """The truncated signed distance (X, Y, Z) at the cells of a virtual grid, made once."""
        if shape not in self.tsdfs:
            T_scene_camera = geometry.invert(self.T_world_scene) @ self.frame.T_world_camera
            view = (self.frame.depth_m, self.frame.camera, T_scene_camera)
            self.tsdfs[shape] = tsdf_grid(self.bounds, shape, *view)
        return self.tsdfs[shape]

    def grid_frame(self, resolution: int) -> tuple[float, NDArray[np.float64]]:
        """Voxel size in metres and the rigid ``T_world_grid`` of a dense grid."""
        scale = float(np.linalg.norm(self.T_world_scene[:3, 0]))
        spacing = float((self.bounds[1] - self.bounds[0])[0]) / (resolution - 1)
        T = np.eye(4)
        T[:3, :3] = self.T_world_scene[:3, :3] / scale
        corner = self.bounds[0] - spacing / 2
        T[:3, 3] = geometry.transform_points(self.T_world_scene, corner)
        return spacing * scale, T

    def remember(self, key: tuple, volume: Tensor, budget: int) -> None:
        """Keep a volume; the least recently used ones go beyond ``budget`` bytes."""
        self.volumes[key] = volume
        sizes = [v.numel() * v.element_size() for v in self.volumes.values()]
        while self.volumes and sum(sizes) > budget:
            self.volumes.popitem(last=False)
            sizes.pop(0)


def world_from_scene(
    frame: RGBDFrame, region: RegionConfig, bounds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(4, 4) similarity from the scene frame of the networks to the world."""
    T_world_viewer = geometry.viewer_frame(frame.T_world_camera, region.floor_z_m)
    T_scene_viewer = geometry.region_to_bounds(
        np.array(region.region_min_m), region.region_size_m, bounds
    )
    return T_world_viewer @ geometry.invert(T_scene_viewer)


def make_frame_state(
    frame: RGBDFrame,
    region: RegionConfig,
    bounds: NDArray[np.float64],
    limit: int,
    seed: int,
    device: torch.device,
) -> FrameState:
    """A frame with its input points.

    Args:
        frame: the frame.
        region: what of it is completed.
        bounds: (2, 3) of the networks, scene units.
        limit: at most so many input points, drawn without replacement.
        seed: of that choice.
        device: where the points go.

    Raises:
        FrameError: if no depth reading falls into the region.
    """
    valid = geometry.valid_depth(frame.depth_m)
    if not valid.any():
        raise FrameError(
            "the depth image has no valid reading (all NaN, 0 or infinite): check the sensor, "
            "and that the depth encoding is metres (32FC1) or millimetres (16UC1)"
        )
    T_world_scene = world_from_scene(frame, region, bounds)
    T_scene_world = geometry.invert(T_world_scene)
    camera_points = geometry.back_project(frame.depth_m, frame.K)[valid]
    points = geometry.transform_points(T_scene_world @ frame.T_world_camera, camera_points)
    margin = region.input_margin_m * float(np.linalg.norm(T_scene_world[:3, 0]))
    inside = geometry.in_bounds(points, bounds, margin)
    if not inside.any():
        raise FrameError(
            "no depth reading falls into the region of interest "
            f"(region_min_m {region.region_min_m}, region_size_m {region.region_size_m:.3g}, "
            f"floor_z_m {region.floor_z_m:g}, in the viewer frame): check the camera's pose in "
            "the world frame, or move the region to where the camera looks"
        )
    # What lies in the margin goes to the border, as the networks' own grid would have it.
    points, pixels = points[inside].clip(*bounds), np.flatnonzero(valid)[inside]
    if len(points) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), limit, replace=False))
        points, pixels = points[chosen], pixels[chosen]
    return FrameState(
        frame=frame,
        bounds=bounds,
        T_world_scene=T_world_scene,
        input_xyz=torch.from_numpy(points.astype(np.float32)).to(device),
        pixels=torch.from_numpy(pixels),
    )


class Stopwatch:
    """Seconds per stage, and the caller's chance to follow or stop."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.timings_s: dict[str, float] = {}
        self._on_progress = on_progress

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; repeated stages add up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.timings_s[name] = self.timings_s.get(name, 0.0) + spent

    def report(self, stage: str, fraction: float) -> None:
        """Tell the caller; what it raises ends the request and leaves the caches whole."""
        if self._on_progress:
            self._on_progress(stage, fraction)
