"""Sentences to (target, relation, reference)."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from semabs_core.network_config import RELATIONS
from semabs_core.text import shorten
from semabs_core.types import MAX_CLASSES

MAX_NAME_LENGTH = 200
"""Characters of a class name, target or reference. Text encoders read about 75 tokens anyway."""
MAX_SENTENCE_LENGTH = 500
"""Characters of a sentence to be taken apart: two names and what stands around them."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "in": (
        "in", "inside", "inside of", "within", "contained in", "contained by", "in the inside of",
        "in the middle of",
    ),
    "behind": (
        "behind", "in back of", "in the back of", "at the back of", "to the rear of", "hidden by",
        "occluded by", "obscured by", "on the far side of", "on the other side of",
    ),
    "in front of": (
        "in front of", "in the front of", "at the front of", "to the front of", "before",
        "ahead of",
    ),
    "on the left of": (
        "on the left of", "to the left of", "at the left of", "left of", "on the left side of",
        "to the left side of", "at the left side of", "on the left hand side of",
        "on the left-hand side of",
    ),
    "on the right of": (
        "on the right of", "to the right of", "at the right of", "right of", "on the right side of",
        "to the right side of", "at the right side of", "on the right hand side of",
        "on the right-hand side of",
    ),
    "on": ("on", "on top of", "on the top of", "atop", "atop of", "upon", "onto", "supported by"),
    "under": ("under", "underneath", "beneath", "below"),
    "above": ("above", "over"),
    "next to": (
        "next to", "beside", "besides", "by", "at the side of", "on the side of", "to the side of",
    ),
    "near": ("near", "near to", "close to", "nearby"),
}  # fmt: skip
"""The phrases that mean a relation. A network's config says which of the relations it knows."""

REFUSED = (
    "between", "among", "around", "against", "along", "outside", "outside of", "across from",
    "opposite", "far from", "away from", "at the bottom of", "on the bottom of",
)  # fmt: skip
"""Phrases that are spatial relations, but none that a network could be asked for."""

_COMPOUNDS = {
    "in": ("built", "plug", "walk", "drop", "drive", "stand", "lead", "pop"),
    "on": ("carry", "clip", "stick", "slip", "iron", "snap", "roll", "bolt", "add", "try"),
    "over": ("pull", "roll", "hand"),
    "by": ("stand", "lay"),
}
"""Words that make one noun with the preposition behind them: "carry on bag", "built in oven"."""

_DETERMINERS = frozenset((
    "a", "an", "the", "my", "your", "our", "his", "her", "their", "its", "some", "any", "this",
    "that", "these", "those", "one",
))  # fmt: skip
_LEADS = re.compile(
    r"^(?:(?:please|can|could|would|will|you|me|us|hey|robot|now)\s+)*"
    r"(?:(?:find|locate|localize|localise|get|fetch|bring|show|give|grab|take|look\s+for|search\s+for|"
    r"point\s+(?:at|to)|where(?:'s|\s+is|\s+are)|where|go\s+to|pick\s+up|there\s+(?:is|are))\b\s*)"
    r"(?:me\s+|us\s+|for\s+)?",
    re.IGNORECASE,
)
_TAIL = frozenset((
    "that", "which", "who", "is", "are", "was", "were", "being", "'s", "placed", "sitting",
    "standing", "lying", "laying", "resting", "hidden", "hiding", "located", "kept", "stored",
    "put", "left",
    "hanging", "found", "positioned", "situated", "stuck", "lost", "right", "just", "directly",
    "immediately", "somewhere",
))  # fmt: skip
_SIDES = frozenset((
    "left", "right", "front", "back", "rear", "side", "hand", "left-hand", "right-hand",
))  # fmt: skip
"""Words that say where, but of nothing: no reference is made of them alone."""


class DescriptionError(ValueError):
    """A description cannot be understood; the message says which part and what would do."""


class RelationError(DescriptionError):
    """A spatial relation that the network does not know."""


@dataclass(frozen=True)
class Description:
    """What is asked for: a thing by its relation to another one, or a thing alone.

    Attributes:
        target: the thing to find, words only.
        relation: such as one of :data:`semabs_core.network_config.RELATIONS`; empty for a thing
            alone.
        reference: what it is found by; empty for a thing alone.
    """

    target: str
    relation: str = ""
    reference: str = ""

    @property
    def sentence(self) -> str:
        """As ``clip_spatial`` networks read it; a thing alone is none of theirs."""
        return f"{self.target} {self.relation} a {self.reference}"

    @property
    def words(self) -> str:
        """For people: "mug behind lamp", or "mug"."""
        return " ".join(filter(None, (self.target, self.relation, self.reference)))

    @property
    def names(self) -> list[str]:
        """The things that are named: target and reference, or the target."""
        return [name for name in (self.target, self.reference) if name]


_PHRASES = {tuple(p.split()): name for name, phrases in SYNONYMS.items() for p in phrases}
_PHRASES.update({tuple(phrase.split()): "" for phrase in REFUSED})
_LONGEST = max(map(len, _PHRASES))


def canonical_relation(words: str, relations: Sequence[str] = RELATIONS) -> str:
    """The relation that a phrase means: "to the left of" to "on the left of".

    Args:
        words: the phrase.
        relations: those that the network knows.

    Raises:
        RelationError: naming the phrase and the relations that are known.
    """
    relation = _PHRASES.get(tuple(words.lower().split()), "")
    if relation not in relations:
        known = ", ".join(relations)
        raise RelationError(f"unknown relation '{shorten(words)}'; known are: {known}")
    return relation


def noun_phrase(words: str, role: str = "name") -> str:
    """A name without surrounding articles, punctuation and space.

    Raises:
        DescriptionError: if nothing remains, or it is longer than ``MAX_NAME_LENGTH`` characters.
    """
    _check_length(words, MAX_NAME_LENGTH, role)
    kept = " ".join(words.split()).strip(" .,;:!?\"'").split()
    while len(kept) > 1 and kept[0].lower() in _DETERMINERS:
        kept = kept[1:]
    if not kept or (len(kept) == 1 and kept[0].lower() in _DETERMINERS):
        raise DescriptionError(f"the {role} has no words: '{shorten(words)}'")
    return " ".join(kept)


def check_classes(classes: Sequence[str]) -> list[str]:
    """Class names without articles and surrounding space, checked.

    Raises:
        ValueError: if there is none, more than 254, an empty, an overlong or a repeated one.
    """
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes must be a list of names, got {shorten(repr(classes))}")
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise ValueError(f"there must be 1 to {MAX_CLASSES} classes, got {len(classes)}")
    names = [noun_phrase(name, "class name") for name in classes]
    alike = Counter(name.casefold() for name in names)  # tokenizers take capitals away
    repeated = [name for name in dict.fromkeys(names) if alike[name.casefold()] > 1]
    if repeated:
        raise ValueError(f"classes must differ, repeated: {shorten(', '.join(repeated))}")
    return names


def make_description(
    target: str, relation: str, reference: str, relations: Sequence[str] = RELATIONS
) -> Description:
    """A description from its parts, each cleaned and checked.

    Args:
        target: what to find.
        relation: a relation or a phrase that means one; empty, as the reference, for a thing alone.
        reference: what it is found by.
        relations: those that the network knows.

    Raises:
        DescriptionError: if the target or reference has no words, or too many (RelationError for
            the relation).
    """
    if not relation.strip() and not reference.strip():
        return Description(noun_phrase(target, "target"))
    return Description(
        noun_phrase(target, "target"),
        canonical_relation(relation, relations),
        noun_phrase(reference, "reference"),
    )


def parse_description(sentence: str, relations: Sequence[str] = RELATIONS) -> Description:
    """Take a sentence apart at its first spatial relation; without one it names a thing alone.

    Articles, requests ("find", "where is") and fillers ("that is standing") are dropped; all other
    words stay, so that long-tail names ("hair dryer with its wires all tangled up") survive. What
    follows the relation is the reference, further relations included.

    Args:
        sentence: such as "Where is the red mug, to the left of the lamp?".
        relations: those that the network knows.

    Raises:
        DescriptionError: if there is no target, a relation without a reference, a side that is no
            known relation ("left side of"), or if the sentence is longer than
            ``MAX_SENTENCE_LENGTH`` characters.
        RelationError: if the relation is one that the network does not know, such as "beneath".
    """
    _check_length(sentence, MAX_SENTENCE_LENGTH, "sentence")
    text = " ".join(sentence.split()).strip(" .!?;:\"'")
    if not text:
        raise DescriptionError("the sentence is empty")
    text = _LEADS.sub("", text.replace("’", "'"))
    tokens = text.split()
    plain = [token.strip(",.;:!?\"'()").lower() for token in tokens]
    start, end = _find_relation(plain, sentence)
    if start == end:
        return _thing_alone(tokens, plain, sentence)
    phrase = " ".join(plain[start:end])
    target = _strip_tail(tokens[:start], plain[:start])
    reference = " ".join(tokens[end:])
    where = f"{phrase!r} in '{shorten(sentence)}'"
    if not target:
        raise DescriptionError(f"nothing stands before {where}: name the target")
    if not reference.strip(" ,.;:!?\"'"):
        raise DescriptionError(f"nothing follows {where}: name the reference")
    rest = [word for word in plain[end:] if word and word not in _DETERMINERS]
    if rest and _SIDES.issuperset(rest):
        raise DescriptionError(f"{where} is followed by a side, '{' '.join(rest)}': say of what")
    return make_description(" ".join(target), phrase, reference, relations)


def _check_length(words: str, limit: int, role: str) -> None:
    if len(words) > limit:
        raise DescriptionError(
            f"the {role} has {len(words)} characters, at most {limit} are allowed: "
            f"'{shorten(words, 60)}'"
        )


def _find_relation(plain: list[str], sentence: str) -> tuple[int, int]:
    """Token range of the first relation, known or refused; the longest phrase, empty for none."""
    for start in range(1 if len(plain) > 1 else 0, len(plain)):
        for length in range(min(_LONGEST, len(plain) - start), 0, -1):
            phrase = tuple(plain[start : start + length])
            if phrase not in _PHRASES or _is_compound(plain, start, length):
                continue
            return start, start + length
    first = plain[0] if plain else ""
    if (first,) in _PHRASES:
        raise DescriptionError(
            f"nothing stands before {first!r} in '{shorten(sentence)}': name the target"
        )
    return len(plain), len(plain)


def _thing_alone(tokens: list[str], plain: list[str], sentence: str) -> Description:
    """A sentence without a relation: "where is the mug" to "mug"."""
    if any(first in _SIDES and second == "of" for first, second in itertools.pairwise(plain)):
        raise DescriptionError(
            f"no known spatial relation in '{shorten(sentence)}', although it names a side; say "
            "for example 'the mug behind the lamp' with one of: " + ", ".join(RELATIONS)
        )
    return make_description(" ".join(_strip_tail(tokens, plain)), "", "")


def _is_compound(plain: list[str], start: int, length: int) -> bool:
    """Whether the preposition belongs to a noun ("carry on bag") and a relation still follows."""
    if length > 1 or plain[start - 1] not in _COMPOUNDS.get(plain[start], ()):
        return False
    return any((word,) in _PHRASES for word in plain[start + 1 :])


def _strip_tail(tokens: list[str], plain: list[str]) -> list[str]:
    """The target without what leads to the relation: "mug that is standing" to "mug"."""
    end = len(tokens)
    while end > 1 and plain[end - 1] in _TAIL:
        end -= 1
    return tokens[:end]
