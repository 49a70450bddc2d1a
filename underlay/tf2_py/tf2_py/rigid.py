"""Rotation and translation together; SciPy does the rotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp


@dataclass(frozen=True)
class RigidTransform:
    """A rotation, then a translation.

    Attributes:
        rotation: one rotation.
        translation: (3,) float64, metres.
    """

    rotation: Rotation
    translation: np.ndarray

    @classmethod
    def identity(cls) -> RigidTransform:
        return cls(Rotation.identity(), np.zeros(3))

    @classmethod
    def from_numbers(cls, translation: Sequence[float], quaternion: Sequence[float]):
        """Build from x, y, z and a quaternion x, y, z, w of any length but zero.

        Raises:
            ValueError: a number is NaN, or the quaternion is zero or infinite.
        """
        translation = np.array(translation, dtype=np.float64)
        quaternion = np.array(quaternion, dtype=np.float64)
        if np.isnan(translation).any() or not np.isfinite(quaternion).all():
            raise ValueError("a number is not finite")
        if not quaternion.any():
            raise ValueError("the quaternion is zero")
        return cls(Rotation.from_quat(quaternion), translation)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """The transform that does `other` first, then `self`."""
        return RigidTransform(self.rotation * other.rotation, self.apply(other.translation))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Transform points: (3,) or (N, 3), metres."""
        return self.rotation.apply(points) + self.translation

    def inverse(self) -> RigidTransform:
        rotation = self.rotation.inv()
        return RigidTransform(rotation, -rotation.apply(self.translation))

    def interpolate(self, other: RigidTransform, ratio: float) -> RigidTransform:
        """The transform `ratio` of the way to `other`: straight line, shortest arc."""
        translation = self.translation + ratio * (other.translation - self.translation)
        rotations = Rotation.concatenate([self.rotation, other.rotation])
        return RigidTransform(Slerp([0.0, 1.0], rotations)(ratio), translation)
