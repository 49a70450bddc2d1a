"""The lifecycle node: lifecycle, parameters and health around the worker. Wiring only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNodeMixin, State, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from semabs.srv import SetClasses
from std_msgs.msg import Header

from semabs_core.description import check_classes
from semabs_core.models import known_relations
from semabs_core.network_config import RELATIONS
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.portions import free_memory
from semabs_core.text import shorten
from semabs_core.vocabulary import never_shown
from semabs_ros.actions import Actions
from semabs_ros.diagnostics import Health, diagnose, doubts, report_models, slowness
from semabs_ros.frames import FrameSource
from semabs_ros.goals import GoalQueue
from semabs_ros.outputs import Outputs
from semabs_ros.parameters import Parameters, program_options
from semabs_ros.programs import start
from semabs_ros.reports import Reporter
from semabs_ros.services import guard_services
from semabs_ros.spinning import spin
from semabs_ros.worker import Worker

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SemabsNode(LifecycleNodeMixin, Node):
    """RGB-D, camera_info, TF and words in; completed, labelled 3D and localizations out."""

    def __init__(self, **options: Any) -> None:
        Node.__init__(self, "semabs", **options)
        # Reentrant: the state can be asked for while a transition loads the models.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self.parameters = Parameters(self)
        self.state, self._fault = "unconfigured", ""
        self._starting = self.parameters.node_config.autostart
        self._scene: SceneUnderstanding | None = None
        self._worker: Worker | None = None
        self._goals = GoalQueue()
        self._frames = FrameSource(
            self,
            self._config,
            self._wake,
            floor_z_m=lambda: self.parameters.core_config.region.floor_z_m,
        )
        self._outputs = Outputs(self)
        self._actions = Actions(self, self._goals, self._config, self._known_relations, self._wake)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._warnings = Reporter(lambda text: self.get_logger().warning(text))
        self._warnings.report(self.parameters.unknown)
        self.create_service(SetClasses, "~/set_classes", self._set_classes)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        guard_services(self)
        self._close_goals()
        # A steady clock: with use_sim_time the node's own stands still until /clock arrives.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        group = MutuallyExclusiveCallbackGroup()
        self.create_timer(1.0, self._tick, callback_group=group, clock=steady)
        self._autostart_timer = None
        if self._starting:
            self._goals.open("the models are still loading")
            group = MutuallyExclusiveCallbackGroup()
            self._autostart_timer = self.create_timer(
                0.0, self._autostart, callback_group=group, clock=steady
            )

    def _config(self) -> Any:
        return self.parameters.node_config

    def _known_relations(self) -> tuple[str, ...]:
        scene = self._scene  # another thread may let it go
        try:
            return scene.relations if scene else known_relations(self.parameters.core_config)
        except ValueError:
            return RELATIONS  # what is wrong with the checkpoint is said when it is loaded

    # --- lifecycle --------------------------------------------------------------------------------

    def _autostart(self) -> None:
        assert self._autostart_timer is not None
        self._autostart_timer.cancel()
        try:
            if self.trigger_configure() == SUCCESS and self._starting:
                self.trigger_activate()
        finally:
            self._starting = False
            if self.state != "active":
                self._close_goals()

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Load the models; what goes wrong is logged and published, and the process lives."""
        self.state, self._fault = "configuring", self.parameters.fault
        if not self._fault:
            self._fault = self._fault_of(self._load)
        return self._reached("inactive", "unconfigured", "configure")

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Subscribe to the camera and start the worker."""
        self.state, self._fault = "activating", self._fault_of(self._start_work)
        if self._fault:
            self._stop_work()
        return self._reached("active", "inactive", "activate")

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """End all goals, stop the worker and release the subscriptions."""
        self.state, self._fault = "deactivating", ""
        self._stop_work()
        return self._reached("inactive", "inactive", "deactivate")

    def on_cleanup(self, state: State) -> TransitionCallbackReturn:
        """Let the models go."""
        self._scene, self._fault = None, ""
        free_memory()
        return self._reached("unconfigured", "unconfigured", "clean up")

    def on_shutdown(self, state: State) -> TransitionCallbackReturn:
        """End whatever is running."""
        self._stop_work()
        self._scene, self._fault = None, ""
        return self._reached("finalized", "finalized", "shut down")

    def on_error(self, state: State) -> TransitionCallbackReturn:
        """After an exception in a transition: let everything go and be unconfigured again."""
        self._stop_work()
        self._scene, self._fault = None, ""
        return self._reached("unconfigured", "unconfigured", "recover")

    def _reached(self, state: str, otherwise: str, attempt: str) -> TransitionCallbackReturn:
        """The end of a transition: in ``state``, or where there is a fault in ``otherwise``."""
        self.state = otherwise if self._fault else state
        if self.state != "active" and not self._starting:
            self._close_goals()
        self._publish_diagnostics()
        if self._fault:
            self.get_logger().error(f"cannot {attempt}: {self._fault}")
        return FAILURE if self._fault else SUCCESS

    @staticmethod
    def _fault_of(step: Callable[[], None]) -> str:
        try:
            step()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _close_goals(self) -> None:
        """From now on goals end at once, with the reason."""
        remedies = {"inactive": "activate it", "finalized": "start it again"}
        remedy = remedies.get(self.state, "configure and activate it")
        self._goals.close("NOT_ACTIVE", f"the node is {self.state}: {self._fault or remedy}")

    def _load(self) -> None:
        check_classes(self._config().classes)
        start = time.monotonic()
        scene = SceneUnderstanding.from_config(self.parameters.core_config)
        self._scene = scene
        report_models(scene, time.monotonic() - start, self.get_logger())

    def _start_work(self) -> None:
        scene = self._scene
        assert scene is not None
        scene.forget_frame()
        scene.reconfigure(self.parameters.core_config)
        worker = Worker(
            scene, self._frames, self._goals, self._outputs, self._config, self.get_logger()
        )
        self._frames.start()
        self._publish_labels()
        self._worker = worker
        self._goals.open("a frame is being completed")
        worker.start()

    def _stop_work(self) -> None:
        self._goals.close("NOT_ACTIVE", "the node was deactivated")
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
        self._frames.stop()

    def close(self) -> None:
        """End whatever runs; nothing starts by itself any more."""
        self._starting = False
        self._stop_work()

    def destroy_node(self) -> None:
        """Let go of everything; rclpy itself keeps action servers, and with them the node."""
        self.close()
        self._actions.destroy()
        super().destroy_node()

    def _wake(self) -> None:
        worker = self._worker
        if worker is not None:
            worker.wake()

    # --- parameters and classes -------------------------------------------------------------------

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            loaded = self._scene is not None or self.state == "configuring"
            reason = self.parameters.check(changes, configured=loaded)
        except Exception as error:
            reason = shorten(f"{type(error).__name__}: {error}")
        return SetParametersResult(successful=not reason, reason=reason)

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        self.parameters.apply(changes)
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
        classes, scene = self._config().classes, self._scene
        unknown = never_shown(scene.unknown_words(classes)) if scene else ""
        notes = [", ".join(classes), unknown]
        response.message = result.reason or "; ".join(filter(None, notes))
        return response

    def _publish_labels(self) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        self._outputs.labels(check_classes(self._config().classes), header)

    # --- health -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Once a second: follow the graph, end overdue goals, say what is wrong."""
        for step in (self._look_after, self._publish_diagnostics):
            fault = self._fault_of(step)
            self._warnings.report(fault and f"health check: {fault}")

    def _look_after(self) -> None:
        worker = self._worker
        self._goals.expire()
        if worker is not None:
            self._frames.follow()
            self._frames.check_transform()
            for problem in (self._frames.problem(), self._frames.warning):
                self._warnings.report(problem, problem.kind)
            worker.wake()
            self._warnings.report(slowness(worker, self._scene, self.parameters))
        for warning in self._doubts():
            self._warnings.report(warning)

    def _doubts(self) -> list[str]:
        return doubts(self, self._scene, self._worker, self._config().classes)

    def _publish_diagnostics(self) -> None:
        health = Health(
            self.get_fully_qualified_name(), self.state, self._fault, self._scene, self._worker,
            self._frames, self._goals, self._doubts(),
        )  # fmt: skip
        array = diagnose(health)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main() -> None:
    """Run the node until it is shut down or interrupted."""
    purpose = "Labels and completes the scene before an RGB-D camera and finds things by words."
    node = start("semabs_node", purpose, program_options(), SemabsNode)
    executor = MultiThreadedExecutor(num_threads=max(4, min(8, os.cpu_count() or 4)))
    executor.add_node(node)
    try:
        spin(executor, lambda text: node.get_logger().error(text))
    except KeyboardInterrupt:
        pass
    finally:
        try:
            node.close()
            if node.state == "configuring":
                # Loading cannot be interrupted, and Python would wait for its thread.
                rclpy.try_shutdown()
                os._exit(0)
            executor.shutdown(timeout_sec=2)
            node.destroy_node()
            rclpy.try_shutdown()
        except KeyboardInterrupt:
            # A second interrupt (a terminal sends it to the whole group, and launch once more).
            sys.exit(0)


if __name__ == "__main__":
    main()
