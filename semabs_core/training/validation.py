"""How good a network is in the middle of a run: voxel IoU at 32^3, and the cutoff that it wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from semabs_core.evaluation.metrics import CUTOFFS, grid_name
from semabs_core.evaluation.scene import EvaluationOptions, evaluate_scene
from semabs_core.networks import SpatialNetwork
from semabs_core.training.distributed import Process

GRID = 32


@dataclass(frozen=True)
class Validation:
    """Mean over labels at the best of all cutoffs.

    Attributes:
        iou: IoU over voxels at 32^3, 0..1; NaN where nothing could be judged.
        cutoff: the logit at which it is reached.
        labels: labels or descriptions that were judged.
    """

    iou: float
    cutoff: float
    labels: int


def validate(
    network: SpatialNetwork, items: Iterable[Mapping[str, Any]], process: Process
) -> Validation:
    """Judge a network on scenes as ``semabs eval`` does; all processes get the same answer.

    Args:
        network: in evaluation mode or not, it has no layers that care.
        items: this process's own, of a data set that is ``full``.
        process: this process.
    """
    options = EvaluationOptions(grids=(GRID,))
    total = torch.zeros(2, len(CUTOFFS), dtype=torch.float64)
    for item in items:
        metrics, _ = evaluate_scene(network, item, options)
        iou = metrics.get(f"{grid_name(GRID)}_iou", np.zeros((0, len(CUTOFFS))))
        total[0] += torch.from_numpy(np.nansum(iou, axis=0))
        total[1] += torch.from_numpy((~np.isnan(iou)).sum(axis=0))
    summed, count = process.sum(total).cpu().numpy()
    mean = np.divide(summed, count, out=np.full_like(summed, np.nan), where=count > 0)
    if np.isnan(mean).all():
        return Validation(float("nan"), CUTOFFS[-1], 0)
    best = int(np.nanargmax(mean))
    return Validation(float(mean[best]), CUTOFFS[best], int(count.max()))
