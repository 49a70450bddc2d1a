"""How good a network is in the middle of a run: voxel IoU at 32^3, and the cutoff that it wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from semabs_core.evaluation.metrics import CUTOFFS, MetricCounter, grid_name
from semabs_core.networks import SpatialNetwork
from semabs_core.training.batches import label_passes, network_arguments, take_labels, to_device
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


def mixed_precision(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which networks compute in ``dtype``; float32 leaves everything as it is."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


@torch.no_grad()
def validate(
    network: SpatialNetwork,
    batches: Iterable[dict],
    process: Process,
    labels_per_pass: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Validation:
    """Judge a network on scenes; every process brings its own, and all get the same answer.

    Args:
        network: in evaluation mode or not, it has no layers that care.
        batches: of one scene each.
        process: this process.
        labels_per_pass: rows that go through the network at once; 0 for all.
        dtype: number format of the forward pass.
    """
    total = torch.zeros(2, len(CUTOFFS), dtype=torch.float64)
    for batch in batches:
        for rows in label_passes(batch["ignore"], labels_per_pass):
            part = to_device(take_labels(batch, rows), process.device)
            with mixed_precision(process.device, dtype):
                logits = network(**network_arguments(part))
            counter = MetricCounter(
                len(rows), network.config.bounds, grids=(GRID,), device=process.device
            )
            counter.update(part["query_xyz"][0], logits[0], part["targets"][0], part["ignore"][0])
            iou = counter.compute()[f"{grid_name(GRID)}_iou"]
            total[0] += torch.from_numpy(np.nansum(iou, axis=0))
            total[1] += torch.from_numpy((~np.isnan(iou)).sum(axis=0))
    summed, count = process.sum(total).cpu().numpy()
    mean = np.divide(summed, count, out=np.full_like(summed, np.nan), where=count > 0)
    if np.isnan(mean).all():
        return Validation(float("nan"), CUTOFFS[-1], 0)
    best = int(np.nanargmax(mean))
    return Validation(float(mean[best]), CUTOFFS[best], int(count.max()))
