"""Fits the calibration of presence: logistic models of few weights, and a threshold."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.presence_evidence import (
    MIN_SHARE,
    RoomEvidence,
    draw_questions,
    gather_evidence,
    known_classes,
    question_probability,
)
from semabs_core.data.splits import split_paths
from semabs_core.presence import HIDING, Logistic, PresenceError, PresenceModel
from semabs_core.relevancy import RelevancyExtractor
from semabs_core.vocabulary import read_vocabulary

KEPT = 0.9
"""Share of the true descriptions of visible things that the threshold keeps."""
RIDGE = 1e-2
NEWTON_STEPS = 40


def calibrate_presence(
    folder: str | os.PathLike,
    extractor: RelevancyExtractor,
    prompts: Sequence[str],
    fit: str = "train",
    choose: str = "validation",
    on_scene: Callable[[int, int], None] | None = None,
) -> PresenceModel:
    """Fit a calibration on the rooms of a data set.

    Args:
        folder: the data set's folder; 100 rooms to fit and 50 to choose the threshold are enough.
        extractor: of the encoder, with the preset.
        prompts: templates that the networks' relevancy is made with.
        fit: the split whose rooms the models are fitted on.
        choose: the split whose rooms the threshold is chosen on.
        on_scene: called with rooms done and rooms to do, of one split and then of the other.

    Raises:
        SceneFileError: if a split or a room is missing or damaged.
        PresenceError: if the rooms do not show and hide things.
    """
    split_paths(folder, "localization", choose)  # which is read last, after minutes
    known = read_vocabulary(extractor.encoder.name)
    vocabulary = list(known.classes) if known else known_classes(folder, fit)

    def gather(split: str) -> list[RoomEvidence]:
        rooms = gather_evidence(folder, split, extractor, prompts, vocabulary, on_scene)
        return list(rooms)

    visible, there = fit_models(gather(fit))
    model = PresenceModel(
        extractor.encoder.fingerprint, tuple(prompts), tuple(vocabulary), visible, there, 0.0
    )
    return choose_threshold(model, gather(choose))


def fit_models(rooms: Sequence[RoomEvidence]) -> tuple[Logistic, Logistic]:
    """The models of a visible thing, and of one that is there, each at even odds."""
    seen: list[tuple[NDArray, NDArray]] = []
    present: list[tuple[NDArray, NDArray]] = []
    for room in rooms:
        absent = room.evidence[~room.there]
        targets = sorted({d.target for d, _ in room.descriptions if d.relation in HIDING})
        numbers = [room.number(target) for target in targets]
        seen.append((room.evidence[room.share >= MIN_SHARE], absent))
        present.append((room.evidence[numbers], absent))
    models = []
    for pairs, what in ((seen, "visible things"), (present, "targets in, on or behind others")):
        true, false = (np.concatenate(part) for part in zip(*pairs, strict=True))
        if not len(true) or not len(false):
            raise PresenceError(
                f"the rooms need {what} and classes that they lack; make more rooms"
            )
        models.append(fit_logistic(true, false))
    return models[0], models[1]


def fit_logistic(true: NDArray[np.float64], false: NDArray[np.float64]) -> Logistic:
    """A logistic model by Newton's method, with a small ridge; both sides weigh the same.

    Args:
        true: (n, features) of what is so.
        false: (m, features) of what is not.
    """
    x = np.concatenate([true, false])
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    y = np.repeat([1.0, 0.0], [len(true), len(false)])
    weight = np.repeat([0.5 / len(true), 0.5 / len(false)], [len(true), len(false)]) * len(x)
    ridge = np.full(x.shape[1], RIDGE)
    ridge[-1] = 1e-9  # the bias is free, but the matrix stays invertible
    values = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ values, -30, 30)))
        gradient = x.T @ (weight * (p - y)) + ridge * values
        curvature = (x.T * (weight * p * (1 - p))) @ x + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        values = values - step / max(1.0, float(np.abs(step).max()))
    return Logistic(tuple(float(value) for value in values[:-1]), float(values[-1]))


def choose_threshold(
    model: PresenceModel, rooms: Sequence[RoomEvidence], kept: float = KEPT, seed: int = 0
) -> PresenceModel:
    """The model with the threshold that keeps a share of what is visible and described truly."""
    rng, probabilities = np.random.default_rng(seed), []
    for room in rooms:
        for question in draw_questions(room, rng):
            if question.kind == "visible":
                probabilities.append(question_probability(model, room, question))
    if not probabilities:
        raise PresenceError("no room shows a described thing; make more rooms for the threshold")
    return replace(model, threshold=float(np.quantile(probabilities, 1 - kept)))
