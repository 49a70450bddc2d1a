"""When the messages of a recording are due, and what their stamps become. Needs no ROS."""

from __future__ import annotations

OTHER_CLOCK_NS = 60 * 10**9
"""Stamps that differ by more from the time of recording were taken from another clock (simulated
time, or a camera that counts from its own start)."""
PAUSE_NS = 10**6
"""Between the last stamp of a pass and the first of the next."""


class Timeline:
    """Maps a recording to now, pass by pass.

    One affine map moves all stamps, those of images and of transforms alike: their differences are
    divided by the speed, so that a transform at an image's stamp stays the one that it was, and
    that stamps go along with the clock at any speed. Where the stamps are of the clock that
    recorded them, a message is due when it was recorded, with its delay; where they are of another
    clock, messages are due at their stamps, because that clock may have run at another rate.
    """

    def __init__(self, start_ns: int, first: list[tuple[int, int]], speed: float) -> None:
        """First pass not begun yet.

        Args:
            start_ns: when the recording begins.
            first: time of recording and stamp of the first message of each topic, nanoseconds;
                stamps of 0 say nothing.
            speed: how many times faster than recorded.
        """
        stamps = [(recorded, stamp) for recorded, stamp in first if stamp]
        ours = [stamp for recorded, stamp in stamps if abs(stamp - recorded) < OTHER_CLOCK_NS]
        self.by_stamp = bool(stamps) and not ours
        earliest = min(ours or [stamp for _, stamp in stamps], default=start_ns)
        self.start_ns, self.speed = start_ns, speed
        self.origin_ns = earliest if self.by_stamp else start_ns
        self.lead_ns = max(0, int((self.origin_ns - earliest) / speed))
        self.zero_ns = 0
        self.latest_ns = 0

    def begin(self, now_ns: int) -> int:
        """Begin a pass; returns its time 0: now, or as much later as stamps need to go on."""
        after = self.latest_ns + self.lead_ns + PAUSE_NS if self.latest_ns else now_ns
        self.zero_ns = max(now_ns, after)
        return self.zero_ns

    def due_ns(self, recorded_ns: int, stamp_ns: int) -> int:
        """When a message is due (a stamp of 0 says nothing)."""
        if self.by_stamp and stamp_ns:
            return self.move(stamp_ns)
        return self.zero_ns + int((recorded_ns - self.start_ns) / self.speed)

    def move(self, stamp_ns: int) -> int:
        """A stamp as it is played; 0 ("no time", or "always") stays 0."""
        if not stamp_ns:
            return 0
        return max(self.zero_ns + int((stamp_ns - self.origin_ns) / self.speed), 0)

    def played(self, stamp_ns: int) -> None:
        """Remember a stamp that was played."""
        self.latest_ns = max(self.latest_ns, stamp_ns)
