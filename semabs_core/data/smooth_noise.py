"""Smooth random fields, and blurring, as small matrix products."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=64)
def _enlarge(cells: int, length: int) -> Tensor:
    """(length, cells): bicubic from a coarse axis to a fine one."""
    unit = torch.eye(cells)[None, :, :, None]
    return F.interpolate(unit, (length, 1), mode="bicubic", align_corners=False)[0, :, :, 0].T


def smooth_noise(
    count: int, shape: tuple[int, int], cells: int, rng: np.random.Generator
) -> Tensor:
    """Smooth random fields of mean 0 and a standard deviation of about 0.7.

    Args:
        count: L, how many.
        shape: (h, w) of each.
        cells: independent values along the longer edge; the more, the finer the field.
        rng: where the values come from.

    Returns:
        (L, h, w) float32.
    """
    longer = max(shape)
    height, width = (max(2, math.ceil(cells * edge / longer)) for edge in shape)
    coarse = torch.from_numpy(rng.standard_normal((count, height, width), dtype=np.float32))
    return _enlarge(height, shape[0]) @ coarse @ _enlarge(width, shape[1]).T


def blur_matrix(length: int, deviation: float) -> Tensor:
    """(length, length) float32: a Gaussian mean along an axis; every row sums to 1.

    Args:
        length: cells of the axis.
        deviation: standard deviation, cells.
    """
    steps = torch.arange(length, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((steps[:, None] - steps) / max(deviation, 1e-3)) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
