"""Means over rooms, labels or rows, with bootstrap intervals over scenes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def _mean_without_nan(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean along the last axis of what is a number; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=-1)


class Resampler:
    """Means of rows, and of R redrawings of the scenes with replacement.

    A result is (1 + R,) float64: the mean itself, then one per redrawing. A resampler's results
    are all of the same redrawings, so that they may be averaged or compared one by one.

    Args:
        scene_ids: all scenes.
        replicates: number of redrawings R; 0 for none.
        seed: of the redrawings.
    """

    def __init__(self, scene_ids: Iterable[Any], replicates: int = 0, seed: int = 0) -> None:
        self.scenes = pd.Index(sorted(set(scene_ids)))
        count = len(self.scenes)
        drawn: NDArray[Any] = np.zeros((replicates, count))
        if replicates and count:
            random = np.random.default_rng(seed)
            drawn = random.multinomial(count, np.full(count, 1 / count), size=replicates)
        self.weights = np.concatenate([np.ones((1, count)), drawn])
        """(1 + R, S): how often each scene counts."""

    def mean(
        self,
        scene_ids: ArrayLike,
        values: NDArray[np.float64],
        groups: ArrayLike | None = None,
        within_scenes: bool = False,
    ) -> NDArray[np.float64]:
        """The mean of rows that are numbers.

        Args:
            scene_ids: (n,) scene of each row.
            values: (n,) with NaN for rows that are left out.
            groups: (n,) if given, the mean of each group is taken first, then the mean of these.
            within_scenes: whether the mean of each scene is taken first, then the mean of these.

        Returns:
            (1 + R,), NaN where there is no row. One scene alone tells nothing about others: all
            redrawings of it are NaN.
        """
        values = np.asarray(values, dtype=np.float64)
        scene = self.scenes.get_indexer(pd.Index(np.asarray(scene_ids)))
        assert (scene >= 0).all(), "a row is of an unknown scene"
        group = np.zeros(len(values), dtype=int)
        if groups is not None:
            group = pd.factorize(np.asarray(groups, dtype=object))[0]
        number = ~np.isnan(values)
        scene, group, values = scene[number], group[number], values[number]
        shape = (len(self.scenes), int(group.max(initial=0)) + 1)
        sums, counts = np.zeros(shape), np.zeros(shape)
        np.add.at(sums, (scene, group), values)
        np.add.at(counts, (scene, group), 1)
        if within_scenes:
            sums, counts = sums / np.maximum(counts, 1), (counts > 0).astype(float)
        with np.errstate(invalid="ignore"):
            means = (self.weights @ sums) / (self.weights @ counts)
        result = _mean_without_nan(means)
        if (counts.sum(axis=1) > 0).sum() < 2:
            result[1:] = np.nan
        return result


def mean_of_results(results: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean (1 + R,) of those results of a resampler that are numbers.

    A redrawing that lacks one of them is NaN: without it, it would be the mean of something else.
    """
    there = [result for result in results if not np.isnan(result[0])]
    return np.mean(there, axis=0) if there else np.full_like(results[0], np.nan)


def interval(results: NDArray[np.float64]) -> tuple[float, float] | None:
    """The 95 % interval of a resampler's result (percentiles); None without redrawings."""
    drawn = results[1:][~np.isnan(results[1:])]
    if not len(drawn):
        return None
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
