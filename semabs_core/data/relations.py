"""Spatial relations between the objects of a scene, after the published generator.

Everything is in the scene frame (x away from the viewer, y left, z up) and in scene units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_data import SceneDescription

NEVER = frozenset({"floor", "rug", "baseboard", "light fixture", "ceiling"})
"""Never target or reference."""
NO_DIRECTION = frozenset({"wall", "countertop", "drawer"})
"""No left, right, before or behind, neither as target nor as reference."""
MIN_COSINE = 0.6
REACH = (0.1, 1.0)
"""Bounds of the distance within which a direction counts, scene units."""


@dataclass(frozen=True)
class SceneObject:
    """What relations need to know of an object.

    Attributes:
        object_id: its id in the scene.
        name: its label, perhaps with a colour.
        centre: (3,) middle of its bounding box, scene frame, scene units.
        extent: (3,) size of that box along the axes, scene units.
        visible: whether the image shows any of it.
        kind: its class without a colour; the label where empty.
        inside: id of the container that it is in, if any.
        support: id of the object that it is on, if any.
    """

    object_id: int
    name: str
    centre: NDArray[np.float64]
    extent: NDArray[np.float64]
    visible: bool = True
    kind: str = ""
    inside: int | None = None
    support: int | None = None

    @property
    def category(self) -> str:
        """The class that the exclusions go by."""
        return self.kind or self.name


def directions(target: SceneObject, reference: SceneObject) -> list[str]:
    """The directional relations of a target to a reference, by geometry alone.

    Right, left and in front exclude each other, in this order; behind is independent of them.
    """
    offset = np.asarray(reference.centre, dtype=float) - np.asarray(target.centre, dtype=float)
    distance = float(np.linalg.norm(offset))
    reach = float(np.clip(2 * max(reference.extent[0], reference.extent[1]), *REACH))
    if distance == 0 or distance > reach:
        return []
    x, y, _ = offset / distance
    found = []
    if y > MIN_COSINE:
        found.append("on the right of")
    elif y < -MIN_COSINE:
        found.append("on the left of")
    elif x > MIN_COSINE:
        found.append("in front of")
    if x < -MIN_COSINE:
        found.append("behind")
    return found


def describe(objects: Sequence[SceneObject]) -> list[SceneDescription]:
    """All sentences about a scene, one per (target class, relation, reference class).

    A hidden target gets only ``in``, ``on`` and ``behind``; a reference must be visible. Where
    several targets fit one sentence, a visible one stands for it, the largest first.

    Args:
        objects: the scene's objects; those outside the volume should be left out.
    """
    by_id = {one.object_id: one for one in objects}
    usable = [one for one in objects if one.category not in NEVER]
    usable.sort(key=lambda one: (not one.visible, -float(np.prod(one.extent)), one.object_id))
    contacts = [
        (target, relation, by_id[other])
        for target in usable
        for relation, other in (("in", target.inside), ("on", target.support))
        if other in by_id
    ]
    touching = {frozenset((target.name, reference.name)) for target, _, reference in contacts}
    sentences: dict[tuple[str, str, str], SceneDescription] = {}

    def add(target: SceneObject, relation: str, reference: SceneObject) -> None:
        key = (target.name, relation, reference.name)
        if reference.visible and reference.category not in NEVER and target.name != reference.name:
            sentence = SceneDescription(target.name, target.object_id, reference.name, relation)
            sentences.setdefault(key, sentence)

    for target, relation, reference in contacts:
        add(target, relation, reference)
    aligned = [one for one in usable if one.category not in NO_DIRECTION]
    for target in aligned:
        for reference in aligned:
            if frozenset((target.name, reference.name)) in touching:
                continue
            for relation in directions(target, reference):
                if target.visible or relation == "behind":
                    add(target, relation, reference)
    return list(sentences.values())
