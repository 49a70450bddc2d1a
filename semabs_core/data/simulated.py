"""Simulated relevancy: maps as many encoders and segmenters would give them, from instance masks.

Networks must not depend on one encoder. Every call draws another pretend one (see
:mod:`semabs_core.data.simulated_encoder`) or, in a share of the calls, a segmenter's masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from semabs_core.data.simulated_encoder import PretendEncoder, kinship
from semabs_core.data.smooth_noise import blur_matrix, smooth_noise

MASK_SHARE = 0.12
"""Share of calls that give masks."""
SATURATED_SHARE = 0.15
"""Share of the others that are cut off above."""
MIN_EDGE = 16
"""Shorter edge of the maps, pixels: the finest tiles are a quarter of it, their stride a 16th."""


def simulate_relevancy(
    seg: NDArray[np.int32],
    names: Sequence[str],
    words: Sequence[str],
    rng: np.random.Generator,
    size: int = 128,
    *,
    mask_share: float = MASK_SHARE,
    saturated_share: float = SATURATED_SHARE,
) -> NDArray[np.float32]:
    """Relevancy maps that some encoder or segmenter might give of a picture.

    Args:
        seg: (H, W) integer object id of each pixel; negative is nothing.
        names: bare class name of each object id.
        words: the L words to make maps of, in the picture or not.
        rng: everything random; the same state gives the same maps.
        size: longer edge of the maps, pixels.
        mask_share: chance of a segmenter's masks in place of an encoder's maps.
        saturated_share: chance that an encoder's maps are cut off above.

    Returns:
        (L, h, w) float32, not negative, as
        :meth:`semabs_core.relevancy.RelevancyExtractor.maps` gives them; the scale is arbitrary.

    Raises:
        ValueError: if an argument is wrong.
    """
    check_request(seg, names, words, size)
    small = reduce_ids(seg, size)
    if rng.random() < mask_share:
        return simulate_masks(small, names, words, rng, soft=bool(rng.random() < 0.3))
    maps = PretendEncoder.draw(rng).maps(small, names, words, rng)
    if rng.random() < saturated_share:
        ceiling = np.median(maps.max(axis=(1, 2))) * rng.uniform(0.6, 1.5)
        maps = np.minimum(maps, np.float32(ceiling))
    return maps * np.float32(10 ** rng.uniform(-3, 0))


def check_request(
    seg: NDArray[np.int32], names: Sequence[str], words: Sequence[str], size: int
) -> None:
    """Raise ``ValueError`` where an argument of :func:`simulate_relevancy` is wrong."""
    if not isinstance(seg, np.ndarray) or seg.ndim != 2 or not np.issubdtype(seg.dtype, np.integer):
        found = (seg.shape, seg.dtype) if isinstance(seg, np.ndarray) else type(seg).__name__
        raise ValueError(f"seg must be (H, W) integer object ids, got {found}")
    if not seg.size:
        raise ValueError(f"seg must hold pixels, got {seg.shape}")
    if seg.max() >= len(names):
        raise ValueError(
            f"names must name every object id in seg: there are {len(names)}, and seg holds "
            f"{seg.max()}"
        )
    if isinstance(words, str) or not len(words):
        raise ValueError(f"words must be a sequence of at least one word, got {words!r}")
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise ValueError(f"words must be words, got {word!r}")
    shorter = round(size * min(seg.shape) / max(seg.shape))
    if shorter < MIN_EDGE:
        raise ValueError(
            f"size must be so large that maps of a picture of {seg.shape} have {MIN_EDGE} pixels "
            f"on the shorter edge, got {size}, which gives {shorter}"
        )


def reduce_ids(seg: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Object ids (H, W) at another size, the longer edge ``size``; the nearest pixel's."""
    height, width = (round(size * edge / max(seg.shape)) for edge in seg.shape)
    rows = ((np.arange(height) + 0.5) * seg.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * seg.shape[1] / width).astype(np.int64)
    return seg[rows[:, None], columns].astype(np.int32)


def simulate_masks(
    seg: NDArray[np.int32],
    names: Sequence[str],
    words: Sequence[str],
    rng: np.random.Generator,
    soft: bool = False,
) -> NDArray[np.float32]:
    """A segmenter's masks of words: ragged, a little too small or large, some thing missed.

    Args:
        seg: (h, w) int32 object id of each pixel; negative is nothing.
        names: bare class name of each object id.
        words: L words.
        rng: everything random.
        soft: whether the edges are soft; otherwise the maps hold 0 and 1 only.

    Returns:
        (L, h, w) float32 in 0..1; words of which nothing is in the picture are 0, but for a rare
        mistake.
    """
    chosen = _chosen(np.unique(seg[seg >= 0]), names, words, rng)
    table = np.zeros((len(words), len(names) + 1), np.float32)
    table[:, :-1] = chosen
    masks = torch.from_numpy(table[:, np.where(seg < 0, len(names), seg)])
    reach = rng.uniform(0.004, 0.012) * max(seg.shape)
    edge = blur_matrix(seg.shape[0], reach) @ masks @ blur_matrix(seg.shape[1], reach).T
    ragged = rng.uniform(0.05, 0.3) * smooth_noise(len(words), seg.shape, 32, rng)
    threshold = torch.from_numpy(rng.uniform(0.3, 0.7, (len(words), 1, 1)).astype(np.float32))
    edge += ragged * (edge * (1 - edge) * 4).clamp_min_(0) - threshold
    missed = torch.from_numpy(rng.random((len(words), 1, 1)) < 0.08)
    edge[(smooth_noise(len(words), seg.shape, 6, rng) > 0.7) & missed] = -1
    return (edge.mul_(8).add_(0.5).clamp_(0, 1) if soft else (edge > 0).float()).numpy()


def _chosen(
    ids: NDArray[np.int32],
    names: Sequence[str],
    words: Sequence[str],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Which objects a segmenter takes for which word, (L, number of names)."""
    broad = rng.random() < 0.5
    chosen = np.zeros((len(words), len(names)), bool)
    if not len(ids):
        return chosen
    for row, word in enumerate(words):
        for i in ids:
            meant = names[i] == word or (broad and kinship(word, names[i]) == 1)
            chosen[row, i] = meant and rng.random() > 0.05
        if not chosen[row].any() and rng.random() < 0.05:
            chosen[row, rng.choice(ids)] = True
    return chosen
