"""How fast frames are completed, and where the time goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

RATE_FRAMES, RATE_FOR_S = 10, 5.0
"""The rate is that of so many frames, and of none when the last one is so long ago."""


class Pace:
    """What the frames of the continuous completion took.

    Args:
        now: returns monotonic seconds.

    Attributes:
        frame_seconds: how long the last frame took.
        latency_s: from the arrival of its images to the end of its publication.
        stages_s: where its time went: ``input`` (messages to a frame), the pipeline's stages,
            ``other`` of the pipeline, ``output`` (messages of the answer).
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.frame_seconds = self.latency_s = 0.0
        self.stages_s: dict[str, float] = {}
        self._finished: deque[float] = deque(maxlen=RATE_FRAMES)
        self._stages: dict[str, float] = {}
        self._since = 0.0

    def begin(self, started: float) -> None:
        """A frame is there; it was begun at ``started``."""
        self._since, self._stages = started, {}
        self.step("input")

    def step(self, name: str, inner_s: Mapping[str, float] | None = None) -> None:
        """A stage has ended; of what it took, ``inner_s`` belongs to stages of their own."""
        now, inner = self._now(), inner_s or {}
        spent = {**inner, name: now - self._since - sum(inner.values())}
        for stage, seconds in spent.items():
            self._stages[stage] = self._stages.get(stage, 0.0) + seconds
        self._since = now

    def end(self, arrived: float) -> None:
        """The frame is published; its images came at ``arrived``."""
        now = self._now()
        self._finished.append(now)
        self.frame_seconds, self.latency_s = sum(self._stages.values()), now - arrived
        self.stages_s = self._stages

    @property
    def rate_hz(self) -> float:
        """Frames per second of the last few; 0 after a while without any."""
        finished = list(self._finished)
        if len(finished) < 2 or self._now() - finished[-1] > RATE_FOR_S + self.frame_seconds:
            return 0.0
        return (len(finished) - 1) / max(finished[-1] - finished[0], 1e-9)
