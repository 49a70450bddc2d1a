"""Several data sets as one, by links: their scenes stay where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from semabs_core.data.labels import NOVEL_CLASSES_FILE, SYNONYMS_FILE
from semabs_core.data.scene_data import SceneFileError
from semabs_core.data.splits import SPLIT_FILES, read_splits, split_file, write_splits
from semabs_core.files import write_atomic


def join_data_sets(out: str | os.PathLike, folders: Sequence[str | os.PathLike]) -> dict[str, int]:
    """Make a data set of several: every split holds the scenes of all that have it.

    Relevancy that is stored in the new data set is stored in the linked files.

    Args:
        out: the new data set's folder; one that was joined before is brought up to date.
        folders: data sets, with their split files; their names must differ.

    Returns:
        Scenes per split.

    Raises:
        SceneFileError: if one of them is no data set, or their synonyms or novel classes differ.
        ValueError: if there is none, two have the same name, ``out`` is a data set of its own, or
            something else is in the way.
    """
    target, sources = Path(out), [Path(folder).resolve() for folder in folders]
    if not sources or len({source.name for source in sources}) < len(sources):
        raise ValueError(
            "folders must be data sets of different names, got "
            + (", ".join(map(str, sources)) or "none")
        )
    if target.resolve() in sources or _holds_scenes(target):
        raise ValueError(f"{target} is a data set itself: choose a new folder for the joined one")
    splits: dict[str, dict[str, list[str]]] = {}
    for task in SPLIT_FILES:
        found: dict[str, list[str]] = {}
        for source in sources:
            if split_file(source, task).is_file():
                for split, paths in read_splits(source, task).items():
                    found.setdefault(split, []).extend(f"{source.name}/{path}" for path in paths)
        if found:
            splits[task] = found
    if not splits:
        raise SceneFileError(f"there is no data set in {', '.join(map(str, sources))}")
    lists = {
        name: _common(name, sources)
        for name in (SYNONYMS_FILE, NOVEL_CLASSES_FILE)
        if any((source / name).is_file() for source in sources)
    }
    target.mkdir(parents=True, exist_ok=True)
    for source in sources:
        _link(target / source.name, source)
    for name, content in lists.items():
        write_atomic(target / name, content)
    for task, found in splits.items():
        write_splits(target, found, task)
    first = next(iter(splits.values()))
    return {split: len(paths) for split, paths in first.items()}


def _common(name: str, sources: Sequence[Path]) -> str:
    """The content of a list that all data sets share."""
    contents = {
        source: (source / name).read_text(encoding="utf-8")
        for source in sources
        if (source / name).is_file()
    }
    one, *others = contents.values()
    if any(json.loads(other) != json.loads(one) for other in others):
        raise SceneFileError(
            f"{', '.join(map(str, contents))} have different {name}: they cannot be one data set"
        )
    return one


def _holds_scenes(folder: Path) -> bool:
    """Whether a folder's split files list scenes that are no links to other data sets."""
    files = [task for task in SPLIT_FILES if split_file(folder, task).is_file()]
    listed = [paths for task in files for paths in read_splits(folder, task).values()]
    tops = {Path(path).parts[0] for paths in listed for path in paths}
    return any(not (folder / top).is_symlink() for top in tops)


def _link(link: Path, source: Path) -> None:
    """A link to a data set, unless it is there already."""
    if link.is_symlink() and link.resolve() == source:
        return
    if link.is_symlink() or link.exists():
        raise ValueError(f"{link} is in the way of a link to {source}; choose another folder")
    link.symlink_to(source, target_is_directory=True)
