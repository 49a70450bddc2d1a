"""What is known of one frame: its parent and its pose in it, over time or for ever."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np

from tf2_py.conversions import display_time
from tf2_py.exceptions import ExtrapolationException
from tf2_py.rigid import RigidTransform

LATEST = 0  # tf2's convention: time zero asks for the newest


@dataclass(frozen=True)
class Sample:
    """Pose of a frame in its parent at one time.

    Attributes:
        stamp: nanoseconds.
        parent: name of the parent frame.
        transform: maps points of the frame to the parent frame.
    """

    stamp: int
    parent: str
    transform: RigidTransform

    def is_same(self, other: Sample) -> bool:
        return (
            self.stamp == other.stamp
            and self.parent == other.parent
            and np.array_equal(self.transform.translation, other.transform.translation)
            and np.array_equal(
                self.transform.rotation.as_quat(), other.transform.rotation.as_quat()
            )
        )


class StaticCache:
    """A frame that does not move: the last sample holds at all times."""

    is_static = True
    oldest_stamp = 0
    latest_stamp = 0

    def __init__(self) -> None:
        self._sample: Sample | None = None

    def __len__(self) -> int:
        return 1

    def insert(self, sample: Sample) -> bool:
        self._sample = sample
        return True

    def clear(self) -> None:
        """Keep the sample: what is static outlives a jump in time."""

    def latest(self) -> Sample | None:
        return self._sample

    def bracket(self, stamp: int) -> tuple[Sample, Sample]:
        return self._sample, self._sample

    def sample_at(self, stamp: int) -> Sample:
        return self._sample


class TimeCache:
    """A moving frame: samples in order of time, as far back as the cache time reaches."""

    is_static = False

    def __init__(self, cache_time: int) -> None:
        self._cache_time = cache_time
        self._stamps: list[int] = []
        self._samples: list[Sample] = []

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def oldest_stamp(self) -> int:
        return self._stamps[0] if self._stamps else 0

    @property
    def latest_stamp(self) -> int:
        return self._stamps[-1] if self._stamps else 0

    def insert(self, sample: Sample) -> bool:
        """Store a sample, unless it is older than the cache reaches.

        Of several samples of one time the one that came last is the newest; a repeated one is
        stored once.

        Returns:
            False if it was too old.
        """
        horizon = self.latest_stamp - self._cache_time
        expired = bisect_left(self._stamps, horizon)
        del self._stamps[:expired], self._samples[:expired]
        if self._samples and sample.stamp < horizon:
            return False
        index = bisect_right(self._stamps, sample.stamp)
        same_time = self._samples[bisect_left(self._stamps, sample.stamp) : index]
        if not any(sample.is_same(other) for other in same_time):
            self._stamps.insert(index, sample.stamp)
            self._samples.insert(index, sample)
        return True

    def clear(self) -> None:
        self._stamps.clear()
        self._samples.clear()

    def latest(self) -> Sample | None:
        return self._samples[-1] if self._samples else None

    def bracket(self, stamp: int) -> tuple[Sample, Sample]:
        """The samples before and after a time; twice the same one where the time is its own.

        Raises:
            ExtrapolationException: the time is outside of the samples.
        """
        if stamp == LATEST and self._samples:
            return self._samples[-1], self._samples[-1]
        self._require_inside(stamp)
        index = bisect_right(self._stamps, stamp) - 1
        before = self._samples[index]
        if before.stamp == stamp:
            return before, before
        return before, self._samples[index + 1]

    def sample_at(self, stamp: int) -> Sample:
        """The pose at a time, interpolated between the two samples around it.

        Where the parent changed between the two, the older one holds until the newer.

        Raises:
            ExtrapolationException: the time is outside of the samples.
        """
        before, after = self.bracket(stamp)
        if before is after or before.parent != after.parent:
            return before
        ratio = (stamp - before.stamp) / (after.stamp - before.stamp)
        return Sample(stamp, before.parent, before.transform.interpolate(after.transform, ratio))

    def _require_inside(self, stamp: int) -> None:
        oldest, latest = self.oldest_stamp, self.latest_stamp
        if self._stamps and oldest <= stamp <= latest:
            return
        if not self._stamps:
            where, known = "", "there is no data"
        elif len(self) == 1:
            where, known = "", f"the only data is of {display_time(latest)}"
        elif stamp > latest:
            where, known = " into the future", f"the newest data is of {display_time(latest)}"
        else:
            where, known = " into the past", f"the oldest data is of {display_time(oldest)}"
        raise ExtrapolationException(
            f"Lookup would require extrapolation{where}: time {display_time(stamp)} was requested, "
            f"{known}"
        )
