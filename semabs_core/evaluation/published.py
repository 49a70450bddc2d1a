"""What the authors published: figures of their tables, and rows as pickled DataFrames.

A DataFrame of numbers and strings is put together from inert records, as every pickle here
(:mod:`semabs_core.inert_pickle`). That also makes the result independent of the version of pandas
that wrote the file (tried with 1.1 to 2.2, and with 3.1 without its own string type).
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semabs_core import inert_pickle
from semabs_core.inert_pickle import Name, PickleError, Record, plain


class RowsError(ValueError):
    """A file of rows cannot be used; the message names the file and the remedy."""


@functools.cache
def published_figures() -> dict[str, Any]:
    """The figures of the paper's tables, IoU x 100, by table, approach and relation."""
    file = importlib.resources.files("semabs_core.evaluation") / "published_results.json"
    return json.loads(file.read_text(encoding="utf-8"))


class _Index(Record):
    """``_new_Index(class, {"data": ...})`` or, for a range, ``{"start", "stop", "step"}``."""

    def value(self) -> NDArray:
        content = self.args[1]
        if "data" in content:
            return np.asarray(plain(content["data"]))
        return np.arange(content["start"], content["stop"], content["step"])


class _Block(Record):
    """``_unpickle_block(values, placement, ndim)``."""


class _Manager(Record):
    """The columns of a DataFrame: blocks and axes, as arguments or (before 1.3) in the state."""

    def parts(self) -> tuple[list[tuple[Any, Any]], list[Any]]:
        """(values, placement) of each block, and the axes: columns and index."""
        if self.state is None:
            blocks, axes = self.args
            return [block.args[:2] for block in blocks], list(axes)
        content = self.state[3]["0.14.1"]
        return [(b["values"], b["mgr_locs"]) for b in content["blocks"]], list(content["axes"])


class _Frame(Record):
    def value(self) -> pd.DataFrame:
        blocks, (columns, index) = self.state.get("_mgr", self.state.get("_data")).parts()
        names, length = [str(name) for name in plain(columns)], len(plain(index))
        table: dict[int, NDArray] = {}
        for values, placement in blocks:
            places = np.arange(len(names))[plain(placement)]
            array = plain(values)
            if array.shape != (len(places), length):
                raise RowsError(f"a block has the shape {array.shape}, not {(len(places), length)}")
            table.update(zip(places.tolist(), array, strict=True))
        if sorted(table) != list(range(len(names))) or len(set(names)) != len(names):
            raise RowsError("the columns are incomplete or not distinct")
        return pd.DataFrame({name: table[i] for i, name in enumerate(names)})


_STAND_INS: dict[str, Any] = {
    **inert_pickle.NUMPY,
    "__builtin__.slice": slice,
    "builtins.slice": slice,
    "pandas.DataFrame": _Frame,
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _Manager,
    "pandas._libs.internals._unpickle_block": _Block,
    "pandas.core.internals.blocks.new_block": _Block,
    "pandas.core.indexes.base._new_Index": _Index,
    "pandas.Index": Name,
    "pandas.RangeIndex": Name,
    "pandas.core.indexes.base.Index": Name,
    "pandas.core.indexes.numeric.Int64Index": Name,
    "pandas.core.indexes.range.RangeIndex": Name,
}


def read_pickled_frame(path: str | os.PathLike) -> pd.DataFrame:
    """A pickled DataFrame of numbers and strings, without running code from the file.

    Args:
        path: the file, such as ``<checkpoint>_eval_stats.pkl``.

    Returns:
        The table with a fresh index 0, 1, 2 ...

    Raises:
        RowsError: if the file is damaged, holds something else or could run code.
    """
    file = Path(path)
    try:
        content = inert_pickle.load(file.read_bytes(), _STAND_INS)
        if not isinstance(content, _Frame):
            raise RowsError(f"it must hold a pandas DataFrame, got {type(content).__name__}")
        return content.value()
    except PickleError as error:
        raise RowsError(f"{file}: {error}. Tables of your own: save them as Parquet") from None
    except RowsError as error:
        raise RowsError(f"{file}: {error}") from None
    except FileNotFoundError:
        raise RowsError(f"there is no file {file}") from None
    except Exception as error:
        raise RowsError(f"{file} is damaged ({error}); copy or download it again") from error
