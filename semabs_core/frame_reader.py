"""What the networks read of a frame: relevancy maps and volumes, worked out once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.config import ConfigError, RelevancyConfig
from semabs_core.frame_state import FrameState, Stopwatch
from semabs_core.models import RelevancyChoice
from semabs_core.network_config import point_features
from semabs_core.networks import SpatialNetwork
from semabs_core.relevancy import EmbeddedTiles, RelevancyExtractor, for_networks
from semabs_core.types import InferenceError

Map = NDArray[np.float32]


class FrameReader:
    """Relevancy and volumes of names in a frame, out of its caches where they are there.

    Args:
        extractor: makes relevancy maps.
        chosen: how they are made.
        options: which mean is subtracted, and whether embedded tiles are kept.
    """

    def __init__(
        self, extractor: RelevancyExtractor, chosen: RelevancyChoice, options: RelevancyConfig
    ) -> None:
        self.extractor, self.chosen, self.options = extractor, chosen, options

    def relevancy(self, state: FrameState, names: Sequence[str], watch: Stopwatch) -> Map:
        """Relevancy (L, H, W) of names as networks read it (step 7).

        Raises:
            ValueError: if there is no name, or an empty one.
        """
        if not names:
            raise ValueError("names must not be empty")
        maps, mean = self._maps(state, names, self._basis(names), watch)
        return for_networks(np.stack([maps[name] for name in names]), mean)

    def volumes(
        self, state: FrameState, network: SpatialNetwork, names: Sequence[str], watch: Stopwatch
    ) -> Iterator[Tensor]:
        """The volume (1, 1, C, X, Y, Z) of each name of a request, one after the other.

        The relevancy of all names that need it is extracted together, before the first volume.
        Networks that read no relevancy have one volume for all names.
        """
        if not network.config.reads_relevancy:
            shared = self._volume(state, network, (network.config.task,), None, watch)
            yield from (shared for _ in names)
            return
        basis = self._basis(names)
        request = tuple(sorted(basis)) if self.options.mean == "request" else ()
        keys = {name: (network.config.task, name, request) for name in names}
        missing = [name for name, key in keys.items() if key not in state.volumes]
        maps, mean = self._maps(state, missing, basis, watch) if missing else ({}, None)
        for name in names:
            volume = state.volumes.get(keys[name])
            if volume is None:
                if name not in maps or mean is None:  # it made room for the others meanwhile
                    maps, mean = self._maps(state, [name], basis, watch)
                relevancy = for_networks(maps[name], mean)
                volume = self._volume(state, network, keys[name], relevancy, watch)
            yield volume

    def image_features(self, state: FrameState, watch: Stopwatch) -> list[Tensor]:
        """What the encoder sees in the frame's tiles, per scale; worked out once."""
        if state.image_features is None:
            with watch.stage("presence"):
                state.image_features = self.extractor.image_features(*self._tiles(state, watch))
        return state.image_features

    def _volume(
        self,
        state: FrameState,
        network: SpatialNetwork,
        key: tuple,
        relevancy: Map | None,
        watch: Stopwatch,
    ) -> Tensor:
        """One volume, kept under its key."""
        volume = state.volumes.get(key)
        if volume is not None:
            return volume
        config, device = network.config, network.lower.device
        values = None
        if relevancy is not None:
            values = torch.from_numpy(relevancy.reshape(-1))[state.pixels]
        rgb = None
        if "rgb" in config.network_inputs:
            rgb = torch.from_numpy(state.frame.rgb).reshape(-1, 3)[state.pixels].float() / 255
        features = point_features(config.network_inputs, values, rgb, config.patch_mask_cutoff)
        watch.report("volumes", 0.0)
        with watch.stage("volumes"):
            tsdf = None
            if config.reads_tsdf:
                tsdf = torch.from_numpy(state.tsdf(config.voxel_shape)).to(device)[None]
            points = features.to(device)[None, None]
            volume = network.encode_volume(state.input_xyz[None], points, tsdf)
        state.volumes.put(key, volume)
        return volume

    def _basis(self, names: Sequence[str]) -> tuple[str, ...]:
        """The words whose mean map is subtracted in a request."""
        vocabulary = self.chosen.mean_vocabulary
        if self.options.mean == "vocabulary":
            return tuple(vocabulary)
        basis = tuple(dict.fromkeys([*names, *vocabulary]))
        if len(basis) < 2:
            raise ConfigError(
                "mean 'request' with an empty mean_vocabulary needs at least two names: "
                "the map of a single one minus its own mean is zero"
            )
        return basis

    def _maps(
        self, state: FrameState, names: Sequence[str], basis: tuple[str, ...], watch: Stopwatch
    ) -> tuple[dict[str, Map], Map]:
        """Maps (H, W) of names, and the mean map of a basis; all missing words in one go.

        A request holds its own maps: however small the cache, none is worked out twice in it.
        """
        mean = state.maps.get(basis)
        wanted = dict.fromkeys(names if mean is not None else (*names, *basis))
        known = {name: state.maps.get(name) for name in wanted}
        missing = [name for name, found in known.items() if found is None]
        maps = {name: found for name, found in known.items() if found is not None}
        if missing:
            with watch.stage("relevancy"):
                maps.update(zip(missing, self._extract(state, missing, watch), strict=True))
            for name in missing:
                state.maps.put(name, maps[name])
        if mean is None:
            stack = np.stack([maps[name] for name in basis]) if basis else np.zeros((1, 1, 1))
            mean = stack.mean(axis=0, dtype=np.float32)
            state.maps.put(basis, mean)
        return maps, mean

    def _extract(self, state: FrameState, names: list[str], watch: Stopwatch) -> list[Map]:
        """Relevancy of new names; the image tower runs only where its tiles were not kept.

        The picture is turned upright before, because the encoder knows things the right way up,
        and the maps are turned back.
        """
        prompts = self.chosen.prompts
        self.extractor.label_features(names, prompts)
        tiles, shape = self._tiles(state, watch)
        maps = self.extractor.maps(tiles, shape, names, prompts)
        if not np.isfinite(maps).all():
            raise InferenceError(
                f"the relevancy of {self.extractor.encoder.name} holds NaN or infinite values: "
                "half precision overflows, or the weights are damaged; try encoder.precision fp32"
            )
        # Copies: a view would keep the maps of all these names alive.
        return [np.rot90(found, -state.turns).copy() for found in maps]

    def _tiles(
        self, state: FrameState, watch: Stopwatch
    ) -> tuple[Iterable[EmbeddedTiles], tuple[int, int]]:
        """The embedded tiles of the upright picture, which are kept or made, and its (H, W)."""
        picture = np.rot90(state.frame.rgb, state.turns)
        shape = (picture.shape[0], picture.shape[1])
        if state.tiles is None and not self.options.keep_tiles:
            return self.extractor.embed(picture, watch.report), shape
        if state.tiles is None:
            state.tiles = list(self.extractor.embed(picture, watch.report))
        return state.tiles, shape
