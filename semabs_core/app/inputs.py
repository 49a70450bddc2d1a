"""What visitors give the page: words, and files that hold RGB-D; every fault in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from semabs_core.data.scene_file import SCENE_SUFFIXES, built_in_scene
from semabs_core.readers import (
    PAIR,
    FrameSequence,
    open_sequence,
    parse_read_options,
    reader_of,
)
from semabs_core.readers.recording import BAG_SUFFIXES
from semabs_core.types import BroughtRelevancy, RGBDFrame

UPLOADS = (
    f"A scene file ({', '.join(SCENE_SUFFIXES)}) or a recording in one file "
    f"({', '.join(BAG_SUFFIXES)}). Folders cannot be uploaded: `semabs complete FOLDER` reads "
    "those of TUM, ScanNet, ARKitScenes and Replica, and a rosbag2 of several files."
)
"""What the page takes as one file, and what not."""


@dataclass(frozen=True)
class Given:
    """A frame that a visitor asks about.

    Attributes:
        frame: what the camera measured.
        brought: relevancy that came with it.
    """

    frame: RGBDFrame
    brought: BroughtRelevancy


def parse_labels(text: str) -> list[str]:
    """Names separated by commas or lines.

    Raises:
        ValueError: if there is none.
    """
    labels = [name.strip() for name in re.split(r"[,;\n]", text or "") if name.strip()]
    if not labels:
        raise ValueError("type at least one label; several are separated by commas")
    return labels


def open_upload(path: str | None, read: str) -> FrameSequence:
    """A file that holds RGB-D, as ``semabs complete`` reads it; without one the built-in room.

    Args:
        path: of the upload.
        read: what the file does not say, as ``--read`` takes it.

    Raises:
        ValueError: if it cannot be used.
    """
    if not path:
        return built_in_scene()
    options = parse_read_options(read or "")
    if options.depth or options.intrinsics:
        raise ValueError("depth= and intrinsics= are for pictures: give them in the fields below")
    file = Path(path)
    with _names_alone(file):
        try:
            reader = reader_of(file)
        except ValueError:
            raise ValueError(f"{file.name} is nothing that can be read here. {UPLOADS}") from None
        if reader is PAIR:
            raise ValueError(f"{file.name} is a picture: give it with its depth, below")
        return open_sequence(file, options)


def open_pictures(
    color: str | None,
    depth: str | None,
    intrinsics: str,
    units_per_m: str = "",
    height_m: str = "",
    down_deg: str = "",
) -> FrameSequence:
    """A colour picture and its registered depth, as ``semabs complete`` reads them.

    Args:
        color: path of the picture.
        depth: path of the depth: 16 bits in one channel, or ``.npy``.
        intrinsics: ``fx fy cx cy``, pixels.
        units_per_m: a number, of depth; empty for whole millimetres, and metres if float.
        height_m: a number, of the camera above the floor; empty, it and the next are estimated.
        down_deg: a number, how far it looks down; empty with the one before.

    Raises:
        ValueError: if one is missing or they do not belong together; the text says what to do.
    """
    if not color or not depth:
        raise ValueError("give a file, or a colour picture and its depth")
    units, height, down = (
        _number(text, what)
        for text, what in (
            (units_per_m, "depth units per metre"), (height_m, "height"), (down_deg, "angle"),
        )
    )  # fmt: skip
    if (height is None) != (down is None):
        raise ValueError("tell both how high the camera is and how far it looks down, or neither")
    pose = "" if height is None else f"0 0 {height} 0 {down} 0"
    numbers = _four_numbers(intrinsics)  # never the name of a file here
    told = {
        "depth": depth, "depth_scale": units, "intrinsics": numbers, "camera_pose": pose,
    }  # fmt: skip
    with _names_alone(Path(color), Path(depth)):
        return PAIR.open(Path(color), parse_read_options(told))


def choose_frame(sequence: FrameSequence, number: float | None, *files: str | None) -> Given:
    """One frame of what was opened.

    Args:
        sequence: from :func:`open_upload` or :func:`open_pictures`.
        number: which, from 0; None for the first.
        files: the uploads.

    Raises:
        ValueError: if it is not there, or damaged.
    """
    index = int(number or 0)
    if not 0 <= index < len(sequence):
        last = len(sequence) - 1
        raise ValueError(f"there are the frames 0 to {last}, but no {index}")
    with _names_alone(*(Path(file) for file in files if file)):
        return Given(sequence.frame(index), sequence.brought(index))


def told_about(sequence: FrameSequence) -> str:
    """What was recognised in a file, for people."""
    frames = "1 frame" if len(sequence) == 1 else f"frames 0 to {len(sequence) - 1}"
    wordless = [] if sequence.classes else ["it suggests no words, type yours"]
    return "; ".join([f"{sequence.name}: {frames}", *sequence.notes, *wordless])


def _number(text: str, what: str) -> float | None:
    """A number that may be left out."""
    if not (text or "").strip():
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise ValueError(f"the {what} must be a number, or empty, got {text!r}") from None


def _four_numbers(text: str) -> str:
    words = (text or "").replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise ValueError(
            f"the intrinsics must be four numbers, fx fy cx cy in pixels, got {text!r}"
        )
    return " ".join(words)


@contextmanager
def _names_alone(*files: Path) -> Iterator[None]:
    """Errors name uploads as visitors know them, not where this machine keeps them."""
    try:
        yield
    except (ValueError, OSError) as error:
        text = str(error)
        for file in files:
            text = text.replace(f"{file.parent}/", "")
        raise ValueError(text) from error
