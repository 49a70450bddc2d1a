"""Metrics over points and over voxels, at all cutoffs in one pass.

A logit's *rank* is the number of cutoffs that it reaches. A point is predicted at cutoff k if its
rank is above k, and a voxel if the highest rank among its points is. So one histogram of ranks, for
positives and for negatives, holds the confusion counts of all cutoffs; points may come in parts.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        histogram: (L, 2, K + 1) int64, how many negatives [:, 0] and positives [:, 1] have each
            rank.

    Returns:
        For each of ``METRICS`` (L, K): NaN where its denominator is 0 (empty union, no prediction,
        no positive, nothing that is not ignored).
    """
    counts = histogram.cpu().numpy().astype(np.float64)
    reached = counts[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    false_positive, true_positive = reached[:, 0], reached[:, 1]
    positive = counts[:, 1].sum(axis=-1, keepdims=True)
    everything = counts.sum(axis=(1, 2))[:, None]
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


class _Voxels:
    """What is known about every voxel of one grid, for L labels."""

    def __init__(self, labels: int, grid: int, device: torch.device) -> None:
        self.shape = (grid, grid, grid)
        size = (labels, grid**3)
        self.rank = torch.zeros(size, dtype=torch.int32, device=device)
        self.positive = torch.zeros(size, dtype=torch.bool, device=device)
        self.ignored = torch.zeros(size, dtype=torch.bool, device=device)
        self.filled = torch.zeros(size, dtype=torch.bool, device=device)

    def update(self, index: Tensor, rank: Tensor, positive: Tensor, ignore: Tensor) -> None:
        """Put points with flat indices (n,) into the voxels of all labels together."""
        self.rank.view(-1).scatter_reduce_(0, index, rank.to(torch.int32), "amax")
        for state, chosen in (
            (self.filled, index),
            (self.positive, index[positive]),
            (self.ignored, index[ignore]),
        ):
            state.view(-1)[chosen] = True


class MetricCounter:
    """Collects points in chunks; ``compute`` gives the metrics of all points so far."""

    def __init__(
        self,
        labels: int,
        bounds: Sequence[Sequence[float]] | NDArray,
        grids: Sequence[int] = GRIDS,
        cutoffs: Sequence[float] = CUTOFFS,
        device: torch.device | str = "cpu",
    ) -> None:
        """An empty counter.

        Args:
            labels: number of labels L.
            bounds: (2, 3) lower and upper corner of the voxel grids, scene frame.
            grids: voxels per axis of each grid.
            cutoffs: K logits, ascending; at or above one is predicted.
            device: where to count.
        """
        self.device = torch.device(device)
        self.cutoffs = torch.tensor(cutoffs, dtype=torch.float32, device=self.device)
        if len(cutoffs) == 0 or bool((self.cutoffs.diff() <= 0).any()):
            raise ValueError(f"cutoffs must be ascending and not empty, got {list(cutoffs)}")
        corners = torch.as_tensor(np.asarray(bounds), dtype=torch.float32, device=self.device)
        self.lower, self.upper = corners
        self.histogram = torch.zeros(
            labels, 2, len(cutoffs) + 1, dtype=torch.int64, device=self.device
        )
        self.voxels = {grid_name(grid): _Voxels(labels, grid, self.device) for grid in grids}

    def update(self, xyz: Tensor, logits: Tensor, targets: Tensor, ignore: Tensor) -> None:
        """Count more points.

        Args:
            xyz: (L, M, 3) float32, scene frame. Points outside the bounds are in no voxel.
            logits: (L, M) float.
            targets: (L, M), 1 or True where the label is.
            ignore: (L, M) bool, points that nothing is said about.

        Raises:
            ValueError: if a logit is NaN or the shapes disagree.
        """
        shape = (len(self.histogram), xyz.shape[1])
        for name, value in (("logits", logits), ("targets", targets), ("ignore", ignore)):
            if tuple(value.shape) != shape:
                raise ValueError(f"{name} must be {shape}, got {tuple(value.shape)}")
        xyz, logits = xyz.to(self.device), logits.to(self.device, torch.float32)
        if bool(logits.isnan().any()):
            raise ValueError("logits must be numbers, got NaN: the network's weights have diverged")
        positive, ignore = targets.to(self.device) > 0.5, ignore.to(self.device, torch.bool)
        rank = torch.bucketize(logits.contiguous(), self.cutoffs, right=True)
        self.histogram += self._count(rank, positive, ~ignore)
        inside = ((xyz >= self.lower) & (xyz <= self.upper)).all(dim=-1)
        row = torch.arange(len(xyz), device=self.device)[:, None]
        for voxels in self.voxels.values():
            x, y, z = grid_index(xyz, self.lower, self.upper, voxels.shape).long().unbind(-1)
            _, Y, Z = voxels.shape
            index = row * voxels.rank.shape[1] + (x * Y + y) * Z + z
            voxels.update(index[inside], rank[inside], positive[inside], ignore[inside])

    def compute(self) -> dict[str, NDArray[np.float64]]:
        """Metrics (L, K) under the names of :func:`metric_names`."""
        results = {"point": metrics_of_histogram(self.histogram)}
        for name, voxels in self.voxels.items():
            valid = voxels.filled & ~voxels.ignored
            histogram = self._count(voxels.rank.long(), voxels.positive, valid)
            results[name] = metrics_of_histogram(histogram)
        return {
            f"{place}_{metric}": values
            for place, metrics in results.items()
            for metric, values in metrics.items()
        }

    def _count(self, rank: Tensor, positive: Tensor, valid: Tensor) -> Tensor:
        """Histogram (L, 2, K + 1) of ranks (L, M) by label and positive, of the valid ones."""
        labels, ranks = len(rank), len(self.cutoffs) + 1
        row = torch.arange(labels, device=self.device)[:, None]
        index = (row * 2 + positive) * ranks + rank
        counts = torch.bincount(index[valid], minlength=labels * 2 * ranks)
        return counts.view(labels, 2, ranks)
