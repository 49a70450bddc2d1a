"""Pickles of strangers, read without running code from them.

A pickle can run code, and even NumPy's own classes trust what a pickle tells them about memory. So
no class is handed to the unpickler: the names that a file may refer to are replaced by inert
records, and the values are put together from these.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PickleError(ValueError):
    """A pickle was not loaded; the message says what is in it."""


class Record:
    """Stands for an object: what it was called with and what was put into it."""

    args: tuple
    state: Any

    def __new__(cls, *args: Any) -> Record:
        record = super().__new__(cls)
        record.args, record.state = args, None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self) -> Any:
        """The plain value that this record describes."""
        raise PickleError(f"{type(self).__name__} is not where it belongs")


class Name(Record):
    """Stands for a class that is only named, never called."""


class _DType(Record):
    def value(self) -> np.dtype:
        kind = str(self.args[0])
        if kind[:1] not in "biufOSU" or not kind[1:].isdigit():
            raise PickleError(f"dtype {kind!r} is not one of numbers or strings")
        order = str(self.state[1]) if self.state else "|"
        return np.dtype((">" if order == ">" else "<") + kind)


class _Array(Record):
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
    """A cell of an object array, which must be a plain value."""
    item = plain(item)
    if not isinstance(item, str | bytes | int | float | np.generic | None):
        raise PickleError(f"a cell holds a {type(item).__name__}, neither number nor text")
    return item


class _Reconstructed(_Array):
    """``_reconstruct(ndarray, (0,), b'b')``: its arguments say nothing, the state says all."""


class _Scalar(Record):
    def value(self) -> Any:
        dtype, data = self.args
        return np.frombuffer(bytes(plain(data)), dtype=dtype.value())[0]


class _Bytes(Record):
    """``_codecs.encode(text, "latin1")``, how old pickle protocols write bytes."""

    def value(self) -> bytes:
        return self.args[0].encode("latin1")


NUMPY: dict[str, Any] = {
    "_codecs.encode": _Bytes,
    "__builtin__.bytearray": bytearray,
    "builtins.bytearray": bytearray,
    "numpy.dtype": _DType,
    "numpy.ndarray": Name,
    "multiarray._reconstruct": _Reconstructed,
    "multiarray.scalar": _Scalar,
    "numeric._frombuffer": _Array,
}
"""What arrays of numbers and strings refer to, whichever version of NumPy wrote them."""


def plain(value: Any) -> Any:
    """A record's value; anything else as it is."""
    return value.value() if isinstance(value, Record) else value


class _Unpickler(pickle.Unpickler):
    """Knows the names of a table and nothing else."""

    def __init__(self, content: bytes, stand_ins: Mapping[str, Any]) -> None:
        super().__init__(io.BytesIO(content))
        self.stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Any:
        for prefix in ("numpy.core.", "numpy._core."):
            module = module.removeprefix(prefix)
        try:
            return self.stand_ins[f"{module}.{name}"]
        except KeyError:
            raise PickleError(
                f"it refers to {module}.{name}, which no published file of its kind does; it was "
                "not loaded because it could run code"
            ) from None


def load(content: bytes, stand_ins: Mapping[str, Any] = NUMPY) -> Any:
    """What a pickle holds, its objects as records (see :func:`plain`).

    Args:
        content: the file's bytes.
        stand_ins: ``module.name`` (without ``numpy.core.``) to what stands for it.

    Raises:
        PickleError: if it refers to another name. A damaged pickle raises errors of many kinds.
    """
    return _Unpickler(content, stand_ins).load()
