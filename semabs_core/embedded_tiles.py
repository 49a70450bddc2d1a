"""Tiles after the image tower, in batches, which a later picture may take over."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.encoder import ImageTextEncoder
from semabs_core.towers import TileState

GPU_TILE_BATCH = 128
CPU_TOKENS = 1024
"""About so many tokens of an image tower go through it together on a CPU: they stay in its cache,
and there is work for many cores.
"""
State: TypeAlias = TileState | Tensor
"""What an encoder remembers of tiles; for a deeper roll-out the tiles themselves."""


def default_tile_batch(encoder: ImageTextEncoder) -> int:
    """Most tiles per forward pass: on a GPU 128, on a CPU 4 to 64, fewer where tokens are many."""
    if encoder.device.type == "cuda":
        return GPU_TILE_BATCH
    rows, columns = encoder.patch_grid
    return min(64, max(4, CPU_TOKENS // (rows * columns)))


@dataclass(frozen=True)
class EmbeddedTiles:
    """A batch of tiles after the image tower; keep a frame's batches to ask for more labels later.

    Attributes:
        state: what the encoder remembers of the tiles.
        mirrored: the same of the mirrored tiles, where the preset wants them.
        slots: (T,) int64, which tile of the frame's list each one is.
    """

    state: State
    mirrored: State | None
    slots: Tensor

    def with_rows(self, rows: NDArray[np.intp], found: EmbeddedTiles) -> EmbeddedTiles:
        """The same batch with other tiles in some of its rows (n,)."""
        if len(rows) == len(self.slots):
            return found
        where, mirrored = torch.from_numpy(rows), self.mirrored
        if mirrored is not None and found.mirrored is not None:
            mirrored = _with_rows(mirrored, where, found.mirrored)
        return EmbeddedTiles(_with_rows(self.state, where, found.state), mirrored, self.slots)


def _with_rows(state: State, rows: Tensor, found: State) -> State:
    if isinstance(state, Tensor):
        assert isinstance(found, Tensor)
        return state.index_copy(0, rows.to(state.device), found)
    parts = {
        part.name: _with_rows(getattr(state, part.name), rows, getattr(found, part.name))
        for part in fields(state)
    }
    return type(state)(**parts)


@dataclass(frozen=True)
class KeptTiles:
    """The tiles of another picture of the same size.

    Attributes:
        batches: all of them; each is taken out when its turn comes, so that the tiles of two
            pictures are never held at once.
        changed: (n,) which of the n tiles of the picture, without its jittered copies, look
            different now.
    """

    batches: deque[EmbeddedTiles]
    changed: NDArray[np.bool_]
