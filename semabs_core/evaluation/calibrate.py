"""Fits what a network's logits are worth, on scenes that it was not trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from semabs_core.calibration import KEY, Calibration
from semabs_core.checkpoint import load_network, save_network
from semabs_core.config import choose_device
from semabs_core.data.datasets import DATASETS, input_options
from semabs_core.evaluation.metrics import CutoffScores
from semabs_core.evaluation.scene import (
    EvaluationOptions,
    SceneLogits,
    evaluate_scene,
    scene_names,
)
from semabs_core.networks import SpatialNetwork
from semabs_core.voxels import grid_index

GRID = 32
"""Voxels per axis over which the points of completion are averaged: points lie near surfaces."""
BINS = 10


@dataclass(frozen=True)
class Answers:
    """Logits, and how right each is.

    Attributes:
        logits: (n,) float64.
        right: (n,) float64, the share of it that is right: 0..1.
    """

    logits: NDArray[np.float64]
    right: NDArray[np.float64]


def gather_answers(
    network: SpatialNetwork,
    items: Iterable[Mapping[str, Any]],
    options: EvaluationOptions | None = None,
) -> Answers:
    """What a network answers on scenes.

    Of completion, every voxel of every label: the mean logit of its points, and the share of them
    that the label occupies. Of localization, every description: the logit of its best point, and
    whether the described thing is there or may be there.

    Args:
        network: on the device where to compute.
        items: of a data set that is ``full``.
        options: memory and precision.

    Raises:
        ValueError: if the items ask for nothing.
    """
    logits, right = [], []
    task = network.config.task
    for item in items:
        rows, _ = scene_names(item, task)
        if not rows:
            continue
        scene = SceneLogits(network, item, options or EvaluationOptions())
        for row in rows:
            target = torch.as_tensor(item["targets"][row]).double()
            counts = ~torch.as_tensor(item["ignore"][row])
            if not bool(counts.any()):
                continue
            found = scene.of(row).cpu().double()[counts]
            if task == "completion":
                xyz = scene.query_xyz.cpu()[counts]
                found, target = _per_voxel(network, xyz, found, target[counts])
            else:
                best = int(found.argmax())
                found, target = found[best : best + 1], target[counts][best : best + 1]
            logits.append(found.numpy())
            right.append(target.numpy())
    if not logits:
        raise ValueError("the scenes ask for nothing that this network can answer")
    return Answers(np.concatenate(logits), np.concatenate(right))


def _per_voxel(
    network: SpatialNetwork, xyz: Tensor, logits: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Means over the points of each voxel that holds any."""
    lower, upper = torch.tensor(network.config.bounds)
    x, y, z = grid_index(xyz, lower, upper, (GRID, GRID, GRID)).long().unbind(-1)
    _, voxel, counts = torch.unique(
        (x * GRID + y) * GRID + z, return_inverse=True, return_counts=True
    )
    sums = torch.zeros(2, len(counts), dtype=torch.float64)
    sums[0].index_add_(0, voxel, logits)
    sums[1].index_add_(0, voxel, targets)
    return sums[0] / counts, sums[1] / counts


def fit_calibration(answers: Answers) -> Calibration:
    """The logistic model under which the answers are most likely.

    Raises:
        ValueError: if all answers are right or all are wrong, so that nothing can be told apart.
    """
    x, y = answers.logits, answers.right
    if not 0 < float(y.mean()) < 1:
        raise ValueError("the answers must be partly right and partly wrong to be calibrated on")

    def cost(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale = np.exp(values[0])
        z = scale * x + values[1]
        error = 1 / (1 + np.exp(-np.clip(z, -60, 60))) - y
        loss = float(np.mean(np.logaddexp(0, z) - y * z))
        return loss, np.array([np.mean(error * x) * scale, np.mean(error)])

    found = minimize(cost, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-5, 5), (-30, 30)])
    return Calibration(float(np.exp(found.x[0])), float(found.x[1]))


def reliability(
    answers: Answers, calibration: Calibration, bins: int = BINS
) -> list[tuple[float, float, int]]:
    """Mean probability, share that is right, and number of answers, per bin of the probability."""
    probability = calibration.probability(answers.logits)
    number = np.minimum((probability * bins).astype(int), bins - 1)
    rows = []
    for index in range(bins):
        inside = number == index
        if inside.any():
            rows.append(
                (
                    float(probability[inside].mean()),
                    float(answers.right[inside].mean()),
                    int(inside.sum()),
                )
            )
    return rows


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration came to.

    Attributes:
        calibration: now in the checkpoint.
        cutoff: the same.
        iou: mean IoU at the cutoff, voxels at 32^3.
        reliability: see :func:`reliability`.
    """

    calibration: Calibration
    cutoff: float
    iou: float
    reliability: list[tuple[float, float, int]]


def calibrate_checkpoint(
    folder: str | os.PathLike,
    data: str | os.PathLike,
    split: str = "validation",
    records: Sequence[str] | None = None,
    limit: int | None = None,
    device: str = "auto",
    on_scene: Callable[[int, int], None] | None = None,
) -> CalibrationResult:
    """Fit a checkpoint's calibration and choose its cutoff; both go into its ``network.json``.

    Args:
        folder: of a network in our own format.
        data: the data set's folder.
        split: scenes that the network was not trained on.
        records: names of relevancy to average over; None for that which the network was trained on.
        limit: scenes of the split; None for all.
        device: where to compute.
        on_scene: called with scenes done and to do.

    Raises:
        CheckpointError: if there is no such network.
        SceneFileError: if the split or its relevancy is not there.
    """
    network = load_network(folder).to(choose_device(device)).eval()
    config = network.config
    names = list(records or [network.metadata.get("preset", "ours")])
    options = EvaluationOptions(grids=(GRID,))
    sets = [
        DATASETS[config.task](
            data, split, config.approach, name, full=True, seed=number, **input_options(config)
        )
        for number, name in enumerate(names)
    ]
    total = sum(min(len(items), limit or len(items)) for items in sets)
    done, gathered = 0, []
    scores = CutoffScores(GRID, options.cutoffs)
    for items in sets:
        for index in range(min(len(items), limit or len(items))):
            item = items[index]
            if "fault" not in item and scene_names(item, config.task)[0]:
                gathered.append(gather_answers(network, [item], options))
                scores.add(evaluate_scene(network, item, options)[0])
            done += 1
            if on_scene:
                on_scene(done, total)
    if not gathered:
        raise ValueError(f"no scene of {split!r} asks for anything that this network can answer")
    answers = Answers(
        np.concatenate([part.logits for part in gathered]),
        np.concatenate([part.right for part in gathered]),
    )
    calibration = fit_calibration(answers)
    iou, cutoff, _ = scores.best()
    metadata = {**network.metadata, "cutoff": cutoff, "validation_iou": iou}
    save_network(network, folder, {**metadata, KEY: calibration.to_dict()})
    return CalibrationResult(calibration, cutoff, iou, reliability(answers, calibration))
