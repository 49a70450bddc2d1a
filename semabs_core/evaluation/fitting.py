"""From logits and how right each is to a cutoff and a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from scipy.special import expit, xlogy

from semabs_core.calibration import Calibration
from semabs_core.evaluation.metrics import CutoffScores

BINS = 10
NO_CEILING = 6.0
"""Logit of a ceiling from which on there is none: 0.9975."""
CLEAR_GAIN = 10.0
"""Nats of likelihood that a ceiling must gain, over all answers: few do not tell it from a bias."""
TOLERANCE = 0.01
"""Share of the IoU that is given away for a higher cutoff. Near the best one the IoU is flat, and
what is wrongly said, of a thing that nobody asked for, costs a robot more than what is not said.
"""
HIDDEN_TOLERANCE = 0.02
"""The same where nothing was measured: no reading holds back a wall there that grows too thick."""


@dataclass(frozen=True)
class Answers:
    """Logits, and how right each is.

    Attributes:
        logits: (n,) float64.
        right: (n,) float64, the share of it that is right: 0..1.
    """

    logits: NDArray[np.float64]
    right: NDArray[np.float64]

    @staticmethod
    def joined(parts: Sequence[Answers]) -> Answers:
        """Those of several; of none, none."""
        empty = [np.zeros(0)]
        return Answers(
            np.concatenate([part.logits for part in parts] or empty),
            np.concatenate([part.right for part in parts] or empty),
        )

    @property
    def mixed(self) -> bool:
        """Whether some are right and some are not, so that they can be told apart."""
        return bool(0 < self.right.sum() < len(self.right))


def fit_calibration(answers: Answers) -> Calibration:
    """The logistic model with a ceiling under which the answers are most likely.

    Raises:
        ValueError: if all answers are right or all are wrong, so that nothing can be told apart.
    """
    x, y = answers.logits, answers.right
    if not answers.mixed:
        raise ValueError(
            f"all {len(y)} answers are {'right' if y.any() else 'wrong'}; to be calibrated on they "
            "must be partly right and partly wrong: take more scenes"
        )

    def cost(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale, bias = np.exp(values[0]), values[1]
        ceiling = 1.0 if values[2] >= NO_CEILING else expit(values[2])
        share = expit(np.clip(scale * x + bias, -60, 60))
        p = np.clip(ceiling * share, 1e-12, 1 - 1e-12)
        loss = -float(np.mean(xlogy(y, p) + xlogy(1 - y, 1 - p)))
        error = (p - y) / (1 - p)  # dloss / dlog p
        by_bias = error * (1 - share)
        slopes = np.mean(by_bias * x) * scale, np.mean(by_bias), np.mean(error) * (1 - ceiling)
        return loss, np.array(slopes)

    def fitted(ceiling: float) -> OptimizeResult:
        most = (-5, NO_CEILING) if ceiling < NO_CEILING else (NO_CEILING, NO_CEILING)
        bounds = [(-5, 5), (-30, 30), most]
        start = np.array([0.0, 0.0, ceiling])
        return minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds)

    open_, *capped = (fitted(ceiling) for ceiling in (NO_CEILING, 2.0, 0.0))
    found = min(capped, key=lambda one: one.fun)
    if len(x) * (open_.fun - found.fun) < CLEAR_GAIN:
        found = open_
    ceiling = 1.0 if found.x[2] >= NO_CEILING else float(expit(found.x[2]))
    return Calibration(float(np.exp(found.x[0])), float(found.x[1]), ceiling)


def reliability(
    answers: Answers, calibration: Calibration, bins: int = BINS
) -> list[tuple[float, float, int]]:
    """Mean probability, share that is right, and number of answers, per bin of the probability."""
    probability = calibration.probability(answers.logits)
    number = np.minimum((probability * bins).astype(int), bins - 1)
    rows = []
    for index in range(bins):
        inside = number == index
        if inside.any():
            rows.append(
                (
                    float(probability[inside].mean()),
                    float(answers.right[inside].mean()),
                    int(inside.sum()),
                )
            )
    return rows


@dataclass(frozen=True)
class Fit:
    """What logits are worth somewhere.

    Attributes:
        cutoff: from which on something is said.
        iou: mean IoU at the cutoff, of the labels that the scores are of.
        calibration: from logits to probabilities.
        reliability: see :func:`reliability`.
    """

    cutoff: float
    iou: float
    calibration: Calibration
    reliability: list[tuple[float, float, int]]

    @staticmethod
    def of(scores: CutoffScores, answers: Answers, tolerance: float = TOLERANCE) -> Fit:
        """From the IoU at each cutoff and from answers.

        Args:
            scores: of all labels.
            answers: of all labels.
            tolerance: share of the IoU that is given away for a higher cutoff.

        Raises:
            ValueError: as :func:`fit_calibration` does.
        """
        calibration = fit_calibration(answers)
        iou, cutoff, _ = scores.best(tolerance)
        return Fit(cutoff, iou, calibration, reliability(answers, calibration))

    def to_dict(self) -> dict[str, float]:
        """As it is stored in a checkpoint's metadata."""
        return {"cutoff": self.cutoff} | self.calibration.to_dict()
