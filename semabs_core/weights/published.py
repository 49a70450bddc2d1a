"""The published checkpoints that were downloaded, by name: ``published:ours/ovssc``."""

from __future__ import annotations

import os
from pathlib import Path

from semabs_core.weights.shipped import WeightsError, resolve_weights

PREFIX = "published:"
"""``published:ours/ovssc`` in a config names that checkpoint of the downloaded ones."""
ARCHIVE_FOLDER = "models/"
"""The published archive holds its checkpoints below this folder; their names go without it."""


def default_folder() -> Path:
    """Where downloads go: ``SEMABS_HOME``, else ``~/.cache/semabs``."""
    return Path(os.environ.get("SEMABS_HOME") or Path.home() / ".cache" / "semabs")


def unpacked_folder() -> Path:
    """Where the downloaded checkpoints are unpacked."""
    return default_folder() / "published"


def checkpoint_folders(folder: Path) -> list[Path]:
    """The published checkpoints below a folder."""
    return sorted({file.parent for file in folder.rglob("args.pkl")})


def published_checkpoints() -> dict[str, Path]:
    """The downloaded checkpoints by their names, such as ``published:ours/ovssc``."""
    root = unpacked_folder()
    names = {folder.relative_to(root).as_posix(): folder for folder in checkpoint_folders(root)}
    return {PREFIX + name.removeprefix(ARCHIVE_FOLDER): folder for name, folder in names.items()}


def resolve_checkpoint(name: str) -> str:
    """``published:NAME`` or ``shipped:NAME`` to its folder; a folder as it is.

    Raises:
        WeightsError: if there is no checkpoint of that name.
    """
    if not name.startswith(PREFIX):
        return resolve_weights(name)
    known = published_checkpoints()
    if name in known:
        return str(known[name])
    if known:
        raise WeightsError(f"there is no checkpoint {name!r}, but {', '.join(known)}")
    raise WeightsError(
        f"{name} is not here: `semabs weights download` brings the published checkpoints to "
        f"{default_folder()} (SEMABS_HOME chooses another folder)"
    )
