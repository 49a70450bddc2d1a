"""Saying what is wrong without filling the log."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

REPEAT_S = 10.0
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


class Reporter:
    """Says a problem when it begins and again every ten seconds while it lasts.

    Two texts of one kind are the same problem, and so are two that differ only in their numbers.
    Time is taken from a steady clock.

    Args:
        say: writes one line. A function of one's own around a logger's ``warning``: rclpy raises
            where one line of code logs with two severities, and this class has but one.
        now: returns monotonic seconds.
    """

    def __init__(
        self, say: Callable[[str], object], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._now = say, now
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def report(self, text: str, kind: str = "") -> None:
        """Say a problem, if it was not said lately; an empty text is none."""
        if not text:
            return
        kind, now = kind or _NUMBERS.sub("#", text), self._now()
        with self._lock:
            self._said = {k: when for k, when in self._said.items() if now - when < REPEAT_S}
            if kind in self._said:
                return
            self._said[kind] = now
        self._say(text)
