"""What the authors published: figures of their tables, and rows as pickled DataFrames.

A pickle from a stranger can run code, and even NumPy's own classes trust what a pickle tells them
about memory. So no class of NumPy or pandas is handed to the unpickler: the few names that a
DataFrame of numbers and strings refers to are replaced by inert records, and the table is put
together from these. That also makes the result independent of the version of pandas that wrote the
file (tried with 1.1 to 2.2, and with 3.1 without its own string type).
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class RowsError(ValueError):
    """A file of rows cannot be used; the message names the file and the remedy."""


@functools.cache
def published_figures() -> dict[str, Any]:
    """The figures of the paper's tables, IoU x 100, by table, approach and relation."""
    file = importlib.resources.files("semabs_core.evaluation") / "published_results.json"
    return json.loads(file.read_text(encoding="utf-8"))


class _Record:
    """Stands for an object: what it was called with and what was put into it."""

    args: tuple
    state: Any

    def __new__(cls, *args: Any) -> _Record:
        record = super().__new__(cls)
        record.args, record.state = args, None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self) -> Any:
        """The plain value that this record describes."""
        raise RowsError(f"{type(self).__name__} is not where it belongs")


class _DType(_Record):
    def value(self) -> np.dtype:
        kind = str(self.args[0])
        if kind[:1] not in "biufOSU" or not kind[1:].isdigit():
            raise RowsError(f"dtype {kind!r} is not one of numbers or strings")
        order = str(self.state[1]) if self.state else "|"
        return np.dtype((">" if order == ">" else "<") + kind)


class _Array(_Record):
    """``ndarray`` in its two pickled forms: with a state, or from a buffer."""

    def value(self) -> NDArray:
        if self.state is not None:
            _, shape, dtype, fortran, data = self.state
            order = "F" if fortran else "C"
        else:
            data, dtype, shape, order = self.args
        kind = dtype.value()
        if kind.kind == "O":
            array = np.empty(len(data), dtype=object)
            array[:] = [_cell(item) for item in data]
        else:
            array = np.frombuffer(bytes(plain(data)), dtype=kind)
        array = array.reshape(shape[::-1] if order == "F" else shape)
        return array.T if order == "F" else array


def _cell(item: Any) -> Any:
    """A cell of an object column, which must be a plain value."""
    item = plain(item)
    if not isinstance(item, str | bytes | int | float | np.generic | None):
        raise RowsError(f"a cell holds a {type(item).__name__}, neither number nor text")
    return item


class _Reconstructed(_Array):
    """``_reconstruct(ndarray, (0,), b'b')``: its arguments say nothing, the state says all."""


class _Scalar(_Record):
    def value(self) -> Any:
        dtype, data = self.args
        return np.frombuffer(bytes(plain(data)), dtype=dtype.value())[0]


class _Index(_Record):
    """``_new_Index(class, {"data": ...})`` or, for a range, ``{"start", "stop", "step"}``."""

    def value(self) -> NDArray:
        content = self.args[1]
        if "data" in content:
            return np.asarray(plain(content["data"]))
        return np.arange(content["start"], content["stop"], content["step"])


class _Block(_Record):
    """``_unpickle_block(values, placement, ndim)``."""


class _Manager(_Record):
    """The columns of a DataFrame: blocks and axes, as arguments or (before 1.3) in the state."""

    def parts(self) -> tuple[list[tuple[Any, Any]], list[Any]]:
        """(values, placement) of each block, and the axes: columns and index."""
        if self.state is None:
            blocks, axes = self.args
            return [block.args[:2] for block in blocks], list(axes)
        content = self.state[3]["0.14.1"]
        return [(b["values"], b["mgr_locs"]) for b in content["blocks"]], list(content["axes"])


class _Frame(_Record):
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


def plain(value: Any) -> Any:
    """A record's value; anything else as it is."""
    return value.value() if isinstance(value, _Record) else value


class _Name(_Record):
    """Stands for a class that is only named, never called."""


class _Bytes(_Record):
    """``_codecs.encode(text, "latin1")``, how old pickle protocols write bytes."""

    def value(self) -> bytes:
        return self.args[0].encode("latin1")


_STAND_INS: dict[str, Any] = {
    "_codecs.encode": _Bytes,
    "__builtin__.slice": slice,
    "builtins.slice": slice,
    "__builtin__.bytearray": bytearray,
    "builtins.bytearray": bytearray,
    "numpy.dtype": _DType,
    "numpy.ndarray": _Name,
    "multiarray._reconstruct": _Reconstructed,
    "multiarray.scalar": _Scalar,
    "numeric._frombuffer": _Array,
    "pandas.DataFrame": _Frame,
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _Manager,
    "pandas._libs.internals._unpickle_block": _Block,
    "pandas.core.internals.blocks.new_block": _Block,
    "pandas.core.indexes.base._new_Index": _Index,
    "pandas.Index": _Name,
    "pandas.RangeIndex": _Name,
    "pandas.core.indexes.base.Index": _Name,
    "pandas.core.indexes.numeric.Int64Index": _Name,
    "pandas.core.indexes.range.RangeIndex": _Name,
}


class _RowsUnpickler(pickle.Unpickler):
    """Knows the names of ``_STAND_INS`` and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        for prefix in ("numpy.core.", "numpy._core."):
            module = module.removeprefix(prefix)
        try:
            return _STAND_INS[f"{module}.{name}"]
        except KeyError:
            raise RowsError(
                f"it refers to {module}.{name}, which no published table of rows does; it was not "
                "loaded because it could run code. Tables of your own: save them as Parquet"
            ) from None


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
        with file.open("rb") as stream:
            content = _RowsUnpickler(stream).load()
        if not isinstance(content, _Frame):
            raise RowsError(f"it must hold a pandas DataFrame, got {type(content).__name__}")
        return content.value()
    except RowsError as error:
        raise RowsError(f"{file}: {error}") from None
    except FileNotFoundError:
        raise RowsError(f"there is no file {file}") from None
    except Exception as error:
        raise RowsError(f"{file} is damaged ({error}); copy or download it again") from error
