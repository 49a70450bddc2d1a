"""A network asked on a frame's grid, and the place that its logits mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.answering import check_logits, logits_at, table_of
from semabs_core.calibration import Judgement
from semabs_core.frame_state import Stopwatch
from semabs_core.networks import CompletionNetwork, SpatialNetwork
from semabs_core.query_grid import QueryGrid, piece_of
from semabs_core.types import FREE, UNKNOWN, Localization
from semabs_core.voxels import Corners, sample_table

AROUND_M = 0.35
"""The best point is amid the voxels so far around the highest one. With farther ones it may lie
between two things that fit.
"""
TABLE_BYTES = 2**28
"""Volumes that are sampled together take at most so much: 16 of 64^3 cells with 16 channels."""


def logits_on_grid(
    network: SpatialNetwork,
    grid: QueryGrid,
    volumes: Sequence[Tensor],
    text: Sequence[Tensor],
    relation: str,
    batch: int,
    watch: Stopwatch,
) -> NDArray[np.float32]:
    """Logits (M,) at the M open voxels of a grid; see :func:`semabs_core.answering.logits_at`.

    Args:
        network: on the device where to compute.
        grid: where it is asked.
        volumes: as the network wants them.
        text: the same.
        relation: of the description, for localization networks.
        batch: points per call, bounds the memory.
        watch: times the stage ``decode`` and reports it before each batch.
    """
    with watch.stage("decode"):
        corners = (part for _, part in GridCorners(network, grid).batches(batch, watch))
        return logits_at(network, corners, volumes, text, relation).cpu().numpy()


def best_on_grid(
    network: CompletionNetwork,
    grid: QueryGrid,
    volumes: Iterable[Tensor],
    text: Sequence[Sequence[Tensor]],
    batch: int,
    watch: Stopwatch,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The best of several labels at the M open voxels of a grid, asked of a completion network.

    Args:
        network: on the device where to compute.
        grid: where it is asked.
        volumes: one (1, 1, C, X, Y, Z) per label; or the same one for all, again and again.
        text: what the network reads of each label besides.
        batch: points per call, bounds the memory.
        watch: times the stage ``decode`` and reports each label and each batch.

    Returns:
        (M,) the best logit, and (M,) the number of its label, from 0; the first of equal ones.

    Raises:
        InferenceError: if an answer is no number.
    """
    best = np.full(len(grid.open), -np.inf, dtype=np.float32)
    label = np.zeros(len(grid.open), dtype=np.uint8)
    if not text:
        return best, label
    corners = GridCorners(network, grid)
    with watch.stage("decode"):
        cells = corners.cells(batch)
    rows = math.prod(network.config.voxel_shape) if cells is None else len(cells.index)
    row_bytes = 4 * network.config.channels
    first = 0
    held: list[Tensor] = []

    def ask(stop: int) -> None:
        with watch.stage("decode"):
            table = table_of(network, held, None if cells is None else cells.index)
            for part, there in corners.batches(batch, watch):
                if cells is not None:
                    row = cells.row.index_select(0, there.index.flatten())
                    there = replace(there, index=row.view_as(there.index))
                samples = sample_table(table, there)
                logits = network.answer_together(samples, text[first:stop])
                highest, which = check_logits(network, logits).max(dim=1)
                found = highest.cpu().numpy()
                better = found > best[part]
                np.copyto(best[part], found, where=better)
                np.copyto(label[part], (which + first).to(torch.uint8).cpu().numpy(), where=better)

    for number, volume in enumerate(volumes):
        watch.report("completion", number / len(text))
        if held and volume is held[-1]:
            continue
        if held and (len(held) + 1) * row_bytes * rows > TABLE_BYTES:
            ask(number)
            first, held = number, []
        held.append(volume)
    ask(len(text))
    return best, label


@dataclass(frozen=True)
class CellsRead:
    """The cells of a network's grid that sampling reads.

    Attributes:
        index: (K,) int64, ascending flat indices.
        row: (X * Y * Z,) int32, by a cell's flat index its place among them, if it is there.
    """

    index: Tensor
    row: Tensor


class GridCorners:
    """What a network's sampling reads at the open voxels of a grid, which are points in rows.

    Looked up in a table of the grid's rows and one of the places in a row: several times as fast as
    worked out point by point.

    Args:
        network: on the device where to compute.
        grid: where it is asked.
    """

    def __init__(self, network: SpatialNetwork, grid: QueryGrid) -> None:
        self.grid, self.device = grid, network.lower.device
        self.shape = network.config.voxel_shape
        x, y, self._in_row = network.corners_of_axes(grid.axes.to(self.device))
        each = torch.arange(len(x.index), device=self.device)
        self._rows = x.take(each.repeat_interleave(len(each))).join(y.take(each.repeat(len(each))))
        self._surface = network.corners(torch.from_numpy(grid.surface_xyz).to(self.device))

    def cells(self, size: int) -> CellsRead | None:
        """The cells that are read, looked up so many voxels at a time; None for all.

        Where more voxels are asked than half of the cells, to find out which cells these read
        takes as long as it saves.
        """
        count = math.prod(self.shape)
        if len(self.grid.open) > count / 2:
            return None
        read = torch.zeros(count, dtype=torch.bool, device=self.device)
        for start in range(0, len(self.grid.open), size):
            read.index_fill_(0, self._of(slice(start, start + size)).index.flatten().long(), True)
        index = read.nonzero()[:, 0]
        return CellsRead(index, read.cumsum(0, dtype=torch.int32) - 1)

    def batches(self, size: int, watch: Stopwatch) -> Iterator[tuple[slice, Corners]]:
        """Which of the open voxels, so many at a time, and their corners; reports ``decode``."""
        for start in range(0, len(self.grid.open), size):
            watch.report("decode", start / len(self.grid.open))
            part = slice(start, start + size)
            yield part, self._of(part)

    def _of(self, part: slice) -> Corners:
        grid, edge = self.grid, len(self._in_row.index)
        voxel = torch.from_numpy(grid.open[part]).to(self.device)
        row = torch.div(voxel, edge, rounding_mode="floor")
        corners = self._rows.take(row).join(self._in_row.take(voxel - edge * row))
        held = slice(*np.searchsorted(grid.surface, (part.start, part.stop)))
        place = torch.from_numpy(grid.surface[held] - part.start).to(self.device)
        corners.put(place, self._surface, held)
        return corners


def answer_region(
    grid: QueryGrid,
    logits: NDArray[np.float32],
    cutoff: float,
    voxel_size_m: float,
    judgement: Judgement,
) -> Localization:
    """The answer of a network that was asked at the open points of a grid.

    Args:
        grid: where it was asked.
        logits: (M,) at the M open points, M at least 1.
        cutoff: the region is where the logit reaches this, as far as it hangs together with the
            highest; at most the maximum.
        voxel_size_m: distance of neighbours in the grid, metres.
        judgement: of the network, from logits to scores.

    Returns:
        The region, its best point, extent and score; nothing is said of whether it is found. The
        best point is amid what is around the highest voxel and in the better half, by logits: that
        voxel itself is often at the edge of the thing, or beside it.
    """
    best = int(logits.argmax())
    region = np.flatnonzero(logits >= cutoff)
    here = piece_of(grid.open[region], int(np.searchsorted(region, best)), grid.axes.shape[1])
    region = region[here]
    scores = scores_at(grid, logits, judgement)
    points = grid.world(grid.open[region])
    highest = grid.world(grid.open[best : best + 1])
    near = np.linalg.norm(points - highest, axis=1) <= AROUND_M
    better = points[near & (logits[region] >= (cutoff + logits[best]) / 2)]
    return Localization(
        position_m=better[np.argmin(np.linalg.norm(better - better.mean(axis=0), axis=1))],
        extent_m=np.ptp(points, axis=0) + voxel_size_m,
        score=float(scores[best]),
        points_m=points,
        scores=scores[region],
        timings_s={},
        voxel_size_m=voxel_size_m,
    )


def scores_at(
    grid: QueryGrid, logits: NDArray[np.float32], judgement: Judgement
) -> NDArray[np.float32]:
    """What logits (M,) at a grid's open voxels are worth, on surfaces and elsewhere: (M,)."""
    scores = judgement.calibration.probability(logits)
    scores[grid.surface] = judgement.surface_calibration.probability(logits[grid.surface])
    return scores


def label_grid(
    grid: QueryGrid,
    label: NDArray[np.uint8],
    best: NDArray[np.float32],
    judgement: Judgement,
    resolution: int,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The labels and scores of all voxels of a grid.

    Args:
        grid: where a network was asked.
        label: (M,) the best label of each open voxel.
        best: (M,) its logit.
        judgement: from logits to labels and scores.
        resolution: voxels per axis.

    Returns:
        Labels and scores (R, R, R).
    """
    free = best < judgement.cutoff
    free[grid.surface] = best[grid.surface] < judgement.surface_cutoff
    labels = np.where(grid.seen, np.uint8(FREE), np.uint8(UNKNOWN))
    labels[grid.open] = np.where(free, np.uint8(FREE), label)
    scores = np.zeros(len(labels), dtype=np.float32)
    scores[grid.open] = scores_at(grid, best, judgement)
    shape = (resolution,) * 3
    return labels.reshape(shape), scores.reshape(shape)
