"""Random choices: input points, query points balanced per label, labels balanced over groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def weighted_choice(
    weights: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw without replacement, each time in proportion to the weights that are left.

    An item with weight w rings after an exponential time with rate w; the first ``count`` rings
    have that distribution (Efraimidis and Spirakis, 2006). Items of weight 0 ring last, in random
    order.

    Args:
        weights: (K,) not negative; they need not sum to 1.
        count: how many, at most K.
        rng: random numbers.

    Returns:
        (count,) int64, ascending.
    """
    ring = rng.standard_exponential(len(weights), dtype=np.float32)
    never = weights <= 0
    ring /= np.where(never, 1.0, weights).astype(np.float32)
    ring[never] += 2 * ring[~never].max(initial=0.0) + 1
    if count >= len(weights):
        return np.arange(len(weights))
    return np.sort(np.argpartition(ring, count)[:count])


def balanced_queries(
    positive: NDArray[np.bool_], ignore: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Query points of one label: as much probability on the positives as on the negatives.

    Drawn without replacement, so a rare label gives all its positives. Ignored points come in only
    where there are too few others.

    Args:
        positive: (K,) bool, which points the label occupies.
        ignore: (K,) bool, which points are not supervised.
        count: how many to draw, at most K.
        rng: random numbers.

    Returns:
        (count,) int64 indices, ascending.
    """
    weights = np.zeros(len(positive), dtype=np.float64)
    for group in (positive & ~ignore, ~positive & ~ignore):
        weights[group] = len(positive) / max(int(group.sum()), 1)
    return weighted_choice(weights, count, rng)


def query_weights(
    positive: NDArray[np.bool_], ignore: NDArray[np.bool_], drawn: NDArray[np.int64]
) -> NDArray[np.float32]:
    """For how many points each of :func:`balanced_queries` stands: (count,) float32, mostly >= 1.

    Sums over the drawn positives (negatives) with these weights are what sums over all positives
    (negatives) would be about. Ignored points stand for none.
    """
    weights = np.zeros(len(drawn), dtype=np.float32)
    for group in (positive & ~ignore, ~positive & ~ignore):
        weights[group[drawn]] = group.sum() / max(int(group[drawn].sum()), 1)
    return weights


def balanced_order(groups: Sequence[Hashable], rng: np.random.Generator) -> list[int]:
    """Items in the order of a draw without replacement in which every group is equally likely.

    Args:
        groups: the group (the relation) of each item.
        rng: random numbers.

    Returns:
        All indices; the first n of them are a draw of n.
    """
    sizes = [groups.count(group) for group in groups]
    ring = rng.standard_exponential(len(sizes)) * np.array(sizes, dtype=np.float64)
    return np.argsort(ring).tolist()


def fixed_size_choice(items: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``count`` of ``items`` indices; where there are too few, all of them and repetitions."""
    if items >= count:
        return np.sort(rng.choice(items, count, replace=False, shuffle=False))
    return np.concatenate([np.arange(items), rng.integers(items, size=count - items)])
