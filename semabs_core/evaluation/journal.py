"""Rows of an evaluation as they come: a file per scene, so that a run that was cut off goes on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.rows import save_rows

PARTS_SUFFIX = ".parts"
LOCK_FILE = "lock"
OF = "of"
"""The attribute of a scene's rows that says what they are of."""


class RowJournal:
    """The rows of the scenes that are done, in a folder beside the table that they are for.

    A scene's rows name what they are of: the network, the options and the scene file as it was.
    Rows of anything else that the folder may hold are made again.

    Args:
        folder: where to keep them; made where missing.
        data: the data set's folder.
        identity: JSON values that decide every row: the network's weights, options, ...
    """

    def __init__(self, folder: Path, data: Path, identity: dict[str, Any]) -> None:
        self.folder, self.data = folder, data
        self._identity = _digest(identity)

    def read(self, split: str, index: int, path: str) -> pd.DataFrame | None:
        """A scene's rows; None where they are not there, damaged, or of something else.

        Args:
            split: its split.
            index: its place among the scenes of the split, which chooses its input points.
            path: its file, relative to the data set's folder.
        """
        try:
            rows = pd.read_parquet(self._file(split, path))
        except (OSError, ValueError):
            return None
        return rows if rows.attrs.pop(OF, None) == self._of(index, path) else None

    def add(self, split: str, index: int, path: str, rows: pd.DataFrame) -> pd.DataFrame:
        """Keep a scene's rows; returns them as they will be read.

        Raises:
            OSError: if they cannot be written.
        """
        rows.attrs[OF] = self._of(index, path)
        save_rows(rows, self._file(split, path))
        kept = pd.read_parquet(self._file(split, path))
        kept.attrs.clear()
        return kept

    def _file(self, split: str, path: str) -> Path:
        return self.folder / quote(split, safe="") / (quote(path, safe="") + ".parquet")

    def _of(self, index: int, path: str) -> str:
        """What a scene's rows are of, which says also whether its file was written again."""
        state = (self.data / path).stat()
        return _digest([self._identity, index, state.st_size, state.st_mtime_ns])


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@contextmanager
def parts_folder(out: Path | None, locked: bool = True) -> Iterator[Path]:
    """The folder of a table's parts, which this process alone may use.

    Args:
        out: the table's file; None for a folder that goes with the context.
        locked: False for the other processes of the same evaluation.

    Raises:
        RowsError: if another evaluation is writing the same table.
        OSError: if nothing can be written there.
    """
    if out is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    folder = out.with_name(out.name + PARTS_SUFFIX)
    folder.mkdir(parents=True, exist_ok=True)
    if not locked:
        yield folder
        return
    with (folder / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RowsError(
                f"another evaluation is writing {out}: wait for it, or choose another file"
            ) from None
        try:
            yield folder
        finally:
            if folder.is_dir() and all(file.name == LOCK_FILE for file in folder.iterdir()):
                discard(folder)  # not a scene was done


def discard(folder: Path) -> None:
    """Remove a table's parts, once it is written."""
    shutil.rmtree(folder, ignore_errors=True)
