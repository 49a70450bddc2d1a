"""``SceneUnderstanding``: a frame once, completions and localizations many times.

Callers see real metres in the world; the scene frame of the networks stays inside.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.config import (
    UNTRAINED,
    ConfigError,
    SemabsConfig,
    choose_device,
    load_config,
)
from semabs_core.description import Description, check_classes, make_description
from semabs_core.encoder import ImageTextEncoder, load_encoder
from semabs_core.frame_state import FrameState, QueryGrid, Stopwatch, make_frame_state
from semabs_core.models import (
    check_text_width,
    choose_relevancy,
    common_bounds,
    load_task_network,
)
from semabs_core.network_config import point_features
from semabs_core.networks import CompletionNetwork, LocalizationNetwork, SpatialNetwork
from semabs_core.precision import choose_dtype
from semabs_core.relevancy import (
    RELEVANCY_GAIN,
    EmbeddedTiles,
    OnProgress,
    RelevancyExtractor,
)
from semabs_core.types import (
    FREE,
    UNKNOWN,
    Completion,
    FrameError,
    Localization,
    RGBDFrame,
)
from semabs_core.vocabulary import read_vocabulary
from semabs_core.weights.fingerprint import same_encoder
from semabs_core.weights.shipped import PREFIX

DEFAULT_CUTOFF = -3.0


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
        self.chosen = choose_relevancy(config, (completion, localization))
        self.bounds = common_bounds(completion, localization)
        check_text_width(encoder, (completion, localization))
        relevancy = config.relevancy
        self.extractor = RelevancyExtractor(
            encoder,
            self.chosen.preset,
            relevancy.tiling,
            self.chosen.augmentations,
            config.seed,
            relevancy.rollout_layers,
            relevancy.tile_batch,
        )
        self.vocabulary = read_vocabulary(encoder.name)
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
        if config.encoder.model.startswith(("local-dir:", PREFIX)):
            pretrained = None
        encoder = load_encoder(config.encoder.model, pretrained or None, chosen, dtype)
        completion = load_task_network(config.completion.checkpoint, "completion", config, encoder)
        localization = load_task_network(
            config.localization.checkpoint, "localization", config, encoder
        )
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

    @property
    def foreign(self) -> list[str]:
        """Which of the networks were trained with another encoder: their answers are worth less."""
        networks = {"completion": self.completion, "localization": self.localization}
        return [
            f"{task} (trained with {network.metadata.get('encoder', 'another')})"
            for task, network in networks.items()
            if not same_encoder(network.metadata, self.encoder.name, self.encoder.fingerprint)
        ]

    def unknown_words(self, names: Sequence[str]) -> list[str]:
        """The parts of names that the encoder was never shown: an answer about them means nothing.

        Args:
            names: classes, targets, references.

        Returns:
            Such as ``["harry potter"]``; none where all is known, or nobody noted what is.
        """
        return self.vocabulary.unknown_words(names) if self.vocabulary else []

    @property
    def cutoff(self) -> float:
        """The logit below which a voxel is free for a class."""
        if self.config.completion.cutoff is not None:
            return self.config.completion.cutoff
        return float(self.completion.metadata.get("cutoff", DEFAULT_CUTOFF))

    def reconfigure(self, config: SemabsConfig) -> None:
        """Take over options that may change while models are loaded (``live``)."""
        region_changed = config.region != self.config.region
        self.config = config
        if self._state is not None:
            self._state.grids.clear()
            if region_changed:
                self.set_frame(self._state.frame)

    def forget_frame(self) -> None:
        """Let go of the current frame and of all that is cached for it."""
        self._state = None

    def set_frame(self, frame: RGBDFrame) -> None:
        """Make a frame the current one; what is known of the last one is forgotten.

        Raises:
            FrameError: if no depth reading falls into the region.
        """
        config = self.config
        self._state = make_frame_state(
            frame, config.region, self.bounds, config.num_input_points, config.seed, self._device
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
        grid = state.grid(options)
        if self.completion.config.reads_relevancy:
            self._mean_map(names, watch)
        shape = (options.resolution,) * 3
        best = np.full(len(grid.points), -np.inf, dtype=np.float32)
        label = np.zeros(len(grid.points), dtype=np.uint8)
        query = grid.points[torch.from_numpy(grid.open)].to(self._device)
        for i, name in enumerate(names):
            watch.report("completion", i / len(names))
            volume = self._volume(self.completion, name, names, watch)
            text = self._text([name]) if self._aware else None
            with watch.stage("decode"):
                logits = self._decode(
                    query,
                    functools.partial(self.completion.decode, volume, label_features=text),
                    watch,
                )
            better = logits > best[grid.open]
            where = np.flatnonzero(grid.open)[better]
            best[where], label[where] = logits[better], i + 1
        occupied = grid.open & (best >= self.cutoff)
        labels = np.where(occupied, label, np.uint8(FREE))
        labels[~grid.seen] = UNKNOWN
        scores = np.where(grid.open, 1 / (1 + np.exp(-best.astype(np.float64))), 0.0)
        size, T_world_grid = state.grid_frame(options.resolution)
        return Completion(
            classes=names,
            labels=labels.reshape(shape).astype(np.uint8),
            scores=scores.reshape(shape).astype(np.float32),
            voxel_size_m=size,
            T_world_grid=T_world_grid,
            timings_s=watch.timings_s,
            stamp_s=state.frame.stamp_s,
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
        grid = state.grid(options)
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

    def _answer(
        self, grid: QueryGrid, logits: NDArray, state: FrameState, watch: Stopwatch
    ) -> Localization:
        """Logits of the open points to the answer region, its best point, extent and score."""
        options = self.config.localization
        size, _ = state.grid_frame(options.resolution)
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
            voxel_size_m=size,
            stamp_s=state.frame.stamp_s,
        )

    @property
    def _device(self) -> torch.device:
        return self.completion.lower.device

    @property
    def _aware(self) -> bool:
        return self.completion.config.approach == "semantic_aware"

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

    def _mean_map(self, names: Sequence[str], watch: Stopwatch) -> NDArray[np.float32]:
        """Make sure of the maps of names and return the mean map; all missing words in one go."""
        state, options = self._current(), self.config.relevancy
        basis = list(self.chosen.mean_vocabulary)
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
        prompts = self.chosen.prompts
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
        reads_relevancy = network.config.reads_relevancy
        per_request = reads_relevancy and self.config.relevancy.mean == "request"
        key = (
            network.config.task,
            name if reads_relevancy else "",
            tuple(sorted(request)) if per_request else (),
        )
        if key in state.volumes:
            state.volumes.move_to_end(key)
            return state.volumes[key]
        relevancy = None
        if reads_relevancy:
            flat = (state.maps[name] - self._mean_map(request, watch)).reshape(-1)
            relevancy = torch.from_numpy(np.ascontiguousarray(flat))[state.pixels]
        config, rgb = network.config, None
        if "rgb" in config.network_inputs:
            rgb = torch.from_numpy(state.frame.rgb).reshape(-1, 3)[state.pixels].float() / 255
        features = point_features(
            config.network_inputs, relevancy, rgb, config.patch_mask_cutoff
        ).to(self._device)
        watch.report("volumes", 0.0)
        with watch.stage("volumes"):
            tsdf = None
            if config.reads_tsdf:
                tsdf = torch.from_numpy(state.tsdf(config.voxel_shape)).to(self._device)[None]
            volume = network.encode_volume(state.input_xyz[None], features[None, None], tsdf)
        state.remember(key, volume, self.config.volume_cache_mb * 2**20)
        return volume

    def _text(self, names: list[str]) -> Tensor:
        """Normalised label features (1, P, D), as completion networks read them."""
        features = self.extractor.label_features(names, self.chosen.prompts)
        return F.normalize(features, dim=-1)[None]

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
