"""How an image is cut into tiles at several scales, and put together again (arXiv 2207.11514)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.geometry import valid_depth

TILINGS = ("full", "published")


@dataclass(frozen=True)
class Preset:
    """How an image is looked at.

    Attributes:
        fractions: tile edges as fractions (numerator, denominator) of the image's shorter side.
        augmentations: colour-jittered copies besides the image.
        horizontal_flip: whether every tile is seen mirrored too.
        strides: from tile to tile it is the edge divided by this, in whole pixels.
        least_m: of a scale whose tiles show less than this of the scene, metres along an edge at
            the median depth, the maps take nothing: they would show parts of things.
    """

    fractions: tuple[tuple[int, int], ...]
    augmentations: int
    horizontal_flip: bool
    strides: int = 4
    least_m: float = 0.0

    def least_edge(self, depth_m: NDArray[np.float32], K: NDArray[np.float64]) -> float:
        """The edge from which on tiles count, pixels.

        Args:
            depth_m: (H, W), metres; what is no reading does not count.
            K: (3, 3) intrinsics, pixels.
        """
        readings = depth_m[valid_depth(depth_m)] if self.least_m else depth_m[:0]
        return self.least_m * float(K[0, 0] / np.median(readings)) if readings.size else 0.0


FOUR_SCALES = ((1, 1), (2, 3), (1, 2), (1, 4))
SIX_SCALES = tuple((1, parts) for parts in range(1, 7))
PRESETS = {
    "ours": Preset(FOUR_SCALES, augmentations=5, horizontal_flip=True),
    "chefer_et_al": Preset(((1, 1),), augmentations=0, horizontal_flip=False),
    "fast": Preset(FOUR_SCALES, augmentations=0, horizontal_flip=False),
    "sparse": Preset(FOUR_SCALES, augmentations=0, horizontal_flip=False, strides=2),
    "mosaic": Preset(SIX_SCALES, augmentations=0, horizontal_flip=False, strides=1, least_m=0.35),
}


@dataclass(frozen=True)
class TileGrid:
    """The tiles of one scale: every row start with every column start.

    Attributes:
        size: edge of a tile, pixels.
        rows: first rows of the tiles.
        columns: their first columns.
    """

    size: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)


@dataclass(frozen=True)
class TileBatch:
    """Tiles of one scale that go through an image tower together.

    Attributes:
        size: edge of a tile, pixels.
        corners: row and column of the first pixel of each.
        numbers: (n,) int64, which of the picture's tiles they are.
    """

    size: int
    corners: tuple[tuple[int, int], ...]
    numbers: NDArray[np.int64]


def tile_batches(grids: Sequence[TileGrid], most: int) -> list[TileBatch]:
    """All tiles of a picture, scale by scale, up to so many at a time."""
    batches, done = [], 0
    for grid in grids:
        corners = [(row, column) for row in grid.rows for column in grid.columns]
        for start in range(0, len(corners), most):
            some = tuple(corners[start : start + most])
            batches.append(TileBatch(grid.size, some, np.arange(done, done + len(some))))
            done += len(some)
    return batches


def tile_grids(height: int, width: int, preset: Preset, tiling: str = "full") -> list[TileGrid]:
    """The tiles of an image, a grid per scale.

    ``full`` adds a last tile flush with the border where the stride does not divide, so that every
    pixel is covered at every scale. ``published`` keeps the grid of the published code, which drops
    tiles that start at a column >= height or a row >= width.
    """
    shorter = min(height, width)
    grids = []
    for numerator, denominator in preset.fractions:
        size = shorter * numerator // denominator
        stride = size // preset.strides
        rows = list(range(0, height - size + 1, stride))
        columns = list(range(0, width - size + 1, stride))
        if tiling == "published":
            rows = [start for start in rows if start < width]
            columns = [start for start in columns if start < height]
        else:
            rows += [height - size] if rows[-1] != height - size else []
            columns += [width - size] if columns[-1] != width - size else []
        grids.append(TileGrid(size, tuple(rows), tuple(columns)))
    return grids


def placement(starts: Sequence[int], size: int, patches: int, length: int) -> Tensor:
    """The linear map that enlarges tiles along one axis and averages them where they overlap.

    Enlarging is bilinear with ``align_corners=False`` and separable, and so is the number of tiles
    over a pixel; a scale is assembled by one such matrix per axis.

    Args:
        starts: n first pixels of the tiles.
        size: their length, pixels.
        patches: patches per tile.
        length: pixels of the image.

    Returns:
        (length, n * patches) float32; rows of pixels that no tile covers are 0.
    """
    enlarge = F.interpolate(
        torch.eye(patches)[None], size=size, mode="linear", align_corners=False
    )[0].T
    matrix = torch.zeros(length, len(starts), patches)
    count = torch.zeros(length)
    for tile, start in enumerate(starts):
        matrix[start : start + size, tile] = enlarge
        count[start : start + size] += 1
    return (matrix / count.clamp_min(1)[:, None, None]).flatten(1)
