"""The config files that come with the package, found by their names."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
FOLDERS = (
    _PACKAGE / "configs",
    _PACKAGE.parent / "config",
    *(prefix / "share/semabs/config" for prefix in _PACKAGE.parents[3:4]),
)
"""Where they are in what pip installs, in the source tree, and in what colcon installs."""


def config_names() -> list[str]:
    """Names of the files that come with the package, such as ``semabs.yaml``."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.yaml"))


def find_config(path: str | os.PathLike) -> Path:
    """A file as it is where it exists, else the one of that name in the package.

    Args:
        path: of a YAML file, or a name out of :func:`config_names`.
    """
    file = Path(path)
    if file.exists() or file.is_absolute():
        return file
    return next((folder / file for folder in FOLDERS if (folder / file).is_file()), file)
