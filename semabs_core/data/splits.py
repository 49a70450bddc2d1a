"""Which scene files belong to which split: ``ssc_split.pkl`` and ``vool_split.pkl``."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from semabs_core import inert_pickle
from semabs_core.data.scene_data import SOURCES, SceneFileError
from semabs_core.files import write_atomic

SPLIT_FILES = {"completion": "ssc_split.pkl", "localization": "vool_split.pkl"}
SPLITS = (
    "train", "validation", "unseen_instances", "unseen_instances_dr", "unseen_instances_synonyms"
)  # fmt: skip
"""Splits of our own data; the published has no ``validation``."""
_SETS = {
    f"{module}.{kind.__name__}": kind
    for module in ("builtins", "__builtin__")
    for kind in (set, frozenset)
}
"""All that a split file refers to besides values without classes."""


def split_source(split: str) -> str:
    """The pictures a split is evaluated on: in random colours where its name ends in ``_dr``."""
    return SOURCES[split.endswith("_dr")]


def write_splits(
    folder: str | os.PathLike, splits: Mapping[str, Sequence[str]], task: str | None = None
) -> None:
    """Write the split file of a task, or of both tasks, beside and renamed.

    Args:
        folder: the data set's folder.
        splits: split name to scene files, relative to the folder.
        task: ``completion`` or ``localization``; None for both.
    """
    content = {
        name: [PurePosixPath(path).as_posix() for path in paths] for name, paths in splits.items()
    }
    _check(content, "splits")
    for name in [task] if task else SPLIT_FILES:
        write_atomic(split_file(folder, name), pickle.dumps(content, protocol=4))


def read_splits(folder: str | os.PathLike, task: str) -> dict[str, list[str]]:
    """Split name to scene files (relative to the folder), unpickled without running code.

    Raises:
        SceneFileError: if the file is missing, damaged, hostile or no split file.
    """
    file = split_file(folder, task)
    try:
        content = inert_pickle.load(file.read_bytes(), _SETS)
    except (FileNotFoundError, NotADirectoryError):
        raise SceneFileError(f"there is no {file}; is {folder} the data set's folder?") from None
    except inert_pickle.PickleError as error:
        raise SceneFileError(f"{file}: {error}") from None
    except Exception as error:
        raise SceneFileError(f"{file} is damaged ({error}); copy it again") from error
    if not isinstance(content, dict):
        raise SceneFileError(f"{file} must hold a dict, got {type(content).__name__}")
    iterable = (list, tuple, set, frozenset)
    if not all(isinstance(paths, iterable) for paths in content.values()):
        raise SceneFileError(f"{file} must map every split to a list of paths")
    ordered = {
        name: sorted(paths, key=str) if isinstance(paths, (set, frozenset)) else list(paths)
        for name, paths in content.items()
    }
    _check(ordered, str(file))
    return ordered


def split_paths(folder: str | os.PathLike, task: str, split: str) -> list[str]:
    """The scene files of one split, relative to the folder; at least one.

    Raises:
        SceneFileError: as :func:`read_splits`, or if there is no such split or no scene in it.
    """
    splits = read_splits(folder, task)
    if split not in splits:
        raise SceneFileError(f"{folder} has no split {split!r}, but {', '.join(splits) or 'none'}")
    if not splits[split]:
        raise SceneFileError(f"split {split!r} of {folder} has no scenes")
    return splits[split]


def split_file(folder: str | os.PathLike, task: str) -> Path:
    """Where the split file of a task is."""
    if task not in SPLIT_FILES:
        raise ValueError(f"task must be one of {', '.join(SPLIT_FILES)}, got {task!r}")
    return Path(folder) / SPLIT_FILES[task]


def _check(splits: Mapping[Any, Sequence[Any]], where: str) -> None:
    """Raise unless names and paths are strings and every path stays inside the folder."""
    for name, paths in splits.items():
        if not isinstance(name, str) or not all(isinstance(path, str) for path in paths):
            raise SceneFileError(f"{where}: names and paths must be strings, in split {name!r}")
        for path in paths:
            parts = PurePosixPath(path)
            if parts.is_absolute() or ".." in parts.parts:
                raise SceneFileError(
                    f"{where}: paths must be relative and inside the folder, got {path!r}"
                )
