"""Opening and writing scene files; root stacks and the HDF5 region references into them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_data import SceneFileError
from semabs_core.files import write_atomic


@contextmanager
def open_scene(path: str | os.PathLike) -> Iterator[h5py.File]:
    """An open scene file whose every fault becomes a :class:`SceneFileError` with its name."""
    file = Path(path)
    if not file.is_file():
        raise SceneFileError(f"there is no scene file {file}")
    try:
        with h5py.File(file, "r") as archive:
            if "data" not in archive:
                raise SceneFileError(f"{file} has no group 'data', so it is no scene file")
            yield archive
    except SceneFileError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError) as error:
        raise SceneFileError(
            f"{file} is damaged or incomplete ({error}); copy or make it again"
        ) from error


def write_archive(path: Path, fill: Callable[[h5py.File], None], keep: bool = False) -> None:
    """Fill a file (with ``keep``, what is there and more), as a whole or not at all.

    It is filled in memory: the HDF5 library ends the process when a disk is full.

    Raises:
        OSError: if the file cannot be written.
    """
    content = io.BytesIO(path.read_bytes() if keep else b"")
    with h5py.File(content, "r+" if keep else "w") as archive:
        fill(archive)
    write_atomic(path, content.getvalue())


def append_items(archive: h5py.File, name: str, items: NDArray) -> NDArray:
    """Append items to a root stack; returns a region reference to each."""
    if name not in archive:
        shape = items.shape[1:]
        archive.create_dataset(
            name,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(1, *(max(1, n) for n in shape)),
            dtype=items.dtype,
            compression="gzip",
            shuffle=True,
        )
    stack = archive[name]
    if stack.shape[1:] != items.shape[1:]:
        raise SceneFileError(
            f"{archive.filename}: {name} holds items of {stack.shape[1:]}, got {items.shape[1:]}"
        )
    first = len(stack)
    stack.resize(first + len(items), axis=0)
    stack[first:] = items
    references = [stack.regionref[row] for row in range(first, len(stack))]
    return np.array(references, dtype=h5py.regionref_dtype)


def follow(archive: h5py.File, references: h5py.Dataset) -> NDArray:
    """The items that an array of region references points at, along the first axis."""
    return np.concatenate([_region(archive, ref) for ref in references[()].ravel()])


def _region(archive: h5py.File, reference: h5py.RegionReference) -> NDArray:
    """One referenced region, with the rank of its stack."""
    stack = archive[reference]
    return stack[reference].reshape(stack.regionref.selection(reference))


def read_rows(archive: h5py.File, references: h5py.Dataset, rows: list[int], count: int) -> NDArray:
    """The ``rows`` of ``count`` maps, whether each has a reference or all share one."""
    values = references[()].ravel()
    if len(values) == count:
        return np.concatenate([_region(archive, values[row]) for row in rows])
    maps = np.concatenate([_region(archive, value) for value in values])
    if len(maps) != count:
        raise SceneFileError(
            f"{archive.filename}: {references.name} has {len(maps)} maps for {count} labels"
        )
    return maps[rows]


def read_strings(dataset: h5py.Dataset) -> list[str]:
    """A dataset of strings, of fixed or variable length, as names."""
    values = np.asarray(dataset).ravel().tolist()
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def as_bytes(names: list[str]) -> NDArray[np.bytes_]:
    """Names as byte strings of fixed length."""
    return np.array([name.encode() for name in names], dtype=None if names else "S1")
