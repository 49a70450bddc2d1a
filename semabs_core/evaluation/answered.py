"""What a robot is answered, as logits that one cutoff is applied to.

The published evaluation gives a point to every label that reaches the cutoff there.
:class:`semabs_core.pipeline.SceneUnderstanding` gives it to the strongest of the labels that were
asked together, is satisfied with less where something was seen, says nothing where the camera saw
that nothing is, and bounds the region of a description by its own maximum. Both are measured
(``semabs summarize --answered``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.calibration import Judgement
from semabs_core.config import QueryConfig, RegionConfig
from semabs_core.data.items import View
from semabs_core.geometry import readings as depth_readings
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
        free: (M,) bool, points in voxels that nobody is asked in, see :class:`AskedVoxels`.
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


class AskedVoxels:
    """The points of a scene by the voxels that a frame is asked in by default.

    Args:
        xyz: (M, 3) the points, scene frame.
        bounds: (2, 3) lower and upper corner of the grid, scene frame.
        view: what the camera measured; None where that is not known.
        readings: (N, 3) its depth readings, scene frame, in place of those of a view that is None.

    Attributes:
        flat: (m,) flat indices of the voxels of the m points inside the bounds.
        inside: (M,) bool, which these are.
    """

    def __init__(
        self,
        xyz: Tensor,
        bounds: Sequence[Sequence[float]] | NDArray,
        view: View | None,
        readings: Tensor,
    ) -> None:
        self.bounds, self.view = np.asarray(bounds, np.float64), view
        self._axes = torch.from_numpy(np.stack(grid_axes(self.bounds, QueryConfig.resolution)))
        self.flat, self.inside = voxel_numbers(np.asarray(xyz, np.float32), self._axes)
        seen = np.asarray(readings, np.float32)
        if view is not None:
            seen, _ = depth_readings(view.depth, view.camera.K, view.T_scene_camera)
        self._held = np.unique(voxel_numbers(seen, self._axes)[0])

    @cached_property
    def surface(self) -> NDArray[np.bool_]:
        """(M,) bool: points in voxels that hold readings."""
        return self._are_in(self._held)

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """(M,) bool: points in voxels that the camera saw to be free; without a view, none."""
        if self.view is None:
            return np.zeros(len(self.inside), dtype=np.bool_)
        view, options = self.view, QueryConfig()
        unit = float(np.cbrt(abs(np.linalg.det(view.T_scene_camera[:3, :3]))))
        place = (view.camera, self.bounds, view.T_scene_camera, RegionConfig.input_margin_m * unit)
        grid = view_of_grid(*place, options.resolution)
        there = free_voxels(grid, view.depth, self._held, options.free_space_margin_m)
        return self._are_in(grid.in_view[there])

    def _are_in(self, voxels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which points are in some of the voxels."""
        found = np.zeros(len(self.inside), dtype=np.bool_)
        found[self.inside] = np.isin(self.flat, voxels)
        return found

    def apart(self, logits: Tensor, cutoff: float) -> NDArray[np.bool_]:
        """Which points (M,) reach a cutoff, but do not hang together with the best one.

        Points outside hang together with all.

        Args:
            logits: (M,) float32; -inf where nobody counts.
            cutoff: at most the highest logit.
        """
        there = np.asarray(logits)[self.inside]
        found = np.zeros(len(self.inside), dtype=np.bool_)
        region = np.flatnonzero(there >= cutoff)
        if len(region):
            start = int(there[region].argmax())
            places = np.flatnonzero(self.inside)[region]
            found[places] = ~piece_of(self.flat[region], start, QueryConfig.resolution)
        return found
