"""How an image is cut into tiles at several scales, and put together again (arXiv 2207.11514)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.devices import large_empty
from semabs_core.geometry import valid_depth

TILINGS = ("full", "published")
DEPTH_EDGE = 160
"""Of a depth image, so many readings along the shorter side are enough for the tiles' medians."""
LEAST_READ = 0.05
"""Of a tile, so large a part must have been read for its own depth to be known."""


@dataclass(frozen=True)
class Preset:
    """How an image is looked at.

    Attributes:
        fractions: tile edges as fractions (numerator, denominator) of the image's shorter side.
        augmentations: colour-jittered copies besides the image.
        horizontal_flip: whether every tile is seen mirrored too.
        strides: from tile to tile it is the edge divided by this, in whole pixels.
        least_m: a tile that shows less than this of the scene, metres along an edge at its median
            depth, does not count in the maps: it would show a part of a thing.
    """

    fractions: tuple[tuple[int, int], ...]
    augmentations: int
    horizontal_flip: bool
    strides: int = 4
    least_m: float = 0.0


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
        corners = list(product(grid.rows, grid.columns))
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


def tile_weights(
    depth_m: NDArray[np.float32], K: NDArray[np.float64], preset: Preset, tiling: str = "full"
) -> NDArray[np.float32]:
    """Which tiles of an image show enough of the scene to count in its maps.

    A tile of ``size`` pixels shows ``size * depth / focal length`` along an edge, at the median of
    its readings; where hardly any of it was read, of the whole image's. Of two focal lengths it is
    the geometric mean. The largest tiles always count.

    Args:
        depth_m: (H, W) of the image, metres; what is no reading does not count.
        K: (3, 3) intrinsics, pixels, of the image or of one that it was turned from.
        preset: says what a tile must show.
        tiling: as of :func:`tile_grids`.

    Returns:
        0 or 1 for each tile, in the order of :func:`tile_grids`.
    """
    height, width = depth_m.shape
    grids = tile_grids(height, width, preset, tiling)
    if not preset.least_m:
        return np.ones(sum(map(len, grids)), np.float32)
    step = max(1, min(height, width) // DEPTH_EDGE)
    coarse = depth_m[::step, ::step]
    readings = np.where(valid_depth(coarse), coarse, np.nan)
    usual = _median(readings, np.inf)
    focal = float(np.sqrt(K[0, 0] * K[1, 1]))
    shown = []
    for grid in grids:
        size = -(-grid.size // step)
        for row, column in product(grid.rows, grid.columns):
            r, c = row // step, column // step
            shown.append(grid.size * _median(readings[r : r + size, c : c + size], usual))
    enough = np.array(shown) >= preset.least_m * focal
    enough[: len(grids[0])] = True
    return enough.astype(np.float32)


def check_weights(weights: NDArray[np.float32], tiles: int, largest: int) -> NDArray[np.float32]:
    """The weights of an image's tiles as float32, if the largest tiles, which come first, count."""
    weights = np.asarray(weights, np.float32)
    if weights.shape != (tiles,) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"tile_weights must be {tiles} finite numbers that are not negative, one for each "
            f"tile of the image, got shape {weights.shape}"
        )
    if not weights[:largest].all():
        raise ValueError("tile_weights must not be 0 for the largest tiles")
    return weights


def _median(readings: NDArray[np.float32], otherwise: float) -> float:
    """The median of what is not NaN, where it is a part that says something."""
    known = readings[~np.isnan(readings)]
    return float(np.median(known)) if known.size > LEAST_READ * readings.size else otherwise


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


def assemble(
    tiles: Tensor,
    grids: Sequence[TileGrid],
    shape: tuple[int, int],
    weights: NDArray[np.float32] | None = None,
) -> Tensor:
    """Maps of an image: the mean of its scales, in each of which overlapping tiles are averaged.

    With weights w of tiles, a pixel of value v in each tile over it gets sum_s mean_t(w v) over
    sum_s mean_t(w), s being the scales and t the tiles of a scale there.

    Args:
        tiles: (T, L, rows, columns) float32 values of the tiles' patches, grid by grid.
        grids: where the tiles lie.
        shape: (H, W) of the image.
        weights: (T,) float32, how much each tile counts, some over every pixel; None: all alike.

    Returns:
        (L, H, W) float32.

    Raises:
        ValueError: as of :func:`check_weights`.
    """
    height, width = shape
    rows, columns = tiles.shape[2:]
    if weights is not None:
        weights = check_weights(weights, len(tiles), len(grids[0]))
        weights = None if weights.all() else weights
    if weights is not None:
        # A map of ones beside the others finds the weight of every pixel, to be divided by.
        weight = torch.from_numpy(weights).to(tiles.device)[:, None, None, None]
        # What does not count may be anything, NaN too.
        tiles = torch.where(weight > 0, tiles * weight, 0.0)
        tiles = torch.cat([tiles, weight.expand(-1, 1, rows, columns)], dim=1)
    wide, high = [], []
    for grid, part in zip(grids, tiles.split([len(grid) for grid in grids]), strict=True):
        part = part.unflatten(0, (len(grid.rows), len(grid.columns)))
        part = part.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
        wide.append(part @ placement(grid.columns, grid.size, columns, width).to(part.device).T)
        high.append(placement(grid.rows, grid.size, rows, height) / len(grids))
    # All scales at once: for many labels, each pass over all maps costs as much.
    every = torch.cat(high, dim=1).to(tiles.device).expand(tiles.shape[1], -1, -1)
    out = large_empty((tiles.shape[1], height, width), tiles.device)
    maps = torch.bmm(every, torch.cat(wide, dim=1), out=out)
    return maps if weights is None else maps[:-1].div_(maps[-1])
