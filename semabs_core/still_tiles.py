"""A still camera's tiles, which look as they did in the picture before."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semabs_core.embedded_tiles import EmbeddedTiles, KeptTiles
from semabs_core.relevancy import OnProgress, RelevancyExtractor
from semabs_core.tiling import TileGrid, tile_grids

CELLS = 8
"""Cells along an edge of a tile, whose mean colours are how it looks."""


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
    changes slowly is seen too. What is smaller than a cell and differs little from what was there
    is not. A jittered copy's tiles are taken with those of the picture, though its contrast depends
    on the whole picture.

    Args:
        extractor: embeds them.
        tolerance: gray levels by which a cell's mean colour may differ, so that noise is no
            change; 0: every tile of every picture is embedded.
    """

    def __init__(self, extractor: RelevancyExtractor, tolerance: float) -> None:
        self._extractor, self._tolerance = extractor, tolerance
        self.forget()

    def forget(self) -> None:
        """Let go of the last picture's tiles."""
        self._tiles: list[EmbeddedTiles] = []
        self._looks = np.zeros(0, np.float32)
        self._made: tuple = ()

    def embed(
        self, picture: NDArray[np.uint8], on_progress: OnProgress | None = None
    ) -> list[EmbeddedTiles]:
        """All tiles of a picture (H, W, 3) uint8, see :meth:`RelevancyExtractor.embed`.

        If that is stopped, nothing is known any more.
        """
        extractor = self._extractor
        if not self._tolerance:
            return list(extractor.embed(picture, on_progress))
        if on_progress:
            on_progress("relevancy", 0.0)
        height, width, _ = picture.shape
        looks = tile_looks(picture, tile_grids(height, width, extractor.preset, extractor.tiling))
        made, kept = (picture.shape, extractor.batch_size(len(looks))), None
        tiles, last, same = self._tiles, self._looks, made == self._made
        self.forget()
        if same:
            changed = np.abs(looks - last).max(axis=(1, 2, 3)) > self._tolerance
            looks = np.where(changed[:, None, None, None], looks, last)
            kept = KeptTiles(deque(tiles), changed)
        if kept is None or kept.changed.any():
            tiles = []  # one frame's tiles are held, not two's
            tiles = list(extractor.embed(picture, on_progress, kept))
        self._tiles, self._looks, self._made = tiles, looks, made
        return tiles
