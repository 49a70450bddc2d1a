"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

PART_SUFFIX = ".part"


def write_atomic(path: str | os.PathLike, content: bytes | str | Callable[[Path], object]) -> None:
    """Write a file beside its place and rename it; readers see the old one or the new one.

    It is on the disk before it gets its name, so that a machine that loses its power keeps one of
    the two as well. Its permissions are those of any new file (by the umask). A process that is
    killed meanwhile leaves a ``.part``, which the next write replaces; an error leaves none.

    Args:
        path: the file; its folder is made where missing.
        content: the bytes, a text (UTF-8), or a function that fills the file at the path that it
            is given.

    Raises:
        OSError: if the file cannot be written.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + PART_SUFFIX)
    part.unlink(missing_ok=True)  # an older one may have other permissions
    try:
        if callable(content):
            part.touch(exist_ok=False)
            mode = part.stat().st_mode
            content(part)
            part.chmod(mode)  # some writers put a private file of their own in its place
        else:
            part.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        rename_durably(part, file)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk names no file
            error.filename = str(file)
        raise


def rename_durably(part: Path, path: Path) -> None:
    """Bring the content of a file to the disk, give it its name, and bring that to the disk too."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    with contextlib.suppress(OSError):  # a file system that cannot do this for folders
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
