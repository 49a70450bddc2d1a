"""A question that a node is asked, and the answer that comes later."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.task import Future
from semabs.action import Localize

from semabs_ros.goals import CODES

T = TypeVar("T")
GONE_S = 2.0
"""A node that is not to be seen for so long went away."""
GRACE_S = 2.0
"""A node ends a goal within the goal's timeout and says why; so much later nobody waits for it."""
NAMES = {number: name for name, number in CODES.items()}
"""Names of the actions' error codes."""


class SemabsError(RuntimeError):
    """A question has no answer; the message says why, and what to do.

    Attributes:
        code: the name of the action's error code (``TIMEOUT``, ``CANCELED``, ``INVALID_GOAL``,
            ``UNKNOWN_RELATION``, ``NO_FRAME``, ``NOT_ACTIVE``, ...), or ``REFUSED`` (goal_policy
            reject, or classes that the node does not take), ``NO_NODE``, ``CLOSED``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoNodeError(SemabsError):
    """No node of that name is there, or it went away; the message says what was looked for."""


class PendingAnswer(Generic[T]):
    """An answer that may not be there yet.

    It can be waited for (:meth:`result`), polled (:meth:`done`), awaited in asyncio, or told to a
    callback. All of it may be used from any thread.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def done(self) -> bool:
        """Whether :meth:`result` returns, or raises, at once."""
        return self._call.future.done()

    def result(self) -> T:
        """Wait for the answer; the question's own timeout ends the wait.

        An interruption (Ctrl-C) while it waits cancels the question.

        Raises:
            SemabsError: if there is none; NoNodeError where nobody was there to answer.
        """
        self._call.check_waiting()
        try:
            return self._call.future.result(self._call.remaining_s + 2 * GRACE_S)
        except concurrent.futures.TimeoutError:
            raise SemabsError("TIMEOUT", self._call.overdue()) from None
        except KeyboardInterrupt:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Ask the node to give the question up; :meth:`result` then raises (CANCELED)."""
        self._call.cancel()

    def add_done_callback(self, callback: Callable[[PendingAnswer[T]], object]) -> None:
        """Call ``callback(self)`` when the answer is there.

        It is called in the client's own thread and must not wait for another answer of that client.
        """
        self._call.future.add_done_callback(lambda _: callback(self))

    def __await__(self) -> Generator[Any, None, T]:
        """Wait in asyncio; cancelling the wait cancels the question, for all who wait for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(done: concurrent.futures.Future) -> None:
            if answer.done():
                return
            error = done.exception()
            if error is None:
                answer.set_result(done.result())
            else:
                answer.set_exception(error)

        def tell(done: concurrent.futures.Future) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(settle, done)

        self._call.future.add_done_callback(tell)
        try:
            return (yield from answer.__await__())
        except asyncio.CancelledError:
            self.cancel()
            raise


class Call(ABC):
    """One question's way to a node and back; its steps run in the thread of a client.

    Args:
        what: what is asked, for people: ``localize``.
        timeout_s: how long it may take.
        schedule: runs a function in the client's thread.
        check_waiting: raises where the calling thread must not wait.
        absent: says that nobody is there to answer, and what to do.
    """

    def __init__(
        self,
        what: str,
        timeout_s: float,
        schedule: Callable[[Callable[[], object]], object],
        check_waiting: Callable[[], None],
        absent: Callable[[float], str],
    ) -> None:
        self.what, self.timeout_s, self.check_waiting = what, timeout_s, check_waiting
        self.future: concurrent.futures.Future = concurrent.futures.Future()
        self._deadline = time.monotonic() + timeout_s
        self._schedule, self._absent = schedule, absent
        self._sent = self._cancelled = False
        self._missing_since: float | None = None

    @property
    def remaining_s(self) -> float:
        """Seconds until the question's timeout, 0 at least."""
        return max(0.0, self._deadline - time.monotonic())

    def overdue(self) -> str:
        """That no answer came in time."""
        return (
            f"no answer to {self.what} within {self.timeout_s:g} s although the node is there: it "
            "hangs, is overloaded or was started again; see its log and /diagnostics"
        )

    def advance(self) -> None:
        """Send the question once somebody is there; end it when its time is up or they are gone."""
        if self.future.done():
            return
        now = time.monotonic()
        self._missing_since = None if self.ready() else self._missing_since or now
        if not self._sent and self._missing_since is None:
            self._sent = True
            self.send()
        elif not self._sent and not self.remaining_s:
            self.fail(NoNodeError("NO_NODE", self._absent(self.timeout_s)))
        elif now > self._deadline + GRACE_S:
            self._abandon(SemabsError("TIMEOUT", self.overdue()))
        elif self._sent and self._missing_since and now - self._missing_since > GONE_S:
            text = f"the node went away while {self.what} was under way; see its log"
            self._abandon(NoNodeError("NO_NODE", text))

    def cancel(self) -> None:
        """Give the question up."""
        self._cancelled = True
        self._schedule(self._give_up)

    def _abandon(self, error: SemabsError) -> None:
        """Nobody waits for the answer any more, and the node is told so."""
        self._cancelled = True
        self.fail(error)
        self.withdraw()

    def _give_up(self) -> None:
        if not self._sent:
            self._sent = True  # never send it
            self.fail(SemabsError("CANCELED", f"{self.what} was cancelled before it was sent"))
        elif not self.future.done():
            self.withdraw()

    def succeed(self, value: Any) -> None:
        """Settle the answer; later outcomes change nothing."""
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Settle that there is no answer."""
        if not self.future.done():
            self.future.set_exception(error)

    @abstractmethod
    def ready(self) -> bool:
        """Whether somebody is there to answer."""

    @abstractmethod
    def send(self) -> None:
        """Send the question."""

    @abstractmethod
    def withdraw(self) -> None:
        """Take back a question that was sent."""

    def then(self, future: Future, step: Callable[[Any], None]) -> None:
        """Go on when a future of rclpy is done; what goes wrong there ends the question."""

        def go_on(done: Future) -> None:
            try:
                step(done.result())
            except Exception as error:
                self.fail(error)

        future.add_done_callback(go_on)


class ActionCall(Call):
    """A goal of an action.

    Args:
        client: of the action.
        goal: what to ask for; its timeout is filled in when it is sent.
        read: makes the answer from the action's result.
        on_feedback: told the stage and how much of it is done.
        call: what every question has.
    """

    def __init__(
        self,
        client: ActionClient,
        goal: Any,
        read: Callable[[Any], Any],
        on_feedback: Callable[[str, float], object] | None,
        **call: Any,
    ) -> None:
        super().__init__(**call)
        self._client, self._goal, self._read = client, goal, read
        self._on_feedback, self._handle = on_feedback, None

    def ready(self) -> bool:
        """Whether there is a server."""
        return self._client.server_is_ready()

    def send(self) -> None:
        """Send the goal with the time that is left."""
        self._goal.timeout_s = max(self.remaining_s, 0.001)  # 0 means the node's default
        self.then(self._client.send_goal_async(self._goal, self._hear), self._accepted)

    def withdraw(self) -> None:
        """Cancel the goal, once it is accepted."""
        if self._handle is not None:
            self._handle.cancel_goal_async()

    def _hear(self, message: Any) -> None:
        if self._on_feedback is not None:
            self._on_feedback(message.feedback.stage, message.feedback.progress)

    def _accepted(self, handle: Any) -> None:
        if not handle.accepted:
            text = "was refused: another goal is running (the node's goal_policy is reject)"
            raise SemabsError("REFUSED", f"{self.what} {text}")
        self._handle = handle
        if self._cancelled:
            self.withdraw()
        self.then(handle.get_result_async(), self._ended)

    def _ended(self, answer: Any) -> None:
        result = answer.result
        found = answer.status == GoalStatus.STATUS_SUCCEEDED
        # A best guess that the picture does not support ends ABORTED, and is an answer.
        if found or result.error_code == Localize.Result.NOT_FOUND:
            self.succeed(self._read(result))
        elif result.error_code:
            raise SemabsError(NAMES[result.error_code], f"{self.what}: {result.message}")
        else:  # what rclpy says of results that are no longer kept
            raise SemabsError(
                "INTERNAL_ERROR",
                f"{self.what} ended with status {answer.status}, without a result",
            )


class ServiceCall(Call):
    """A request of a service whose response has ``success`` and ``message``."""

    def __init__(self, client: Client, request: Any, **call: Any) -> None:
        super().__init__(**call)
        self._client, self._request = client, request

    def ready(self) -> bool:
        """Whether there is a server."""
        return self._client.service_is_ready()

    def send(self) -> None:
        """Send the request."""
        self.then(self._client.call_async(self._request), self._answered)

    def withdraw(self) -> None:
        """A service cannot take a request back: nobody waits for the response any more."""
        self.fail(SemabsError("CANCELED", f"{self.what} was cancelled; it may happen all the same"))

    def _answered(self, response: Any) -> None:
        if not response.success:
            raise SemabsError("REFUSED", f"{self.what}: {response.message}")
        self.succeed(None)
