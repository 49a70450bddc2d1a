"""Paths between frames: where they lead, and at what time all their edges have data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tf2_py.exceptions import ConnectivityException, ExtrapolationException, LookupException
from tf2_py.time_cache import LATEST, StaticCache, TimeCache

FrameCache = StaticCache | TimeCache


def find_path(
    caches: Mapping[str, FrameCache], target: str, source: str, stamp: int
) -> tuple[list[str], list[str]]:
    """Find the frames whose edges connect two frames at a time.

    Args:
        caches: the cache of each frame that has a parent.
        target: where the path ends.
        source: where the path starts.
        stamp: nanoseconds, or `LATEST` for the newest parent of each frame.

    Returns:
        The frames from the source up to the nearest common ancestor, which is left out, and the
        frames from the target up to the same.

    Raises:
        ExtrapolationException: an edge on the way has no data for the time.
        ConnectivityException: the frames are in different trees.
        LookupException: the frames go round in a loop.
    """
    source_chain, source_gap = _climb(caches, source, stamp, until={target})
    if source_chain[-1] == target:
        return source_chain[:-1], []
    target_chain, target_gap = _climb(caches, target, stamp, until=set(source_chain))
    meeting = target_chain[-1]
    if meeting in source_chain:
        return source_chain[: source_chain.index(meeting)], target_chain[:-1]
    gap = target_gap or source_gap
    if gap is not None and stamp != LATEST:
        raise ExtrapolationException(
            f"{gap} (on the way from frame [{source}] to frame [{target}])"
        )
    raise ConnectivityException(
        f"'{target}' and '{source}' are not part of the same tree: no chain of transforms connects "
        "them"
    )


def latest_common_time(caches: Mapping[str, FrameCache], target: str, source: str) -> int:
    """The newest time at which every edge between two frames has data.

    Returns:
        Nanoseconds; zero if all edges are static.

    Raises:
        ConnectivityException: the frames are in different trees.
        LookupException: the frames go round in a loop.
    """
    if target == source:
        return caches[source].latest_stamp if source in caches else 0
    up, down = find_path(caches, target, source, LATEST)
    return min(filter(None, (caches[frame].latest_stamp for frame in up + down)), default=0)


def _climb(
    caches: Mapping[str, FrameCache], frame: str, stamp: int, until: set[str]
) -> tuple[list[str], ExtrapolationException | None]:
    """Collect the frames from `frame` upwards, and why the climb ended early if it did."""
    chain = [frame]
    if frame in until:
        return chain, None
    try:
        for parent in _parents(caches, frame, stamp):
            if parent in chain:
                raise LookupException(
                    f"the frames go round in a loop: {' -> '.join([*chain, parent])}"
                )
            chain.append(parent)
            if parent in until:
                break
    except ExtrapolationException as error:
        return chain, error
    return chain, None


def _parents(caches: Mapping[str, FrameCache], frame: str, stamp: int) -> Iterator[str]:
    while frame in caches:
        frame = caches[frame].bracket(stamp)[0].parent
        yield frame
