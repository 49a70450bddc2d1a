"""``SceneUnderstanding``: a frame once, completions and localizations many times, in metres."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.calibration import Judgement, read_judgement, region_cutoff
from semabs_core.config import ConfigError, SemabsConfig, fixed_changes, load_config
from semabs_core.description import Description, check_classes, make_description
from semabs_core.encoder import ImageTextEncoder
from semabs_core.frame_reader import FrameReader
from semabs_core.frame_state import FrameState, Stopwatch, make_frame_state
from semabs_core.given_relevancy import BroughtRelevancy, check_given
from semabs_core.grid_answers import answer_region, best_on_grid, label_grid, logits_on_grid
from semabs_core.models import (
    check_text_width,
    choose_relevancy,
    common_bounds,
    foreign_networks,
    load_models,
    untrained_tasks,
)
from semabs_core.networks import CompletionNetwork, LocalizationNetwork
from semabs_core.portions import Portions, within_memory
from semabs_core.presence import make_presence_classifier
from semabs_core.query_grid import GridViews, QueryGrid
from semabs_core.relevancy import OnProgress, RelevancyExtractor
from semabs_core.types import Completion, FrameError, Localization, RGBDFrame


class SceneUnderstanding:
    """Where things are in an RGB-D frame, for any words.

    Relevancy and volumes are cached per frame and name, and per request where its words are weighed
    against each other. Not thread-safe: one thread owns it.

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
        self.chosen = choose_relevancy(config, (completion, localization), encoder.name)
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
        self._device = completion.lower.device
        self.portions = Portions(self.extractor, config.query_batch, self._device)
        self._reader = FrameReader(self.extractor, self.chosen, relevancy, self.portions)
        self.presence = make_presence_classifier(
            self.extractor, self.chosen.preset, self.chosen.prompts
        )
        self._brought = BroughtRelevancy(relevancy.file) if relevancy.file else None
        self._state: FrameState | None = None
        self._views = GridViews()

    @classmethod
    def from_config(
        cls, config_or_path: SemabsConfig | str | os.PathLike, device: str | None = None
    ) -> SceneUnderstanding:
        """Load everything that a config names.

        Args:
            config_or_path: a config, the path of its YAML file, or the name of one that comes with
                the package (``semabs.yaml``).
            device: overrides the config's device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            ConfigError: if the config is wrong, or its parts do not fit each other.
            EncoderError, CheckpointError: if a model cannot be loaded.
        """
        config = config_or_path
        if not isinstance(config, SemabsConfig):
            config = load_config(config)
        config = config if device is None else replace(config, device=device)
        return cls(config, *load_models(config))

    @property
    def relations(self) -> tuple[str, ...]:
        """The spatial relations that the localization network knows."""
        return self.localization.config.relations

    @property
    def untrained(self) -> list[str]:
        """Which of the networks have random weights: their answers mean nothing."""
        return untrained_tasks(self.config)

    @property
    def foreign(self) -> list[str]:
        """Which of the networks were trained with another encoder: their answers are worth less."""
        return foreign_networks((self.completion, self.localization), self.encoder)

    def unknown_words(self, names: Sequence[str]) -> list[str]:
        """The parts of names that the encoder was never shown: an answer about them means nothing.

        Such as ``["harry potter"]``; none where all is known, or nobody noted what is.
        """
        given = self._state.given.maps if self._state and self._state.given else {}
        asked = [name for name in names if name not in given]
        return self.presence.known.unknown_words(asked) if self.presence.known else []

    @property
    def judgement(self) -> Judgement:
        """Which logits of the completion network fill a voxel, and what they are worth."""
        return read_judgement(self.completion.metadata, self.config.completion.cutoff)

    def reconfigure(self, config: SemabsConfig) -> None:
        """Take over options that may change while models are loaded (``live``).

        What is known of the picture stays known; in another region, volumes are made anew.

        Raises:
            ConfigError: if other options differ; then nothing changes.
            FrameError: if no depth reading of the current frame falls into another region. The
                config is taken over all the same, and there is no current frame any more.
        """
        fixed = fixed_changes(self.config, config)
        if fixed:
            raise ConfigError(
                f"{', '.join(fixed)} cannot change while models are loaded: make another "
                "SceneUnderstanding, or configure the node again"
            )
        region_changed = config.region != self.config.region
        self.config = config
        state = self._state
        if state is not None:
            state.grids.clear()
        if state is not None and region_changed:
            self.set_frame(state.frame)
            self._current().take_picture(state)

    def forget_frame(self) -> None:
        """Let go of the current frame and of all that is cached for it."""
        self._state = None
        self._reader.still.forget()

    def make_room(self) -> None:
        """Let go of what is cached on a GPU."""
        self._reader.still.forget()
        if self._state is not None:
            self._state.make_room()

    def set_frame(self, frame: RGBDFrame) -> None:
        """Make a frame the current one; of the last one, tiles that look alike are kept.

        Raises:
            FrameError: if no depth reading falls into the region; then there is no current frame.
        """
        self._state = None
        state = make_frame_state(frame, self.config, self.bounds, self._device)
        state.views = self._views
        state.give(self._brought.of(frame.rgb) if self._brought else None)
        self._state = state

    @within_memory
    def relevancy(
        self, names: Sequence[str], on_progress: OnProgress | None = None
    ) -> NDArray[np.float32]:
        """Relevancy (L, H, W) of L names in the current frame, as the completion network reads it.

        That is evidence, of names that are all shown, or (``gain``) less the mean map, times 50.
        ``on_progress`` is called between batches; raise from it to stop.
        """
        config, watch = self.completion.config, Stopwatch(on_progress)
        return self._reader.relevancy(self._current(), config, names, watch)

    def set_relevancy(self, maps: Mapping[str, NDArray], centred: bool = False) -> None:
        """Relevancy of the current frame from elsewhere: an encoder, a segmenter's masks, a file.

        These names are not computed. They are weighed against each other, so their scale does not
        matter, and all must be of one source.

        Args:
            maps: (h, w) each, numbers or bool, by name; another size than the picture's is resized.
            centred: whether a mean map is taken off already; if not, that of these maps is.

        Raises:
            FrameError: if there is no frame.
            ValueError: if a map is no map of the picture, or holds NaN.
        """
        state = self._current()
        state.give(check_given(maps, centred, state.frame.depth_m.shape))

    @within_memory
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
        names, watch = check_classes(classes), Stopwatch(on_progress)
        grid = state.grid(options)
        absent = self._absent(names, watch)
        asked = [name for name in names if name not in absent]
        best, label = self._best(asked, state, grid, watch)
        number = np.array([names.index(name) + 1 for name in asked or names], dtype=np.uint8)[label]
        labels, scores = label_grid(grid, number, best, self.judgement, options.resolution)
        size, T_world_grid = state.grid_frame(options.resolution)
        return Completion(
            classes=names,
            labels=labels,
            scores=scores,
            voxel_size_m=size,
            T_world_grid=T_world_grid,
            timings_s=watch.timings_s,
            stamp_s=state.frame.stamp_s,
            absent=tuple(absent),
        )

    @within_memory
    @torch.no_grad()
    def localize(
        self,
        target: str,
        relation: str = "",
        reference: str = "",
        on_progress: OnProgress | None = None,
    ) -> Localization:
        """Find a described thing, in view or hidden; whether or not it is found, a best guess.

        A thing alone, without relation and reference, is where the completion network sees it best.

        Args:
            target: what to find.
            relation: one of :attr:`relations` or a phrase that means it.
            reference: what it is found by.
            on_progress: called as ``(stage, fraction)`` between batches; raise from it to stop.

        Raises:
            DescriptionError: if a part of the description cannot be understood.
            FrameError: if nothing of the region is in view.
        """
        description = make_description(target, relation, reference, self.relations)
        state, options = self._current(), self.config.localization
        watch = Stopwatch(on_progress)
        grid = state.grid(options)
        if not len(grid.open):
            raise FrameError(
                "no voxel of the region is in view and not known to be free: check the region, the "
                "floor's height and the camera's pose"
            )
        logits = self._description_logits(description, state, grid, watch)
        if state.given and (there := state.given.present(description.names)) is not None:
            found, probability = there, math.nan
        else:
            found, probability = self.presence(
                description, lambda: self._reader.image_features(state, watch)
            )
        size, _ = state.grid_frame(options.resolution)
        network = self.localization if description.relation else self.completion
        noted, chosen = network.metadata, (options.region_margin, self.config.completion.cutoff)
        lowest = region_cutoff(noted, description.relation, float(logits.max()), *chosen)
        answer = answer_region(grid, logits, lowest, size, read_judgement(noted))
        return replace(
            answer,
            found=found,
            probability=probability,
            timings_s=watch.timings_s,
            stamp_s=state.frame.stamp_s,
        )

    def _current(self) -> FrameState:
        if self._state is None:
            raise FrameError("there is no frame yet: call set_frame first")
        return self._state

    def _absent(self, names: Sequence[str], watch: Stopwatch) -> list[str]:
        """Those of the names that the picture hardly shows, but for what relevancy is given of."""
        state, least = self._current(), self.config.completion.min_presence
        if not least or not self.completion.config.reads_relevancy:
            return []
        told = [name for name in names if state.given is None or name not in state.given.maps]
        shown = self.presence.visible(told, lambda: self._reader.image_features(state, watch))
        return [name for name, chance in zip(told, shown, strict=True) if chance < least]

    def _best(
        self, names: Sequence[str], state: FrameState, grid: QueryGrid, watch: Stopwatch
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The completion network's best logit (M,), and the number (M,) of its class."""
        aware = self.completion.config.approach == "semantic_aware"
        text = [[self._text([name])] if aware else [] for name in names]
        with closing(self._reader.volumes(state, self.completion, names, watch)) as volumes:
            return best_on_grid(self.completion, grid, volumes, text, self.portions.queries, watch)

    def _description_logits(
        self, description: Description, state: FrameState, grid: QueryGrid, watch: Stopwatch
    ) -> NDArray[np.float32]:
        """Logits (M,) that the described thing is there: of the network that knows such things."""
        if not description.relation:
            return self._best(description.names, state, grid, watch)[0]
        names, text = self._localization_words(description), []
        volumes = list(self._reader.volumes(state, self.localization, names, watch))
        if self.localization.config.approach == "semantic_aware":
            raw = self.encoder.encode_text(description.names)
            text = [raw[None, :1], raw[None, 1:]]
        watch.report("localization", 0.0)
        relation, queries = description.relation, self.portions.queries
        return logits_on_grid(self.localization, grid, volumes, text, relation, queries, watch)

    def _localization_words(self, description: Description) -> list[str]:
        """What the localization network makes volumes of, in the order of its ``feature_keys``."""
        approach = self.localization.config.approach
        if approach == "clip_spatial":
            return [description.sentence]
        if approach == "semantic_aware":
            return ["rgb"]
        return description.names

    def _text(self, names: list[str]) -> Tensor:
        """Normalised label features (1, P, D), as completion networks read them."""
        features = self.extractor.label_features(names, self.chosen.prompts)
        return F.normalize(features, dim=-1)[None]
