"""Fits what a network's logits are worth, on scenes that it was not trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from semabs_core.calibration import (
    KEY,
    MARGINS_KEY,
    SURFACE_KEY,
    Calibration,
    Judgement,
    read_judgement,
)
from semabs_core.checkpoint import load_network, save_network
from semabs_core.data.datasets import DATASETS, input_options
from semabs_core.devices import choose_device
from semabs_core.evaluation.answered import on_seen_surface, strongest
from semabs_core.evaluation.metrics import CutoffScores, MetricCounter, grid_name
from semabs_core.evaluation.scene import (
    EvaluationOptions,
    SceneLogits,
    scene_names,
)
from semabs_core.networks import SpatialNetwork
from semabs_core.voxels import grid_index

GRID = 32
"""Voxels per axis over which the points of completion are averaged: points lie near surfaces."""
BINS = 10
TOLERANCE = 0.01
"""Share of the IoU that is given away for a higher cutoff. Near the best one the IoU is flat, and
what is wrongly said, behind a wall or of a thing that nobody asked for, costs a robot more than
what is not said.
"""
MARGINS = tuple(round(0.1 * tenth, 1) for tenth in range(40, 0, -1))
"""Of regions below their best logit, from which one is chosen for each relation."""
BELOW = tuple(-margin for margin in MARGINS)
"""The margins as cutoffs of logits that are 0 at their best."""
MARGIN_TOLERANCE = 0.05
"""Share of the IoU that is given away for a narrower region, which a robot can act on."""
FEWEST = 20
"""Descriptions of a relation that its own margin is chosen by; with fewer it is that of all."""


@dataclass(frozen=True)
class Answers:
    """Logits, and how right each is.

    Attributes:
        logits: (n,) float64.
        right: (n,) float64, the share of it that is right: 0..1.
    """

    logits: NDArray[np.float64]
    right: NDArray[np.float64]

    @staticmethod
    def joined(parts: Sequence[Answers]) -> Answers:
        """Those of several; of none, none."""
        empty = [np.zeros(0)]
        return Answers(
            np.concatenate([part.logits for part in parts] or empty),
            np.concatenate([part.right for part in parts] or empty),
        )


class AnswerGatherer:
    """What a network answers on scenes, and how good it is at every cutoff.

    Of completion, every voxel of every label: the mean logit of its points, and the share of them
    that the label occupies. Of localization, every description: the logit of its best point, and
    whether the described thing is there or may be there.

    *Surfaces* are the points of completion in voxels that hold readings, inside something: there it
    is known that something is, and only asked what. At a cutoff, their IoU is the mean of two: of
    each label alone, as if nothing else were asked, and of the strongest of all labels.

    Args:
        network: on the device where to compute.
        options: memory, precision and cutoffs.

    Attributes:
        answers: those of each label or description.
        surfaces: the same on surfaces.
        scores: IoU of all, from which the cutoff is chosen.
        surface_scores: IoU of surfaces.
        margin_scores: of localization, relation to the IoU of regions that end so far below their
            best logit.
    """

    def __init__(self, network: SpatialNetwork, options: EvaluationOptions | None = None) -> None:
        self.network = network
        self.options = options or EvaluationOptions(grids=(GRID,))
        self.answers: list[Answers] = []
        self.surfaces: list[Answers] = []
        self.scores = CutoffScores(grid_name(GRID), self.options.cutoffs)
        self.surface_scores = CutoffScores(SURFACE_KEY, self.options.cutoffs)
        self.margin_scores: dict[str, CutoffScores] = {}

    def add(self, item: Mapping[str, Any]) -> None:
        """A scene, of a data set that is ``full``."""
        task, bounds = self.network.config.task, self.network.config.bounds
        rows, _ = scene_names(item, task)
        if not rows:
            return
        scene = SceneLogits(self.network, item, self.options)
        counter = MetricCounter(scene.query_xyz, bounds, (GRID,), self.options.cutoffs)
        kept = sorted(rows, key=lambda row: item["names"][row][::-1])
        logits = torch.stack([scene.of(row) for row in kept]).cpu()
        targets = torch.as_tensor(item["targets"])[kept] > 0.5
        ignore = torch.as_tensor(item["ignore"])[kept]
        xyz = scene.query_xyz.cpu()
        regions = MetricCounter(xyz, bounds, (GRID,), BELOW) if task == "localization" else None
        for row, found, target, left_out in zip(kept, logits, targets, ignore, strict=True):
            _add(self.scores, counter.count(found, target, left_out))
            counts = ~left_out
            if not bool(counts.any()):
                continue
            there, right = found[counts].double(), target[counts].double()
            if regions is None:
                there, right = _per_voxel(self.network, xyz[counts], there, right)
            else:
                place = self.margin_scores.setdefault(item["relations"][row], _region_scores())
                _add(place, regions.count(found - there.max(), target, left_out))
                best = int(there.argmax())
                there, right = there[best : best + 1], right[best : best + 1]
            self.answers.append(Answers(there.numpy(), right.numpy()))
        if task == "completion":
            seen = torch.from_numpy(on_seen_surface(item["input_xyz"], xyz, bounds))
            self._add_surface(logits, targets, seen & targets.any(dim=0) & ~ignore.any(dim=0))

    def _add_surface(self, logits: Tensor, targets: Tensor, surface: Tensor) -> None:
        """Surfaces of a scene: logits (L, M), targets (L, M), the points that count (M,)."""
        logits, targets = logits[:, surface], targets[:, surface]
        there = targets.any(dim=1)
        if not bool(there.any()):
            return
        self.surfaces.append(
            Answers(logits.flatten().double().numpy(), targets.flatten().double().numpy())
        )
        first = strongest(logits)
        means = []
        for cutoff in self.options.cutoffs:
            alone = logits >= cutoff
            pair = [_iou(said, targets)[there].mean() for said in (alone, alone & first)]
            means.append(float(sum(pair)) / 2)
        self.surface_scores.add({self.surface_scores.name: np.array([means])})


def _add(scores: CutoffScores, metrics: Mapping[str, NDArray[np.float64]]) -> None:
    """The metrics (K,) of one label."""
    scores.add({key: value[None] for key, value in metrics.items()})


def _region_scores() -> CutoffScores:
    return CutoffScores(grid_name(GRID), BELOW)


def choose_margins(scores: Mapping[str, CutoffScores]) -> dict[str, float]:
    """The margins with which regions agree best with what is there.

    Args:
        scores: relation to the IoU at each negative margin.

    Returns:
        Of every relation with :data:`FEWEST` descriptions, and under the empty name of all of them
        together; empty where there are none.
    """
    everything = _region_scores()
    everything.total += sum(part.total for part in scores.values())
    found = {"": everything.best(MARGIN_TOLERANCE)}
    found |= {name: part.best(MARGIN_TOLERANCE) for name, part in sorted(scores.items()) if name}
    return {name: -cutoff for name, (_, cutoff, n) in found.items() if n >= (FEWEST if name else 1)}


def _iou(said: Tensor, targets: Tensor) -> Tensor:
    """IoU (L,) float64 of masks (L, m)."""
    both, either = (said & targets).sum(dim=1), (said | targets).sum(dim=1)
    return both.double() / either.clamp_min(1)


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
        raise ValueError(
            f"all {len(y)} answers are {'right' if y.any() else 'wrong'}; to be calibrated on they "
            "must be partly right and partly wrong: take more scenes"
        )

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
    """What a calibration came to; it is in the checkpoint now.

    Attributes:
        judgement: cutoffs and calibrations; of localization and where no surface is seen, those of
            surfaces are the others.
        margins: of the regions of descriptions, see :func:`choose_margins`.
        iou: mean IoU at the cutoff, voxels at 32^3.
        surface_iou: the same on surfaces; NaN where there is none.
        reliability: see :func:`reliability`.
        surface_reliability: the same on surfaces.
    """

    judgement: Judgement
    margins: dict[str, float]
    iou: float
    surface_iou: float
    reliability: list[tuple[float, float, int]]
    surface_reliability: list[tuple[float, float, int]]


def calibrate_checkpoint(
    folder: str | os.PathLike,
    data: str | os.PathLike,
    split: str = "validation",
    records: Sequence[str] | None = None,
    limit: int | None = None,
    device: str = "auto",
    on_scene: Callable[[int, int], None] | None = None,
) -> CalibrationResult:
    """Fit a checkpoint's calibration and choose its cutoffs; all go into its ``network.json``.

    Args:
        folder: of a network in our own format.
        data: the data set's folder.
        split: scenes that the network was not trained on.
        records: names of relevancy to average over; None for that which the network was trained on.
        limit: scenes of the split, evenly over it; None for all.
        device: where to compute.
        on_scene: called with scenes done and to do.

    Raises:
        CheckpointError: if there is no such network.
        SceneFileError: if the split or its relevancy is not there.
        ValueError: if its scenes ask for nothing.
    """
    network = load_network(folder).to(choose_device(device)).eval()
    config = network.config
    names = list(records or [network.metadata.get("preset", "ours")])
    sets = [
        DATASETS[config.task](
            data, split, config.approach, name, full=True, seed=number, **input_options(config)
        )
        for number, name in enumerate(names)
    ]
    todo = [(items, index) for items in sets for index in _evenly(len(items), limit)]
    gatherer = AnswerGatherer(network)
    for done, (items, index) in enumerate(todo, 1):
        if "fault" not in (item := items[index]):
            gatherer.add(item)
        if on_scene:
            on_scene(done, len(todo))
    if not gatherer.answers:
        raise ValueError(f"no scene of {split!r} asks for anything that this network can answer")
    answers, surfaces = Answers.joined(gatherer.answers), Answers.joined(gatherer.surfaces)
    calibration = fit_calibration(answers)
    iou, cutoff, _ = gatherer.scores.best(TOLERANCE)
    metadata = {**network.metadata, "cutoff": cutoff, "validation_iou": iou}
    metadata[KEY] = calibration.to_dict()
    margins = choose_margins(gatherer.margin_scores)
    metadata.pop(MARGINS_KEY, None)
    if margins:
        metadata[MARGINS_KEY] = margins
    metadata.pop(SURFACE_KEY, None)
    surface_iou, surface_cutoff, _ = gatherer.surface_scores.best(TOLERANCE)
    if 0 < surfaces.right.sum() < len(surfaces.right):  # of one label alone all are right
        metadata[SURFACE_KEY] = {"cutoff": surface_cutoff} | fit_calibration(surfaces).to_dict()
    save_network(network, folder, metadata)
    judgement = read_judgement(metadata)
    return CalibrationResult(
        judgement,
        margins,
        iou,
        surface_iou,
        reliability(answers, calibration),
        reliability(surfaces, judgement.surface_calibration) if SURFACE_KEY in metadata else [],
    )


def _evenly(count: int, limit: int | None) -> list[int]:
    """At most ``limit`` of so many indices, evenly over them."""
    return np.unique(np.linspace(0, count - 1, min(count, limit or count)).astype(int)).tolist()
