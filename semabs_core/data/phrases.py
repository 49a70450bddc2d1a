"""What can be said of the objects of a data set: names, synonyms, colours, prompts, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.labels import PUBLISHED_SYNONYMS
from semabs_core.data.rooms.classes import base_class, room_labels
from semabs_core.network_config import RELATIONS
from semabs_core.relevancy import DEFAULT_PROMPTS, RENDER_PROMPTS
from semabs_core.vocabulary import Vocabulary

PROMPTS = ("{}", "a {}", "the {}", *DEFAULT_PROMPTS, *RENDER_PROMPTS)
MATCH, DIFFERENT, UNKNOWN = 1, 0, -1
"""Whether a phrase is true of an object; unknown where it names a colour that nobody noted."""


@dataclass(frozen=True)
class Phrase:
    """A noun phrase.

    Attributes:
        text: ``red mug``.
        kinds: the classes that it can mean.
        color: the colour that it states; empty for none.
    """

    text: str
    kinds: frozenset[str]
    color: str = ""

    def describes(self, kind: str, color: str) -> int:
        """Whether it is true of an object of a class, of a colour (empty: not noted)."""
        if kind not in self.kinds:
            return DIFFERENT
        if not self.color:
            return MATCH
        if not color:
            return UNKNOWN
        return MATCH if color == self.color else DIFFERENT


class PhraseVocabulary:
    """The phrases of a data set.

    Args:
        names: the distinct names of its objects, ``red mug`` among them.
        synonyms: class to synonym, which means the class too.

    Attributes:
        names: as given.
        kinds: the class of each name.
        colors: the colour that each name states, or an empty string.
        classes: all classes, sorted.
        synonyms: class to synonym, of these classes.
    """

    def __init__(self, names: Sequence[str], synonyms: Mapping[str, str]) -> None:
        self.names = list(names)
        self.kinds = [base_class(name) for name in self.names]
        self.colors = [
            name.removesuffix(kind).strip()
            for name, kind in zip(self.names, self.kinds, strict=True)
        ]
        self.classes = sorted(set(self.kinds))
        self.synonyms = {kind: synonyms[kind] for kind in self.classes if kind in synonyms}
        self._rows: dict[str, list[int]] = {kind: [] for kind in self.classes}
        for row, kind in enumerate(self.kinds):
            self._rows[kind].append(row)
        words: dict[str, set[str]] = {}
        for kind in self.classes:
            words.setdefault(kind, set()).add(kind)
            if kind in self.synonyms:
                words.setdefault(self.synonyms[kind], set()).add(kind)
        self._choices = {
            kind: [Phrase(text, frozenset(of)) for text, of in words.items() if kind in of]
            for kind in self.classes
        }
        self._colored = [
            Phrase(name, frozenset([kind]), color)
            for name, kind, color in zip(self.names, self.kinds, self.colors, strict=True)
            if color
        ]

    @property
    def vocabulary(self) -> Vocabulary:
        """What an encoder knows that learns from these phrases."""
        colors = sorted(set(self.colors) - {""})
        return Vocabulary(tuple(self.classes), tuple(colors), self.synonyms)

    def draw(self, colored: int, rng: np.random.Generator) -> list[Phrase]:
        """One phrase of every class, its name or a synonym, and some with colours."""
        phrases = [
            choices[rng.integers(len(choices))] if rng.random() < 0.5 else choices[0]
            for choices in self._choices.values()
        ]
        chosen = rng.permutation(len(self._colored))[:colored]
        return [*phrases, *(self._colored[number] for number in chosen)]

    def matches(self, phrases: Sequence[Phrase], use_colors: bool = True) -> NDArray[np.int8]:
        """(names, phrases) int8: whether each phrase is true of an object of each name.

        Args:
            phrases: what is said.
            use_colors: False for pictures in random colours, which belie the names.
        """
        table = np.zeros((len(self.names), len(phrases)), dtype=np.int8)
        for column, phrase in enumerate(phrases):
            for row in (row for kind in phrase.kinds for row in self._rows[kind]):
                color = self.colors[row] if use_colors else ""
                table[row, column] = phrase.describes(self.kinds[row], color)
        return table


def room_phrases() -> PhraseVocabulary:
    """All that can be said of the objects of synthetic rooms."""
    return PhraseVocabulary(room_labels(), PUBLISHED_SYNONYMS)


def prompted(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Each text in a prompt drawn at random."""
    return [PROMPTS[rng.integers(len(PROMPTS))].format(text) for text in texts]


def draw_sentences(
    texts: Sequence[str], count: int, rng: np.random.Generator
) -> tuple[list[str], NDArray[np.int64]]:
    """Sentences that relate one phrase to another.

    Returns:
        The sentences, and (count, 2) int64: which texts each one names.
    """
    pairs = rng.integers(len(texts), size=(count, 2))
    sentences = [
        f"{texts[target]} {RELATIONS[rng.integers(len(RELATIONS))]} a {texts[reference]}"
        for target, reference in pairs
    ]
    return sentences, pairs
