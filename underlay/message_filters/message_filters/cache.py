"""The last messages of a filter, by time."""

from __future__ import annotations

from typing import Any

from rclpy.time import Time

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import time_of


class Cache(SimpleFilter):
    """Keeps the last messages and passes them on.

    Messages are kept in the order in which they come; the queries expect that to be the order of
    their stamps.

    Args:
        f: the filter whose output is kept.
        cache_size: how many messages are kept; the oldest makes room.
        allow_headerless: take the time of arrival for messages without stamp, instead of dropping
            them.
    """

    def __init__(
        self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False
    ) -> None:
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Time] = []
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Keep a message and pass it on."""
        time = time_of(msg, self.allow_headerless, "message_filters_cache")
        if time is None:
            return
        self.cache_msgs.append(msg)
        self.cache_times.append(time)
        surplus = max(0, len(self.cache_msgs) - self.cache_size)
        del self.cache_msgs[:surplus], self.cache_times[:surplus]
        self.signalMessage(msg)

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """The messages between two times, both included."""
        assert from_stamp <= to_stamp, "the interval ends before it starts"
        return self._select(lambda time: from_stamp <= time <= to_stamp)

    def getElemAfterTime(self, stamp: Time) -> Any:
        """The first message at or after a time, None if there is none."""
        return next(iter(self._select(lambda time: time >= stamp)), None)

    def getElemBeforeTime(self, stamp: Time) -> Any:
        """The last message at or before a time, None if there is none."""
        return next(reversed(self._select(lambda time: time <= stamp)), None)

    def getLastestTime(self) -> Time | None:
        """The time of the last message."""
        return self.cache_times[-1] if self.cache_times else None

    def getOldestTime(self) -> Time | None:
        """The time of the first message that is still kept."""
        return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any:
        """The first message that has the time of the last one."""
        last = self.getLastestTime()
        return None if last is None else self.getElemAfterTime(last)

    def _select(self, wanted: Any) -> list[Any]:
        kept = list(zip(self.cache_msgs, self.cache_times))
        return [msg for msg, time in kept if wanted(time)]
