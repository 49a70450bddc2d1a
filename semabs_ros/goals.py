"""Goals of both actions: their life from acceptance to outcome, and the queue with its policies."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from semabs.action import Localize

CODES = {
    name: getattr(Localize.Result, name)
    for name in (
        "NONE", "INVALID_GOAL", "UNKNOWN_RELATION", "NO_FRAME", "BAD_FRAME", "TIMEOUT", "CANCELED",
        "PREEMPTED", "QUEUE_FULL", "NOT_ACTIVE", "INTERNAL_ERROR",
    )
}  # fmt: skip


class GoalEndedError(Exception):
    """Raised inside the work on a goal to end it.

    Attributes:
        code: name of the error code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Goal:
    """One goal of either action.

    Attributes:
        kind: ``localize`` or ``complete``.
        request: what is asked for, already checked: a description or a list of classes.
        timeout_s: how long it may wait and run.
        execute: makes the action server execute the goal, which awaits ``done``; called once, when
            the worker begins it or, if that never happens, when it ends.
        cancel_requested: whether the client has asked to cancel it.
        on_feedback: called with a stage and its fraction.
        key: identifies the goal to its action server.
    """

    kind: str
    request: Any
    timeout_s: float
    execute: Callable[[], None]
    cancel_requested: Callable[[], bool]
    on_feedback: Callable[[str, float], None]
    key: bytes = b""
    created: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    code: str = ""
    message: str = ""
    result: Any = None
    _stop: tuple[str, str] | None = None
    _executing: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def remaining_s(self) -> float:
        """Seconds until the goal's timeout."""
        return self.created + self.timeout_s - time.monotonic()

    def begin(self) -> None:
        """Let the action server execute the goal, unless it does already."""
        with self._lock:
            already, self._executing = self._executing, True
        if already:
            return
        try:
            self.execute()
        except Exception:
            # A cancellation came between rclpy's look at the state and its change of it.
            self.execute()

    def stop(self, code: str, message: str) -> None:
        """Ask the work on this goal to end; the first reason counts."""
        self._stop = self._stop or (code, message)

    def check(self, stage: str = "", fraction: float = 0.0) -> None:
        """Called between batches of the work.

        Raises:
            GoalEndedError: if the goal is cancelled, preempted or out of time.
        """
        if self._stop:
            raise GoalEndedError(*self._stop)
        if self.remaining_s <= 0:
            raise GoalEndedError("TIMEOUT", f"not done within {self.timeout_s:g} s (stage {stage})")
        if stage:
            self.on_feedback(stage, fraction)

    def end(self, code: str, message: str, result: Any = None) -> None:
        """Settle the outcome; later calls change nothing."""
        with self._lock:
            if self.done.is_set():
                return
            self.code, self.message, self.result = code, message, result
            self.done.set()
        self.begin()


class GoalQueue:
    """Waiting goals and the running one, under one of three policies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Goal] = deque()
        self.running: Goal | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a goal runs or waits."""
        return self.running is not None or bool(self._waiting)

    def submit(self, goal: Goal, policy: str, limit: int) -> None:
        """Queue a goal, or end it at once where the queue is full.

        Under ``preempt`` the running goal is stopped and waiting ones are ended, so the newest is
        next.
        """
        ended: list[Goal] = []
        with self._lock:
            if policy == "preempt":
                ended, self._waiting = list(self._waiting), deque()
                if self.running is not None:
                    self.running.stop("PREEMPTED", "a newer goal took its place")
            elif self.busy and len(self._waiting) >= limit:
                goal.end("QUEUE_FULL", f"{len(self._waiting)} goals are waiting already")
                return
            self._waiting.append(goal)
        for old in ended:
            old.end("PREEMPTED", "a newer goal took its place")

    def next(self) -> Goal | None:
        """The next goal, which becomes the running one; goals whose time is up are ended."""
        while True:
            with self._lock:
                if not self._waiting:
                    return None
                goal = self._waiting.popleft()
                self.running = goal
            try:
                goal.check()
            except GoalEndedError as ended:
                self.finish(goal)
                goal.end(ended.code, str(ended))
                continue
            return goal

    def finish(self, goal: Goal) -> None:
        """The running goal is over."""
        with self._lock:
            if self.running is goal:
                self.running = None

    def cancel(self, key: bytes) -> None:
        """End a waiting goal at once; ask a running one to stop."""
        found = self._take(lambda goal: goal.key == key)
        for goal in found:
            goal.end("CANCELED", "cancelled while it waited")
        running = self.running
        if running is not None and running.key == key:
            running.stop("CANCELED", "cancelled")

    def expire(self) -> None:
        """End waiting goals whose time is up."""
        for goal in self._take(lambda goal: goal.remaining_s <= 0):
            goal.end(
                "TIMEOUT", f"still waiting after {goal.timeout_s:g} s: another goal is running"
            )

    def end_all(self, code: str, message: str) -> None:
        """End every waiting goal and stop the running one."""
        for goal in self._take(lambda _: True):
            goal.end(code, message)
        running = self.running
        if running is not None:
            running.stop(code, message)

    def _take(self, wanted: Callable[[Goal], bool]) -> list[Goal]:
        with self._lock:
            found = [goal for goal in self._waiting if wanted(goal)]
            self._waiting = deque(goal for goal in self._waiting if not wanted(goal))
        return found
