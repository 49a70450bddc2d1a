"""Metrics over points and over voxels, at all cutoffs in one pass.

A logit's *rank* is the number of cutoffs that it reaches. A point is predicted at cutoff k if its
rank is above k, and a voxel if the highest rank among its points is. So one histogram of ranks, for
positives and for negatives, holds the confusion counts of all cutoffs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.voxels import grid_index

PUBLISHED_CUTOFFS = tuple(round(float(cutoff), 1) for cutoff in np.arange(-2.5, 0, 0.1))
"""-2.5, -2.4 ... -0.1."""
CUTOFFS = (*PUBLISHED_CUTOFFS, *(round(0.1 * tenth, 1) for tenth in range(26)))
"""The published ones and as many above: networks that were trained on few query points, about half
of them positive, are too ready to say yes at a logit of 0.
"""
METRICS = ("iou", "precision", "recall", "false_negative", "false_positive")
GRIDS = (32, 64)
"""Voxels per axis that are evaluated by default; 60 is NYU's."""


def grid_name(grid: int) -> str:
    """The prefix of a grid's columns, such as ``voxel32x32x32``."""
    return f"voxel{grid}x{grid}x{grid}"


def metric_names(grids: Sequence[int] = GRIDS) -> list[str]:
    """All columns: ``point_iou`` ... ``voxel32x32x32_iou`` ..."""
    places = ["point", *map(grid_name, grids)]
    return [f"{place}_{metric}" for place in places for metric in METRICS]


def metrics_of_histogram(histogram: Tensor) -> dict[str, NDArray[np.float64]]:
    """Confusion metrics from a histogram of ranks.

    Args:
        histogram: (2, K + 1) int64, how many negatives [0] and positives [1] have each rank.

    Returns:
        For each of ``METRICS`` (K,): NaN where its denominator is 0 (empty union, no prediction,
        no positive, nothing that is not ignored).
    """
    counts = histogram.cpu().numpy().astype(np.float64)
    reached = counts[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    false_positive, true_positive = reached
    positive, everything = counts[1].sum(), counts.sum()
    false_negative = positive - true_positive
    fractions = {
        "iou": (true_positive, positive + false_positive),
        "precision": (true_positive, true_positive + false_positive),
        "recall": (true_positive, positive),
        "false_negative": (false_negative, everything),
        "false_positive": (false_positive, everything),
    }
    with np.errstate(invalid="ignore"):
        return {name: part / whole for name, (part, whole) in fractions.items()}


class MetricCounter:
    """Metrics of labels that are all asked for at the same points of one scene."""

    def __init__(
        self,
        xyz: Tensor,
        bounds: Sequence[Sequence[float]] | NDArray,
        grids: Sequence[int] = GRIDS,
        cutoffs: Sequence[float] = CUTOFFS,
    ) -> None:
        """Find the voxel of each point.

        Args:
            xyz: (M, 3) float32, scene frame, on the device where to count. Points outside the
                bounds are in no voxel.
            bounds: (2, 3) lower and upper corner of the voxel grids, scene frame.
            grids: voxels per axis of each grid.
            cutoffs: K logits, ascending; at or above one is predicted.
        """
        self.device, self.points = xyz.device, len(xyz)
        self.cutoffs = torch.tensor(cutoffs, dtype=torch.float32, device=self.device)
        if len(cutoffs) == 0 or bool((self.cutoffs.diff() <= 0).any()):
            raise ValueError(f"cutoffs must be ascending and not empty, got {list(cutoffs)}")
        lower, upper = torch.as_tensor(np.asarray(bounds), dtype=torch.float32, device=self.device)
        inside = ((xyz >= lower) & (xyz <= upper)).all(dim=-1)
        self.voxels: dict[str, tuple[Tensor, int]] = {}
        for grid in grids:
            x, y, z = grid_index(xyz, lower, upper, (grid, grid, grid)).long().unbind(-1)
            nowhere = grid**3  # a voxel past the last one, which is not counted
            index = torch.where(inside, (x * grid + y) * grid + z, nowhere)
            self.voxels[grid_name(grid)] = index, nowhere

    def count(
        self, logits: Tensor, targets: Tensor, ignore: Tensor
    ) -> dict[str, NDArray[np.float64]]:
        """Metrics of one label.

        Args:
            logits: (M,) float.
            targets: (M,), 1 or True where the label is.
            ignore: (M,) bool, points that nothing is said about; their logits do not matter.

        Returns:
            (K,) each, under the names of :func:`metric_names`.

        Raises:
            ValueError: if a logit is NaN or the shapes disagree.
        """
        for name, value in (("logits", logits), ("targets", targets), ("ignore", ignore)):
            if tuple(value.shape) != (self.points,):
                raise ValueError(f"{name} must be ({self.points},), got {tuple(value.shape)}")
        logits = logits.to(self.device, torch.float32)
        positive, ignore = targets.to(self.device) > 0.5, ignore.to(self.device, torch.bool)
        if bool((logits.isnan() & ~ignore).any()):
            raise ValueError("logits must be numbers, got NaN: the network's weights have diverged")
        rank = torch.bucketize(logits.contiguous(), self.cutoffs, out_int32=True, right=True)
        results = {"point": self._metrics(rank, positive, ~ignore)}
        for name, (index, nowhere) in self.voxels.items():
            highest = torch.full((nowhere + 1,), -1, dtype=torch.int32, device=self.device)
            highest.scatter_reduce_(0, index, rank, "amax")
            has_positive, unknown = torch.zeros(
                2, nowhere + 1, dtype=torch.bool, device=self.device
            )
            has_positive[index[positive]] = True
            unknown[index[ignore]] = True
            unknown[nowhere] = True
            results[name] = self._metrics(highest, has_positive, (highest >= 0) & ~unknown)
        return {
            f"{place}_{metric}": values
            for place, metrics in results.items()
            for metric, values in metrics.items()
        }

    def _metrics(
        self, rank: Tensor, positive: Tensor, valid: Tensor
    ) -> dict[str, NDArray[np.float64]]:
        """Metrics (K,) of the valid ones among points or voxels (n,)."""
        ranks = len(self.cutoffs) + 1
        bins = (rank + positive * ranks)[valid]
        return metrics_of_histogram(torch.bincount(bins, minlength=2 * ranks).view(2, ranks))


class CutoffScores:
    """The IoU of many labels at every cutoff, from which the best cutoff is chosen.

    Args:
        place: whose IoU counts: ``point``, or a grid's name (:func:`grid_name`).
        cutoffs: K logits, those of the metrics that are added.

    Attributes:
        total: (2, K) float64, sums over the labels, and how many have an IoU. Those of several
            processes can be added up.
    """

    def __init__(self, place: str, cutoffs: Sequence[float] = CUTOFFS) -> None:
        self.name, self.cutoffs = f"{place}_iou", tuple(cutoffs)
        self.total = torch.zeros(2, len(self.cutoffs), dtype=torch.float64)

    def add(self, metrics: Mapping[str, NDArray[np.float64]]) -> None:
        """Metrics (L, K) of the labels of a scene; of a scene without labels there are none."""
        iou = metrics.get(self.name, np.zeros((0, len(self.cutoffs))))
        self.total[0] += torch.from_numpy(np.nansum(iou, axis=0))
        self.total[1] += torch.from_numpy((~np.isnan(iou)).sum(axis=0))

    def best(self, tolerance: float = 0.0) -> tuple[float, float, int]:
        """The best cutoff.

        Args:
            tolerance: share of the highest mean IoU that may be given away for a higher cutoff, at
                which less is said.

        Returns:
            The mean IoU at the cutoff (NaN where nothing has one), the cutoff, and how many labels.
        """
        summed, count = self.total.cpu().numpy()
        mean = np.divide(summed, count, out=np.full_like(summed, np.nan), where=count > 0)
        if np.isnan(mean).all():
            return float("nan"), self.cutoffs[-1], 0
        best = int(np.nanargmax(mean))
        if tolerance:
            best = int(np.flatnonzero(mean >= (1 - tolerance) * mean[best])[-1])
        return float(mean[best]), self.cutoffs[best], int(count.max())
