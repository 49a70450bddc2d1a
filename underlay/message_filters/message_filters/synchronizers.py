"""Messages of several filters that were taken at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.duration import Duration

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import time_of, to_time

Queue = dict[int, Any]  # nanoseconds -> message


class TimeSynchronizer(SimpleFilter):
    """Passes on one message of each filter as soon as all have one with the very same stamp.

    Callbacks get as many messages as there are filters, in the same order.

    Args:
        fs: the filters.
        queue_size: how many messages of each filter wait for their partners; the one with the
            oldest stamp makes room.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.RLock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        self.queues: list[Queue] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, queue, index)
            for index, (f, queue) in enumerate(zip(fs, self.queues))
        ]

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Take a message of one filter and pass on the sets that it completes."""
        with self.lock:
            self._enqueue(my_queue, to_time(msg.header.stamp).nanoseconds, msg)
            complete = set.intersection(*map(set, self.queues))
            for stamp in sorted(complete):
                self._pass_on([stamp] * len(self.queues))

    def _enqueue(self, queue: Queue, stamp: int, msg: Any) -> None:
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _pass_on(self, stamps: Sequence[int]) -> None:
        """Take the messages of these stamps, one of each queue, out and to the callbacks."""
        self.signalMessage(*[queue.pop(stamp) for queue, stamp in zip(self.queues, stamps)])


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Passes on one message of each filter if their stamps are all within `slop` of each other.

    Each message that comes is matched at once: the other filters' messages are tried in order of
    their distance to it (the last filter's first), and the first set wins whose newest and oldest
    stamp are less than `slop` apart. It never waits for a better partner.

    Args:
        fs: the filters.
        queue_size: how many messages of each filter wait for their partners; the one with the
            oldest stamp makes room.
        slop: seconds.
        allow_headerless: take the time of arrival for messages without stamp, instead of dropping
            them.
        sync_arrival_time: take the time of arrival for all messages.
    """

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        allow_headerless: bool = False,
        sync_arrival_time: bool = False,
    ) -> None:
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless
        self.sync_arrival_time = sync_arrival_time
        super().__init__(fs, queue_size)  # last: from here on messages may come

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Take a message of one filter and pass on the set that it completes, if it does."""
        if self.sync_arrival_time:
            time = ROSClock().now()
        else:
            time = time_of(msg, self.allow_headerless, "message_filters_approx")
            if time is None:
                return
        stamp = time.nanoseconds
        with self.lock:
            self._enqueue(my_queue, stamp, msg)
            if stamp not in my_queue:
                return  # older than all that wait
            match = next(_matches(self._candidates(stamp, my_queue), self.slop.nanoseconds), None)
            if match is not None:
                self._pass_on(match)

    def _candidates(self, stamp: int, my_queue: Queue) -> list[list[int]]:
        """The stamps of each queue within `slop` of the new one, the nearest first."""
        slop = self.slop.nanoseconds
        return [
            [stamp]
            if queue is my_queue
            else sorted(
                (other for other in queue if abs(other - stamp) <= slop),
                key=lambda other: abs(other - stamp),
            )
            for queue in self.queues
        ]


def _matches(
    candidates: Sequence[Sequence[int]], slop: int, chosen: tuple[int, ...] = ()
) -> Iterator[tuple[int, ...]]:
    """All choices of one stamp per queue less than `slop` apart, earlier candidates first."""
    if len(chosen) == len(candidates):
        yield chosen
        return
    for stamp in candidates[len(chosen)]:
        longer = (*chosen, stamp)
        if max(longer) - min(longer) < slop:
            yield from _matches(candidates, slop, longer)
