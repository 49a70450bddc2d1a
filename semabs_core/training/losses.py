"""The loss and the running metric of query points."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def summed_loss(logits: Tensor, targets: Tensor, ignore: Tensor) -> Tensor:
    """Binary cross-entropy with logits, summed over the points that count.

    The sum, not the mean: what passes over some labels and processes with some scenes give adds up
    to the mean over a step's points once each is divided by their number.

    Args:
        logits: (B, P, M) any float type.
        targets: (B, P, M) float32, 0 or 1.
        ignore: (B, P, M) bool, points that are left out.

    Returns:
        () float32.
    """
    losses = binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    return losses.masked_fill(ignore, 0.0).sum()


def present(batch: Mapping[str, Tensor]) -> Tensor:
    """How many labels of a batch have a point that counts: () int64."""
    return ((batch["targets"] > 0.5) & ~batch["ignore"]).any(dim=-1).sum()


def summed_overlap_loss(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """One minus the soft IoU of each label over the volume, summed over the labels that are there.

    ``1 - sum(w p t) / sum(w (p + t - p t))`` with p the probability: what answers are measured by,
    where the cross-entropy of balanced points does not see how rare a label is (Rahman and Wang,
    "Optimizing Intersection-Over-Union in Deep Neural Networks", 2016).

    Args:
        logits: (B, P, M) any float type.
        batch: ``targets`` (B, P, M) float32, 0 or 1; ``ignore`` (B, P, M) bool, points that are
            left out; ``weights`` (B, P, M) float32, for how many points of the volume each stands.

    Returns:
        () float32.
    """
    targets, weights = batch["targets"], batch["weights"].masked_fill(batch["ignore"], 0.0)
    probability = logits.float().sigmoid()
    both = (weights * probability * targets).sum(dim=-1)
    either = (weights * (probability + targets - probability * targets)).sum(dim=-1)
    there = (weights * targets).sum(dim=-1) > 0
    return (1 - both / either.clamp_min(1e-6)).masked_fill(~there, 0.0).sum()


def confusion(logits: Tensor, targets: Tensor, ignore: Tensor) -> Tensor:
    """Points that are true positives, false positives and false negatives at logit 0.

    Args:
        logits: (B, P, M).
        targets: (B, P, M), 0 or 1.
        ignore: (B, P, M) bool, points that are left out.

    Returns:
        (3,) float64 counts.
    """
    predicted, positive = (logits > 0) & ~ignore, (targets > 0.5) & ~ignore
    counts = [predicted & positive, predicted & ~positive, positive & ~predicted]
    return torch.stack([count.sum() for count in counts]).double()


def point_iou(counts: Tensor) -> float:
    """Intersection over union of :func:`confusion` counts; NaN where there is nothing to find."""
    total = float(counts.sum())
    return float(counts[0]) / total if total else float("nan")
