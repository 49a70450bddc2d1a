"""The words that an encoder was trained on, where that is known.

CLIP has seen almost everything, and nobody has a list. An encoder that was trained on a data set's
own words knows those alone, and its answer about any other word means nothing. ``semabs train
encoder`` writes the list as ``words.json`` beside the weights::

    {"format": "semabs-words",
     "classes": ["mug", ...],              the names of things
     "colors": ["red", ...],               what may stand before one
     "synonyms": {"sofa": "couch", ...}}   class to another word for it
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from semabs_core.files import write_atomic
from semabs_core.text import shorten
from semabs_core.weights.shipped import LOCAL, PREFIX, resolve_weights

WORDS_FILE = "words.json"
FORMAT = "semabs-words"
ARTICLES = frozenset(("a", "an", "the"))
"""They stood before the names in training too."""


class VocabularyError(ValueError):
    """A list of words cannot be read; the message names the file and the remedy."""


@dataclass(frozen=True)
class Vocabulary:
    """What an encoder was shown, and under which names.

    Attributes:
        classes: names of things, sorted.
        colors: words that may stand before one of them, sorted.
        synonyms: class to another word for it.
    """

    classes: tuple[str, ...]
    colors: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)

    @property
    def things(self) -> list[str]:
        """Classes and synonyms, sorted."""
        return sorted({*self.classes, *self.synonyms.values()})

    def unknown_words(self, names: Iterable[str]) -> list[str]:
        """The parts of names that the encoder was never shown, each once, in their order.

        A colour counts as known before a known thing alone. A plural is another word than its
        singular.

        Args:
            names: noun phrases, such as ``the red mug`` or ``harry potter book``.

        Returns:
            Such as ``["harry potter"]``; none where all is known.
        """
        found: dict[str, None] = {}
        for name in names:
            words = _words(name)
            known = self._known(words)
            for start in range(len(words)):
                if known[start] or (start and not known[start - 1]):
                    continue
                end = next((i for i in range(start, len(words)) if known[i]), len(words))
                found.setdefault(" ".join(words[start:end]))
        return list(found)

    def thing_in(self, name: str) -> str | None:
        """What a noun phrase names, without the rest: the last known thing in it, or None."""
        words = _words(name)
        spans = self._things_in(words)
        return " ".join(words[slice(*spans[-1])]) if spans else None

    def _things_in(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """Where names of known things stand among words; the longest from the left first."""
        things = {tuple(thing.split()) for thing in self.things}
        longest = max(map(len, things), default=0)
        spans: list[tuple[int, int]] = []
        start = 0
        while start < len(words):
            lengths = range(min(longest, len(words) - start), 0, -1)
            length = next((n for n in lengths if tuple(words[start : start + n]) in things), 0)
            if length:
                spans.append((start, start + length))
            start += length or 1
        return spans

    def _known(self, words: Sequence[str]) -> list[bool]:
        """Which words are known where they stand: things, and colours and articles before them."""
        known = [False] * len(words)
        for start, end in self._things_in(words):
            known[start:end] = [True] * (end - start)
        for i in range(len(words) - 2, -1, -1):
            known[i] = known[i] or (known[i + 1] and words[i] in self.colors)
        return [known[i] or word in ARTICLES for i, word in enumerate(words)]

    def save(self, folder: str | os.PathLike) -> None:
        """Write ``words.json`` into an encoder's folder."""
        content = {
            "format": FORMAT,
            "classes": list(self.classes),
            "colors": list(self.colors),
            "synonyms": dict(sorted(self.synonyms.items())),
        }
        write_atomic(Path(folder) / WORDS_FILE, json.dumps(content, indent=1) + "\n")


def _words(name: str) -> list[str]:
    """The words of a noun phrase as encoders read them: in lower case, without punctuation."""
    return [word for part in name.lower().split() if (word := part.strip(" .,;:!?\"'()"))]


def encoder_folder(name: str) -> Path | None:
    """The folder of an encoder's weights by its name; None where they lie elsewhere.

    Args:
        name: ``shipped:NAME``, ``local-dir:FOLDER``, or an open_clip model.

    Raises:
        WeightsError: if ``shipped:`` names nothing that ships.
    """
    if name.startswith(PREFIX):
        return Path(resolve_weights(name))
    return Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else None


def read_vocabulary(name: str) -> Vocabulary | None:
    """The words that an encoder knows; None where nobody noted them.

    Args:
        name: as in :func:`encoder_folder`.

    Raises:
        VocabularyError: if the list is damaged.
    """
    folder = encoder_folder(name)
    if folder is None or not (folder / WORDS_FILE).exists():
        return None
    file = folder / WORDS_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {content['format']!r}")
        classes, colors = (
            tuple(sorted(str(word).lower() for word in _strings(content[key])))
            for key in ("classes", "colors")
        )
        synonyms = content["synonyms"]
        _strings([*synonyms, *synonyms.values()])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VocabularyError(
            f"{file} is no list of words ({error}); copy it from where the encoder comes from, or "
            "remove it if its words are not known"
        ) from None
    return Vocabulary(classes, colors, {k: v.lower() for k, v in synonyms.items()})


def _strings(words: Sequence[str]) -> Sequence[str]:
    """The words, if they are a list of texts."""
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("its words must be lists of texts")
    return words


def never_shown(words: Sequence[str]) -> str:
    """A warning about unknown words; empty where there is none."""
    return f"the encoder was never shown: {shorten(', '.join(words))}" if words else ""
