"""Colours that belong to names, and colour maps."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from numpy.typing import NDArray

NUM_COLORS = 24
NEIGHBOUR_GAP = 0.2
"""So far apart, in OKLab, are the colours of names that follow each other."""


def oklab(rgb: NDArray) -> NDArray[np.float64]:
    """RGB (..., 3) in 0..1 to OKLab, in which distances are as people see them (Ottosson 2020)."""
    rgb = np.asarray(rgb, dtype=np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(linear @ to_cones.T) @ to_lab.T


def _make_palette(count: int) -> NDArray[np.float64]:
    """Colours (count, 3), each the one that is farthest from all before it."""
    steps = np.linspace(0, 1, 12)
    candidates = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    lab = oklab(candidates)
    chroma = np.linalg.norm(lab[:, 1:], axis=1)
    shown = (lab[:, 0] > 0.42) & (lab[:, 0] < 0.9) & (chroma > 0.06)  # on white, under a light
    candidates, lab = candidates[shown], lab[shown]
    chosen = [int(np.argmin(np.linalg.norm(lab - oklab(np.array([0.12, 0.47, 0.71])), axis=1)))]
    nearest = np.full(len(lab), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(nearest.argmax()))
    return candidates[chosen]


PALETTE = _make_palette(NUM_COLORS)
"""(24, 3) RGB in 0..1."""
_GAPS = np.linalg.norm(oklab(PALETTE)[:, None] - oklab(PALETTE)[None], axis=-1)


def class_colors(classes: Sequence[str]) -> NDArray[np.float64]:
    """A colour per class, (L, 3) RGB in 0..1; names that follow each other differ clearly.

    A name has the same colour in every list, unless an earlier name of the list has taken it, or
    the name before has one that looks alike.
    """
    chosen: list[int] = []
    for number, name in enumerate(classes):
        taken = set(chosen[number - number % NUM_COLORS :])  # after so many they come again
        order = np.roll(np.arange(NUM_COLORS), -(zlib.crc32(name.lower().encode()) % NUM_COLORS))
        open_ones = [int(index) for index in order if index not in taken]
        last = chosen[-1] if chosen else None
        apart = [i for i in open_ones if last is None or _GAPS[last, i] >= NEIGHBOUR_GAP]
        farthest = max(open_ones, key=lambda i: _GAPS[last, i]) if last is not None else 0
        chosen.append(apart[0] if apart else farthest)
    return PALETTE[chosen].reshape(-1, 3)


def heat(values: NDArray, low: float = 0.0, high: float = 1.0) -> NDArray[np.uint8]:
    """Values (...) to the colour map `turbo`, (..., 3) uint8."""
    scaled = np.clip((np.asarray(values, dtype=np.float64) - low) / (high - low), 0, 1)
    rgba = matplotlib.colormaps["turbo"](scaled, bytes=True)
    return rgba[..., :3]
