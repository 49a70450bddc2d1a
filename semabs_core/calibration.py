"""What a network's logits are worth: from a logit to the probability that its answer is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY = "calibration"
HIDDEN_KEY = "hidden"
SURFACE_KEY = "surface"
MARGINS_KEY = "margins"
FITTED = (KEY, HIDDEN_KEY, SURFACE_KEY, MARGINS_KEY, "cutoff", "validation_iou")
"""What a checkpoint's metadata hold of its own network's answers."""
DEFAULT_CUTOFF = -3.0
DEFAULT_MARGIN = 0.15


@dataclass(frozen=True)
class Calibration:
    """A logistic model of a logit (Platt, 1999) with a ceiling.

    ``probability = ceiling * sigmoid(scale * logit + bias)``: what nobody has seen may stay
    uncertain, however sure the network is.

    Attributes:
        scale: the inverse of a temperature, positive.
        bias: what training on as many positives as negatives has shifted.
        ceiling: the probability of the highest logits, in (0, 1].
    """

    scale: float = 1.0
    bias: float = 0.0
    ceiling: float = 1.0

    def __post_init__(self) -> None:
        finite = math.isfinite(self.scale) and math.isfinite(self.bias)
        if not (finite and self.scale > 0 and 0 < self.ceiling <= 1):
            raise ValueError(
                "a calibration needs a positive scale, a finite bias and a ceiling in (0, 1], got "
                f"{self.scale:g}, {self.bias:g} and {self.ceiling:g}"
            )

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Logits of any shape to probabilities, float32."""
        value = np.asarray(np.multiply(logits, -self.scale, dtype=np.float32))
        value -= self.bias
        np.exp(value.clip(-60, 60, out=value), out=value)
        value += 1
        return np.divide(np.float32(self.ceiling), value, out=value)

    def to_dict(self) -> dict[str, float]:
        """As it is stored in a checkpoint's metadata, under ``calibration``."""
        return asdict(self)


@dataclass(frozen=True)
class Judgement:
    """How a completion network's logits become answers.

    What holds depth readings is surely filled by something, so a lower logit is enough there than
    where nothing was seen. What the camera saw to be free is not asked for, or else counts as the
    latter (``mask_free_space``).

    Attributes:
        cutoff: the logit below which a voxel is free for a class.
        calibration: of the logit.
        surface_cutoff: the cutoff of voxels that hold depth readings.
        surface_calibration: the calibration there.
    """

    cutoff: float
    calibration: Calibration
    surface_cutoff: float
    surface_calibration: Calibration


def read_calibration(metadata: Mapping[str, Any]) -> Calibration:
    """The calibration of a network; of one that has none, logits are taken as they are."""
    return Calibration(**metadata[KEY]) if KEY in metadata else Calibration()


def read_judgement(metadata: Mapping[str, Any], cutoff: float | None = None) -> Judgement:
    """What a network's logits mean; of one that does not say, the same everywhere.

    Args:
        metadata: of its checkpoint.
        cutoff: takes the place of both cutoffs.
    """
    own = metadata.get("cutoff", DEFAULT_CUTOFF)
    everywhere = {"cutoff": own, **read_calibration(metadata).to_dict()}
    hidden = {**everywhere, **metadata.get(HIDDEN_KEY, {})}
    surface = {**hidden, **metadata.get(SURFACE_KEY, {})}
    cutoffs = [part.pop("cutoff") for part in (hidden, surface)]
    hidden_cutoff, surface_cutoff = cutoffs if cutoff is None else (cutoff, cutoff)
    return Judgement(hidden_cutoff, Calibration(**hidden), surface_cutoff, Calibration(**surface))


def region_cutoff(
    metadata: Mapping[str, Any],
    relation: str,
    best: float,
    margin: float | None = None,
    cutoff: float | None = None,
) -> float:
    """The logit from which on a point belongs to the answer to a description.

    Args:
        metadata: of the network's checkpoint.
        relation: of the description; empty for a thing alone, which a completion network is asked.
        best: the highest logit.
        margin: how far below the best the region ends; None for what the network was found to do
            best with.
        cutoff: takes the place of the network's own.

    Returns:
        Of a thing alone the cutoff, or a little below the best where nothing reaches that. Of a
        relation its own margin below the best, else that of all relations, else
        :data:`DEFAULT_MARGIN`.
    """
    if margin is None and not relation:
        return min(read_judgement(metadata, cutoff).cutoff, best - DEFAULT_MARGIN)
    if margin is None:
        margins = metadata.get(MARGINS_KEY, {})
        margin = float(margins.get(relation, margins.get("", DEFAULT_MARGIN)))
    return best - margin
