"""How well a calibration of presence tells what is there from what is not."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from semabs_core.data.presence_evidence import (
    MIN_SHARE,
    draw_questions,
    gather_evidence,
    question_probability,
)
from semabs_core.evaluation.tables import Figure, FigureTable
from semabs_core.presence import HIDING, PresenceError, read_presence
from semabs_core.relevancy import RelevancyExtractor

KEPT = (0.95, 0.9, 0.8, 0.7)
"""Shares of the visible that the rows of the curve keep."""
SIZES = (MIN_SHARE, 0.003, 0.01)
"""Smallest shares of the picture that count as visible."""
FALSE = ("no target", "no reference", "neither")
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


def presence_rows(
    folder: str | os.PathLike,
    splits: Sequence[str],
    extractor: RelevancyExtractor,
    preset: str,
    prompts: Sequence[str],
    on_scene: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask for what is in the rooms of a data set, and for what is not.

    Args:
        folder: the data set's folder.
        splits: which of its splits.
        extractor: of the encoder, with the preset.
        preset: its name.
        prompts: templates with one ``{}``.
        on_scene: called with rooms done and rooms to do, per split.
        seed: of the choice of questions.

    Returns:
        A row per question: ``split``, ``scene_id``, ``kind`` (see
        :class:`semabs_core.data.presence_evidence.Question`), ``relation``, ``target``,
        ``reference``, ``share`` (of the picture that the smaller of what the true question names
        and is to be seen covers), ``probability`` and ``found``.

    Raises:
        PresenceError: if there is no calibration that fits.
        SceneFileError: if a split or a room is missing or damaged.
    """
    encoder = extractor.encoder
    model = read_presence(encoder, preset, prompts)
    if model is None:
        raise PresenceError(
            f"{encoder.name} has no calibration of these weights with preset {preset} and these "
            "prompts: make one with `semabs weights calibrate`"
        )
    rows, rng = [], np.random.default_rng(seed)
    for split in splits:
        for room in gather_evidence(folder, split, extractor, prompts, model.vocabulary, on_scene):
            for question in draw_questions(room, rng):
                probability = question_probability(model, room, question)
                pair = [question.target, question.reference]
                shares = room.share[[number for number in pair if room.share[number] > 0]]
                rows.append(
                    {
                        "split": split,
                        "scene_id": room.scene_id,
                        "kind": question.kind,
                        "relation": question.relation,
                        "target": room.words[question.target],
                        "reference": room.words[question.reference],
                        "share": float(shares.min(initial=1.0)),
                        "probability": probability,
                        "found": probability >= model.threshold,
                    }
                )
    return pd.DataFrame(rows)


def summarize_presence(rows: pd.DataFrame) -> list[FigureTable]:
    """What is found at the stored threshold, the whole curve, and how true probabilities are.

    Args:
        rows: of :func:`presence_rows`.
    """
    return [_at_the_threshold(rows), _curve(rows), _reliability(rows)]


def _at_the_threshold(rows: pd.DataFrame) -> FigureTable:
    lines = []
    for kind in dict.fromkeys(rows["kind"]):
        for name, part in (
            ("in, on, behind", rows[rows["relation"].isin(HIDING)]),
            ("left, right, front", rows[~rows["relation"].isin(HIDING)]),
            ("all", rows),
        ):
            chosen = part[part["kind"] == kind]
            share = 100 * chosen["found"].mean() if len(chosen) else float("nan")
            lines.append(((kind, name, str(len(chosen))), (Figure(float(share)),)))
    return FigureTable(
        "Found at the stored threshold, %", ("kind", "relations", "questions"), ("found",),
        tuple(lines),
    )  # fmt: skip


def _curve(rows: pd.DataFrame) -> FigureTable:
    """Not found of what is not there, where so much of what is visible is kept."""
    visible = rows[rows["kind"] == "visible"]
    lines = []
    for size in SIZES:
        for kept in KEPT:
            large = visible[visible["share"] >= size]
            others = rows[rows["share"] >= size]
            threshold = large["probability"].quantile(1 - kept) if len(large) else float("nan")
            figures = [
                Figure(
                    100 * float((others["probability"][others["kind"] == kind] < threshold).mean())
                )
                for kind in (*FALSE, "hidden")
            ]
            texts = (f"{100 * size:g} %", str(len(large)), f"{100 * kept:g} %", f"{threshold:.2f}")
            lines.append((texts, tuple(figures)))
    return FigureTable(
        "Not found, %",
        ("visible from", "questions", "of them kept", "threshold"),
        (*FALSE, "hidden"),
        tuple(lines),
    )


def _reliability(rows: pd.DataFrame) -> FigureTable:
    """Of the questions with a probability, the share that are true.

    Questions of the four cases (both there, one, the other, neither) weigh the same together, which
    are the even odds that the probability assumes.
    """
    case = rows["kind"].where(rows["kind"].isin(FALSE), "true")
    weight = 1 / case.map(case.value_counts())
    lines = []
    for low, high in pairwise(BINS):
        inside = (rows["probability"] >= low) & (rows["probability"] < high + (high == BINS[-1]))
        total = float(weight[inside].sum())
        true, mean = float("nan"), float("nan")
        if total:
            true = float(weight[inside & (case == "true")].sum()) / total
            mean = float((weight * rows["probability"])[inside].sum()) / total
        texts = (f"{low:g} to {high:g}", str(int(inside.sum())))
        lines.append((texts, (Figure(100 * mean), Figure(100 * true))))
    return FigureTable(
        "Probability and truth, %", ("probability", "questions"), ("mean probability", "true"),
        tuple(lines),
    )  # fmt: skip
