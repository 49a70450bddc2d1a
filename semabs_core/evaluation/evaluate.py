"""A checkpoint on the splits of a data set, by one process or by torchrun's several."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import torch.distributed as dist
from torch.utils.data import DataLoader, Subset

from semabs_core.checkpoint import load_network
from semabs_core.data.datasets import DATASETS, SceneDataset, input_options
from semabs_core.data.labels import read_synonyms
from semabs_core.data.splits import read_splits, split_source
from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.rows import join_rows, make_rows, save_rows
from semabs_core.evaluation.scene import EvaluationOptions, evaluate_scene
from semabs_core.networks import SpatialNetwork
from semabs_core.training.distributed import Process, joined
from semabs_core.weights.shipped import resolve_weights

NOVEL_CLASSES_FILE = "novel_classes.json"
"""Optional, in a data set's folder: list of the class names that no training scene has."""
GATHER_TIMEOUT = timedelta(days=7)
"""The first process waits for the others' scenes, however long they take."""

OnProgress = Callable[[str, int, int], None]


def evaluate_items(
    network: SpatialNetwork,
    items: Iterable[Mapping[str, Any]],
    split: str,
    options: EvaluationOptions | None = None,
    epoch: float = -1,
    on_item: Callable[[], None] | None = None,
) -> list[pd.DataFrame]:
    """Rows of each scene.

    Args:
        network: on the device where to compute.
        items: items of the network's task, see :mod:`semabs_core.data.datasets`.
        split: goes into the rows.
        options: None for the defaults.
        epoch: goes into the rows.
        on_item: called after each scene.
    """
    options = options or EvaluationOptions()
    parts = []
    for item in items:
        metrics, names = evaluate_scene(network, item, options)
        parts.append(make_rows(metrics, names, options.cutoffs, item["scene_id"], split, epoch))
        if on_item:
            on_item()
    return parts


def evaluate(
    checkpoint: str | os.PathLike,
    data: str | os.PathLike,
    splits: Sequence[str] | None = None,
    *,
    out: str | os.PathLike | None = None,
    preset: str | None = None,
    num_input_points: int = 80_000,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 2,
    options: EvaluationOptions | None = None,
    on_progress: OnProgress | None = None,
) -> pd.DataFrame | None:
    """Evaluate a checkpoint, alone or as one of torchrun's processes, which share the scenes.

    Args:
        checkpoint: folder of a network, ours or published, or ``shipped:NAME``.
        data: folder of a data set with relevancy.
        splits: their names; None for all that the data has but ``train``.
        out: where to save the rows (Parquet); None for not at all.
        preset: relevancy preset; None for the checkpoint's own, or ``ours`` if it names none.
        num_input_points: depth readings per scene.
        limit: at most so many scenes of each split.
        seed: of the choice of input points.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workers: processes per process that read scenes; 0 for none.
        options: None for the defaults.
        on_progress: called with the split, scenes done and scenes to do, of this process.

    Returns:
        The rows in the first process, with ``attrs`` that say what they are of; None in the others.

    Raises:
        CheckpointError, SceneFileError, RowsError: if the checkpoint, the data or all of its scenes
            cannot be used.
    """
    with joined(device) as process:
        group = (
            dist.new_group(backend="gloo", timeout=GATHER_TIMEOUT) if process.world > 1 else None
        )
        network = load_network(resolve_weights(str(checkpoint)), process.device)
        config, options = network.config, options or EvaluationOptions()
        attrs = _describe(network, checkpoint, data, preset)
        parts = []
        for split in splits or evaluated_splits(data, config.task):
            dataset = DATASETS[config.task](
                data, split, config.approach, attrs["preset"], num_input_points, seed=seed,
                source=split_source(split), full=True,
                **input_options(config),
            )  # fmt: skip
            own = range(min(len(dataset), limit or len(dataset)))[process.rank :: process.world]
            counter = _Counter(on_progress, split, len(own))
            items = _load(dataset, own, workers)
            epoch = float(network.metadata.get("epoch", -1))
            parts += evaluate_items(network, items, split, options, epoch, counter)
            attrs["skipped"][split] = dataset.skipped
        rows = _gather(parts, config.task, process, group)
    if rows is None:
        return None
    if rows.empty:
        raise RowsError(f"no scene of {data} has anything to evaluate; splits: {attrs['skipped']}")
    rows.attrs.update(attrs)
    if out is not None:
        save_rows(rows, out)
    return rows


class _Counter:
    """Counts scenes and reports them."""

    def __init__(self, report: OnProgress | None, split: str, total: int) -> None:
        self.report, self.split, self.total, self.done = report, split, total, 0

    def __call__(self) -> None:
        self.done += 1
        if self.report:
            self.report(self.split, self.done, self.total)


def evaluated_splits(data: str | os.PathLike, task: str) -> list[str]:
    """All splits but the training one."""
    return [split for split, paths in read_splits(data, task).items() if split != "train" and paths]


def _describe(
    network: SpatialNetwork,
    checkpoint: str | os.PathLike,
    data: str | os.PathLike,
    preset: str | None,
) -> dict[str, Any]:
    """What the rows are of, and the data set's novel words, for the summary."""
    description: dict[str, Any] = {
        "task": network.config.task,
        "approach": network.config.approach,
        "preset": preset or str(network.metadata.get("preset", "ours")),
        "checkpoint": Path(checkpoint).name,
        "cutoff": network.metadata.get("cutoff"),
        "synonyms": sorted(set(read_synonyms(data).values())),
        "skipped": {},
    }
    if (names := novel_classes(data)) is not None:
        description["novel_classes"] = names
    return description


def novel_classes(data: str | os.PathLike) -> list[str] | None:
    """The class names that no training scene of a data set has; None where it does not say.

    Raises:
        RowsError: if the list is damaged.
    """
    file = Path(data) / NOVEL_CLASSES_FILE
    if not file.is_file():
        return None
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RowsError(f"{file} is damaged ({error}); copy it again") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RowsError(f"{file} must be a list of class names")
    return names


def _load(dataset: SceneDataset, indices: Sequence[int], workers: int) -> DataLoader:
    """Items one by one, read ahead by worker processes."""
    return DataLoader(
        Subset(dataset, indices),
        batch_size=None,
        num_workers=min(workers, len(indices)),
        # As in training: a fork would inherit the locks of threads.
        multiprocessing_context="forkserver" if workers and len(indices) else None,
    )


def _gather(
    parts: list[pd.DataFrame], task: str, process: Process, group: Any
) -> pd.DataFrame | None:
    """The rows of all processes in the first one; None in the others."""
    rows = join_rows(parts, task)
    if group is None:
        return rows
    tables: list[Any] | None = [None] * process.world if process.is_first else None
    dist.gather_object(rows, tables, dst=0, group=group)
    return join_rows(tables, task) if tables is not None else None
