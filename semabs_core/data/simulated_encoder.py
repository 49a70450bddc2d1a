"""A pretend vision-language model: what its relevancy looks like, from instance masks alone.

In a tile, relevancy is attention (a softmax over the patches, the same for all words) times the
positive part of how much a patch speaks for a word (relevancy, step 4). The gradient of a cosine is
orthogonal to what the tile shows as a whole, so what fills a tile evenly lights up weakly there;
this is why real maps of walls and floors are faint. Both are modelled; the evidence that a real
tower computes is replaced by random parts of the objects and random confusions of their classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from semabs_core.data.simulated_traits import RANGES, Ranges, draw_traits
from semabs_core.data.smooth_noise import blur_matrix, smooth_noise
from semabs_core.tiling import PRESETS, Preset, TileGrid, placement, tile_grids

PREPOSITIONS = re.compile(r"\s(?:of|with|in|on|for|from|without)\s")
MIN_PATCH = 2
"""Pixels; where the patches of a fine tile would be smaller, the tile has fewer."""
USUAL_SHARE = 0.03
"""Of the picture, that a thing has."""
LARGE_SHARE = 0.06
"""What covers more of the picture than this often lights up weakly, or in part."""


@dataclass(frozen=True)
class PretendEncoder:
    """A random encoder; all maps of a picture come from the same.

    Attributes:
        preset: how it looks at the picture.
        tiling: as in :func:`semabs_core.tiling.tile_grids`.
        patches: patches along each edge of a tile.
        traits: its value of every parameter of
            :class:`semabs_core.data.simulated_traits.Ranges`.
    """

    preset: Preset
    tiling: str
    patches: int
    traits: dict[str, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, ranges: Ranges = RANGES) -> PretendEncoder:
        """A random one."""
        preset = str(rng.choice(["ours", "fast", "chefer_et_al"], p=[0.45, 0.45, 0.1]))
        tiling = str(rng.choice(["full", "published"], p=[0.8, 0.2]))
        traits = draw_traits(rng, ranges)
        return cls(PRESETS[preset], tiling, int(rng.integers(7, 17)), traits)

    def maps(
        self,
        seg: NDArray[np.int32],
        names: Sequence[str],
        words: Sequence[str],
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Relevancy of words in a picture.

        Args:
            seg: (h, w) int32 object id of each pixel; negative is nothing.
            names: bare class name of each object id.
            words: L words.
            rng: everything random.

        Returns:
            (L, h, w) float32, not negative.
        """
        ids = np.unique(seg)
        objects = ids[ids >= 0]
        index = np.searchsorted(objects, seg)
        index = np.where(seg < 0, len(objects), index)
        evidence = self._evidence([names[i] for i in objects], words, rng)
        share = np.bincount(index.ravel(), minlength=len(objects) + 1) / index.size
        evidence *= self._size_gain(share)
        shown = np.array([[names[i] == word for i in objects] for word in words])
        shares = np.where(shown.any(axis=1), shown @ share[:-1], USUAL_SHARE)
        evidence *= self._size_gain(shares)[:, None]
        field = self._field(index, evidence, rng)
        saliency = smooth_noise(1, seg.shape, 8, rng)
        saliency += torch.from_numpy(rng.normal(0, 0.7, len(objects) + 1).astype(np.float32))[index]
        saliency *= self.traits["attention"]
        total = torch.zeros_like(field)
        grids = tile_grids(seg.shape[0], seg.shape[1], self.preset, self.tiling)
        for grid in grids:
            total += self._scale(field, saliency, grid, rng)
        return (total / len(grids)).clamp_min_(0).numpy()

    def _size_gain(self, share: NDArray[np.float64]) -> NDArray[np.float32]:
        """How much more, or less, things of these shares of the picture speak for words."""
        gain = (share.clip(0.005, 0.5) / USUAL_SHARE) ** (self.traits["large"] / 2)
        return gain.astype(np.float32)

    def _evidence(
        self, objects: Sequence[str], words: Sequence[str], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """How much each object speaks for each word: (L, objects + 1), the last is nothing."""
        traits = self.traits
        classes = sorted({*objects, *words})
        shape = (len(words), len(classes))
        sure = rng.random(shape) < traits["strong_share"]
        found = np.where(sure, rng.uniform(0.3, 0.9, shape), rng.exponential(traits["weak"], shape))
        for row, word in enumerate(words):
            for column, name in enumerate(classes):
                if kin := kinship(word, name):
                    found[row, column] = max(found[row, column], kin * rng.uniform(0.5, 1))
        found *= traits["confusion"]
        for row, word in enumerate(words):
            found[row, classes.index(word)] = 1
        unknown = np.flatnonzero(rng.random(len(words)) < traits["unknown"])
        found[unknown] = rng.permuted(found[unknown], axis=1)
        evidence = found[:, [classes.index(name) for name in objects]]
        evidence *= np.exp(rng.normal(0, 0.2, evidence.shape))
        evidence = np.hstack([evidence, rng.exponential(traits["weak"], (len(words), 1))])
        best = evidence.max(axis=1)
        lifted = np.maximum(best, np.minimum(traits["absent"], 1) * rng.uniform(0.5, 1, len(words)))
        evidence *= (lifted / np.maximum(best, 1e-6))[:, None]
        evidence *= np.exp(rng.normal(0, traits["amplitude"], (len(words), 1)))
        faint = rng.random((len(words), 1)) < traits["faint"]
        evidence *= np.where(faint, 10 ** rng.uniform(-2, -0.5, faint.shape), 1)
        return evidence.astype(np.float32)

    def _field(
        self, index: NDArray[np.int64], evidence: NDArray[np.float32], rng: np.random.Generator
    ) -> Tensor:
        """Evidence (L, h, w) at each pixel: parts of the objects, contours, texture, leaks."""
        traits, count, (height, width) = self.traits, len(evidence), index.shape
        where = torch.from_numpy(index)
        noise = smooth_noise(count, index.shape, int(rng.integers(5, 14)), rng)
        shared = smooth_noise(1, index.shape, int(rng.integers(5, 14)), rng)
        share = np.bincount(index.ravel(), minlength=evidence.shape[1]) / index.size
        threshold = torch.from_numpy(_thresholds(share, rng))[where]
        field = torch.from_numpy(np.take(evidence, index, axis=1))
        field *= (traits["uneven"] * (noise + shared)).exp_()
        lit = torch.sigmoid(4 * (0.6 * noise + shared - threshold))
        field *= 1 - traits["patchy"] * (1 - lit)
        field *= self._parts(index, count, rng)
        field *= 1 + traits["contour"] * _contours(index)
        field += traits["texture"] * smooth_noise(count, index.shape, 24, rng)
        reach = traits["leak_reach"] * max(height, width)
        spread = blur_matrix(height, reach) @ field @ blur_matrix(width, reach).T
        return field.lerp_(spread, traits["leak"])

    def _parts(self, index: NDArray[np.int64], count: int, rng: np.random.Generator) -> Tensor:
        """Which part of things a word means, (L, h, w) in 0..1: the middle, the top, an end."""
        down, right = _box_coordinates(index)
        at = torch.from_numpy(rng.uniform(0.0, 1.0, (2, count, 1, 1)).astype(np.float32))
        sizes = self.traits["part_size"] * rng.uniform(0.6, 1.8, (count, 1, 1))
        bump = (down - at[0]).square_() + (right - at[1]).square_()
        bump = (bump * torch.from_numpy((-0.5 / sizes**2).astype(np.float32))).exp_()
        share = np.clip(self.traits["part"] * rng.uniform(0, 1.3, (count, 1, 1)), 0, 1)
        weight = torch.from_numpy(share.astype(np.float32))
        return 1 - weight + weight * bump

    def _scale(
        self, field: Tensor, saliency: Tensor, grid: TileGrid, rng: np.random.Generator
    ) -> Tensor:
        """Relevancy (L, h, w) of the tiles of one scale: steps 3 to 5."""
        traits, (height, width) = self.traits, field.shape[1:]
        views = (1 + self.preset.augmentations) * (1 + self.preset.horizontal_flip)
        patches = min(self.patches, grid.size // MIN_PATCH)
        tiles = (len(grid.rows), patches, len(grid.columns), patches)
        rows = pooling(grid.rows, grid.size, patches, height, traits["mixing"])
        columns = pooling(grid.columns, grid.size, patches, width, traits["mixing"])
        noise = rng.standard_normal((len(rows), len(columns)), dtype=np.float32)
        attention = rows @ saliency @ columns.T
        attention += traits["patch_noise"] / views**0.5 * torch.from_numpy(noise)
        attention = attention.view(tiles).exp_()
        attention /= attention.mean(dim=(1, 3), keepdim=True)
        whole_rows, whole_columns = (
            axis.unflatten(0, (-1, patches)).mean(dim=1) for axis in (rows, columns)
        )
        attended = field * saliency.exp()
        whole = whole_rows @ attended @ whole_columns.T
        whole /= whole_rows @ saliency.exp() @ whole_columns.T
        power = (whole_rows @ field.square() @ whole_columns.T).clamp_min_(0).sqrt_()
        gain = rng.normal(0, traits["tile_gain"], whole.shape).astype(np.float32)
        gain = torch.from_numpy(gain).exp_() * power.add_(0.05) ** -traits["contrast"]
        seen = (rows @ (field @ columns.T)).unflatten(2, tiles[2:]).unflatten(1, tiles[:2])
        seen -= traits["whole"] * whole[:, :, None, :, None]
        seen.clamp_min_(0)
        seen *= gain[:, :, None, :, None]
        seen *= attention
        down = placement(grid.rows, grid.size, patches, height)
        across = placement(grid.columns, grid.size, patches, width)
        return (down @ seen.flatten(3, 4).flatten(1, 2)) @ across.T


@lru_cache(maxsize=4096)
def _parsed(name: str) -> tuple[str, frozenset[str]]:
    """The head noun of a name, and all its words: "poster of a cat" is about a poster."""
    lowered = name.lower().strip()
    phrase = PREPOSITIONS.split(lowered)[0].split()
    return (phrase or [lowered])[-1], frozenset(lowered.split())


def kinship(word: str, name: str) -> float:
    """How alike two names sound: 1 for the same head noun, 0.6 for a shared word, else 0."""
    (head, parts), (other_head, other_parts) = _parsed(word), _parsed(name)
    if head == other_head:
        return 1.0
    return 0.6 if head in other_parts or other_head in parts else 0.0


def pooling(starts: Sequence[int], size: int, patches: int, length: int, mixing: float) -> Tensor:
    """The linear map from pixels to the patches of tiles along one axis: means, then mixed.

    Args:
        starts: n first pixels of the tiles.
        size: their length, pixels.
        patches: patches per tile.
        length: pixels of the picture.
        mixing: standard deviation of the mixing of neighbouring patches, patches.

    Returns:
        (n * patches, length) float32; every row sums to 1.
    """
    edges = np.arange(patches + 1) * size / patches
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    area = torch.from_numpy((overlap.clip(0) * patches / size).astype(np.float32))
    area = blur_matrix(patches, mixing) @ area
    matrix = torch.zeros(len(starts), patches, length)
    for tile, start in enumerate(starts):
        matrix[tile, :, start : start + size] = area
    return matrix.flatten(0, 1)


def _thresholds(share: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """What the smooth field must exceed for each object to light up; high for large things."""
    small = rng.uniform(-4, -0.5, share.shape)
    large = rng.uniform(-2, 1, share.shape)
    return np.where(share > LARGE_SHARE, large, small).astype(np.float32)


def _contours(index: NDArray[np.int64]) -> Tensor:
    """(h, w) 0..1: near the border between two things."""
    padded = np.pad(index, 1, mode="edge")
    edge = (padded[2:, 1:-1] != padded[:-2, 1:-1]) | (padded[1:-1, 2:] != padded[1:-1, :-2])
    return torch.from_numpy(ndimage.uniform_filter(edge.astype(np.float32), 3))


def _box_coordinates(index: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Where in its thing's box a pixel lies, downwards and to the right, each (h, w) in 0..1."""
    down = np.zeros(index.shape, np.float32)
    right = np.zeros(index.shape, np.float32)
    for label, box in enumerate(ndimage.find_objects(index.astype(np.int32) + 1)):
        if box is None:
            continue
        inside = index[box] == label
        steps = [
            (np.arange(part.stop - part.start) + 0.5) / (part.stop - part.start) for part in box
        ]
        rows, columns = np.broadcast_arrays(steps[0][:, None], steps[1][None])
        down[box][inside], right[box][inside] = rows[inside], columns[inside]
    return torch.from_numpy(down), torch.from_numpy(right)
