"""One frame and everything already worked out about it: input points, query grids, caches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core import geometry
from semabs_core.config import QueryConfig, RegionConfig, SemabsConfig
from semabs_core.embedded_tiles import EmbeddedTiles
from semabs_core.evidence import Weigher
from semabs_core.given_relevancy import GivenRelevancy
from semabs_core.image_points import maps_at, points_of_image
from semabs_core.lru import LruCache
from semabs_core.networks import SpatialNetwork
from semabs_core.query_grid import GridViews, QueryGrid, make_query_grid
from semabs_core.refinement import Refiner
from semabs_core.relevancy import OnProgress
from semabs_core.types import FrameError, Region, RGBDFrame
from semabs_core.voxels import Cells, tsdf_grid

MIB = 2**20
GIVEN = ("given relevancy",)
"""Stands for the words of a context that comes from elsewhere."""


@dataclass
class FrameState:
    """A frame and everything already worked out about it.

    What grows with what is asked, maps, weighers and volumes, has a budget of memory each. Grids
    and distance fields are as many as there are tasks: other options drop the grids.

    Attributes:
        frame: the RGB-D frame.
        bounds: (2, 3) lower and upper corner of the networks' grid, scene units.
        T_world_scene: (4, 4) similarity, scene frame to world.
        T_scene_camera: (4, 4) similarity, camera metres to scene units.
        margin: how far outside the bounds readings count, scene units.
        turns: quarter turns (``np.rot90``) after which the picture is upright.
        readings: (V, 3) float32, all valid depth readings, scene frame.
        input_xyz: (N, 3) float32, the input points, scene frame.
        pixels: (N,) int64, flat pixel index of each.
        image_points: (N, 2) float32, where they are in the picture, which spans -1..1.
        maps: relevancy (H, W) by name, step 5, as the picture lies; the mean map by its words.
        volumes: volumes by task, name and, where those of a request are weighed against each
            other, its words.
        tiles: embedded tiles of the upright picture, once they are there and kept.
        image_features: per scale, (n, D) of those tiles, once they were asked for.
        tile_weights: how much each of those tiles counts in maps, once it was asked for.
        grids: query grids by (resolution, masks).
        tsdfs: truncated signed distances by shape, on the device of the input points.
        cell_lists: which cells of a network's grid the input points are in, by its shape.
        given: relevancy that comes from elsewhere, where there is any.
        weighers: what weighs words, by (the words of its context, whether maps are refined).
        refiner: spreads maps along the edges of the frame's colour and depth.
        views: what cameras have of grids, from frame to frame.
    """

    frame: RGBDFrame
    bounds: NDArray[np.float64]
    T_world_scene: NDArray[np.float64]
    T_scene_camera: NDArray[np.float64]
    margin: float
    turns: int
    readings: NDArray[np.float32]
    input_xyz: Tensor
    pixels: Tensor
    image_points: NDArray[np.float32]
    maps: LruCache[str | tuple[str, ...], NDArray[np.float32]]
    volumes: LruCache[tuple, Tensor]
    weighers: LruCache[tuple, Weigher]
    refiner: Refiner
    tiles: list[EmbeddedTiles] | None = None
    image_features: list[Tensor] | None = None
    tile_weights: NDArray[np.float32] | None = None
    grids: dict[tuple, QueryGrid] = field(default_factory=dict)
    tsdfs: dict[tuple[int, int, int], Tensor] = field(default_factory=dict)
    cell_lists: dict[tuple[int, int, int], Cells] = field(default_factory=dict)
    given: GivenRelevancy | None = None
    views: GridViews = field(default_factory=GridViews)

    def grid(self, options: QueryConfig) -> QueryGrid:
        """The query grid of a task with its masks, made once."""
        masks = (options.mask_frustum, options.mask_free_space, options.free_space_margin_m)
        key = (options.resolution, *masks)
        if key not in self.grids:
            place = (self.T_world_scene, self.T_scene_camera, self.margin)
            seen = (self.frame, self.readings, self.bounds)
            self.grids[key] = make_query_grid(*seen, *place, options, self.views)
        return self.grids[key]

    def cells(self, network: SpatialNetwork) -> Cells:
        """Which cells of a network's grid the input points are in, worked out once."""
        shape = network.config.voxel_shape
        if shape not in self.cell_lists:
            self.cell_lists[shape] = network.cells(self.input_xyz)
        return self.cell_lists[shape]

    def tsdf(self, shape: tuple[int, int, int]) -> Tensor:
        """The truncated signed distance (X, Y, Z) at the cells of a virtual grid, made once."""
        if shape not in self.tsdfs:
            view = (self.frame.depth_m, self.frame.camera, self.T_scene_camera)
            found = torch.from_numpy(tsdf_grid(self.bounds, shape, *view))
            self.tsdfs[shape] = found.to(self.input_xyz.device)
        return self.tsdfs[shape]

    def make_room(self) -> None:
        """Let go of what lies on a GPU and can be made again."""
        self.tiles = None
        self.volumes.clear()

    def take_picture(self, other: FrameState) -> None:
        """Take over what another state knows of the same picture, whatever its region is."""
        self.tiles, self.image_features, self.maps = other.tiles, other.image_features, other.maps
        self.given, self.weighers, self.refiner = other.given, other.weighers, other.refiner
        self.tile_weights = other.tile_weights

    def give(self, given: GivenRelevancy | None) -> None:
        """Take over relevancy from elsewhere, in the place of what was given before."""
        self.given = given
        self.volumes.clear()
        for refined in (False, True):
            self.weighers.drop((GIVEN, refined))

    def at_points(self, maps: Tensor) -> Tensor:
        """Values (K, N) of maps (K, h, w) of the picture, of any size, at the input points."""
        if maps.shape[1:] == self.frame.depth_m.shape:
            return maps.flatten(1)[:, self.pixels]
        return maps_at(maps.numpy(), self.image_points)

    def grid_frame(self, resolution: int) -> tuple[float, NDArray[np.float64]]:
        """Voxel size in metres and the rigid ``T_world_grid`` of a dense grid."""
        scale = float(np.linalg.norm(self.T_world_scene[:3, 0]))
        spacing = float((self.bounds[1] - self.bounds[0])[0]) / (resolution - 1)
        T = np.eye(4)
        T[:3, :3] = self.T_world_scene[:3, :3] / scale
        corner = self.bounds[0] - spacing / 2
        T[:3, 3] = geometry.transform_points(self.T_world_scene, corner)
        return spacing * scale, T


def world_from_scene(
    frame: RGBDFrame, region: RegionConfig, bounds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(4, 4) similarity from the scene frame of the networks to the world."""
    T_world_viewer = geometry.viewer_frame(frame.T_world_camera, region.floor_z_m)
    T_scene_viewer = geometry.region_to_bounds(
        np.array(region.region_min_m), region.region_size_m, bounds
    )
    return T_world_viewer @ geometry.invert(T_scene_viewer)


def region_of(frame: RGBDFrame, region: RegionConfig) -> Region:
    """The cube of a config before the camera of a frame."""
    corner = np.eye(4)
    corner[:3, 3] = region.region_min_m
    T_world_viewer = geometry.viewer_frame(frame.T_world_camera, region.floor_z_m)
    return Region(T_world_viewer @ corner, region.region_size_m)


def make_frame_state(
    frame: RGBDFrame, config: SemabsConfig, bounds: NDArray[np.float64], device: torch.device
) -> FrameState:
    """A frame with its input points.

    Args:
        frame: the frame.
        config: the region, how many input points are drawn and by which seed, and the memory.
        bounds: (2, 3) of the networks, scene units.
        device: where the points go.

    Raises:
        FrameError: if no depth reading falls into the region.
    """
    T_world_scene = world_from_scene(frame, config.region, bounds)
    T_scene_camera = geometry.invert(T_world_scene) @ frame.T_world_camera
    scale = float(np.linalg.norm(T_scene_camera[:3, 0]))
    margin = config.region.input_margin_m * scale
    readings, pixels = geometry.readings(frame.depth_m, frame.K, T_scene_camera)
    inside = in_region(frame, config.region, bounds, readings, margin)
    limit = config.num_input_points
    if len(inside) > limit:
        rng = np.random.default_rng(config.seed)
        inside = inside[np.sort(rng.choice(len(inside), limit, replace=False))]
    # Those in the margin are moved to the border, as the networks' own grid would have it.
    points = readings[inside].clip(*bounds.astype(np.float32))
    return FrameState(
        frame=frame,
        bounds=bounds,
        T_world_scene=T_world_scene,
        T_scene_camera=T_scene_camera,
        margin=margin,
        turns=geometry.turns_upright(frame.T_world_camera),
        readings=readings,
        input_xyz=torch.from_numpy(points).to(device),
        pixels=torch.from_numpy(pixels[inside]),
        image_points=points_of_image(pixels[inside], frame.depth_m.shape),
        maps=LruCache(config.map_cache_mb * MIB),
        volumes=LruCache(config.volume_cache_mb * MIB),
        weighers=LruCache(config.map_cache_mb * MIB),
        refiner=Refiner(frame.rgb, frame.depth_m),
    )


def in_region(
    frame: RGBDFrame,
    region: RegionConfig,
    bounds: NDArray[np.float64],
    points: NDArray[np.float32],
    margin: float,
) -> NDArray[np.intp]:
    """Which readings (N, 3), scene frame, lie in the region or its margin.

    Raises:
        FrameError: if there is none.
    """
    if not len(points):
        raise FrameError(
            "the depth image has no valid reading (all NaN, 0 or infinite): check the sensor, "
            "and that the depth encoding is metres (32FC1) or millimetres (16UC1)"
        )
    lower, upper = (bounds + [[-margin], [margin]]).astype(np.float32)
    inside = np.ones(len(points), dtype=bool)
    for along, low, high in zip(points.T, lower, upper, strict=True):
        inside &= (along >= low) & (along <= high)
    if not inside.any():
        x, y, z = region.region_min_m
        depth = frame.depth_m[geometry.valid_depth(frame.depth_m)]
        raise FrameError(
            "no depth reading falls into the region of interest "
            f"(region_min_m {x:g}, {y:g}, {z:g}, region_size_m {region.region_size_m:.3g}, "
            f"floor_z_m {region.floor_z_m:g}, in the viewer frame; half of the readings are "
            f"farther than {np.median(depth):.3g} m): check the camera's pose in "
            "the world frame and the unit of the depth, or move the region to where the camera "
            "looks"
        )
    return np.flatnonzero(inside)


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
