"""What a robot is answered, as logits that one cutoff is applied to.

The published evaluation gives a point to every label that reaches the cutoff there.
:class:`semabs_core.pipeline.SceneUnderstanding` gives it to the strongest of the labels that were
asked together, is satisfied with less where something was seen, says nothing where the camera saw
that nothing is, and bounds the region of a description by its own maximum. Both are measured
(``semabs summarize --answered``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.calibration import Judgement
from semabs_core.config import QueryConfig, RegionConfig
from semabs_core.data.items import View
from semabs_core.query_grid import free_voxels, piece_of, view_of_grid, voxel_numbers
from semabs_core.voxels import grid_axes

ANSWERED = "answered_"
"""What the columns of these metrics begin with; their names go on as those of labels alone."""


def completion_answers(
    logits: Tensor, surface: Tensor, free: Tensor, judgement: Judgement
) -> Tensor:
    """Logits at which the judgement's cutoff says what a completion would.

    Args:
        logits: (L, M) float32 of the L labels that are asked together; NaN where nobody counts.
        surface: (M,) bool, points in voxels that hold depth readings.
        free: (M,) bool, points in voxels that nobody is asked in, see :func:`seen_to_be_free`.
        judgement: of the network.

    Returns:
        (L, M): -inf where it is free or another label is stronger (of equal ones the first wins);
        the others raised on surfaces by as much as their cutoff is lower.
    """
    raised = logits + surface * (judgement.cutoff - judgement.surface_cutoff)
    return raised.masked_fill((free | ~strongest(logits)) & ~logits.isnan(), -torch.inf)


def strongest(logits: Tensor) -> Tensor:
    """Which of L labels has each of M points, (L, M) bool: the first of the highest logits."""
    first = logits.nan_to_num(-torch.inf).argmax(dim=0, keepdim=True)
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(0, first, True)


def asked_voxels(
    xyz: Tensor, bounds: Sequence[Sequence[float]] | NDArray
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The voxels of points (M, 3), of those that a frame is asked in by default.

    Returns:
        (m,) flat indices of the m points inside the bounds (2, 3); (M,) which these are.
    """
    axes = grid_axes(np.asarray(bounds), QueryConfig.resolution)
    return voxel_numbers(np.asarray(xyz, np.float32), torch.from_numpy(np.stack(axes)))


def on_seen_surface(
    readings: Tensor, xyz: Tensor, bounds: Sequence[Sequence[float]]
) -> NDArray[np.bool_]:
    """Which points (M, 3) are in :func:`asked_voxels` that hold readings (N, 3): (M,) bool."""
    held, _ = asked_voxels(readings, bounds)
    found, inside = asked_voxels(xyz, bounds)
    surface = np.zeros(len(inside), dtype=np.bool_)
    surface[inside] = np.isin(found, held)
    return surface


def seen_to_be_free(view: View | None, readings: Tensor, xyz: Tensor) -> NDArray[np.bool_]:
    """Which points (M, 3) are in :func:`asked_voxels` that the camera saw to be free: (M,) bool.

    Args:
        view: what the camera measured; of None nothing is known.
        readings: (N, 3), its depth readings, scene frame.
        xyz: the points, scene frame.
    """
    free = np.zeros(len(xyz), dtype=np.bool_)
    if view is None:
        return free
    found, inside = asked_voxels(xyz, view.bounds)
    options = QueryConfig()
    unit = float(np.cbrt(abs(np.linalg.det(view.T_scene_camera[:3, :3]))))
    margin = RegionConfig.input_margin_m * unit
    grid = view_of_grid(view.camera, view.bounds, view.T_scene_camera, margin, options.resolution)
    held = np.unique(asked_voxels(readings, view.bounds)[0])
    there = free_voxels(grid, view.depth, held, options.free_space_margin_m)
    free[inside] = np.isin(found, grid.in_view[there])
    return free


def not_with_the_best(
    logits: Tensor, cutoff: float, flat: NDArray[np.int32], inside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which points (M,) reach a cutoff, but do not hang together with the best one.

    Args:
        logits: (M,) float32; -inf where nobody counts.
        cutoff: at most the highest logit.
        flat: (m,) the points' :func:`asked_voxels`.
        inside: (M,) which points have one; the others hang together with all.
    """
    there = np.asarray(logits)[inside]
    found = np.zeros(len(inside), dtype=np.bool_)
    region = np.flatnonzero(there >= cutoff)
    if len(region):
        start = int(there[region].argmax())
        places = np.flatnonzero(inside)[region]
        found[places] = ~piece_of(flat[region], start, QueryConfig.resolution)
    return found
