"""What a network's logits are worth: from a logit to the probability that its answer is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY = "calibration"


@dataclass(frozen=True)
class Calibration:
    """A logistic model of a logit (Platt, 1999): ``probability = sigmoid(scale * logit + bias)``.

    Attributes:
        scale: the inverse of a temperature, positive.
        bias: what training on as many positives as negatives has shifted.
    """

    scale: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and math.isfinite(self.bias) and self.scale > 0):
            raise ValueError(
                f"a calibration needs a positive scale and a finite bias, got {self.scale:g} and "
                f"{self.bias:g}"
            )

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Logits of any shape to probabilities, float32."""
        value = np.clip(self.scale * np.asarray(logits, np.float64) + self.bias, -60, 60)
        return (1 / (1 + np.exp(-value))).astype(np.float32)

    def to_dict(self) -> dict[str, float]:
        """As it is stored in a checkpoint's metadata, under ``calibration``."""
        return asdict(self)


def read_calibration(metadata: Mapping[str, Any]) -> Calibration:
    """The calibration of a network; of one that has none, logits are taken as they are."""
    return Calibration(**metadata[KEY]) if KEY in metadata else Calibration()
