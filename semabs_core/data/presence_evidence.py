"""What a calibration of presence is fitted and measured on: words in rooms that are known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.data.hdf5 import check_scene, read_scene
from semabs_core.data.items import VIEW, scene_id
from semabs_core.data.labels import rename, split_synonyms
from semabs_core.data.rooms.classes import base_class
from semabs_core.data.scene_data import SPECIAL_NAMES, SceneData
from semabs_core.data.splits import split_paths, split_source
from semabs_core.description import Description
from semabs_core.presence import HIDING, PresenceModel, word_evidence
from semabs_core.relevancy import RelevancyExtractor

MIN_SHARE = 0.001
"""Of the picture: things of which less is seen are neither visible nor hidden, and left out."""


@dataclass(frozen=True)
class RoomEvidence:
    """A room's words.

    Attributes:
        scene_id: of the room.
        words: L words without colours: the vocabulary, and all else that is there.
        evidence: (L, features) of each word.
        share: (L,) of the picture that things of each word cover.
        there: (L,) bool, whether such a thing is in the room at all.
        descriptions: true ones, and the share of the picture that the target itself covers.
    """

    scene_id: str
    words: list[str]
    evidence: NDArray[np.float64]
    share: NDArray[np.float64]
    there: NDArray[np.bool_]
    descriptions: list[tuple[Description, float]]

    def number(self, word: str) -> int:
        """The place of a word."""
        return self.words.index(word)


@dataclass(frozen=True)
class Question:
    """A description of which it is known whether its things are there.

    Attributes:
        kind: ``visible`` or ``hidden`` (the target; the reference is visible), ``no target``, ``no
            reference`` or ``neither`` (what of them is not in the room).
        relation: one of the six.
        target: place of the target among the room's words.
        reference: place of the reference.
    """

    kind: str
    relation: str
    target: int
    reference: int


def known_classes(folder: str | os.PathLike, split: str) -> list[str]:
    """The classes, without colours, of all rooms of a split, sorted."""
    names: set[str] = set()
    for path in split_paths(folder, "localization", split):
        names |= _classes(rename(check_scene(Path(folder) / path), {}))
    return sorted(names)


def gather_evidence(
    folder: str | os.PathLike,
    split: str,
    extractor: RelevancyExtractor,
    prompts: Sequence[str],
    vocabulary: Sequence[str],
    on_scene: Callable[[int, int], None] | None = None,
) -> Iterator[RoomEvidence]:
    """The evidence of every word in the rooms of a split, one room after the other.

    Args:
        folder: the data set's folder; no relevancy need be stored.
        split: pictures in random colours are looked at where it ends in ``_dr``, and things go by
            their synonyms where it ends in ``_synonyms``.
        extractor: of the encoder, with the preset.
        prompts: templates with one ``{}``.
        vocabulary: the words that a word is measured against.
        on_scene: called with rooms done and rooms to do.

    Raises:
        SceneFileError: if the split or a room is missing or damaged.
    """
    synonyms, source = split_synonyms(folder, split), split_source(split)
    against = _texts(extractor, vocabulary, prompts)
    paths = split_paths(folder, "localization", split)
    for done, path in enumerate(paths, 1):
        scene = rename(read_scene(Path(folder) / path, (source, "seg")), synonyms)
        there = _classes(scene)
        words = sorted(there | {synonyms.get(word, word) for word in vocabulary})
        picture = getattr(scene, source)[VIEW]
        features = extractor.image_features(extractor.embed(picture), picture.shape[:2])
        evidence = word_evidence(
            features,
            _texts(extractor, words, prompts),
            against,
            extractor.encoder.logit_scale,
        )
        yield _room(path, scene, words, there, evidence)
        if on_scene:
            on_scene(done, len(paths))


def draw_questions(room: RoomEvidence, rng: np.random.Generator) -> list[Question]:
    """True and false descriptions of a room.

    Of the true ones about a target, one of each group: those that may hide it, seen or hidden, and
    the others. In each, target, reference and both are replaced by words that are not there.
    """
    groups: dict[tuple[str, str, bool], list[Description]] = {}
    for description, share in room.descriptions:
        hidden = share == 0
        if (hidden or share >= MIN_SHARE) and (
            room.share[room.number(description.reference)] >= MIN_SHARE
        ):
            kind = "hidden" if hidden else "visible"
            key = (description.target, kind, description.relation in HIDING)
            groups.setdefault(key, []).append(description)
    absent = np.flatnonzero(~room.there)
    found: list[Question] = []
    for (_, kind, _), choices in groups.items():
        chosen = choices[rng.integers(len(choices))]
        target, reference = room.number(chosen.target), room.number(chosen.reference)
        found.append(Question(kind, chosen.relation, target, reference))
        if len(absent):
            other = [int(number) for number in rng.choice(absent, 2)]
            found.append(Question("no target", chosen.relation, other[0], reference))
            found.append(Question("no reference", chosen.relation, target, other[1]))
            found.append(Question("neither", chosen.relation, *other))
    return found


def question_probability(model: PresenceModel, room: RoomEvidence, question: Question) -> float:
    """The probability that a calibration gives a question."""
    target, reference = (room.evidence[[n]] for n in (question.target, question.reference))
    return float(model.probability(question.relation, target, reference)[0])


def _room(
    path: str, scene: SceneData, words: list[str], there: set[str], evidence: NDArray[np.float64]
) -> RoomEvidence:
    """What a scene with bare names shows of each word."""
    ids = scene.seg[VIEW]
    names = [base_class(name) for name in scene.objid_to_class]
    pixels = np.bincount(ids[ids >= 0], minlength=len(names)) / ids.size
    share = dict.fromkeys(words, 0.0)
    for name, part in zip(names, pixels, strict=True):
        if name in share:
            share[name] += float(part)
    descriptions = [
        (
            Description(
                base_class(item.target_obj_name),
                item.spatial_relation_name,
                base_class(item.reference_obj_name),
            ),
            float(pixels[item.target_obj_id]),
        )
        for item in scene.descriptions
    ]
    return RoomEvidence(
        scene_id(path),
        words,
        evidence,
        np.array([share[word] for word in words]),
        np.array([word in there for word in words]),
        descriptions,
    )


def _classes(scene: SceneData) -> set[str]:
    """The classes of a scene with bare names, without colours."""
    return {base_class(name) for name in scene.objid_to_class if name not in SPECIAL_NAMES}


def _texts(extractor: RelevancyExtractor, words: Sequence[str], prompts: Sequence[str]) -> Tensor:
    """(L, D) normalised text features."""
    return F.normalize(extractor.label_features(words, prompts), dim=-1)
