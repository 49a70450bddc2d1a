"""How good a network is: voxel IoU at 32^3, and the cutoff that it wants; what a run came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Subset

from semabs_core.evaluation.metrics import CutoffScores, grid_name
from semabs_core.evaluation.scene import EvaluationOptions, evaluate_scene
from semabs_core.networks import SpatialNetwork
from semabs_core.training.batches import make_loader
from semabs_core.training.config import TrainingConfig
from semabs_core.training.distributed import Process

GRID = 32
LOADER_WORKERS = 2


@dataclass(frozen=True)
class Validation:
    """Mean over labels at the best of all cutoffs.

    Attributes:
        iou: IoU over voxels at 32^3, 0..1; NaN where nothing could be measured.
        cutoff: the logit at which it is reached.
        labels: labels or descriptions that were measured.
    """

    iou: float
    cutoff: float
    labels: int


@dataclass(frozen=True)
class TrainingResult:
    """What a run came to.

    Attributes:
        folder: of the weights.
        steps: optimizer steps of the whole run.
        skipped: those that were left out.
        validation: the last one; None where there was none.
        best: the highest validation IoU, of the weights in ``best/``.
    """

    folder: Path
    steps: int
    skipped: int
    validation: Validation | None
    best: float


def validation_loader(config: TrainingConfig, items: Any, process: Process) -> DataLoader | None:
    """This process's share of the validation scenes, one at a time, the same every time.

    Args:
        config: of the run.
        items: a data set that is ``full``; None for no validation.
        process: this process.

    Returns:
        None where nothing is to be validated.
    """
    if items is None or not len(items) or not config.validate_every_epochs:
        return None
    scenes = range(min(len(items), config.validation_scenes))
    own = Subset(items, scenes[process.rank :: process.world])
    workers = min(config.workers, LOADER_WORKERS)
    # The rows of a full item share memory, which cannot be pinned.
    return make_loader(own, None, workers, pin_memory=False, batch_size=None)


def validate(
    network: SpatialNetwork, items: Iterable[Mapping[str, Any]], process: Process
) -> Validation:
    """Measure a network on scenes as ``semabs eval`` does; all processes get the same answer.

    Args:
        network: in evaluation mode or not, it has no layers that care.
        items: this process's own, of a data set that is ``full``.
        process: this process.
    """
    options, scores = (
        EvaluationOptions(grids=(GRID,), answered=False),
        CutoffScores(grid_name(GRID)),
    )
    for item in items:
        scores.add(evaluate_scene(network, item, options)[0])
    scores.total = process.sum(scores.total)
    return Validation(*scores.best())
