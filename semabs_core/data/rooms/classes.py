"""All classes, which of them are novel, and what labels mean."""

from __future__ import annotations

from semabs_core.data.rooms import (  # noqa: F401  (they fill the catalogue)
    appliances,
    bathing,
    bottles,
    electronics,
    fixtures,
    floor_things,
    food,
    furniture,
    household,
    kitchenware,
    storage,
    toys,
    units,
)
from semabs_core.data.rooms.bodies import CATALOGUE
from semabs_core.data.rooms.paints import COLORS

NOVEL_CLASSES = ("pot", "mug", "safe", "teddy bear", "basket ball", "wine bottle")
"""Classes that no training or validation room holds (those of the published data set)."""

STRUCTURE = ("floor", "ceiling", "wall", "cabinet", "countertop")


def base_class(label: str) -> str:
    """The class of a label without its colour: ``red mug`` is a ``mug``."""
    first, _, rest = label.partition(" ")
    return rest if first in COLORS and rest else label


def is_novel(label: str) -> bool:
    """Whether a label names a novel class, with or without a colour."""
    return base_class(label) in NOVEL_CLASSES


def class_names() -> list[str]:
    """All class names that rooms may hold, without colours, sorted."""
    return sorted({entry.name for entry in CATALOGUE.values()} | set(STRUCTURE))


def room_labels() -> list[str]:
    """All labels that rooms may hold, with and without colours, sorted."""
    entries = CATALOGUE.values()
    colored = {f"{color} {entry.name}" for entry in entries for color in entry.colors}
    return sorted(colored.union(class_names()))


def novel_labels() -> list[str]:
    """All labels that name a novel class, with and without colours, sorted."""
    return [label for label in room_labels() if is_novel(label)]
