"""Fits what a network's logits are worth, on scenes that it was not trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.calibration import (
    FITTED,
    HIDDEN_KEY,
    KEY,
    MARGINS_KEY,
    SURFACE_KEY,
)
from semabs_core.checkpoint import load_network, save_network
from semabs_core.data.datasets import DATASETS, input_options
from semabs_core.data.scene_data import SOURCES
from semabs_core.devices import choose_device
from semabs_core.evaluation.answered import strongest
from semabs_core.evaluation.fitting import HIDDEN_TOLERANCE, TOLERANCE, Answers, Fit
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
MARGINS = tuple(round(0.1 * tenth, 1) for tenth in range(40, 0, -1))
"""Of regions below their best logit, from which one is chosen for each relation."""
BELOW = tuple(-margin for margin in MARGINS)
"""The margins as cutoffs of logits that are 0 at their best."""
MARGIN_TOLERANCE = 0.05
"""Share of the IoU that is given away for a narrower region, which a robot can act on."""
FEWEST = 20
"""Descriptions of a relation that its own margin is chosen by; with fewer it is that of all."""


class AnswerGatherer:
    """What a network answers on scenes, and how good it is at every cutoff.

    Of completion, every voxel of every label: the mean logit of its points, and the share of them
    that the label occupies. Of localization, every description: the logit of its best point
    that was not seen to be free, and whether the described thing is there or may be there.

    *Surfaces* are the points of completion in voxels that hold readings, inside something: there it
    is known that something is, and only asked what. *Hidden* are those in voxels that hold none and
    that the camera did not see to be free. Their cutoff is chosen by the IoU of surfaces and hidden
    points together, since what is said of either fills the voxels at the border. At a cutoff, the
    IoU of either is the mean of two: of each label alone, as if nothing else were asked, and of the
    strongest of all labels.

    Args:
        network: on the device where to compute.
        options: memory, precision and cutoffs.

    Attributes:
        answers: those of each label or description.
        surfaces: the same on surfaces.
        hidden: the same of what is hidden.
        scores: IoU of all, each label alone, as the published evaluation asks.
        surface_scores: IoU of surfaces.
        hidden_scores: IoU of all, where nothing is said of what was seen to be free.
        margin_scores: of localization, relation to the IoU of regions that end so far below their
            best logit.
    """

    def __init__(self, network: SpatialNetwork, options: EvaluationOptions | None = None) -> None:
        self.network = network
        self.options = options or EvaluationOptions(grids=(GRID,))
        self.answers: list[Answers] = []
        self.surfaces: list[Answers] = []
        self.hidden: list[Answers] = []
        self.scores = CutoffScores(grid_name(GRID), self.options.cutoffs)
        self.hidden_scores = CutoffScores(grid_name(GRID), self.options.cutoffs)
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
        free, surface = scene.free.cpu(), scene.surface.cpu()
        regions = MetricCounter(xyz, bounds, (GRID,), BELOW) if task == "localization" else None
        for row, found, target, left_out in zip(kept, logits, targets, ignore, strict=True):
            _add(self.scores, counter.count(found, target, left_out))
            if bool(left_out.all()):
                continue
            if regions is None:
                self.answers += self._voxels(xyz, found, target, ~left_out)
                self.hidden += self._voxels(xyz, found, target, ~(left_out | free | surface))
            elif not bool((left_out | free).all()):
                open_ = found.masked_fill(left_out | free, -torch.inf)
                best = int(open_.argmax())
                place = self.margin_scores.setdefault(item["relations"][row], _region_scores())
                _add(place, regions.count(open_ - open_[best], target, left_out))
                right = target[best : best + 1].double().numpy()
                self.answers.append(Answers(open_[best : best + 1].double().numpy(), right))
        if task == "completion":
            self._add_surface(logits, targets, surface & targets.any(dim=0) & ~ignore.any(dim=0))
            self._add_open(counter, logits.masked_fill(free, -torch.inf), targets, ignore)

    def _add_open(
        self, counter: MetricCounter, logits: Tensor, targets: Tensor, ignore: Tensor
    ) -> None:
        """All of a scene: logits, targets and points that do not count, (L, M) each."""
        first = strongest(logits)
        for found, target, left_out, best in zip(logits, targets, ignore, first, strict=True):
            alone = counter.count(found, target, left_out)
            together = counter.count(found.masked_fill(~best, -torch.inf), target, left_out)
            means = {name: (alone[name] + together[name]) / 2 for name in alone}
            _add(self.hidden_scores, means)

    def _voxels(
        self, xyz: Tensor, logits: Tensor, targets: Tensor, counts: Tensor
    ) -> list[Answers]:
        """The answers at the points (M,) that count, a voxel each; of none, none."""
        if not bool(counts.any()):
            return []
        there, right = logits[counts].double(), targets[counts].double()
        there, right = _per_voxel(self.network, xyz[counts], there, right)
        return [Answers(there.numpy(), right.numpy())]

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


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration came to; it is in the checkpoint now.

    Attributes:
        everywhere: of each label or description alone.
        hidden: of completion, where nothing was seen; None where nothing can be told apart.
        surface: of completion, on seen surfaces; None where nothing can be told apart.
        margins: of the regions of descriptions, see :func:`choose_margins`.
    """

    everywhere: Fit
    hidden: Fit | None
    surface: Fit | None
    margins: dict[str, float]


def calibrate_checkpoint(
    folder: str | os.PathLike,
    data: str | os.PathLike,
    split: str = "validation",
    records: Sequence[str] | None = None,
    limit: int | None = None,
    device: str = "auto",
    on_scene: Callable[[int, int], None] | None = None,
    keep_cutoffs: bool = False,
    sources: Sequence[str] | None = None,
) -> CalibrationResult:
    """Fit a checkpoint's calibration and choose its cutoffs; all go into its ``network.json``.

    Cutoffs are higher than the best ones by what :data:`semabs_core.evaluation.fitting.TOLERANCE`
    and :data:`~semabs_core.evaluation.fitting.HIDDEN_TOLERANCE` give away of the IoU.

    Args:
        folder: of a network in our own format.
        data: the data set's folder.
        split: scenes that the network was not trained on.
        records: names of relevancy to average over; None for that which the network was trained on.
        limit: scenes of the split, evenly over it; None for all.
        device: where to compute.
        on_scene: called with scenes done and to do.
        keep_cutoffs: whether cutoffs and margins that the checkpoint has stay as they are, so that
            what it answers does, and only its scores change.
        sources: pictures whose relevancy is averaged over, ``rgb`` and ``domain_randomized_rgb``;
            None for ``rgb``. A scene that has no such picture counts with the one it has.

    Raises:
        CheckpointError: if there is no such network.
        SceneFileError: if the split or its relevancy is not there.
        ValueError: if its scenes ask for nothing.
    """
    network = load_network(folder).to(choose_device(device)).eval()
    config = network.config
    names = list(records or [network.metadata.get("preset", "ours")])
    options = input_options(config)
    sets = [
        DATASETS[config.task](
            data, split, config.approach, name, source=source, full=True, seed=number, **options
        )
        for number, name in enumerate(names)
        for source in sources or SOURCES[:1]
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
    asked = {
        KEY: (gatherer.scores, gatherer.answers),
        HIDDEN_KEY: (gatherer.hidden_scores, gatherer.hidden),
        SURFACE_KEY: (gatherer.surface_scores, gatherer.surfaces),
    }
    joined = {key: (scores, Answers.joined(parts)) for key, (scores, parts) in asked.items()}
    tolerances = {HIDDEN_KEY: HIDDEN_TOLERANCE}
    fits = {
        key: Fit.of(*part, tolerances.get(key, TOLERANCE))
        for key, part in joined.items()
        if key == KEY or part[1].mixed
    }
    everywhere, margins = fits.pop(KEY), choose_margins(gatherer.margin_scores)
    found: dict[str, Any] = {key: fit.to_dict() for key, fit in fits.items()}
    found |= {MARGINS_KEY: margins} if margins else {}
    found |= {"cutoff": everywhere.cutoff, "validation_iou": everywhere.iou}
    found[KEY] = everywhere.calibration.to_dict()
    if keep_cutoffs:
        found = _with_cutoffs(found, network.metadata)
    noted = {key: value for key, value in network.metadata.items() if key not in FITTED}
    save_network(network, folder, noted | found)
    return CalibrationResult(everywhere, fits.get(HIDDEN_KEY), fits.get(SURFACE_KEY), margins)


def _with_cutoffs(found: Mapping[str, Any], noted: Mapping[str, Any]) -> dict[str, Any]:
    """What was fitted, with the cutoffs and margins of a checkpoint's metadata where it has any."""
    kept = {key: noted[key] for key in ("cutoff", "validation_iou", MARGINS_KEY) if key in noted}
    for key in (HIDDEN_KEY, SURFACE_KEY):
        if key in found and key in noted:
            kept[key] = {**found[key], "cutoff": noted[key]["cutoff"]}
    return {**found, **kept}


def _evenly(count: int, limit: int | None) -> list[int]:
    """At most ``limit`` of so many indices, evenly over them."""
    return np.unique(np.linspace(0, count - 1, min(count, limit or count)).astype(int)).tolist()
