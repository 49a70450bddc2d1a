"""Random shifts, turns and stretches of a scene, the same for its input and its query points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRANSLATION = {"completion": 0.05, "localization": 0.1}
"""Standard deviation of the shift per axis, as a fraction of the bounds' extent."""
MAX_ANGLE_RAD = 0.15
MAX_SCALE = 1.1


def random_transform(
    bounds: NDArray[np.float64], task: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A random affine transform about the centre of the bounds: stretch, turn, then shift.

    Args:
        bounds: (2, 3) lower and upper corner, scene units.
        task: ``completion`` or ``localization``, which shifts further.
        rng: random numbers.

    Returns:
        (4, 4) float64, scene frame to scene frame.
    """
    lower, upper = np.asarray(bounds, dtype=np.float64)
    scale = rng.uniform(1.0, MAX_SCALE, 3)
    angles = rng.uniform(-MAX_ANGLE_RAD, MAX_ANGLE_RAD, 3)
    shift = rng.normal(0.0, TRANSLATION[task] * (upper - lower))
    center = (lower + upper) / 2
    T = np.eye(4)
    T[:3, :3] = rotation(angles) @ np.diag(scale)
    T[:3, 3] = center + shift - T[:3, :3] @ center
    return T


def rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) turn about x, then y, then z by ``angles`` (3,), radians."""
    total = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[j, i] = np.sin(angle)
        turn[i, j] = -turn[j, i]
        total = turn @ total
    return total
