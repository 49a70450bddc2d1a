"""Velocity of a frame from its poses at two times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tf2_py.exceptions import ExtrapolationException
from tf2_py.rigid import RigidTransform

Lookup = Callable[[str, str, int], RigidTransform]


@dataclass(frozen=True)
class Frames:
    """Who moves, who watches, in whose axes the answer is, and where the point is given."""

    tracking: str
    observation: str
    reference: str
    reference_point: str


def measure(
    lookup: Lookup,
    frames: Frames,
    reference_point: Sequence[float],
    stamp: int,
    interval: int,
    newest: int,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Difference of two poses by time.

    Args:
        lookup: target frame, source frame, nanoseconds -> transform.
        frames: the four frames.
        reference_point: (3,) metres; the moving body's point whose velocity is asked for.
        stamp: middle of the interval, nanoseconds.
        interval: length, nanoseconds; moved back where the newest data ends earlier.
        newest: newest time of the tracking frame in the observation frame, nanoseconds.

    Returns:
        Linear velocity, m/s, and angular velocity, rad/s, in axes of the reference frame.

    Raises:
        ExtrapolationException: no time is left between the two poses.
    """
    end = min(stamp + interval // 2, newest)
    start = max(end - interval, 1)  # zero would ask for the newest
    if end <= start:
        raise ExtrapolationException(
            "Lookup would require extrapolation: no two times to take a velocity from"
        )
    seconds = (end - start) / 1e9
    first = lookup(frames.observation, frames.tracking, start)
    last = lookup(frames.observation, frames.tracking, end)
    linear = (last.translation - first.translation) / seconds
    angular = (last.rotation * first.rotation.inv()).as_rotvec() / seconds

    axes = lookup(frames.reference, frames.observation, stamp).rotation
    linear, angular = axes.apply(linear), axes.apply(angular)
    origin = lookup(frames.reference, frames.tracking, stamp).translation
    point = lookup(frames.reference, frames.reference_point, stamp).apply(
        np.asarray(reference_point, dtype=np.float64)
    )
    linear = linear + np.cross(angular, point - origin)
    return tuple(map(float, linear)), tuple(map(float, angular))
