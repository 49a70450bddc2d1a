"""Evaluation rows: one per scene, label (or description) and cutoff; a table in a file.

Columns: ``scene_id``; ``label`` (completion) or ``target_obj_name``, ``reference_obj_name`` and
``spatial_relation_name`` (localization); the metrics (``point_iou`` ... ``voxel32x32x32_iou`` ...),
once more as a robot is answered (``answered_point_iou`` ...);
``cutoff``, ``epoch`` and ``split``. What the rows are of is in ``DataFrame.attrs``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semabs_core.evaluation.metrics import METRICS
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


def _write_pickle(rows: pd.DataFrame, file: Path) -> None:
    """In plain types, as every version of pandas writes and reads them."""
    texts = [name for name in rows.columns if not pd.api.types.is_numeric_dtype(rows[name])]
    plain = rows.astype(dict.fromkeys(texts, object))
    plain.columns = pd.Index(list(rows.columns), dtype=object)
    plain.to_pickle(file)


def _read_csv(file: Path) -> pd.DataFrame:
    """An empty cell is no number; every other text is what it says, also "None" or "NA"."""
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".parquet": lambda rows, file: rows.to_parquet(file, index=False),
    ".csv": lambda rows, file: rows.to_csv(file, index=False),
    ".pkl": _write_pickle,
}
"""How a table is written, by the file's suffix. What its rows are of (``attrs``), which summaries
ask for, is kept in Parquet alone."""


def check_rows_path(path: str | os.PathLike) -> Path:
    """The file for a table of rows, if one can be written there.

    Raises:
        RowsError: if the suffix is unknown or the path is that of a folder.
    """
    file = Path(path)
    if file.suffix not in WRITERS:
        raise RowsError(f"rows are written as {', '.join(WRITERS)}, got {str(file)!r}")
    if file.is_dir():
        raise RowsError(f"{file} is a folder; name a file for the rows")
    return file


def save_rows(rows: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write rows beside and renamed, in the form that the suffix names; see :data:`WRITERS`.

    Raises:
        RowsError: if the suffix is unknown.
        OSError: if the file cannot be written.
    """
    file = check_rows_path(path)
    write_atomic(file, lambda part: WRITERS[file.suffix](rows, part))


def read_rows(path: str | os.PathLike) -> pd.DataFrame:
    """Read rows of :func:`save_rows`, or published ones (``*_eval_stats.pkl``).

    No code from the file is run.

    Raises:
        RowsError: if the file is missing, damaged, hostile or no table of rows.
    """
    file = Path(path)
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".parquet": pd.read_parquet,
        ".csv": _read_csv,
        ".pkl": read_pickled_frame,
    }
    if file.suffix not in readers:
        raise RowsError(f"rows are read from {', '.join(readers)}, got {str(file)!r}")
    if not file.is_file():
        raise RowsError(f"there is no file {file}")
    try:
        rows = readers[file.suffix](file)
    except RowsError:
        raise
    except (OSError, ValueError) as error:
        raise RowsError(f"{file} cannot be read ({error}); evaluate again") from error
    _check_rows(rows, str(file))
    # np.arange gives -2.3000000000000003: without this the same cutoff would differ between files.
    rows["cutoff"] = rows["cutoff"].astype(float).round(6)
    return rows


def _check_rows(rows: pd.DataFrame, where: str) -> None:
    """Raise :class:`RowsError` unless a table is one of rows, each there once, with numbers."""
    names = NAME_COLUMNS[task_of(rows, where)]
    if rows.empty:
        raise RowsError(f"{where} has no rows; evaluate again")
    numbers = ["cutoff", *(name for name in rows.columns if name.endswith(METRICS))]
    wrong = [name for name in numbers if not pd.api.types.is_numeric_dtype(rows[name])]
    if wrong or rows["cutoff"].isna().any():
        raise RowsError(f"{where} must have numbers in the column(s) {', '.join(wrong or numbers)}")
    repeated = rows.duplicated(["split", "scene_id", *names, "cutoff"])
    if repeated.any():
        first = rows[repeated].iloc[0]
        raise RowsError(
            f"{where} has {int(repeated.sum())} rows twice, such as that of {first['scene_id']}, "
            f"{first[names[0]]}: a mean would count them double; evaluate again"
        )


def join_rows(parts: Iterable[pd.DataFrame], task: str) -> pd.DataFrame:
    """Rows of several scenes in the order of split, scene and names; empty parts are fine."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=["scene_id", *NAME_COLUMNS[task], "cutoff", "epoch", "split"])
    order = ["split", "scene_id", *NAME_COLUMNS[task], "cutoff"]
    return pd.concat(filled, ignore_index=True).sort_values(order, kind="stable", ignore_index=True)
