"""``SceneUnderstanding``: a frame once, completions and localizations many times.

The pipeline owns the similarity between the world (metres) and the scene frame of the networks.
"""

from __future__ import annotations

import functools
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core import geometry
from semabs_core.checkpoint import load_network
from semabs_core.config import (
    MEAN_VOCABULARY,
    UNTRAINED,
    CompletionConfig,
    ConfigError,
    LocalizationConfig,
    SemabsConfig,
    choose_device,
    choose_dtype,
    load_config,
)
from semabs_core.description import Description, make_description, noun_phrase
from semabs_core.encoder import ImageTextEncoder, load_encoder
from semabs_core.networks import (
    CompletionNetwork,
    LocalizationNetwork,
    NetworkConfig,
    SpatialNetwork,
    build_network,
)
from semabs_core.relevancy import EmbeddedTiles, OnProgress, RelevancyExtractor
from semabs_core.types import (
    FREE,
    MAX_CLASSES,
    UNKNOWN,
    Completion,
    FrameError,
    Localization,
    RGBDFrame,
)
from semabs_core.voxels import dense_grid

RELEVANCY_GAIN = 50.0
"""Step 7 of relevancy: brings mean-subtracted maps to values around +-1."""


@dataclass
class FrameState:
    """A frame and everything already worked out about it.

    Attributes:
        frame: the RGB-D frame.
        T_world_scene: (4, 4) similarity, scene frame to world.
        input_xyz: (N, 3) float32, the input points, scene frame.
        pixels: (N,) int64, flat pixel index of each.
        tiles: embedded tiles, once they are there and kept.
        maps: name to (H, W) relevancy, step 5.
        means: words to the mean of their maps.
        volumes: key to volume, most recently used last.
        grids: query grids by (resolution, masks).
    """

    frame: RGBDFrame
    T_world_scene: NDArray[np.float64]
    input_xyz: Tensor
    pixels: Tensor
    tiles: list[EmbeddedTiles] | None = None
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    means: dict[tuple[str, ...], NDArray[np.float32]] = field(default_factory=dict)
    volumes: OrderedDict[tuple, Tensor] = field(default_factory=OrderedDict)
    grids: dict[tuple, QueryGrid] = field(default_factory=dict)


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


class SceneUnderstanding:
    """Where things are in an RGB-D frame, for any words.

    Relevancy and volumes are cached per frame and name, which is sound because the mean map is that
    of a fixed vocabulary. Not thread-safe: one thread owns it.

    Args:
        config: all options.
        encoder: the vision-language model.
        completion: a completion network.
        localization: a localization network.
    """

    def __init__(
        self,
        config: SemabsConfig,
        encoder: ImageTextEncoder,
        completion: CompletionNetwork,
        localization: LocalizationNetwork,
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.completion = completion
        self.localization = localization
        self.mean_vocabulary = _mean_vocabulary(config, (completion, localization))
        self.bounds = _common_bounds(completion, localization)
        _check_text_width(encoder, (completion, localization))
        relevancy = config.relevancy
        self.extractor = RelevancyExtractor(
            encoder,
            relevancy.preset,
            relevancy.tiling,
            relevancy.augmentations,
            config.seed,
            relevancy.rollout_layers,
            relevancy.tile_batch,
        )
        self._state: FrameState | None = None

    @classmethod
    def from_config(
        cls, config_or_path: SemabsConfig | str | os.PathLike, device: str | None = None
    ) -> SceneUnderstanding:
        """Load everything that a config names.

        Args:
            config_or_path: a config, or the path of its YAML file.
            device: overrides the config's device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            ConfigError: if the config is wrong, or its parts do not fit each other.
            EncoderError, CheckpointError: if a model cannot be loaded.
        """
        config = (
            config_or_path
            if isinstance(config_or_path, SemabsConfig)
            else load_config(config_or_path)
        )
        if device is not None:
            config = replace(config, device=device)
        chosen = choose_device(config.device)
        dtype = choose_dtype(config.encoder.precision, chosen)
        pretrained = config.encoder.pretrained
        if config.encoder.model.startswith("local-dir:"):
            pretrained = None
        encoder = load_encoder(config.encoder.model, pretrained or None, chosen, dtype)
        completion = _load(config.completion.checkpoint, "completion", config, encoder)
        localization = _load(config.localization.checkpoint, "localization", config, encoder)
        assert isinstance(completion, CompletionNetwork)
        assert isinstance(localization, LocalizationNetwork)
        return cls(config, encoder, completion.to(chosen), localization.to(chosen))

    @property
    def untrained(self) -> list[str]:
        """Which of the networks have random weights: their answers mean nothing."""
        checkpoints = {
            "completion": self.config.completion.checkpoint,
            "localization": self.config.localization.checkpoint,
        }
        return [name for name, checkpoint in checkpoints.items() if checkpoint == UNTRAINED]

    def reconfigure(self, config: SemabsConfig) -> None:
        """Take over options that may change while models are loaded (``live``)."""
        region_changed = config.region != self.config.region
        self.config = config
        if self._state is not None:
            self._state.grids.clear()
            if region_changed:
                self.set_frame(self._state.frame)

    @property
    def has_frame(self) -> bool:
        """Whether a frame is set."""
        return self._state is not None

    def set_frame(self, frame: RGBDFrame) -> None:
        """Make a frame the current one; what is known of the last one is forgotten.

        Raises:
            FrameError: if no depth reading falls into the region.
        """
        T_world_scene = self._world_scene(frame)
        valid = geometry.valid_depth(frame.depth_m)
        if not valid.any():
            raise FrameError(
                "the depth image has no valid reading (all NaN, 0 or infinite): check the sensor, "
                "and that the depth encoding is metres (32FC1) or millimetres (16UC1)"
            )
        camera_points = geometry.back_project(frame.depth_m, frame.K)[valid]
        T_scene_camera = geometry.invert(T_world_scene) @ frame.T_world_camera
        points = geometry.transform_points(T_scene_camera, camera_points)
        inside = ((points >= self.bounds[0]) & (points <= self.bounds[1])).all(axis=1)
        if not inside.any():
            region = self.config.region
            raise FrameError(
                "no depth reading falls into the region of interest "
                f"(region_min_m {region.region_min_m}, region_size_m {region.region_size_m:.3g}, "
                f"floor_z_m {region.floor_z_m:g}, in the viewer frame): check the camera's pose in "
                "the world frame, or move the region to where the camera looks"
            )
        points, pixels = points[inside], np.flatnonzero(valid)[inside]
        limit = self.config.num_input_points
        if len(points) > limit:
            random = np.random.default_rng(self.config.seed)
            chosen = np.sort(random.choice(len(points), limit, replace=False))
            points, pixels = points[chosen], pixels[chosen]
        self._state = FrameState(
            frame=frame,
            T_world_scene=T_world_scene,
            input_xyz=torch.from_numpy(points.astype(np.float32)).to(self._device),
            pixels=torch.from_numpy(pixels),
        )

    def relevancy(
        self, names: Sequence[str], on_progress: OnProgress | None = None
    ) -> NDArray[np.float32]:
        """Relevancy of names in the current frame as the networks read it (step 7).

        Args:
            names: L names.
            on_progress: called between batches; raise from it to stop.

        Returns:
            (L, H, W) float32: mean map subtracted, times 50.
        """
        watch = Stopwatch(on_progress)
        mean = self._mean_map(names, watch)
        maps = self._current().maps
        wanted = np.stack([maps[name] for name in names])
        return np.float32(RELEVANCY_GAIN) * (wanted - mean)

    @torch.no_grad()
    def complete(self, classes: list[str], on_progress: OnProgress | None = None) -> Completion:
        """Label every voxel of the region with one of the classes, hidden parts included.

        Args:
            classes: up to 254 names.
            on_progress: called as ``(stage, fraction)`` between batches; raise from it to stop.

        Raises:
            ValueError: if there is no class, an empty or a repeated one, or no frame.
        """
        state, options = self._current(), self.config.completion
        names = check_classes(classes)
        watch = Stopwatch(on_progress)
        grid = self._grid(state, options)
        if self._reads_saliency(self.completion):
            self._mean_map(names, watch)
        shape = (options.resolution,) * 3
        best = np.full(len(grid.points), -np.inf, dtype=np.float32)
        label = np.zeros(len(grid.points), dtype=np.uint8)
        query = grid.points[torch.from_numpy(grid.open)].to(self._device)
        for i, name in enumerate(names):
            watch.report("completion", i / len(names))
            volume = self._volume(self.completion, name, names, watch)
            text = self._text([name], self.config.relevancy.prompts) if self._aware else None
            with watch.stage("decode"):
                logits = self._decode(
                    query, functools.partial(self._complete_at, volume, text), watch
                )
            better = logits > best[grid.open]
            where = np.flatnonzero(grid.open)[better]
            best[where], label[where] = logits[better], i + 1
        occupied = grid.open & (best >= options.cutoff)
        labels = np.where(occupied, label, np.uint8(FREE))
        labels[~grid.seen] = UNKNOWN
        scores = np.where(grid.open, 1 / (1 + np.exp(-best.astype(np.float64))), 0.0)
        size, T_world_grid = self._grid_frame(state, options.resolution)
        return Completion(
            classes=names,
            labels=labels.reshape(shape).astype(np.uint8),
            scores=scores.reshape(shape).astype(np.float32),
            voxel_size_m=size,
            T_world_grid=T_world_grid,
            timings_s=watch.timings_s,
        )

    @torch.no_grad()
    def localize(
        self,
        target: str,
        relation: str,
        reference: str,
        on_progress: OnProgress | None = None,
    ) -> Localization:
        """Find a described thing, in view or hidden.

        Args:
            target: what to find.
            relation: one of the six relations or a synonym.
            reference: what it is found by.
            on_progress: called as ``(stage, fraction)`` between batches; raise from it to stop.

        Raises:
            DescriptionError: if a part of the description cannot be understood.
            FrameError: if nothing of the region is in view.
        """
        description = make_description(target, relation, reference)
        state, options = self._current(), self.config.localization
        watch = Stopwatch(on_progress)
        grid = self._grid(state, options)
        if not grid.open.any():
            raise FrameError(
                "no voxel of the region is in view and not known to be free: check the region, the "
                "floor's height and the camera's pose"
            )
        names = self._localization_words(description)
        if names:
            self._mean_map(names, watch)
        volumes = {
            key: self._volume(self.localization, name, names, watch)
            for key, name in zip(self.localization.feature_keys, names or ["rgb"], strict=True)
        }
        texts: dict[str, Tensor] = {}
        if self.localization.config.approach == "semantic_aware":
            raw = self.encoder.encode_text([description.target, description.reference])
            texts = {"target_features": raw[None, :1], "reference_features": raw[None, 1:]}
        query = grid.points[torch.from_numpy(grid.open)].to(self._device)
        watch.report("localization", 0.0)
        with watch.stage("decode"):
            logits = self._decode(
                query,
                lambda q: self.localization.decode(volumes, q, [[description.relation]], **texts),
                watch,
            )
        return self._answer(grid, logits, state, watch)

    def _complete_at(self, volume: Tensor, text: Tensor | None, query: Tensor) -> Tensor:
        return self.completion.decode(volume, query, text)

    def _answer(
        self, grid: QueryGrid, logits: NDArray, state: FrameState, watch: Stopwatch
    ) -> Localization:
        """Logits of the open points to the answer region, its best point, extent and score."""
        options = self.config.localization
        size, _ = self._grid_frame(state, options.resolution)
        points = grid.world[grid.open]
        region = logits >= logits.max() - options.region_margin
        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        extent = np.ptp(points[region], axis=0) + size
        best = int(logits.argmax())
        return Localization(
            position_m=points[best],
            extent_m=extent,
            score=float(scores[best]),
            points_m=points[region],
            scores=scores[region].astype(np.float32),
            timings_s=watch.timings_s,
        )

    @property
    def _device(self) -> torch.device:
        return self.completion.lower.device

    @property
    def _aware(self) -> bool:
        return self.completion.config.approach == "semantic_aware"

    @staticmethod
    def _reads_saliency(network: SpatialNetwork) -> bool:
        return network.config.inputs == "saliency"

    def _current(self) -> FrameState:
        if self._state is None:
            raise FrameError("there is no frame yet: call set_frame first")
        return self._state

    def _localization_words(self, description: Description) -> list[str]:
        """Whose relevancy the localization network reads, in the order of its ``feature_keys``."""
        approach = self.localization.config.approach
        if approach == "clip_spatial":
            return [description.sentence]
        if approach == "semantic_aware":
            return []
        return [description.target, description.reference]

    def _world_scene(self, frame: RGBDFrame) -> NDArray[np.float64]:
        """(4, 4) similarity from the scene frame to the world."""
        region = self.config.region
        T_world_viewer = geometry.viewer_frame(frame.T_world_camera, region.floor_z_m)
        T_scene_viewer = geometry.region_to_bounds(
            np.array(region.region_min_m), region.region_size_m, self.bounds
        )
        return T_world_viewer @ geometry.invert(T_scene_viewer)

    def _grid_frame(self, state: FrameState, resolution: int) -> tuple[float, NDArray[np.float64]]:
        """Voxel size in metres and the rigid ``T_world_grid`` of a dense grid."""
        scale = float(np.linalg.norm(state.T_world_scene[:3, 0]))
        spacing = float((self.bounds[1] - self.bounds[0])[0]) / (resolution - 1)
        T = np.eye(4)
        T[:3, :3] = state.T_world_scene[:3, :3] / scale
        corner = self.bounds[0] - spacing / 2
        T[:3, 3] = geometry.transform_points(state.T_world_scene, corner)
        return spacing * scale, T

    def _grid(self, state: FrameState, options: CompletionConfig | LocalizationConfig) -> QueryGrid:
        """The query grid of a frame with its masks, made once."""
        masks = (options.mask_frustum, options.mask_free_space, options.free_space_margin_m)
        key = (options.resolution, *masks)
        if key not in state.grids:
            frame = state.frame
            points = dense_grid(self.bounds, options.resolution)
            world = geometry.transform_points(state.T_world_scene, points.astype(np.float64))
            seen = np.ones(len(points), dtype=bool)
            if options.mask_frustum:
                seen = geometry.in_frustum(world, frame.camera, frame.T_world_camera)
            is_open = seen.copy()
            if options.mask_free_space:
                is_open &= ~geometry.seen_free(
                    world,
                    frame.depth_m,
                    frame.camera,
                    frame.T_world_camera,
                    options.free_space_margin_m,
                )
            state.grids[key] = QueryGrid(torch.from_numpy(points), world, seen, is_open)
        return state.grids[key]

    def _mean_map(self, names: Sequence[str], watch: Stopwatch) -> NDArray[np.float32]:
        """Make sure of the maps of names and return the mean map; all missing words in one go."""
        state, options = self._current(), self.config.relevancy
        basis = list(self.mean_vocabulary)
        if options.mean == "request":
            basis = list(dict.fromkeys([*names, *basis]))
            if len(basis) < 2:
                raise ConfigError(
                    "mean 'request' with an empty mean_vocabulary needs at least two names: "
                    "the map of a single one minus its own mean is zero"
                )
        wanted = dict.fromkeys([*names, *basis])
        missing = [name for name in wanted if name not in state.maps]
        if missing:
            with watch.stage("relevancy"):
                found = self._extract(state, missing, watch)
            state.maps.update(zip(missing, found, strict=True))
        key = tuple(basis)
        if key not in state.means:
            maps = np.stack([state.maps[name] for name in basis]) if basis else np.zeros((1, 1, 1))
            state.means[key] = maps.mean(axis=0, dtype=np.float32)
        return state.means[key]

    def _extract(
        self, state: FrameState, names: list[str], watch: Stopwatch
    ) -> NDArray[np.float32]:
        """Relevancy of new names; the image tower runs only where its tiles were not kept."""
        shape = state.frame.rgb.shape[:2]
        prompts = self.config.relevancy.prompts
        self.extractor.label_features(names, prompts)
        tiles: Sequence[EmbeddedTiles] | Iterator[EmbeddedTiles]
        if state.tiles is not None:
            tiles = state.tiles
        elif self.config.relevancy.keep_tiles:
            tiles = state.tiles = list(self.extractor.embed(state.frame.rgb, watch.report))
        else:
            tiles = self.extractor.embed(state.frame.rgb, watch.report)
        return self.extractor.maps(tiles, shape, names, prompts)

    def _volume(
        self, network: SpatialNetwork, name: str, request: list[str], watch: Stopwatch
    ) -> Tensor:
        """The volume (1, 1, C, X, Y, Z) of a name in the current frame, cached."""
        state = self._current()
        saliency = self._reads_saliency(network)
        per_request = saliency and self.config.relevancy.mean == "request"
        key = (
            network.config.task,
            name if saliency else "",
            tuple(sorted(request)) if per_request else (),
        )
        if key in state.volumes:
            state.volumes.move_to_end(key)
            return state.volumes[key]
        if saliency:
            flat = RELEVANCY_GAIN * (state.maps[name] - self._mean_map(request, watch)).reshape(-1)
            features = torch.from_numpy(np.ascontiguousarray(flat))[state.pixels][:, None]
        else:
            rgb = torch.from_numpy(state.frame.rgb).reshape(-1, 3)
            features = rgb[state.pixels].float() / 255
        watch.report("volumes", 0.0)
        with watch.stage("volumes"):
            volume = network.encode_volume(
                state.input_xyz[None], features.to(self._device)[None, None]
            )
        self._remember(state, key, volume)
        return volume

    def _remember(self, state: FrameState, key: tuple, volume: Tensor) -> None:
        """Keep a volume; the least recently used ones go when there are too many."""
        budget = self.config.volume_cache_mb * 2**20
        size = volume.numel() * volume.element_size()
        state.volumes[key] = volume
        while state.volumes and len(state.volumes) * size > budget:
            state.volumes.popitem(last=False)

    def _text(self, names: list[str], prompts: list[str]) -> Tensor:
        """Normalised label features (1, P, D), as completion networks read them."""
        return F.normalize(self.extractor.label_features(names, prompts), dim=-1)[None]

    def _decode(
        self, query: Tensor, decode: Callable[[Tensor], Tensor], watch: Stopwatch
    ) -> NDArray[np.float32]:
        """Logits (M,) at query points (M, 3), in batches of bounded size."""
        if not len(query):
            return np.zeros(0, dtype=np.float32)
        parts = []
        for batch in query.split(self.config.query_batch):
            watch.report("decode", 0.0)
            parts.append(decode(batch[None, None])[0, 0].float().cpu())
        return torch.cat(parts).numpy()


def check_classes(classes: Sequence[str]) -> list[str]:
    """Class names without articles and surrounding space, checked.

    Raises:
        ValueError: if there is none, more than 254, an empty or a repeated one.
    """
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes must be a list of names, got {classes!r}")
    names = [noun_phrase(name, "class name") for name in classes]
    if not 1 <= len(names) <= MAX_CLASSES:
        raise ValueError(f"there must be 1 to {MAX_CLASSES} classes, got {len(names)}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"classes must differ, repeated: {', '.join(repeated)}")
    return names


def _load(
    checkpoint: str, task: str, config: SemabsConfig, encoder: ImageTextEncoder
) -> SpatialNetwork:
    """The network of a task; ``untrained`` is a small one with seeded random weights."""
    if checkpoint == UNTRAINED:
        shape = NetworkConfig(
            task=task,
            voxel_shape=(32, 32, 32),
            channels=8,
            f_maps=8,
            levels=3,
            hidden=32,
            pointing_dim=16,
            text_dim=encoder.embed_dim,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = build_network(shape)
        network.metadata = {}
        return network.eval().requires_grad_(False)
    network = load_network(checkpoint)
    if network.config.task != task:
        raise ConfigError(f"{task}.checkpoint {checkpoint} holds a {network.config.task} network")
    return network


def _mean_vocabulary(config: SemabsConfig, networks: Sequence[SpatialNetwork]) -> list[str]:
    """The config's mean vocabulary, else what the networks were trained with, else the default."""
    if config.relevancy.mean_vocabulary is not None:
        return config.relevancy.mean_vocabulary
    stored = [n.metadata["mean_vocabulary"] for n in networks if "mean_vocabulary" in n.metadata]
    if not stored:
        return list(MEAN_VOCABULARY)
    if any(words != stored[0] for words in stored):
        raise ConfigError(
            "the completion and localization checkpoints were trained with different mean "
            "vocabularies; set relevancy.mean_vocabulary to one of them"
        )
    return list(stored[0])


def _common_bounds(completion: SpatialNetwork, localization: SpatialNetwork) -> NDArray[np.float64]:
    """(2, 3) bounds that both networks share."""
    bounds = np.array(completion.config.bounds)
    if not np.allclose(bounds, localization.config.bounds):
        raise ConfigError("the completion and localization networks have different bounds")
    size = bounds[1] - bounds[0]
    if not np.allclose(size, size[0]):
        raise ConfigError(f"the networks' bounds must be a cube, got sizes {size.tolist()}")
    return bounds


def _check_text_width(encoder: ImageTextEncoder, networks: Sequence[SpatialNetwork]) -> None:
    """Networks that read text features need the encoder they were trained with."""
    for network in networks:
        width = network.config.text_dim
        if network.config.approach == "semantic_aware" and width != encoder.embed_dim:
            raise ConfigError(
                f"the {network.config.task} network reads text features of width {width}, but "
                f"{encoder.name} gives {encoder.embed_dim}: use the encoder it was trained with"
            )
