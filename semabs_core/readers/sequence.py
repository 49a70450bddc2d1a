"""What every reader gives: RGB-D frames with poses, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from semabs_core.readers.options import ReadOptions
from semabs_core.types import BroughtRelevancy, RGBDFrame


class FrameSequence(Protocol):
    """RGB-D frames in a world with z up, metres; frames are read when they are asked for.

    Attributes:
        name: for people.
        classes: names that it suggests for completion.
        descriptions: (target, relation, reference) that it suggests for localization.
        stamps_s: (n,) float64, seconds; all 0 where the files tell no time.
        notes: what was recognised or assumed about the files, in sentences for people.
    """

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> list[str]: ...

    @property
    def descriptions(self) -> list[tuple[str, str, str]]: ...

    @property
    def stamps_s(self) -> NDArray[np.float64]: ...

    @property
    def notes(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def frame(self, index: int) -> RGBDFrame:
        """One frame, checked; raises ``ValueError`` where it is damaged."""
        ...

    def brought(self, index: int) -> BroughtRelevancy:
        """The relevancy that the files bring for a frame."""
        ...


class Wordless:
    """A sequence whose files suggest no words and bring no relevancy: folders and recordings."""

    @property
    def classes(self) -> list[str]:
        """No names."""
        return []

    @property
    def descriptions(self) -> list[tuple[str, str, str]]:
        """No sentences."""
        return []

    def brought(self, index: int) -> BroughtRelevancy:
        """No relevancy."""
        return BroughtRelevancy()


@dataclass(frozen=True)
class Reader:
    """One format.

    Attributes:
        name: for people.
        recognised_by: what a path must hold for this format, for people.
        reads: what is read and by which convention, for people.
        takes: the options that count, besides ``up`` and ``floor``.
        matches: whether a path that exists is of this format.
        open: reads it; raises ``SceneError``.
    """

    name: str
    recognised_by: str
    reads: str
    takes: tuple[str, ...]
    matches: Callable[[Path], bool]
    open: Callable[[Path, ReadOptions], FrameSequence]

    def check(self, options: ReadOptions) -> None:
        """Raise ``ValueError`` if something is told that does not count for this format."""
        takes = ("up", "floor", *self.takes)
        untold = asdict(ReadOptions())
        told = [name for name, value in asdict(options).items() if value != untold[name]]
        if useless := [name for name in told if name not in takes]:
            raise ValueError(
                f"read options: {', '.join(useless)} does not apply to this ({self.name}); "
                f"what does is {', '.join(takes)}"
            )


def sample_frames(sequence: FrameSequence, count: int) -> list[RGBDFrame]:
    """Up to ``count`` frames, evenly spread; damaged ones are left out."""
    frames = []
    for index in spread(len(sequence), count):
        try:
            frames.append(sequence.frame(index))
        except ValueError:
            continue
    return frames


def spread(length: int, count: int) -> Sequence[int]:
    """Up to ``count`` indices of a sequence, evenly spread from the first to the last."""
    return list(dict.fromkeys(np.linspace(0, length - 1, min(count, length)).round().astype(int)))
