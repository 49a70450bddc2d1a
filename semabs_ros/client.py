"""``SemabsClient``: asks a running semabs node from any Python program, planner or notebook."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.action import ActionClient, get_action_names_and_types
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from semabs.action import Complete, Localize
from semabs.srv import SetClasses

from semabs_ros.answers import Completion, Localization, read_completion, read_localization
from semabs_ros.pending import (
    GRACE_S,
    ActionCall,
    Call,
    NoNodeError,
    PendingAnswer,
    SemabsError,
    ServiceCall,
)
from semabs_ros.spinning import spin

__all__ = [
    "Completion",
    "Localization",
    "NoNodeError",
    "PendingAnswer",
    "SemabsClient",
    "SemabsError",
]
OnFeedback = Callable[[str, float], object]
"""Told the stage of the work and how much of it is done, 0..1; runs in the client's thread."""
LOOK_S = 0.1
"""How often a client looks for the node and at the clock while a question is open."""
_NUMBERS = itertools.count()


class SemabsClient:
    """Asks a semabs node; every method may be called from any thread.

    A client has a small ROS node and a thread of its own that takes the answers in. So a method
    that waits can be called inside a callback of another node without a deadlock: it occupies only
    the executor's thread that runs this callback. (A planner whose executor has but one thread
    serves nothing else meanwhile; there the ``..._async`` methods, which never wait, are better.)
    Any number of clients may exist, in one process or in many; the node queues their goals.

    Use it in a ``with`` block, or call :meth:`close` in the end.

    Args:
        node: name of the semabs node, with its namespace where it has one: ``/arm/semabs``.
        context: the ROS context; None for the default one, or, where ``rclpy.init`` was not called,
            one of the client's own.
    """

    def __init__(self, node: str = "semabs", context: rclpy.Context | None = None) -> None:
        self.node_name = node if node.startswith("/") else f"/{node}"
        self._own_context = context is None and not rclpy.ok()
        self._context = context or (
            rclpy.Context() if self._own_context else rclpy.get_default_context()
        )
        if self._own_context:
            rclpy.init(context=self._context, args=[])
        self._node = Node(
            f"semabs_client_{os.getpid()}_{next(_NUMBERS)}",
            context=self._context,
            use_global_arguments=False,  # a program's __node:= is the name of its own node
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._actions = {
            action: ActionClient(self._node, action, f"{self.node_name}/{name}")
            for name, action in (("localize", Localize), ("complete", Complete))
        }
        self._set_classes = self._node.create_client(SetClasses, f"{self.node_name}/set_classes")
        self._calls: list[Call] = []
        self._lock, self._closed = threading.Lock(), False
        self._node.create_timer(LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._work, name="semabs_client", daemon=True)
        self._thread.start()

    def localize(
        self,
        sentence: str = "",
        *,
        target: str = "",
        relation: str = "",
        reference: str = "",
        timeout_s: float = 60.0,
        on_feedback: OnFeedback | None = None,
    ) -> Localization:
        """Find what a sentence describes, in view or hidden.

        What the picture does not support comes with ``found`` False and the best guess filled in.

        Args:
            sentence: such as ``"the mug behind the table lamp"``.
            target: what to find, with relation and reference, instead of a sentence.
            relation: such as ``behind``.
            reference: what it is found by.
            timeout_s: how long to wait for node, frame and answer together; the node's own word of
                why there is none may come up to 2 s later.
            on_feedback: told how far it is.

        Raises:
            NoNodeError: if no node of the name is there within the timeout.
            SemabsError: if there is no answer; ``code`` and the message say why.
        """
        return self.localize_async(
            sentence, target=target, relation=relation, reference=reference, timeout_s=timeout_s,
            on_feedback=on_feedback,
        ).result()  # fmt: skip

    def localize_async(
        self,
        sentence: str = "",
        *,
        target: str = "",
        relation: str = "",
        reference: str = "",
        timeout_s: float = 60.0,
        on_feedback: OnFeedback | None = None,
    ) -> PendingAnswer[Localization]:
        """As :meth:`localize`, without waiting; it raises nothing but for a wrong timeout."""
        goal = Localize.Goal(
            sentence=sentence, target=target, relation=relation, reference=reference
        )
        return self._ask("localize", goal, read_localization, timeout_s, on_feedback)

    def complete(
        self,
        classes: Sequence[str] = (),
        *,
        timeout_s: float = 60.0,
        on_feedback: OnFeedback | None = None,
    ) -> Completion:
        """Label every voxel of the region with one of the classes, hidden parts included.

        Args:
            classes: names; none: the node's current ones.
            timeout_s: as in :meth:`localize`.
            on_feedback: told how far it is.

        Raises:
            NoNodeError: if no node of the name is there within the timeout.
            SemabsError: if there is no answer; ``code`` and the message say why.
        """
        return self.complete_async(classes, timeout_s=timeout_s, on_feedback=on_feedback).result()

    def complete_async(
        self,
        classes: Sequence[str] = (),
        *,
        timeout_s: float = 60.0,
        on_feedback: OnFeedback | None = None,
    ) -> PendingAnswer[Completion]:
        """As :meth:`complete`, without waiting."""
        goal = Complete.Goal(classes=names(classes))
        return self._ask("complete", goal, read_completion, timeout_s, on_feedback)

    def set_classes(self, classes: Sequence[str], *, timeout_s: float = 10.0) -> None:
        """Set the classes of the continuous completion.

        Raises:
            NoNodeError: if no node of the name is there within the timeout.
            SemabsError: if the node refuses them; the message says why.
        """
        self.set_classes_async(classes, timeout_s=timeout_s).result()

    def set_classes_async(
        self, classes: Sequence[str], *, timeout_s: float = 10.0
    ) -> PendingAnswer[None]:
        """As :meth:`set_classes`, without waiting."""
        request = SetClasses.Request(classes=names(classes))
        return self._start(
            ServiceCall(self._set_classes, request, **self._common("set_classes", timeout_s))
        )

    def close(self) -> None:
        """Cancel what is open and let go of node and thread; later calls do nothing."""
        with self._lock:
            already, self._closed = self._closed, True
            calls = list(self._calls)
        if already:
            return
        for call in calls:
            call.cancel()
        for call in calls:
            with contextlib.suppress(Exception):
                call.future.result(GRACE_S)
        self._executor.shutdown(timeout_sec=GRACE_S)
        self._thread.join(timeout=GRACE_S)
        self._node.destroy_node()
        if self._own_context:
            rclpy.shutdown(context=self._context)

    def __enter__(self) -> SemabsClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self, what: str, goal: Any, read: Callable, timeout_s: float, on_feedback: OnFeedback | None
    ) -> PendingAnswer:
        client = self._actions[Localize if what == "localize" else Complete]
        return self._start(
            ActionCall(client, goal, read, on_feedback, **self._common(what, timeout_s))
        )

    def _common(self, what: str, timeout_s: float) -> dict[str, Any]:
        if not (math.isfinite(timeout_s) and timeout_s > 0):
            raise ValueError(f"timeout_s must be a number of seconds above 0, got {timeout_s!r}")
        return dict(
            what=what,
            timeout_s=float(timeout_s),
            schedule=self._executor.create_task,
            check_waiting=self._check_waiting,
            absent=self._absent,
        )

    def _start(self, call: Call) -> PendingAnswer:
        with self._lock:
            if self._closed:
                raise SemabsError("CLOSED", f"{call.what}: the client was closed")
            self._calls.append(call)
        call.future.add_done_callback(lambda _: self._forget(call))
        self._executor.create_task(call.advance)
        return PendingAnswer(call)

    def _forget(self, call: Call) -> None:
        with self._lock:
            self._calls = [other for other in self._calls if other is not call]

    def _look(self) -> None:
        for call in list(self._calls):
            call.advance()

    def _work(self) -> None:
        """Spin until the client is closed or ROS is shut down; then nothing is left waiting."""
        spin(self._executor, self._node.get_logger().error)
        with self._lock:
            self._closed, calls = True, list(self._calls)
        for call in calls:
            call.fail(SemabsError("CLOSED", f"{call.what}: the client or ROS was shut down"))

    def _check_waiting(self) -> None:
        if threading.current_thread() is self._thread:
            raise SemabsError(
                "INVALID_GOAL",
                "a callback of a SemabsClient must not wait for that client: use the _async method",
            )

    def _absent(self, waited_s: float) -> str:
        servers = get_action_names_and_types(self._node)
        others = sorted(
            name.removesuffix("/localize")
            for name, kinds in servers
            if "semabs/action/Localize" in kinds and name != f"{self.node_name}/localize"
        )
        hint = f"; there is {', '.join(others)}: SemabsClient(node={others[0]!r})" if others else ""
        domain = self._context.get_domain_id()
        return (
            f"no semabs node {self.node_name} within {waited_s:g} s: start it (`ros2 launch semabs "
            f"semabs.launch.py`) in ROS_DOMAIN_ID {domain}, or give its name and namespace{hint}"
        )


def names(classes: Sequence[str]) -> list[str]:
    """Class names as a list.

    Raises:
        ValueError: if it is one text, whose letters would be taken for names.
    """
    if isinstance(classes, str):
        raise ValueError(f"classes must be a list of names, got the text {classes!r}")
    return list(classes)
