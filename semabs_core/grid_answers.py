"""A network asked on a frame's grid, and the place that its logits mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.answering import coordinates_at, logits_at
from semabs_core.calibration import Calibration, Judgement
from semabs_core.frame_state import Stopwatch
from semabs_core.networks import SpatialNetwork
from semabs_core.query_grid import QueryGrid
from semabs_core.types import FREE, UNKNOWN, Localization


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

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(grid.open), batch):
            watch.report("decode", start / len(grid.open))
            index = torch.from_numpy(grid.open[start : start + batch])
            yield grid.points(index.to(network.lower.device))

    with watch.stage("decode"):
        coordinates = coordinates_at(network, batches())
        return logits_at(network, coordinates, volumes, text, relation).cpu().numpy()


def answer_region(
    grid: QueryGrid,
    logits: NDArray[np.float32],
    margin: float,
    voxel_size_m: float,
    calibration: Calibration,
) -> Localization:
    """The answer of a network that was asked at the open points of a grid.

    Args:
        grid: where it was asked.
        logits: (M,) at the M open points, M at least 1.
        margin: the region is where the logit is above its maximum minus this.
        voxel_size_m: distance of neighbours in the grid, metres.
        calibration: of the network, from logits to scores.

    Returns:
        The region, its best point, extent and score; nothing is said of whether it is found.
    """
    region = logits >= logits.max() - margin
    scores = calibration.probability(logits)
    points = grid.world(grid.open[region])
    best = int(logits.argmax())
    return Localization(
        position_m=grid.world(grid.open[best : best + 1])[0],
        extent_m=np.ptp(points, axis=0) + voxel_size_m,
        score=float(scores[best]),
        points_m=points,
        scores=scores[region],
        timings_s={},
        voxel_size_m=voxel_size_m,
    )


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
    labels = np.where(grid.seen, np.uint8(FREE), np.uint8(UNKNOWN))
    surface = np.isin(grid.open, grid.surface.numpy(), assume_unique=True)
    cutoff = np.where(surface, judgement.surface_cutoff, judgement.cutoff)
    labels[grid.open] = np.where(best < cutoff, np.uint8(FREE), label)
    scores = np.zeros(len(labels), dtype=np.float32)
    scores[grid.open] = np.where(
        surface,
        judgement.surface_calibration.probability(best),
        judgement.calibration.probability(best),
    )
    shape = (resolution,) * 3
    return labels.reshape(shape), scores.reshape(shape)
