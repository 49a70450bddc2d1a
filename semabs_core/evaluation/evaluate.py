"""A checkpoint on the splits of a data set, by one process or by torchrun's several."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import torch.distributed as dist

from semabs_core.checkpoint import load_network
from semabs_core.data.labels import NOVEL_CLASSES_FILE, read_synonyms
from semabs_core.data.splits import read_splits
from semabs_core.evaluation.journal import RowJournal, discard, parts_folder
from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.rows import check_rows_path, join_rows, save_rows
from semabs_core.evaluation.run import EvaluationRun, OnProgress, SplitRows
from semabs_core.evaluation.scene import EvaluationOptions
from semabs_core.networks import SpatialNetwork
from semabs_core.training.distributed import Process, joined
from semabs_core.weights.published import resolve_checkpoint

GATHER_TIMEOUT = timedelta(days=7)
"""The first process waits for the others' scenes, however long they take."""


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

    With ``out``, each scene's rows are written when they are known, into a folder beside it. A run
    that was cut off goes on with the same call, alone or in other company, to the same table.

    Args:
        checkpoint: folder of a network, ours or published, or ``shipped:NAME``.
        data: folder of a data set with relevancy.
        splits: their names; None for all that the data has but ``train``.
        out: where to save the rows (``.parquet``, ``.csv``, ``.pkl``); None for not at all.
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
        CheckpointError, SceneFileError, RowsError: if the checkpoint, the data, ``out`` or all of
            the scenes cannot be used.
        InferenceError: if the network answers with NaN.
        OSError: if the rows cannot be written.
    """
    table = check_rows_path(out) if out is not None else None
    with joined(device) as process, parts_folder(table, process.is_first) as parts:
        group: Any = (
            dist.new_group(backend="gloo", timeout=GATHER_TIMEOUT) if process.world > 1 else None
        )
        network = load_network(resolve_checkpoint(str(checkpoint)), process.device)
        options = options or EvaluationOptions()
        attrs = _describe(network, checkpoint, data, preset)
        run = EvaluationRun(
            network, Path(data), attrs["preset"], num_input_points, limit, seed, workers, options
        )
        journal = RowJournal(parts, run.data, run.identity())
        datasets = run.open_splits(splits or evaluated_splits(data, network.config.task))
        found = [
            run.evaluate_split(split, dataset, process, journal, on_progress)
            for split, dataset in datasets.items()
        ]
        everything = _gather(found, process, group)
        rows = None
        if everything is not None:
            rows = _table(everything, network.config.task, attrs, data)
            if table is not None:
                save_rows(rows, table)
        if group is not None:
            # Until the table is written, another process may need its parts.
            dist.monitored_barrier(group, GATHER_TIMEOUT)
        if table is not None:
            discard(parts)
    return rows


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


def _gather(own: list[SplitRows], process: Process, group: Any) -> list[SplitRows] | None:
    """What all processes found, in the first one; None in the others."""
    if group is None:
        return own
    found: list[Any] | None = [None] * process.world if process.is_first else None
    dist.gather_object(own, found, dst=0, group=group)
    return [part for parts in found for part in parts] if found is not None else None


def _table(
    found: list[SplitRows], task: str, attrs: dict[str, Any], data: str | os.PathLike
) -> pd.DataFrame:
    """All rows, with what they are of and how many scenes were left out.

    Raises:
        RowsError: if there are none.
    """
    faults = Counter({part.split: 0 for part in found})
    for part in found:
        faults[part.split] += len(part.faults)
    skipped = {part.split: part.skipped + faults[part.split] for part in found}
    rows = join_rows([rows for part in found for rows in part.rows], task)
    if rows.empty:
        raise RowsError(f"no scene of {data} has anything to evaluate; left out: {skipped}")
    unlike = sorted({name for part in found for name in part.unlike})
    rows.attrs.clear()
    rows.attrs.update(attrs | {"skipped": skipped, "unlike_training": unlike})
    return rows
