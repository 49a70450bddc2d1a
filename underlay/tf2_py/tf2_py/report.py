"""The tree as text, in the layouts that view_frames and people read."""

from __future__ import annotations

from collections.abc import Mapping

from tf2_py.conversions import display_time
from tf2_py.frame_tree import FrameCache

_SHORTEST_SPAN = 100_000  # nanoseconds; keeps the rate of a single sample finite


def frames_as_text(caches: Mapping[str, FrameCache]) -> str:
    lines = []
    for frame, cache in caches.items():
        sample = cache.latest()
        parent = sample.parent if sample else "NO_PARENT"
        lines.append(f"Frame {frame} exists with parent {parent}.\n")
    return "".join(lines)


def frames_as_yaml(caches: Mapping[str, FrameCache], authorities: Mapping[str, str]) -> str:
    if not caches:
        return "[]"
    return "".join(
        _entry(frame, cache, authorities.get(frame, "no recorded authority"))
        for frame, cache in caches.items()
        if cache.latest() is not None
    )


def _entry(frame: str, cache: FrameCache, authority: str) -> str:
    span = cache.latest_stamp - cache.oldest_stamp
    values = {
        "parent": f"'{cache.latest().parent}'",
        "broadcaster": f"'{authority}'",
        "rate": f"{len(cache) * 1e9 / max(span, _SHORTEST_SPAN):.3f}",
        "most_recent_transform": display_time(cache.latest_stamp),
        "oldest_transform": display_time(cache.oldest_stamp),
        "buffer_length": f"{span / 1e9:.3f}",
    }
    return f"{frame}: \n" + "".join(f"  {key}: {value}\n" for key, value in values.items())
