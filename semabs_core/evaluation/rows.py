"""Evaluation rows: one per scene, label (or description) and cutoff; saved as Parquet.

Columns: ``scene_id``; ``label`` (completion) or ``target_obj_name``, ``reference_obj_name`` and
``spatial_relation_name`` (localization); the metrics (``point_iou`` ... ``voxel32x32x32_iou`` ...);
``cutoff``, ``epoch`` and ``split``. What the rows are of is in ``DataFrame.attrs``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semabs_core.evaluation.published import RowsError, read_pickled_frame
from semabs_core.files import write_atomic

NAME_COLUMNS = {
    "completion": ("label",),
    "localization": ("target_obj_name", "reference_obj_name", "spatial_relation_name"),
}


def make_rows(
    metrics: Mapping[str, NDArray[np.float64]],
    names: Mapping[str, Sequence[str]],
    cutoffs: Sequence[float],
    scene_id: str,
    split: str,
    epoch: float,
) -> pd.DataFrame:
    """The rows of one scene.

    Args:
        metrics: (L, K) each, of :func:`semabs_core.evaluation.scene.evaluate_scene`.
        names: the L names of each of ``NAME_COLUMNS``.
        cutoffs: the K cutoffs.
        scene_id: the scene.
        split: its split.
        epoch: how long the network was trained, -1 if unknown.

    Returns:
        L x K rows.
    """
    labels = len(next(iter(names.values())))
    columns: dict[str, object] = {"scene_id": scene_id}
    for column, texts in names.items():
        columns[column] = np.repeat(np.array(list(texts), dtype=object), len(cutoffs))
    columns |= {column: values.ravel() for column, values in metrics.items()}
    columns |= {"cutoff": np.tile(np.array(cutoffs), labels), "epoch": epoch, "split": split}
    return pd.DataFrame(columns)


def task_of(rows: pd.DataFrame, where: str = "rows") -> str:
    """``completion`` or ``localization``, by the columns.

    Raises:
        RowsError: if a column is missing.
    """
    task = "completion" if "label" in rows.columns else "localization"
    needed = ("scene_id", *NAME_COLUMNS[task], "cutoff", "split")
    missing = [column for column in needed if column not in rows.columns]
    if missing:
        raise RowsError(f"{where} lacks the column(s) {', '.join(missing)}; is it a table of rows?")
    return task


def save_rows(rows: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write rows as Parquet, beside and renamed; ``attrs`` are kept."""
    write_atomic(path, lambda part: rows.to_parquet(part, index=False))


def read_rows(path: str | os.PathLike) -> pd.DataFrame:
    """Read rows: ours (``.parquet``) or published (``*_eval_stats.pkl``, without running its code).

    Raises:
        RowsError: if the file is missing, damaged, hostile or no table of rows.
    """
    file = Path(path)
    if file.suffix == ".pkl":
        rows = read_pickled_frame(file)
    elif not file.exists():
        raise RowsError(f"there is no file {file}")
    else:
        try:
            rows = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise RowsError(f"{file} is not a Parquet file ({error}); evaluate again") from error
    task_of(rows, str(file))
    # np.arange gives -2.3000000000000003: without this the same cutoff would differ between files.
    rows["cutoff"] = rows["cutoff"].astype(float).round(6)
    return rows


def join_rows(parts: Iterable[pd.DataFrame], task: str) -> pd.DataFrame:
    """Rows of several scenes in the order of split, scene and names; empty parts are fine."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=["scene_id", *NAME_COLUMNS[task], "cutoff", "epoch", "split"])
    order = ["split", "scene_id", *NAME_COLUMNS[task], "cutoff"]
    return pd.concat(filled, ignore_index=True).sort_values(order, kind="stable", ignore_index=True)
