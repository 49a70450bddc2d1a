"""Relevancy over a picture, as the page draws it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semabs_core.visualize.colors import heat

LOWEST_TOP = 0.25
"""Maps whose largest value is below are weak, and look so (step 7: networks read about 1)."""
OPACITY = 0.75
SOFT = 0.15
"""Over so much of the range above the threshold the colours fade in."""


def top_of(maps: NDArray[np.float32]) -> float:
    """The value of the uppermost colour: one range for all labels."""
    return max(float(maps.max()), LOWEST_TOP)


def overlay(
    rgb: NDArray[np.uint8], relevancy: NDArray[np.float32], top: float, threshold: float
) -> NDArray[np.uint8]:
    """A picture under the relevancy that is above a threshold.

    Args:
        rgb: (H, W, 3) uint8.
        relevancy: (H, W) float32.
        top: the value of the uppermost colour.
        threshold: what is below this part of ``top`` is not drawn, 0..1.
    """
    share = np.clip(relevancy / top, 0, 1)
    opacity = OPACITY * np.clip((share - threshold) / SOFT, 0, 1)[..., None]
    return np.rint((1 - opacity) * rgb + opacity * heat(share)).astype(np.uint8)
