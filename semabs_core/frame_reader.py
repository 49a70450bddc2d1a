"""What the networks read of a frame: relevancy maps and volumes, worked out once and kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.config import ConfigError, RelevancyConfig
from semabs_core.embedded_tiles import EmbeddedTiles
from semabs_core.evidence import Weigher
from semabs_core.frame_state import GIVEN, FrameState, Stopwatch
from semabs_core.models import RelevancyChoice
from semabs_core.network_config import NetworkConfig, point_features
from semabs_core.networks import SpatialNetwork
from semabs_core.portions import Portions
from semabs_core.relevancy import RelevancyExtractor, for_networks
from semabs_core.still_tiles import StillTiles
from semabs_core.types import InferenceError

Map = NDArray[np.float32]


class FrameReader:
    """Relevancy and volumes of names in a frame, out of its caches where they are there.

    Args:
        extractor: makes relevancy maps.
        chosen: how they are made.
        options: which mean is subtracted, and which embedded tiles are kept.
        portions: how many volumes are made at once.

    Attributes:
        still: the last frame's tiles, for the next one.
    """

    def __init__(
        self,
        extractor: RelevancyExtractor,
        chosen: RelevancyChoice,
        options: RelevancyConfig,
        portions: Portions,
    ) -> None:
        self.extractor, self.chosen, self.options = extractor, chosen, options
        self.portions = portions
        self.still = StillTiles(extractor, options.still_tolerance)

    def relevancy(
        self, state: FrameState, config: NetworkConfig, names: Sequence[str], watch: Stopwatch
    ) -> Map:
        """Relevancy (L, H, W) of names in a network's normalization.

        Raises:
            ValueError: if there is no name, or an empty one.
        """
        if not names:
            raise ValueError("names must not be empty")
        found = self._read(state, config, names, watch)
        # Each by itself: masks that were given are not refined, so they are larger than others.
        return np.stack([self._enlarged(found[name][0], state) for name in names])

    def volumes(
        self, state: FrameState, network: SpatialNetwork, names: Sequence[str], watch: Stopwatch
    ) -> Generator[Tensor, None, None]:
        """The volume (1, 1, C, X, Y, Z) of each name of a request, one after the other.

        The relevancy of all names that need it is extracted together, before the first volume; on a
        GPU as many volumes as its memory allows are made together, too, and on a CPU the next ones
        while one is used. Close it where not all of them are asked for. Networks that read no
        relevancy have one volume for all names.
        """
        config = network.config
        if not config.reads_relevancy:
            shared = state.volumes.get((config.task,))
            if shared is None:
                shared = next(self._make_volumes(state, network, {(config.task,): None}, watch))
            yield from (shared for _ in names)
            return
        request = self._request(state, config, names)
        keys = {name: (config.task, name, request.get(name, ())) for name in names}
        missing = [name for name, key in keys.items() if key not in state.volumes]
        found = self._read(state, config, missing, watch, names) if missing else {}
        due = {keys[name]: found[name] for name in missing}
        made = self._make_volumes(state, network, due, watch)
        for number, name in enumerate(names):
            if keys[name] in due and name not in names[:number]:
                yield next(made)
                continue
            volume = state.volumes.get(keys[name])
            if volume is None:  # it made room for the others meanwhile
                if name not in found:
                    found = self._read(state, config, [name], watch, names)
                volume = next(self._make_volumes(state, network, {keys[name]: found[name]}, watch))
            yield volume

    def image_features(self, state: FrameState, watch: Stopwatch) -> list[Tensor]:
        """What the encoder sees in the frame's tiles, per scale; worked out once."""
        if state.image_features is None:
            with watch.stage("presence"):
                state.image_features = self.extractor.image_features(*self._tiles(state, watch))
        return state.image_features

    def _make_volumes(
        self,
        state: FrameState,
        network: SpatialNetwork,
        relevancy: Mapping[tuple, Tensor | None],
        watch: Stopwatch,
    ) -> Iterator[Tensor]:
        """Volumes (1, 1, C, X, Y, Z) of relevancy (K, h, w) in its order, kept by their keys."""
        config, device = network.config, network.lower.device
        rgb = None
        if "rgb" in config.network_inputs:
            rgb = torch.from_numpy(state.frame.rgb).reshape(-1, 3)[state.pixels].float() / 255
        with watch.stage("volumes"):
            tsdf = state.tsdf(config.voxel_shape)[None] if config.reads_tsdf else None
            cells = [state.cells(network)]

        def encode(some: Sequence[Tensor | None]) -> list[Tensor]:
            features = []
            for maps in some:
                values, rivals, cutoff = None, None, config.patch_mask_cutoff
                if maps is not None:
                    values, *others = state.at_points(maps)
                    rivals = others[0] if others else None
                features.append(point_features(config.network_inputs, values, rgb, cutoff, rivals))
            points = torch.stack(features).to(device)[None]
            volumes = network.encode_volume(state.input_xyz[None], points, tsdf, cells)
            if len(features) == 1:
                return [volumes]
            # Copies: a view would keep the volumes of all others alive.
            return [volume.clone() for volume in volumes.split(1, dim=1)]

        def pieces() -> Iterator[Callable[[], list[Tensor]]]:
            for start in range(0, len(maps), size):
                watch.report("volumes", start / len(maps))
                yield partial(encode, maps[start : start + size])

        maps, size = list(relevancy.values()), self.portions.labels(config)
        made = self.portions.run_volumes(pieces(), -(-len(maps) // size), config)
        keys = iter(relevancy)
        while True:
            with watch.stage("volumes"):
                volumes = next(made, None)
            if volumes is None:
                return
            for volume in volumes:
                state.volumes.put(next(keys), volume)
                yield volume

    def _of_request(self, config: NetworkConfig) -> bool:
        """Whether the words of a request count for each other, not the mean vocabulary alone.

        What is completed from evidence is: the classes are asked together, frame after frame. The
        volumes of descriptions are kept for others with the same names.
        """
        completes = config.task == "completion" and config.normalization == "evidence"
        return completes or self.options.mean == "request"

    def _request(
        self, state: FrameState, config: NetworkConfig, names: Sequence[str]
    ) -> dict[str, tuple[str, ...]]:
        """The words of a request that a volume depends on, by its name where there are any."""
        if not self._of_request(config):
            return {}
        own = self._own(state, names)
        return dict.fromkeys(own, self._basis(config, own) if own else ())

    def _own(self, state: FrameState, names: Sequence[str]) -> list[str]:
        """The names whose relevancy does not come from elsewhere."""
        given = state.given.maps if state.given else {}
        return [name for name in names if name not in given]

    def _basis(self, config: NetworkConfig, own: Sequence[str]) -> tuple[str, ...]:
        """The words whose mean map is subtracted from that of each of a request's own words.

        Raises:
            ConfigError: if there are too few of them.
        """
        vocabulary = tuple(self.chosen.mean_vocabulary)
        if not vocabulary and config.normalization == "evidence":
            raise ConfigError(
                "relevancy.mean_vocabulary must not be empty: these networks weigh a word "
                "against others"
            )
        if not self._of_request(config):
            return vocabulary
        basis = tuple(sorted({*own, *vocabulary}))
        if len(basis) < 2:
            raise ConfigError(
                "mean 'request' with an empty mean_vocabulary needs at least two names: "
                "the map of a single one minus its own mean is zero"
            )
        return basis

    def _read(
        self,
        state: FrameState,
        config: NetworkConfig,
        names: Sequence[str],
        watch: Stopwatch,
        request: Sequence[str] = (),
    ) -> dict[str, Tensor]:
        """What a network reads of names, (K, h, w) each.

        K is 1, relevancy in the network's normalization; with ``evidence`` 2, that of the rivals
        too. Maps are of the picture's size, or smaller where they were refined.

        Args:
            state: the frame.
            config: of the network.
            names: what is missing.
            watch: notes the time.
            request: all that is asked for, where that is more.
        """
        given, own = state.given, self._own(state, names)
        found: dict[str, Tensor] = {}
        if given is not None and len(own) < len(names):
            chosen = {name: given.maps[name] for name in names if name not in own}
            found |= self._normal(state, config, chosen, given.maps, given.mean, GIVEN)
        if own:
            basis = self._basis(config, self._own(state, request or names))
            weighs = self._weigher_key(config, basis)
            known = weighs is None or weighs in state.weighers
            maps, mean = self._maps(state, own if known else [*own, *basis], basis, watch)
            chosen = {name: maps[name] for name in own}
            context = {} if known else {word: maps[word] for word in basis}
            found |= self._normal(state, config, chosen, context, mean, basis)
        return found

    def _weigher_key(
        self, config: NetworkConfig, basis: tuple[str, ...]
    ) -> tuple[tuple[str, ...], bool] | None:
        """What weighs the words of a request; None for networks that read no evidence."""
        if config.normalization != "evidence":
            return None
        return basis, config.refine if self.options.refine is None else self.options.refine

    def _normal(
        self,
        state: FrameState,
        config: NetworkConfig,
        chosen: Mapping[str, Map],
        context: Mapping[str, Map],
        mean: Map,
        basis: tuple[str, ...],
    ) -> dict[str, Tensor]:
        """Relevancy (H, W) by name in a network's normalization, (K, h, w) each."""
        key = self._weigher_key(config, basis)
        if key is None:
            normal = {name: for_networks(found, mean)[None] for name, found in chosen.items()}
            return {name: torch.from_numpy(found) for name, found in normal.items()}
        weigher = state.weighers.get(key)
        if weigher is None:
            weigher = Weigher(context, mean, state.refiner if key[1] else None)
            state.weighers.put(key, weigher)
        return dict(zip(chosen, weigher(chosen), strict=True))

    def _enlarged(self, found: Tensor, state: FrameState) -> Map:
        """A map (h, w) at the picture's size."""
        shape = state.frame.depth_m.shape
        if found.shape == shape:
            return found.numpy()
        maps = found[None, None]
        return F.interpolate(maps, shape, mode="bilinear", align_corners=False)[0, 0].numpy()

    def _maps(
        self, state: FrameState, names: Sequence[str], basis: tuple[str, ...], watch: Stopwatch
    ) -> tuple[dict[str, Map], Map]:
        """Maps (H, W) of names, and the mean map of a basis; all missing words in one go.

        A request holds its own maps: however small the cache, none is worked out twice in it.
        """
        mean = state.maps.get(basis)
        alone = mean is None and not any(word in state.maps for word in basis)
        averaged = basis if alone and not set(basis) <= set(names) else ()
        wanted = dict.fromkeys(names if mean is not None or averaged else (*names, *basis))
        known = {name: state.maps.get(name) for name in wanted}
        missing = [name for name, found in known.items() if found is None]
        maps = {name: found for name, found in known.items() if found is not None}
        if missing or averaged:
            with watch.stage("relevancy"):
                found = self._extract(state, missing, averaged, watch)
            maps.update(zip(missing, found, strict=False))
            mean = found[-1] if averaged else mean
            for name in missing:
                state.maps.put(name, maps[name])
        if mean is None:
            stack = np.stack([maps[name] for name in basis]) if basis else np.zeros((1, 1, 1))
            mean = stack.mean(axis=0, dtype=np.float32)
        state.maps.put(basis, mean)
        return maps, mean

    def _extract(
        self, state: FrameState, names: list[str], averaged: Sequence[str], watch: Stopwatch
    ) -> list[Map]:
        """Relevancy of new names, and the mean map of other words where there are any.

        The image tower runs only where its tiles were not kept.

        The picture is turned upright before, because the encoder knows things the right way up,
        and the maps are turned back.
        """
        prompts = self.chosen.prompts
        words, mix = list(dict.fromkeys([*names, *averaged])), None
        if averaged:
            mix = torch.eye(len(words))[: len(names) + 1]
            mix[-1] = torch.tensor([word in set(averaged) for word in words]) / len(averaged)
        self.extractor.label_features(words, prompts)
        tiles, shape = self._tiles(state, watch)
        if state.tile_weights is None:
            depth_m = np.rot90(state.frame.depth_m, state.turns)
            state.tile_weights = self.extractor.tile_weights(depth_m, state.frame.K)
        maps = self.extractor.maps(tiles, shape, words, prompts, mix, state.tile_weights)
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
            state.tiles = self.still.embed(picture, watch.report)
        return state.tiles, shape
