"""Colours that belong to names, and colour maps."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from numpy.typing import NDArray

PALETTE = matplotlib.colormaps["tab20"](np.arange(20))[:, :3]
"""(20, 3) RGB in 0..1."""


def class_colors(classes: Sequence[str]) -> NDArray[np.float64]:
    """A colour per class, (L, 3) RGB in 0..1.

    A name has the same colour in every list, unless an earlier name of the list has taken it.
    """
    taken: set[int] = set()
    colors = []
    for name in classes:
        index = zlib.crc32(name.lower().encode()) % len(PALETTE)
        if len(taken) < len(PALETTE):
            while index in taken:
                index = (index + 7) % len(PALETTE)  # far from its neighbours, which look alike
            taken.add(index)
        colors.append(PALETTE[index])
    return np.array(colors).reshape(-1, 3)


def heat(values: NDArray, low: float = 0.0, high: float = 1.0) -> NDArray[np.uint8]:
    """Values (...) to the colour map `turbo`, (..., 3) uint8."""
    scaled = np.clip((np.asarray(values, dtype=np.float64) - low) / (high - low), 0, 1)
    rgba = matplotlib.colormaps["turbo"](scaled, bytes=True)
    return rgba[..., :3]
