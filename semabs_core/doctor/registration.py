"""Is depth in colour's view? The edges of both are laid over each other, shifted and scaled.

Things end in colour where they end in depth. So the borders of depth lie on borders of colour; if
they do much better after the depth image was moved or enlarged, depth is not registered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from semabs_core import geometry
from semabs_core.types import RGBDFrame

WIDTH = 160
"""Pixels that both images are thinned to."""
STEP = 0.05
"""A border of depth: neighbours differ by more, as a part of the depth."""
REACH = 0.16
"""How far depth is shifted, in parts of the width."""
SCALES = (0.7, 0.78, 0.86, 0.93, 1.0, 1.08, 1.17, 1.28, 1.42)
"""Drivers' depth cameras see up to so much more or less than colour."""
NEAR = 0.02
"""A best place so near, in parts of the width, is none at all."""
FEWEST = 150
"""Pixels of depth border; fewer tell nothing."""
CLEAR = 3.0
"""How many spreads the best place must be better by (0 for registered real pictures, at most 2 for
a single bad one; from 3.3 on where depth was moved by 5 % of the width or enlarged by 17 %)."""
MUCH_LESS = 0.6
"""And to what part of the best the score must fall where depth is."""


@dataclass(frozen=True)
class Registration:
    """How well borders of depth lie on borders of colour.

    Attributes:
        here: score where they are.
        best: score at the best place.
        shift: (right, down) of the best place, parts of the image's width.
        scale: of the best place.
        spread: standard deviation of the scores of all places.
        borders: pixels of depth border.
    """

    here: float
    best: float
    shift: tuple[float, float]
    scale: float
    spread: float
    borders: int

    @property
    def elsewhere(self) -> bool:
        """Whether depth belongs to another place than where it is, beyond doubt."""
        clear = self.best - self.here > CLEAR * self.spread
        return clear and self.here < MUCH_LESS * self.best


def compare_edges(frames: list[RGBDFrame]) -> Registration | None:
    """Lay the edges of depth over those of colour; None where there are too few.

    Args:
        frames: of one camera, with the same size; scores are added up over them.
    """
    total: dict[float, NDArray] = {}
    borders, reach = 0, int(REACH * WIDTH)
    for frame in frames:
        color, depth = _color_edges(frame.rgb), _depth_edges(frame.depth_m)
        if depth.sum() < FEWEST / 2:
            continue
        borders += int(depth.sum())
        for scale in SCALES:
            found = _scores(color, _scaled(depth, scale), reach)
            total[scale] = total.get(scale, 0) + found
    if borders < FEWEST:
        return None
    stack = np.stack([total[scale] for scale in SCALES]) / len(frames)
    scale_at, row, column = np.unravel_index(int(stack.argmax()), stack.shape)
    near = max(int(NEAR * WIDTH), 1)
    around = slice(reach - near, reach + near + 1)
    middle = stack[SCALES.index(1.0), around, around]
    return Registration(
        here=float(middle.max()),
        best=float(stack.max()),
        shift=((int(column) - reach) / WIDTH, (int(row) - reach) / WIDTH),
        scale=SCALES[int(scale_at)],
        spread=float(stack.std()),
        borders=borders,
    )


def _color_edges(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(h, w) how strong borders of colour are, with mean 0 and deviation 1."""
    width, height = WIDTH, round(rgb.shape[0] * WIDTH / rgb.shape[1])
    small = PIL.Image.fromarray(rgb).resize((width, height), PIL.Image.Resampling.BOX)
    values = gaussian_filter(np.asarray(small, dtype=np.float64), (0.7, 0.7, 0))
    down, right = np.gradient(values, axis=(0, 1))
    edges = np.sqrt((down**2 + right**2).sum(axis=-1))
    # Textures are many edges: what counts is an edge among its neighbours.
    edges = np.log1p(edges / 4)
    edges = edges - gaussian_filter(edges, WIDTH / 16)
    return (edges - edges.mean()) / max(float(edges.std()), 1e-9)


def _depth_edges(depth_m: NDArray[np.float32]) -> NDArray[np.float64]:
    """(h, w) 1 at the borders of depth, 0 elsewhere; holes have no borders."""
    step = depth_m.shape[1] / WIDTH
    rows = ((np.arange(round(depth_m.shape[0] / step)) + 0.5) * step).astype(int)
    columns = ((np.arange(WIDTH) + 0.5) * step).astype(int)
    small = depth_m[rows[:, None], columns]
    valid = geometry.valid_depth(small)
    logs = np.log(np.where(valid, small, 1.0))
    edges = np.zeros(small.shape)
    for axis in (0, 1):
        jump = np.abs(np.diff(logs, axis=axis)) > STEP
        first, second = [slice(None)] * 2, [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        jump &= valid[tuple(first)] & valid[tuple(second)]
        edges[tuple(first)] += jump
        edges[tuple(second)] += jump
    return (edges > 0).astype(np.float64)


def _scaled(edges: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Edges enlarged about the middle, in the same frame."""
    height, width = edges.shape
    v, u = np.nonzero(edges)
    row = np.rint((v - height / 2) * scale + height / 2).astype(int)
    column = np.rint((u - width / 2) * scale + width / 2).astype(int)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    moved = np.zeros_like(edges)
    moved[row[inside], column[inside]] = 1
    return moved


def _scores(color: NDArray, depth: NDArray, reach: int) -> NDArray[np.float64]:
    """Mean colour edge under the depth edges for each shift, (2 reach + 1, 2 reach + 1)."""
    shape = [side + 2 * reach for side in color.shape]
    spectrum = np.fft.rfft2(color, shape) * np.conj(np.fft.rfft2(depth, shape))
    sums = np.fft.irfft2(spectrum, shape)
    counts = np.fft.irfft2(
        np.fft.rfft2(np.ones_like(color), shape) * np.conj(np.fft.rfft2(depth, shape)), shape
    )
    index = np.arange(-reach, reach + 1)
    place = np.ix_(index, index)
    covered = counts[place]
    # Few edges that are left inside tell little: they count with the square root of their number.
    return sums[place] / np.maximum(covered, 1) * np.sqrt(covered / max(depth.sum(), 1))
