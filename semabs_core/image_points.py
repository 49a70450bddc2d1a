"""Where points are in their image, and what its maps say there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


def points_of_image(pixels: NDArray[np.intp], shape: Sequence[int]) -> NDArray[np.float32]:
    """Where pixels are in their image, which spans -1..1: (N, 2), to the right and downwards.

    Args:
        pixels: (N,) flat indices.
        shape: (H, W) of the image.
    """
    row, column = np.divmod(pixels, shape[1])
    size = np.array([shape[1], shape[0]])
    return ((2 * np.stack([column, row], axis=-1) + 1) / size - 1).astype(np.float32)


def maps_at(maps: NDArray[np.float32], points: NDArray[np.float32]) -> Tensor:
    """Values of maps, enlarged bilinearly to the image (align_corners=False), at points of it.

    Args:
        maps: (L, h, w) float32.
        points: (N, 2) float32 of :func:`points_of_image`.

    Returns:
        (L, N) float32.
    """
    values = torch.from_numpy(np.ascontiguousarray(maps))[None]
    grid = torch.from_numpy(points)[None, None]
    return F.grid_sample(values, grid, padding_mode="border", align_corners=False)[0, :, 0]
