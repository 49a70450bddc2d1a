"""Upright boxes in space that are taken, and whether another one meets them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.bodies import Body
from semabs_core.data.rooms.parts import rotation

TOUCH_M = 1e-3
"""Boxes that overlap by less than this only touch."""


@dataclass(frozen=True)
class Blocks:
    """N upright boxes.

    Attributes:
        centres: (N, 2) metres, room frame.
        halves: (N, 2) half their sizes along their own axes, metres.
        axes: (N, 2, 2) their horizontal axes as rows, unit.
        levels: (N, 2) lower and upper z, metres.
        owners: (N,) the items that they belong to.
    """

    centres: NDArray[np.float64]
    halves: NDArray[np.float64]
    axes: NDArray[np.float64]
    levels: NDArray[np.float64]
    owners: NDArray[np.int64]

    @classmethod
    def one(
        cls, centre: NDArray, half: NDArray, yaw_deg: float, levels: tuple[float, float], owner: int
    ) -> Blocks:
        """A single box."""
        axes = rotation("z", yaw_deg)[:2, :2].T
        return cls(
            np.array([centre], dtype=np.float64),
            np.array([half], dtype=np.float64),
            axes[None],
            np.array([levels], dtype=np.float64),
            np.array([owner]),
        )

    @classmethod
    def around(cls, body: Body, position: NDArray, yaw_deg: float, owner: int) -> Blocks:
        """The box around a placed body."""
        low, high = body.bounds
        centre = rotation("z", yaw_deg) @ ((low + high) / 2) + position
        levels = (low[2] + position[2], high[2] + position[2])
        return cls.one(centre[:2], (high - low)[:2] / 2, yaw_deg, levels, owner)

    def __add__(self, other: Blocks) -> Blocks:
        return Blocks(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def meet(self, other: Blocks) -> NDArray[np.bool_]:
        """(N,) bool: which of these boxes overlap a single other one (separating axes)."""
        offset = other.centres[0] - self.centres
        low, high = other.levels[0]
        apart = (self.levels[:, 0] >= high - TOUCH_M) | (self.levels[:, 1] <= low + TOUCH_M)
        for axes in (self.axes, np.broadcast_to(other.axes, self.axes.shape)):
            for axis in (axes[:, 0], axes[:, 1]):
                own = (np.abs(np.einsum("nij,nj->ni", self.axes, axis)) * self.halves).sum(axis=1)
                its = (np.abs(axis @ other.axes[0].T) * other.halves[0]).sum(axis=1)
                apart |= np.abs((offset * axis).sum(axis=1)) >= own + its - TOUCH_M
        return ~apart
