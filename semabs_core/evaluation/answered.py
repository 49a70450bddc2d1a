"""What a robot is answered, as logits that one cutoff is applied to.

The published evaluation gives a point to every label that reaches the cutoff there.
:class:`semabs_core.pipeline.SceneUnderstanding` gives it to the strongest of the labels that were
asked together, is satisfied with less where something was seen, and bounds the region of a
description by its own maximum. Both are measured (``semabs summarize --answered``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.calibration import Judgement
from semabs_core.config import QueryConfig
from semabs_core.query_grid import piece_of, voxel_numbers
from semabs_core.voxels import grid_axes

ANSWERED = "answered_"
"""What the columns of these metrics begin with; their names go on as those of labels alone."""


def completion_answers(logits: Tensor, surface: Tensor, judgement: Judgement) -> Tensor:
    """Logits at which the judgement's cutoff says what a completion would.

    Args:
        logits: (L, M) float32 of the L labels that are asked together; NaN where nobody counts.
        surface: (M,) bool, points in voxels that hold depth readings.
        judgement: of the network.

    Returns:
        (L, M): -inf where another label is stronger (of equal ones the first wins); the others
        raised on surfaces by as much as their cutoff is lower.
    """
    first = logits.nan_to_num(-torch.inf).argmax(dim=0, keepdim=True)
    strongest = torch.zeros_like(logits, dtype=torch.bool).scatter_(0, first, True)
    raised = logits + surface * (judgement.cutoff - judgement.surface_cutoff)
    return raised.masked_fill(~strongest & ~logits.isnan(), -torch.inf)


def on_seen_surface(
    readings: Tensor, xyz: Tensor, bounds: Sequence[Sequence[float]]
) -> NDArray[np.bool_]:
    """Which points (M, 3) are in voxels that hold readings (N, 3): (M,) bool.

    The voxels are those that a frame is asked in by default.
    """
    axes = _axes(bounds)
    held, _ = voxel_numbers(np.asarray(readings, np.float32), axes)
    found, inside = voxel_numbers(np.asarray(xyz, np.float32), axes)
    surface = np.zeros(len(inside), dtype=np.bool_)
    surface[inside] = np.isin(found, held)
    return surface


def not_with_the_best(
    logits: Tensor, cutoff: float, xyz: Tensor, bounds: Sequence[Sequence[float]]
) -> NDArray[np.bool_]:
    """Which points (M,) reach a cutoff, but do not hang together with the best one.

    Args:
        logits: (M,) float32; -inf where nobody counts.
        cutoff: at most the highest logit.
        xyz: (M, 3) float32, scene frame. Points outside the bounds hang together with all.
        bounds: (2, 3), of the voxels that a frame is asked in by default.
    """
    flat, inside = voxel_numbers(np.asarray(xyz, np.float32), _axes(bounds))
    there = np.asarray(logits)[inside]
    found = np.zeros(len(inside), dtype=np.bool_)
    region = np.flatnonzero(there >= cutoff)
    if len(region):
        start = int(there[region].argmax())
        places = np.flatnonzero(inside)[region]
        found[places] = ~piece_of(flat[region], start, QueryConfig.resolution)
    return found


def _axes(bounds: Sequence[Sequence[float]]) -> Tensor:
    return torch.from_numpy(np.stack(grid_axes(np.asarray(bounds), QueryConfig.resolution)))
