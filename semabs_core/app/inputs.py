"""What visitors give the page: words, and files that hold RGB-D; every fault in one line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semabs_core.data.scene_file import SCENE_SUFFIXES, built_in_scene
from semabs_core.readers import (
    PAIR,
    FrameSequence,
    ReadOptions,
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
READ = "What the file does not say"
UNITS = "Depth units per metre"
INTRINSICS = "Intrinsics: fx fy cx cy, pixels"
HEIGHT = "Height of the camera above the floor, metres"
DOWN = "How far the camera looks down, degrees"


@dataclass(frozen=True)
class Given:
    """A frame that a visitor asks about.

    Attributes:
        frame: what the camera measured.
        brought: relevancy that came with it.
        notes: what was recognised or assumed about the files, in sentences for people.
    """

    frame: RGBDFrame
    brought: BroughtRelevancy
    notes: list[str]


def parse_labels(text: str) -> list[str]:
    """Names separated by commas or lines.

    Raises:
        ValueError: if there is none.
    """
    labels = [name.strip() for name in re.split(r"[,;\n]", text or "") if name.strip()]
    if not labels:
        raise ValueError("type at least one label; several are separated by commas")
    return labels


def open_given(
    path: str | None, read: str, color: str | None, depth: str | None, *told: str
) -> FrameSequence:
    """What a visitor means: a file, a picture with its depth, or without any the built-in room.

    Args:
        path: of a file.
        read: what the files do not say, as ``--read`` takes it.
        color: path of a picture.
        depth: path of its depth.
        told: what else :func:`open_pictures` takes, in its order.

    Raises:
        ValueError: if it cannot be used, or it is not clear which of them is meant.
    """
    if path and (color or depth):
        raise ValueError("a file and pictures are given: remove one of the two")
    if color or depth:
        return open_pictures(color, depth, *told, read=read)
    if not path and (read or "").strip():
        _told(read)  # what is wrong with the text comes first
        raise ValueError(f"“{READ}” is about no file: give one, or empty that field")
    return open_upload(path, read)


def open_upload(path: str | None, read: str) -> FrameSequence:
    """A file that holds RGB-D, as ``semabs complete`` reads it; without one the built-in room.

    Args:
        path: of the upload.
        read: what the file does not say, as ``--read`` takes it.

    Raises:
        ValueError: if it cannot be used.
    """
    options = _told(read)
    if not path:
        return built_in_scene()
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
    *,
    read: str = "",
) -> FrameSequence:
    """A colour picture and its registered depth, as ``semabs complete`` reads them.

    Args:
        color: path of the picture.
        depth: path of the depth: 16 bits in one channel, or ``.npy``.
        intrinsics: ``fx fy cx cy``, pixels.
        units_per_m: a number, of depth; empty for whole millimetres, and metres if float.
        height_m: a number, of the camera above the floor; empty, it and the next are estimated.
        down_deg: a number, how far it looks down; empty with the one before.
        read: what else is to be told, as ``--read`` takes it; nothing twice.

    Raises:
        ValueError: if one is missing or they do not belong together; the text says what to do.
    """
    options = _told(read)
    if not color or not depth:
        raise ValueError("give a file, or a colour picture and its depth")
    units, height, down = (
        _number(text, what)
        for text, what in ((units_per_m, UNITS), (height_m, HEIGHT), (down_deg, DOWN))
    )
    if (height is None) != (down is None):
        raise ValueError("tell both how high the camera is and how far it looks down, or neither")
    told = asdict(options)
    if units is not None:
        _once(told, "depth_scale", UNITS)
        told["depth_scale"] = units
    if height is not None:
        _once(told, "camera_pose", HEIGHT)
        told["camera_pose"] = f"0 0 {height} 0 {down} 0"
    told |= {"depth": depth, "intrinsics": _four_numbers(intrinsics)}  # never a file's name
    with _names_alone(Path(color), Path(depth)):
        reading = parse_read_options(told)
        PAIR.check(reading)
        return PAIR.open(Path(color), reading)


def choose_frame(sequence: FrameSequence, number: float | None, *files: str | None) -> Given:
    """One frame of what was opened.

    Args:
        sequence: from :func:`open_given`.
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
        frame = sequence.frame(index)
        return Given(frame, sequence.brought(index), list(sequence.notes))


def told_about(sequence: FrameSequence) -> str:
    """What was recognised in a file, for people."""
    frames = "1 frame" if len(sequence) == 1 else f"frames 0 to {len(sequence) - 1}"
    wordless = [] if sequence.classes else ["it suggests no words, type yours"]
    return "; ".join([f"{sequence.name}: {frames}", *sequence.notes, *wordless])


def _told(read: str) -> ReadOptions:
    """What the files do not say, of text as ``--read`` takes it."""
    options = parse_read_options(read or "")
    if options.depth or options.intrinsics:
        raise ValueError("depth= and intrinsics= are for pictures: give them in the fields below")
    return options


def _once(told: dict[str, Any], option: str, field: str) -> None:
    """Refuse what is told as an option and in a field of its own."""
    if told[option]:
        raise ValueError(f"“{field}” and {option}= under “{READ}” say the same: give one of them")


def _number(text: str, field: str) -> float | None:
    """A number that may be left out; a comma may stand for the point, but not for thousands."""
    text = (text or "").strip()
    if not text:
        return None
    if re.search(r",\d{3}(?!\d)", text):
        raise ValueError(f"“{field}”: {text!r} may mean thousands or a fraction: write no comma")
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"“{field}” must be a number, or empty, got {text!r}")
    return number


def _four_numbers(text: str) -> str:
    words = (text or "").replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"“{INTRINSICS}” must be four numbers, got {text!r}")
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
