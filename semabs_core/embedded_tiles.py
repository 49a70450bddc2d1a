"""Tiles after the image tower, and which of the next picture's look as they did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.tiling import TileGrid, tile_grids
from semabs_core.towers import TileState

if TYPE_CHECKING:
    from semabs_core.relevancy import OnProgress, RelevancyExtractor

State: TypeAlias = TileState | Tensor
"""What an encoder remembers of tiles; for a deeper roll-out the tiles themselves."""
CELLS = 8
"""Cells along an edge of a tile, whose mean colours are how it looks."""


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

    def with_rows(self, rows: Tensor, found: EmbeddedTiles) -> EmbeddedTiles:
        """The same batch with other tiles in some of its rows (n,) int64."""
        mirrored = self.mirrored
        if mirrored is not None and found.mirrored is not None:
            mirrored = _with_rows(mirrored, rows, found.mirrored)
        return EmbeddedTiles(_with_rows(self.state, rows, found.state), mirrored, self.slots)


def _with_rows(state: State, rows: Tensor, found: State) -> State:
    if isinstance(state, Tensor):
        assert isinstance(found, Tensor)
        return state.index_copy(0, rows.to(state.device), found)
    parts = {
        part.name: _with_rows(getattr(state, part.name), rows, getattr(found, part.name))
        for part in fields(state)
    }
    return type(state)(**parts)


def tile_looks(picture: NDArray[np.uint8], grids: Sequence[TileGrid]) -> NDArray[np.float32]:
    """How the tiles of a picture look: the mean colours of their cells.

    Args:
        picture: (H, W, 3) uint8.
        grids: of its tiles.

    Returns:
        (n, CELLS, CELLS, 3) float32, gray levels; a tile of fewer pixels shows some of them twice.
    """
    height, width, _ = picture.shape
    sums = np.zeros((height + 1, width + 1, 3), np.uint32)  # differences are right if it overflows
    np.cumsum(picture, axis=0, dtype=np.uint32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    looks = []
    for grid in grids:
        steps = np.arange(CELLS) * grid.size // CELLS
        ends = np.maximum((np.arange(CELLS) + 1) * grid.size // CELLS, steps + 1)
        top, bottom = (np.add.outer(grid.rows, edge)[:, None, :, None] for edge in (steps, ends))
        left, right = (np.add.outer(grid.columns, edge)[None, :, None] for edge in (steps, ends))
        inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        area = ((bottom - top) * (right - left))[..., None]
        looks.append((inside / area).astype(np.float32).reshape(-1, CELLS, CELLS, 3))
    return np.concatenate(looks)


class StillTiles:
    """The tiles of the last picture, so that of a still camera's only what has changed is embedded.

    A tile is compared with what it was when it was embedded, not with the last picture: what
    changes slowly is seen too.

    Args:
        tolerance: gray levels by which a cell's mean colour may differ, so that noise is no
            change; 0: every tile of every picture is embedded.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self.forget()

    def forget(self) -> None:
        """Let go of the last picture's tiles."""
        self._tiles: list[EmbeddedTiles] = []
        self._looks = np.zeros(0, np.float32)
        self._made: tuple = ()

    def embed(
        self,
        extractor: RelevancyExtractor,
        picture: NDArray[np.uint8],
        on_progress: OnProgress | None = None,
    ) -> list[EmbeddedTiles]:
        """All tiles of a picture (H, W, 3) uint8, see :meth:`RelevancyExtractor.embed`."""
        if not self._tolerance:
            return list(extractor.embed(picture, on_progress))
        height, width, _ = picture.shape
        grids = tile_grids(height, width, extractor.preset, extractor.tiling)
        made, looks = (picture.shape, extractor.tile_batch), tile_looks(picture, grids)
        if made != self._made:
            self.forget()
        before, changed = self._tiles, np.ones(len(looks), np.bool_)
        if before:
            changed = np.abs(looks - self._looks).max(axis=(1, 2, 3)) > self._tolerance
            looks = np.where(changed[:, None, None, None], looks, self._looks)
        if changed.any():
            before = list(extractor.embed(picture, on_progress, before, changed))
        self._tiles, self._looks, self._made = before, looks, made
        return before
