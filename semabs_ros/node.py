"""The lifecycle node: topics, actions, services and diagnostics around the worker. Wiring only."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PoseStamped, Vector3
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from semabs.action import Complete, Localize
from semabs.msg import Labels, SemanticVoxels
from semabs.srv import SetClasses
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from semabs_core.description import (
    Description,
    DescriptionError,
    RelationError,
    make_description,
    parse_description,
)
from semabs_core.pipeline import SceneUnderstanding, check_classes
from semabs_core.types import Completion, Localization
from semabs_core.visualize.figures import relevancy_mosaic
from semabs_ros import results
from semabs_ros.convert import rgb_to_image
from semabs_ros.diagnostics import diagnose, faster
from semabs_ros.frames import FrameSource, Source
from semabs_ros.goals import CODES, Goal, GoalQueue
from semabs_ros.parameters import Parameters, program_options
from semabs_ros.programs import start
from semabs_ros.spinning import spin
from semabs_ros.worker import Worker

SLOW_FRAME_S = 5.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SemabsNode(LifecycleNode):
    """RGB-D, camera_info, TF and words in; completed, labelled 3D and localizations out."""

    def __init__(self, **options: Any) -> None:
        super().__init__("semabs", **options)
        self.parameters = Parameters(self)
        self._scene: SceneUnderstanding | None = None
        self._worker: Worker | None = None
        self._goals = GoalQueue()
        self._frames = FrameSource(self, lambda: self.parameters.node_config, self._wake)
        self._configure_fault = ""
        self._slow_warned = -np.inf
        self._refused = 0
        self._last_problem = ""
        self._action_group = ReentrantCallbackGroup()
        self._timer_group = MutuallyExclusiveCallbackGroup()
        self._make_publishers()
        self._servers = [
            self._action_server(Localize, "~/localize", self._localize_goal),
            self._action_server(Complete, "~/complete", self._complete_goal),
        ]
        self.create_service(SetClasses, "~/set_classes", self._set_classes)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self.create_timer(1.0, self._tick, callback_group=self._timer_group)
        self._autostart_timer = None
        if self.parameters.node_config.autostart:
            self._autostart_timer = self.create_timer(0.0, self._autostart)

    def _make_publishers(self) -> None:
        self._topics: dict[str, Any] = {
            "markers": self.create_publisher(MarkerArray, "~/completion/markers", 1),
            "points": self.create_publisher(PointCloud2, "~/completion/points", 1),
            "voxels": self.create_publisher(SemanticVoxels, "~/completion/voxels", 1),
            "relevancy": self.create_publisher(Image, "~/relevancy/image", 1),
            "found_markers": self.create_publisher(MarkerArray, "~/localization/markers", LATCHED),
            "found_points": self.create_publisher(PointCloud2, "~/localization/points", LATCHED),
            "labels": self.create_publisher(Labels, "~/labels", LATCHED),
        }
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

    # --- lifecycle --------------------------------------------------------------------------------

    def _autostart(self) -> None:
        assert self._autostart_timer is not None
        self._autostart_timer.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Load the models; what goes wrong is logged and published, and the process lives."""
        self._configure_fault = self.parameters.fault
        if not self._configure_fault:
            try:
                self._load()
            except Exception as error:
                self._configure_fault = f"{type(error).__name__}: {error}"
        self._publish_diagnostics()
        if self._configure_fault:
            self.get_logger().error(f"cannot configure: {self._configure_fault}")
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _load(self) -> None:
        check_classes(self.parameters.node_config.classes)
        start = time.monotonic()
        scene = SceneUnderstanding.from_config(self.parameters.core_config)
        self._scene = scene
        log = self.get_logger()
        log.info(
            f"loaded {scene.encoder.name} on {scene.encoder.device} in "
            f"{str(scene.encoder.dtype).removeprefix('torch.')} ({time.monotonic() - start:.1f} s)"
        )
        if scene.untrained:
            log.warning(
                f"the {' and '.join(scene.untrained)} networks are UNTRAINED (seeded random "
                "weights): the flow is real, the answers mean nothing. Set completion.checkpoint "
                "and localization.checkpoint"
            )
        if scene.foreign:
            log.warning(f"encoder.model is not that of {', '.join(scene.foreign)}")

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Subscribe to the camera and start the worker."""
        try:
            self._start_work()
        except Exception as error:
            self._stop_work()
            self._configure_fault = f"{type(error).__name__}: {error}"
            self.get_logger().error(f"cannot activate: {self._configure_fault}")
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def _start_work(self) -> None:
        scene = self._scene
        assert scene is not None
        scene.forget_frame()
        scene.reconfigure(self.parameters.core_config)
        worker = Worker(
            scene,
            self._frames,
            self._goals,
            self,
            lambda: self.parameters.node_config,
            self.get_logger(),
        )
        self._frames.start()
        self._publish_labels()
        self._worker = worker
        worker.start()

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """End all goals, stop the worker and release the subscriptions."""
        result = super().on_deactivate(state)
        self._stop_work()
        return result

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Let the models go."""
        self._scene = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """End whatever is running."""
        self._stop_work()
        return self.on_cleanup(state)

    def _stop_work(self) -> None:
        self._goals.end_all("NOT_ACTIVE", "the node was deactivated")
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
        self._frames.stop()
        self._goals.end_all("NOT_ACTIVE", "the node was deactivated")

    def _wake(self) -> None:
        worker = self._worker
        if worker is not None:
            worker.wake()

    # --- parameters and classes -------------------------------------------------------------------

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        reason = self.parameters.check(changes, configured=self._scene is not None)
        if not reason:
            for change in changes:
                if change.name == "classes":
                    reason = self._fault_of(check_classes, list(change.value))
        return SetParametersResult(successful=not reason, reason=reason)

    @staticmethod
    def _fault_of(check: Callable[[Any], Any], value: Any) -> str:
        try:
            check(value)
        except ValueError as error:
            return str(error)
        return ""

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        self.parameters.apply()
        if any(change.name == "classes" for change in changes):
            self._publish_labels()
        worker = self._worker
        if worker is not None:
            worker.reconfigure(self.parameters.core_config)

    def _set_classes(
        self, request: SetClasses.Request, response: SetClasses.Response
    ) -> SetClasses.Response:
        value = Parameter("classes", Parameter.Type.STRING_ARRAY, list(request.classes))
        result = self.set_parameters([value])[0]
        response.success = result.successful
        response.message = result.reason or ", ".join(self.parameters.node_config.classes)
        return response

    # --- actions ----------------------------------------------------------------------------------

    def _action_server(self, action: type, name: str, parse: Callable) -> ActionServer:
        def accepted(handle: ServerGoalHandle) -> None:
            self._accept(action, handle, parse)

        return ActionServer(
            self,
            action,
            name,
            execute_callback=lambda handle: self._await_outcome(action, handle),
            goal_callback=self._admit,
            handle_accepted_callback=accepted,
            cancel_callback=self._cancel,
            callback_group=self._action_group,
        )

    def _admit(self, _request: Any) -> GoalResponse:
        """Only the policy `reject` refuses a goal; what is wrong with one is said in its result."""
        if self.parameters.node_config.goal_policy == "reject" and self._goals.busy:
            self._refused += 1
            self.get_logger().warning("goal refused: another one is running (goal_policy reject)")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _accept(self, action: type, handle: ServerGoalHandle, parse: Callable) -> None:
        request = handle.request
        config = self.parameters.node_config

        def feedback(stage: str, progress: float) -> None:
            message = action.Feedback(stage=stage, progress=float(progress))
            handle.publish_feedback(message)

        goal = Goal(
            kind=action.__name__.lower(),
            request=None,
            timeout_s=float(request.timeout_s) or config.goal_timeout_s,
            execute=handle.execute,
            cancel_requested=lambda: handle.is_cancel_requested,
            on_feedback=feedback,
            key=bytes(handle.goal_id.uuid),
        )
        handle.semabs_goal = goal
        try:
            if not np.isfinite(request.timeout_s) or request.timeout_s < 0:
                raise DescriptionError(f"timeout_s must not be negative, got {request.timeout_s:g}")
            goal.request = parse(request)
        except RelationError as error:
            goal.end("UNKNOWN_RELATION", str(error))
        except ValueError as error:
            goal.end("INVALID_GOAL", str(error))
        else:
            self._enqueue(goal, config.goal_policy, config.max_queued_goals)

    def _enqueue(self, goal: Goal, policy: str, limit: int) -> None:
        if self._worker is None:
            state = self._state_machine.current_state[1]
            goal.end("NOT_ACTIVE", f"the node is {state}: configure and activate it")
            return
        goal.on_feedback("queued", 0.0)
        self._goals.submit(goal, policy, limit)
        if goal.cancel_requested():
            self._goals.cancel(goal.key)  # the request came before the goal was in the queue
        self._wake()

    def _await_outcome(self, action: type, handle: ServerGoalHandle) -> Any:
        """Runs in an executor's thread while the worker works; sends the result."""
        goal: Goal = handle.semabs_goal
        goal.done.wait()
        result = action.Result(error_code=CODES[goal.code], message=goal.message)
        if goal.code == "NONE":
            self._fill(result, *goal.result)
            handle.succeed()
        elif goal.code == "CANCELED":
            # A queued goal ends inside the cancel callback, before rclpy has noted the
            # cancellation.
            deadline = time.monotonic() + 2
            while not handle.is_cancel_requested and time.monotonic() < deadline:
                time.sleep(0.002)
            handle.canceled() if handle.is_cancel_requested else handle.abort()
        else:
            handle.abort()
        if goal.code not in ("NONE", "CANCELED"):
            self.get_logger().warning(f"{goal.kind} goal ended with {goal.code}: {goal.message}")
        return result

    def _cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        threading.Thread(
            target=self._goals.cancel, args=(bytes(handle.goal_id.uuid),), daemon=True
        ).start()
        return CancelResponse.ACCEPT

    @staticmethod
    def _localize_goal(request: Localize.Goal) -> Description:
        parts = (request.target, request.relation, request.reference)
        if request.sentence.strip():
            if any(part.strip() for part in parts):
                raise DescriptionError("give either a sentence or target, relation and reference")
            return parse_description(request.sentence)
        return make_description(*parts)

    def _complete_goal(self, request: Complete.Goal) -> list[str]:
        return check_classes(list(request.classes) or self.parameters.node_config.classes)

    def _fill(self, result: Any, source: Source, answer: Completion | Localization) -> None:
        header = self._header(source)
        if isinstance(answer, Completion):
            result.voxels = results.completion_to_voxels(answer, header)
            result.voxels_per_class = list(answer.voxels_per_class().values())
            return
        x, y, z = map(float, answer.position_m)
        result.pose = PoseStamped(header=header)
        result.pose.pose.position = Point(x=x, y=y, z=z)
        result.pose.pose.orientation.w = 1.0
        result.extent = Vector3(**dict(zip("xyz", map(float, answer.extent_m), strict=True)))
        result.score = float(answer.score)
        result.region = results.localization_to_cloud(answer, header)

    # --- outputs (called by the worker) -----------------------------------------------------------

    def _listened(self, *names: str) -> bool:
        return any(self._topics[name].get_subscription_count() for name in names)

    def wants_completion(self) -> bool:
        """Whether anybody listens to the continuous completion."""
        return self._listened("markers", "points", "voxels")

    def wants_relevancy(self) -> bool:
        """Whether anybody listens to the relevancy image."""
        return self._listened("relevancy")

    @staticmethod
    def _header(source: Source) -> Header:
        return Header(stamp=source.header.stamp, frame_id=source.world_frame)

    def publish_completion(self, source: Source, completion: Completion) -> None:
        """A completion is done: publish what somebody listens to."""
        header = self._header(source)
        makers = {
            "markers": results.completion_to_markers,
            "points": results.completion_to_cloud,
            "voxels": results.completion_to_voxels,
        }
        for name, make in makers.items():
            if self._listened(name):
                self._topics[name].publish(make(completion, header))

    def publish_localization(
        self, source: Source, description: Description, localization: Localization
    ) -> None:
        """A localization is done: publish it for RViz."""
        header = self._header(source)
        text = f"{description.target} {description.relation} {description.reference}"
        core = self.parameters.core_config
        size = core.region.region_size_m / (core.localization.resolution - 1)
        markers = results.localization_to_markers(localization, text, size, header)
        self._topics["found_markers"].publish(markers)
        self._topics["found_points"].publish(results.localization_to_cloud(localization, header))

    def publish_relevancy(
        self, source: Source, maps: NDArray[np.float32], names: list[str]
    ) -> None:
        """The relevancy of the current classes is there: a mosaic."""
        mosaic = relevancy_mosaic(source.frame.rgb, maps, names)
        self._topics["relevancy"].publish(rgb_to_image(mosaic, source.header))

    def _publish_labels(self) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        classes = check_classes(self.parameters.node_config.classes)
        self._topics["labels"].publish(results.labels_message(classes, header))

    # --- health -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Once a second: follow the graph, end overdue goals, say what is wrong."""
        try:
            self._look_after()
        except Exception as error:
            self.get_logger().error(f"health check: {type(error).__name__}: {error}")

    def _look_after(self) -> None:
        worker = self._worker
        self._goals.expire()
        if worker is not None:
            self._frames.follow()
            self._frames.check_transform()
            self._warn(self._frames.problem())
            worker.wake()
            if worker.frame_seconds > SLOW_FRAME_S:
                self._warn_slow(worker.frame_seconds)
        self._publish_diagnostics()

    def _warn(self, problem: str) -> None:
        """Say a problem when it is new, and again every 10 s while it lasts."""
        kind = problem.split(":")[0][:25]
        if problem and (kind != self._last_problem or int(time.monotonic()) % 10 == 0):
            self.get_logger().warning(problem)
        self._last_problem = kind

    def _warn_slow(self, seconds: float) -> None:
        if time.monotonic() - self._slow_warned < 30:
            return
        self._slow_warned = time.monotonic()
        scene, parameters = self._scene, self.parameters
        if scene is not None:
            advice = faster(scene, parameters.core_config, parameters.node_config.classes)
            self.get_logger().warning(f"a frame takes {seconds:.1f} s; faster: {advice}")

    def _publish_diagnostics(self) -> None:
        array = diagnose(
            self._state_machine.current_state[1],
            self._configure_fault,
            self._scene,
            self._worker,
            self._frames,
            self._goals,
            self._refused,
        )
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main() -> None:
    """Run the node until it is shut down or interrupted."""
    purpose = "Labels and completes the scene before an RGB-D camera and finds things by words."
    node = start("semabs_node", purpose, program_options(), SemabsNode)
    executor = MultiThreadedExecutor(num_threads=max(4, min(8, os.cpu_count() or 4)))
    executor.add_node(node)
    try:
        spin(executor, node.get_logger().error)
    except KeyboardInterrupt:
        pass
    finally:
        try:
            node._stop_work()
            executor.shutdown(timeout_sec=2)
            node.destroy_node()
            rclpy.try_shutdown()
        except KeyboardInterrupt:
            # A second interrupt (a terminal sends it to the whole group, and launch once more).
            sys.exit(0)


if __name__ == "__main__":
    main()
