"""A network asked on a frame's grid, and the place that its logits mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.answering import answer_samples, check_logits, corners_at, logits_at
from semabs_core.calibration import Calibration, Judgement
from semabs_core.frame_state import Stopwatch
from semabs_core.networks import SpatialNetwork
from semabs_core.query_grid import QueryGrid
from semabs_core.types import FREE, UNKNOWN, Localization
from semabs_core.voxels import Corners, sample_corners


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
        corners = corners_at(network, _batches(network, grid, batch, watch))
        return logits_at(network, corners, volumes, text, relation).cpu().numpy()


def best_on_grid(
    network: SpatialNetwork,
    grid: QueryGrid,
    volumes: Iterable[Tensor],
    text: Sequence[Sequence[Tensor]],
    batch: int,
    held_bytes: int,
    watch: Stopwatch,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The best of several labels at the M open voxels of a grid, asked of a completion network.

    Args:
        network: on the device where to compute.
        grid: where it is asked.
        volumes: one (1, 1, C, X, Y, Z) per label.
        text: what the network reads of each label besides.
        batch: points per call, bounds the memory.
        held_bytes: volumes that fit in here are asked together, so that what sampling reads is
            worked out once for all of them.
        watch: times the stage ``decode`` and reports each label and each batch.

    Returns:
        (M,) the best logit, and (M,) the number of its label, from 0; the first of equal ones.

    Raises:
        InferenceError: if an answer is no number.
    """
    best = np.full(len(grid.open), -np.inf, dtype=np.float32)
    label = np.zeros(len(grid.open), dtype=np.uint8)
    first = 0
    held: list[Tensor] = []

    def ask() -> None:
        start = 0
        with watch.stage("decode"):
            for corners in corners_at(network, _batches(network, grid, batch, watch)):
                found, which = _best_of(network, held, text[first:], corners)
                place = slice(start, start + len(found))
                better = found > best[place]
                best[place][better] = found[better]
                label[place][better] = which[better] + first
                start += len(found)

    for number, volume in enumerate(volumes):
        watch.report("completion", number / len(text))
        if held and (len(held) + 1) * volume.nbytes > held_bytes:
            ask()
            first, held = number, []
        held.append(volume)
    ask()
    return best, label


def _best_of(
    network: SpatialNetwork,
    volumes: Sequence[Tensor],
    text: Sequence[Sequence[Tensor]],
    corners: Corners,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The best logit (m,) of some labels at one batch of points, and which it is of."""
    answers = []
    samples = torch.empty(0)
    for number, volume in enumerate(volumes):
        if number == 0 or volume is not volumes[number - 1]:
            samples = sample_corners(volume[0, 0], corners)
        answers.append(answer_samples(network, [samples], corners, text[number]))
    found, which = check_logits(network, torch.stack(answers)).max(dim=0)
    return found.cpu().numpy(), which.to(torch.uint8).cpu().numpy()


def _batches(
    network: SpatialNetwork, grid: QueryGrid, batch: int, watch: Stopwatch
) -> Iterator[Tensor]:
    """The open points of a grid, (m, 3) at a time, on the network's device."""
    for start in range(0, len(grid.open), batch):
        watch.report("decode", start / len(grid.open))
        index = torch.from_numpy(grid.open[start : start + batch])
        yield grid.points(index.to(network.lower.device))


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
    holds_readings = np.zeros(len(labels), dtype=bool)
    holds_readings[grid.surface.numpy()] = True
    surface = holds_readings[grid.open]
    cutoff = np.where(surface, judgement.surface_cutoff, judgement.cutoff)
    labels[grid.open] = np.where(best < cutoff, np.uint8(FREE), label)
    scores = np.zeros(len(labels), dtype=np.float32)
    worth = judgement.calibration.probability(best)
    worth[surface] = judgement.surface_calibration.probability(best[surface])
    scores[grid.open] = worth
    shape = (resolution,) * 3
    return labels.reshape(shape), scores.reshape(shape)
