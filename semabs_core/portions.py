"""How much goes through the models at once, and less where a GPU's memory does not suffice."""

from __future__ import annotations

import functools
import gc
import logging
import math
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import torch

from semabs_core.answering import QUERY_BATCH
from semabs_core.cores import side_by_side
from semabs_core.devices import host_memory
from semabs_core.network_config import NetworkConfig
from semabs_core.relevancy import RelevancyExtractor
from semabs_core.types import InferenceError

LEAST_QUERIES = 2**12
VOLUME_SHARE = 4
"""Labels that go through a U-Net together may take one part in so many of the memory."""
FINEST_AT_ONCE = 8
"""A U-Net holds about so many tensors of its finest level at the same time."""
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Portions:
    """How much goes through the models at once.

    Args:
        extractor: whose batches of tiles are meant.
        query_batch: query points per decoder call; None for what suits the device.
        device: where the models are.

    Attributes:
        queries: query points that go through a decoder at once.
        halvings: how often memory did not suffice.
    """

    def __init__(
        self, extractor: RelevancyExtractor, query_batch: int | None, device: torch.device
    ) -> None:
        self._extractor = extractor
        self.queries = query_batch or QUERY_BATCH.get(device.type, QUERY_BATCH["cpu"])
        self._on_gpu = device.type == "cuda"
        self._volume_bytes = 0  # on a CPU, several labels take as long as one after the other
        if self._on_gpu:
            self._volume_bytes = torch.cuda.mem_get_info(device)[1] // VOLUME_SHARE
        self.halvings = 0

    def labels(self, config: NetworkConfig) -> int:
        """How many labels go through a network's U-Net at once, at least 1."""
        return max(1, self._volume_bytes // _label_bytes(config))

    def run_volumes(
        self, pieces: Iterable[Callable[[], T]], count: int, config: NetworkConfig
    ) -> Iterator[T]:
        """What pieces of work make, each of which goes through a network's U-Net once.

        On a CPU side by side, where its memory suffices for one on each core.

        Args:
            pieces: the work, in the order of what comes out.
            count: how many pieces there are.
            config: of the network.
        """
        side = torch.get_num_threads() * _label_bytes(config)
        if self._on_gpu or side > host_memory() // VOLUME_SHARE:
            return (piece() for piece in pieces)
        return side_by_side(pieces, count)

    def halve(self) -> bool:
        """Half of the tiles and queries at once, and labels one by one.

        False, and no change, where it is the least already.
        """
        tiles, least = self._extractor.tile_batch, min(LEAST_QUERIES, self.queries)
        if tiles == 1 and self.queries == least and not self._volume_bytes:
            return False
        self._extractor.tile_batch = max(1, tiles // 2)
        self.queries = max(least, self.queries // 2)
        self._volume_bytes = 0
        self.halvings += 1
        return True

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """All of it, to come back to."""
        return self._extractor.tile_batch, self.queries, self._volume_bytes, self.halvings

    @sizes.setter
    def sizes(self, known: tuple[int, int, int, int]) -> None:
        self._extractor.tile_batch, self.queries, self._volume_bytes, self.halvings = known

    @property
    def shortage(self) -> str:
        """What is to be said where memory did not suffice; else empty."""
        if not self.halvings:
            return ""
        return (
            f"the GPU's memory did not suffice: now {self._extractor.tile_batch} tile(s) and "
            f"{self.queries} queries at once, which takes longer. Set relevancy.tile_batch and "
            "query_batch to these, ask for fewer classes or a smaller resolution, or set "
            "relevancy.keep_tiles false"
        )


def _label_bytes(config: NetworkConfig) -> int:
    """What a label takes that goes through a network's U-Net, about."""
    return FINEST_AT_ONCE * 4 * config.channels * math.prod(config.voxel_shape)


class HasPortions(Protocol):
    """What can go on with less at once."""

    portions: Portions

    def make_room(self) -> None:
        """Let go of all on the GPU that can be made again."""


S = TypeVar("S", bound=HasPortions)


def within_memory(request: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method that is tried again with half as much at once where memory does not suffice.

    Raises:
        InferenceError: if it does not suffice for the least; then all stays as it was before.
    """

    @functools.wraps(request)
    def tried(scene: S, *args: P.args, **kwargs: P.kwargs) -> R:
        before = scene.portions.sizes
        while True:
            try:
                return request(scene, *args, **kwargs)
            except RuntimeError as error:
                if not _short_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)  # they hold what took the memory
                if not scene.portions.halve():
                    least, scene.portions.sizes = scene.portions.queries, before
                    raise InferenceError(
                        "the GPU's memory does not suffice, not even for one tile and "
                        f"{least} queries at once: give it less else to do, take "
                        "a smaller encoder or network, fewer classes, a smaller resolution, or "
                        "device cpu"
                    ) from error
            scene.make_room()
            free_memory()
            logger.warning(scene.portions.shortage)

    return tried


def _short_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's memory did not suffice: torch's own, or that of a library behind it."""
    text = str(error)
    others = "CUDA error: out of memory" in text or "_ALLOC_FAILED" in text
    return isinstance(error, torch.cuda.OutOfMemoryError) or others


def free_memory() -> None:
    """Give back what torch keeps for later on a GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
