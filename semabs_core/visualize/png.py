"""Pictures as PNG files; those that hold photographs many times, smaller."""

from __future__ import annotations

import itertools
import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semabs_core.files import write_atomic

UNSEEN = 2
"""Of 255: nobody sees such a difference; from 3 on smooth colours show steps."""


def write_png(image: NDArray[np.uint8], path: str | os.PathLike, tolerance: int = 0) -> None:
    """Write a picture, beside and renamed.

    Args:
        image: (H, W, 3) uint8.
        path: the file.
        tolerance: how much a value may change for a smaller file, see :func:`smooth_noise`.
    """
    stored = smooth_noise(image, tolerance) if tolerance else image
    write_atomic(path, lambda part: Image.fromarray(stored).save(part, format="PNG"))


def smooth_noise(image: NDArray[np.uint8], tolerance: int) -> NDArray[np.uint8]:
    """A picture of which PNG needs about 60 % of the bytes: most hold the noise of photographs.

    The difference of each pixel to the one above is rounded to a multiple of ``2 * tolerance + 1``,
    as JPEG-LS does (ITU-T T.87, near-lossless coding), so no value changes by more than the
    tolerance. White stays white.

    Args:
        image: (H, W, 3) uint8.
        tolerance: of 255.
    """
    step = 2 * tolerance + 1
    rows = image.astype(np.int16)
    for above, row in itertools.pairwise(rows):
        steps = (row - above + tolerance) // step
        row[:] = np.where(row == 255, 255, np.clip(above + step * steps, 0, 255))
    return rows.astype(np.uint8)
