"""Every file and folder that holds RGB-D with poses, through one interface.

``open_sequence(path)`` looks at the path and gives a
:class:`~semabs_core.readers.sequence.FrameSequence`; ``READERS`` lists the formats.
"""

from __future__ import annotations

import os
from pathlib import Path

from semabs_core.data.scene_file import BUILT_IN, SceneError
from semabs_core.readers.arkit import ARKIT
from semabs_core.readers.bag import BAG
from semabs_core.readers.options import ReadOptions, parse_read_options
from semabs_core.readers.pair import PAIR
from semabs_core.readers.replica import REPLICA
from semabs_core.readers.scannet import SCANNET
from semabs_core.readers.scene import SCENE
from semabs_core.readers.sequence import FrameSequence, Reader
from semabs_core.readers.tum import TUM

READERS: tuple[Reader, ...] = (SCENE, TUM, SCANNET, ARKIT, REPLICA, BAG, PAIR)
"""All formats; the first that recognises a path reads it."""


def open_sequence(
    path: str | os.PathLike[str], options: ReadOptions | None = None
) -> FrameSequence:
    """RGB-D frames with poses from a path; large sequences are read frame by frame.

    Args:
        path: a file or folder of one of ``READERS``; empty for the built-in room.
        options: what the files do not say.

    Raises:
        ValueError: if something is told that does not count for the format.
        SceneError: if nothing is there, nothing recognises it, or it is damaged.
    """
    given, told = Path(path if os.fspath(path) else BUILT_IN), options or ReadOptions()
    reader = reader_of(given)
    reader.check(told)
    return reader.open(given, told)


def reader_of(path: Path) -> Reader:
    """The reader that recognises a path.

    Raises:
        SceneError: if none does; the message names what was looked for.
    """
    for reader in READERS:
        if reader.matches(path):
            return reader
    if not path.exists():
        raise SceneError(f"there is no scene file, folder or bag {path}")
    looked = "; ".join(f"{reader.name}: {reader.recognised_by}" for reader in READERS)
    raise SceneError(f"{path} is nothing that can be read. Looked for {looked}")


__all__ = [
    "BAG",
    "READERS", "FrameSequence", "ReadOptions", "Reader", "SceneError", "open_sequence",
    "parse_read_options", "reader_of",
]  # fmt: skip
