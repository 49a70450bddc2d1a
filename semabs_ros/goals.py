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
        "PREEMPTED", "QUEUE_FULL", "NOT_ACTIVE", "INTERNAL_ERROR", "NOT_FOUND",
    )
}  # fmt: skip
RESERVATION_S = 5.0
"""A goal that was let in and did not come within so long never will: its client went away."""


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
        on_begin: makes the action server execute the goal, which awaits ``done``; called once, when
            the worker begins it or, if that never happens, when it ends.
        cancel_requested: whether the client has asked to cancel it.
        on_feedback: called with a stage and its fraction.
        key: identifies the goal to its action server.
        done: set when the outcome is settled.
        code: name of the outcome's error code.
        message: the same for people.
        result: what was found; None where there is nothing.
    """

    kind: str
    request: Any
    timeout_s: float
    on_begin: Callable[[], None]
    cancel_requested: Callable[[], bool]
    on_feedback: Callable[[str, float], None]
    key: bytes = b""
    created: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    code: str = ""
    message: str = ""
    result: Any = None
    _stop: tuple[str, str] | None = None
    _begun: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def remaining_s(self) -> float:
        """Seconds until the goal's timeout."""
        return self.created + self.timeout_s - time.monotonic()

    def begin(self) -> None:
        """Tell the action server that the goal is being worked on; later calls do nothing."""
        with self._lock:
            already, self._begun = self._begun, True
        if not already:
            self.on_begin()

    def stop(self, code: str, message: str) -> None:
        """Ask the work on this goal to end; the first reason counts."""
        with self._lock:
            self._stop = self._stop or (code, message)

    def check(self, stage: str = "", fraction: float = 0.0) -> None:
        """Called between batches of the work.

        Raises:
            GoalEndedError: if the goal is cancelled, preempted or out of time.
        """
        if self._stop:
            raise GoalEndedError(*self._stop)
        if self.cancel_requested():
            raise GoalEndedError("CANCELED", "cancelled")
        if self.remaining_s <= 0:
            at = f" (stage {stage})" if stage else ""
            raise GoalEndedError("TIMEOUT", f"not done within {self.timeout_s:g} s{at}")
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
    """Waiting goals and the running one, under one of three policies.

    It is closed until it is opened: a goal that comes while it is closed ends with the reason.

    Attributes:
        running: the goal that is being worked on.
        refused: how many goals were not even accepted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Goal] = deque()
        self._reserved: deque[float] = deque()
        self._closed: tuple[str, str] | None = ("NOT_ACTIVE", "the queue was never opened")
        self._hindrance = ""
        self.running: Goal | None = None
        self.refused = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a goal runs or waits."""
        return self.running is not None or bool(self._waiting)

    def open(self, hindrance: str) -> None:
        """Let goals in.

        Args:
            hindrance: why a goal has to wait although no other one runs, for people.
        """
        with self._lock:
            self._closed, self._hindrance = None, hindrance

    def close(self, code: str, message: str) -> None:
        """End every waiting goal, stop the running one, and let no other in."""
        with self._lock:
            self._closed = (code, message)
            ended, self._waiting = list(self._waiting), deque()
            if self.running is not None:
                self.running.stop(code, message)
        for goal in ended:
            goal.end(code, message)

    def reserve(self) -> bool:
        """Whether nothing runs, waits or was let in (policy ``reject``); if so, a place is kept.

        The place is taken by the next goal that comes; it is lost after ``RESERVATION_S``.
        """
        with self._lock:
            self._forget_reservations()
            if self.busy or self._reserved:
                self.refused += 1
                return False
            self._reserved.append(time.monotonic())
            return True

    def arrived(self) -> None:
        """A goal that was let in is here: its place need not be kept any longer."""
        with self._lock:
            if self._reserved:
                self._reserved.popleft()

    def _forget_reservations(self) -> None:
        while self._reserved and time.monotonic() - self._reserved[0] > RESERVATION_S:
            self._reserved.popleft()

    def submit(self, goal: Goal, policy: str, limit: int) -> None:
        """Queue a goal, or end it at once where it cannot wait.

        Under ``preempt`` the running goal is stopped and waiting ones are ended, so the newest is
        next.

        Args:
            goal: the new goal.
            policy: ``queue``, ``preempt`` or ``reject``.
            limit: how many goals may wait (policy ``queue``).
        """
        ended: list[Goal] = []
        with self._lock:
            refusal = self._closed or self._full(policy, limit)
            if not refusal:
                if policy == "preempt":
                    ended, self._waiting = list(self._waiting), deque()
                    if self.running is not None:
                        self.running.stop("PREEMPTED", "a newer goal took its place")
                self._waiting.append(goal)
        if refusal:
            goal.end(*refusal)
        for old in ended:
            old.end("PREEMPTED", "a newer goal took its place")

    def _full(self, policy: str, limit: int) -> tuple[str, str] | None:
        if policy == "reject" and self.busy:
            return "QUEUE_FULL", "another goal is running (goal_policy reject)"
        if policy == "queue" and self.busy and len(self._waiting) >= limit:
            return "QUEUE_FULL", f"{len(self._waiting)} goals are waiting already"
        return None

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
        with self._lock:
            if self.running is not None and self.running.key == key:
                self.running.stop("CANCELED", "cancelled")
        for goal in self._take(lambda goal: goal.key == key):
            goal.end("CANCELED", "cancelled while it waited")

    def expire(self) -> None:
        """End waiting goals whose time is up."""
        overdue = self._take(lambda goal: goal.remaining_s <= 0)
        why = "another goal is running" if self.running is not None else self._hindrance
        for goal in overdue:
            goal.end("TIMEOUT", f"still waiting after {goal.timeout_s:g} s: {why}")

    def _take(self, wanted: Callable[[Goal], bool]) -> list[Goal]:
        with self._lock:
            found = [goal for goal in self._waiting if wanted(goal)]
            self._waiting = deque(goal for goal in self._waiting if not wanted(goal))
        return found
