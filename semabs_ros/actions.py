"""The two actions: requests become goals of the queue, outcomes become results."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PoseStamped, Vector3
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from semabs.action import Complete, Localize

from semabs_core.description import (
    Description,
    DescriptionError,
    RelationError,
    check_classes,
    make_description,
    parse_description,
)
from semabs_core.text import shorten
from semabs_core.types import Completion, Localization
from semabs_ros import results
from semabs_ros.convert import xyz
from semabs_ros.frames import Source
from semabs_ros.goals import CODES, Goal, GoalQueue
from semabs_ros.node_config import NodeConfig

REQUESTS_AT_ONCE = 1000
"""Requests that an action's services hold while earlier ones are served; rclpy's default of 10
loses the others without a word."""
CANCEL_NOTED_S = 5.0
"""rclpy notes a cancellation right after its callback, unless the process is ending."""


@dataclass(frozen=True)
class Asking:
    """What a request is read by.

    Attributes:
        config: the node's.
        relations: those that the network knows, or will once it is loaded.
    """

    config: NodeConfig
    relations: Sequence[str]


def localize_request(request: Localize.Goal, asking: Asking) -> Description:
    """What a goal of the action Localize asks for.

    Raises:
        DescriptionError: if it cannot be understood (RelationError for the relation).
    """
    parts = (request.target, request.relation, request.reference)
    if request.sentence.strip():
        if any(part.strip() for part in parts):
            raise DescriptionError("give either a sentence or target, relation and reference")
        return parse_description(request.sentence, asking.relations)
    return make_description(*parts, asking.relations)


def complete_request(request: Complete.Goal, asking: Asking) -> list[str]:
    """The classes that a goal of the action Complete asks for.

    Raises:
        ValueError: if there is an empty, a repeated or too long a one, or too many.
    """
    return check_classes(list(request.classes) or asking.config.classes)


def fill_localization(result: Localize.Result, source: Source, answer: Localization) -> None:
    """Write a localization into the action's result."""
    header = results.world_header(source)
    result.pose = PoseStamped(header=header)
    result.pose.pose.position = Point(**xyz(answer.position_m))
    result.pose.pose.orientation.w = 1.0
    result.extent = Vector3(**xyz(answer.extent_m))
    result.score = float(answer.score)
    result.probability = float(answer.probability)
    result.region = results.localization_to_cloud(answer, header)


def fill_completion(result: Complete.Result, source: Source, answer: Completion) -> None:
    """Write a completion into the action's result."""
    result.voxels = results.completion_to_voxels(answer, results.world_header(source))
    result.voxels_per_class = list(answer.voxels_per_class().values())


@dataclass(frozen=True)
class ActionKind:
    """One action: its type and name, how its goals are read, and how its results are written."""

    action: type
    name: str
    parse: Callable[[Any, Asking], Any]
    fill: Callable[[Any, Source, Any], None]


ACTIONS = (
    ActionKind(Localize, "localize", localize_request, fill_localization),
    ActionKind(Complete, "complete", complete_request, fill_completion),
)


class Actions:
    """The action servers of a node.

    A goal is accepted and, where something is wrong with it, aborted with an error code and a
    reason, since a refusal cannot carry one; only the policy ``reject`` refuses.

    Args:
        node: owns the servers.
        goals: where goals wait for the worker.
        config: returns the current node config.
        relations: returns the relations that the network knows.
        on_goal: called when a goal was queued.
    """

    def __init__(
        self,
        node: Node,
        goals: GoalQueue,
        config: Callable[[], NodeConfig],
        relations: Callable[[], Sequence[str]],
        on_goal: Callable[[], None],
    ) -> None:
        self._node, self._goals, self._config, self._on_goal = node, goals, config, on_goal
        self._relations = relations
        self._group = ReentrantCallbackGroup()
        self._accepted: dict[bytes, Goal] = {}
        self._servers = [self._server(kind) for kind in ACTIONS]

    def _server(self, kind: ActionKind) -> ActionServer:
        services = QoSProfile(depth=REQUESTS_AT_ONCE)
        return ActionServer(
            self._node,
            kind.action,
            f"~/{kind.name}",
            execute_callback=functools.partial(self._await_outcome, kind),
            goal_callback=self._admit,
            handle_accepted_callback=functools.partial(self._accept, kind),
            cancel_callback=self._cancel,
            callback_group=self._group,
            goal_service_qos_profile=services,
            result_service_qos_profile=services,
            cancel_service_qos_profile=services,
            feedback_pub_qos_profile=QoSProfile(depth=100),
            result_timeout=int(self._config().result_timeout_s),
        )

    def destroy(self) -> None:
        """Let go of the servers."""
        for server in self._servers:
            server.destroy()
        self._servers.clear()

    def _admit(self, _request: Any) -> GoalResponse:
        if self._config().goal_policy != "reject" or self._goals.reserve():
            return GoalResponse.ACCEPT
        self._node.get_logger().warning("goal refused: another one is running (goal_policy reject)")
        return GoalResponse.REJECT

    def _accept(self, kind: ActionKind, handle: ServerGoalHandle) -> None:
        config = self._config()
        key = bytes(handle.goal_id.uuid)
        goal = Goal(
            kind=kind.name,
            request=None,
            timeout_s=float(handle.request.timeout_s) or config.goal_timeout_s,
            on_begin=functools.partial(self._execute, handle),
            cancel_requested=lambda: handle.is_cancel_requested,
            on_feedback=lambda stage, progress: handle.publish_feedback(
                kind.action.Feedback(stage=stage, progress=float(progress))
            ),
            key=key,
        )
        self._accepted[key] = goal
        try:
            goal.request = self._parse(kind, handle.request, Asking(config, self._relations()))
            goal.on_feedback("queued", 0.0)
            self._goals.submit(goal, config.goal_policy, config.max_queued_goals)
        except RelationError as error:
            goal.end("UNKNOWN_RELATION", str(error))
        except ValueError as error:
            goal.end("INVALID_GOAL", str(error))
        except Exception as error:
            goal.end("INTERNAL_ERROR", shorten(f"{type(error).__name__}: {error}"))
        finally:
            self._goals.arrived()
        if goal.cancel_requested():
            self._goals.cancel(key)  # the request came before the goal was in the queue
        self._on_goal()

    @staticmethod
    def _parse(kind: ActionKind, request: Any, asking: Asking) -> Any:
        if not np.isfinite(request.timeout_s) or request.timeout_s < 0:
            raise DescriptionError(
                f"timeout_s must be a number of seconds, 0 or more, got {request.timeout_s:g}"
            )
        return kind.parse(request, asking)

    def _execute(self, handle: ServerGoalHandle) -> None:
        """Make the server call ``_await_outcome`` in an executor's thread."""
        try:
            handle.execute()
        except Exception:
            # A cancellation came between rclpy's look at the state and its change of it.
            try:
                handle.execute()
            except Exception as error:  # as when rclpy was shut down
                self._node.get_logger().debug(f"a goal cannot be executed: {error}")

    def _await_outcome(self, kind: ActionKind, handle: ServerGoalHandle) -> Any:
        """Wait for the worker and send the result.

        It occupies a thread of the executor, but only for the goal that the worker has begun or for
        one that is over: goals that wait occupy none.
        """
        goal = self._accepted[bytes(handle.goal_id.uuid)]
        goal.done.wait()
        del self._accepted[goal.key]
        result = kind.action.Result(error_code=CODES[goal.code], message=goal.message)
        if goal.result is not None:
            kind.fill(result, *goal.result)
        if goal.code == "NONE":
            handle.succeed()
        elif goal.code == "CANCELED" and handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        if goal.code not in ("NONE", "CANCELED"):
            self._node.get_logger().warning(f"{kind.name} goal: {goal.code}: {goal.message}")
        return result

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        executor = self._node.executor
        if executor is None:
            return CancelResponse.REJECT
        executor.create_task(self._end_cancelled, handle)
        return CancelResponse.ACCEPT

    def _end_cancelled(self, handle: ServerGoalHandle) -> None:
        """End a cancelled goal once rclpy has noted the cancellation, which makes it CANCELED."""
        deadline = time.monotonic() + CANCEL_NOTED_S
        while handle.is_active and not handle.is_cancel_requested and time.monotonic() < deadline:
            time.sleep(0.001)
        self._goals.cancel(bytes(handle.goal_id.uuid))
