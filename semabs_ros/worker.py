"""The one thread that owns the models: goals first, then the newest frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from semabs_core.config import SemabsConfig
from semabs_core.description import Description, DescriptionError, RelationError
from semabs_core.pipeline import SceneUnderstanding, check_classes
from semabs_core.types import Completion, FrameError, Localization
from semabs_ros.frames import FrameSource, Source
from semabs_ros.goals import Goal, GoalEndedError, GoalQueue
from semabs_ros.node_config import NodeConfig

POLL_S = 0.01
"""How often a waiting transform is looked for."""


class Outputs(Protocol):
    """What the worker hands results to; called in its thread."""

    def wants_completion(self) -> bool:
        """Whether anybody listens to the continuous completion."""

    def wants_relevancy(self) -> bool:
        """Whether anybody listens to the relevancy image."""

    def publish_completion(self, source: Source, completion: Completion) -> None:
        """A completion is done."""

    def publish_localization(
        self, source: Source, description: Description, localization: Localization
    ) -> None:
        """A localization is done."""

    def publish_relevancy(
        self, source: Source, maps: NDArray[np.float32], names: list[str]
    ) -> None:
        """The relevancy of the current classes is there."""


class StreamInterruptedError(Exception):
    """The continuous completion gives way to a goal or to deactivation."""


class Worker:
    """Runs goals and the continuous completion in one thread.

    Args:
        scene: the loaded models.
        frames: where frames come from.
        goals: where goals come from.
        outputs: where results go.
        config: returns the current node config.
        logger: an rclpy logger.
    """

    def __init__(
        self,
        scene: SceneUnderstanding,
        frames: FrameSource,
        goals: GoalQueue,
        outputs: Outputs,
        config: Callable[[], NodeConfig],
        logger,
    ) -> None:
        self._scene, self._frames, self._goals = scene, frames, goals
        self._outputs, self._config, self._logger = outputs, config, logger
        self._wake = threading.Condition()
        self._stopping = False
        self._new_core_config: SemabsConfig | None = None
        self._source: Source | None = None
        self._streamed: Source | None = None
        self._stream_started = -np.inf
        self.frame_seconds = 0.0
        """How long the last frame of the continuous completion took."""
        self.completed = 0
        self.fault = ""
        """Why the continuous completion failed last; empty when it works."""
        self._thread = threading.Thread(target=self._run, name="semabs-worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread at its next batch and wait for it."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """Something may have changed: a frame, a goal, a subscriber."""
        with self._wake:
            self._wake.notify_all()

    def reconfigure(self, config: SemabsConfig) -> None:
        """Take over live options before the next piece of work."""
        self._new_core_config = config
        self.wake()

    # --- the loop ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._apply_config()
                goal = self._goals.next()
                if goal is not None:
                    self._run_goal(goal)
                elif not self._stream():
                    self._idle()
            except Exception as error:
                self.fault = f"{type(error).__name__}: {error}"
                self._logger.error(f"the worker goes on after a fault: {self.fault}")
                time.sleep(0.1)

    def _idle(self) -> None:
        """Sleep until something happens; shortly where a frame waits for its transform."""
        wanted = self._outputs.wants_completion() or self._outputs.wants_relevancy()
        with self._wake:
            if not self._stopping and not self._goals.busy:
                self._wake.wait(POLL_S if wanted and self._frames.waiting else 0.2)

    def _apply_config(self) -> None:
        config, self._new_core_config = self._new_core_config, None
        if config is None:
            return
        try:
            self._scene.reconfigure(config)
        except FrameError:
            self._source = None

    def _take_frame(self) -> None:
        """Move on to the newest frame, if there is a newer one.

        Raises:
            FrameError: if the pipeline cannot use it; then there is no current frame.
        """
        source = self._frames.take()
        if source is None:
            return
        self._source = None
        self._scene.set_frame(source.frame)
        self._source = source

    # --- goals ------------------------------------------------------------------------------------

    def _run_goal(self, goal: Goal) -> None:
        try:
            goal.begin()
            self._await_frame(goal)
            source = self._source
            assert source is not None
            if goal.kind == "localize":
                wanted = goal.request
                result = self._scene.localize(
                    wanted.target, wanted.relation, wanted.reference, self._hook(goal)
                )
                self._outputs.publish_localization(source, wanted, result)
                message = f"found, region of {len(result.points_m)} points"
            else:
                result = self._scene.complete(goal.request, self._hook(goal))
                self._outputs.publish_completion(source, result)
                message = f"{sum(result.voxels_per_class().values())} voxels"
            stages = ", ".join(f"{k} {v:.2f} s" for k, v in result.timings_s.items())
            outcome = ("NONE", f"{message} ({stages})", (source, result))
        except GoalEndedError as ended:
            outcome = (ended.code, str(ended), None)
        except RelationError as error:
            outcome = ("UNKNOWN_RELATION", str(error), None)
        except FrameError as error:
            outcome = ("BAD_FRAME", str(error), None)
        except DescriptionError as error:
            outcome = ("INVALID_GOAL", str(error), None)
        except Exception as error:
            outcome = ("INTERNAL_ERROR", f"{type(error).__name__}: {error}", None)
            self._logger.error(f"a goal failed: {outcome[1]}")
        self._goals.finish(goal)
        goal.end(*outcome)

    def _hook(self, goal: Goal) -> Callable[[str, float], None]:
        """What the pipeline calls between batches."""

        def check(stage: str, fraction: float) -> None:
            if self._stopping:
                goal.stop("NOT_ACTIVE", "the node was deactivated")
            goal.check(stage, fraction)

        return check

    def _await_frame(self, goal: Goal) -> None:
        """Pin the newest frame; wait for one where there is none, or only one that is too old."""
        hook = self._hook(goal)
        last_report = -np.inf
        while True:
            self._take_frame()
            if self._fresh():
                return
            if goal.remaining_s <= 2 * POLL_S:
                raise GoalEndedError("NO_FRAME", self._no_frame())
            stage = ""
            if time.monotonic() - last_report > 0.5:
                stage, last_report = "frame", time.monotonic()
            hook(stage, 0.0)
            with self._wake:
                self._wake.wait(POLL_S)

    def _fresh(self) -> bool:
        limit = self._config().max_frame_age_s
        source = self._source
        return source is not None and (limit == 0 or time.monotonic() - source.arrived <= limit)

    def _no_frame(self) -> str:
        why = self._frames.problem() or self._frames.reason
        if self._source is not None:
            age = time.monotonic() - self._source.arrived
            why = why or f"the last frame came {age:.0f} s ago (max_frame_age_s)"
        return f"no RGB-D frame came in time: {why or 'none was received'}"

    # --- continuous completion --------------------------------------------------------------------

    def _stream(self) -> bool:
        """Complete the newest frame where somebody listens; whether there was something to do."""
        completion = self._outputs.wants_completion()
        relevancy = self._outputs.wants_relevancy()
        if not (completion or relevancy):
            return False
        rate = self._config().completion_rate_hz
        if rate and time.monotonic() - self._stream_started < 1 / rate:
            return False
        try:
            self._take_frame()
            if self._source is None or self._source is self._streamed:
                return False
            self._stream_started = time.monotonic()
            self._stream_frame(self._source, completion, relevancy)
            self.fault = ""
        except StreamInterruptedError:
            return True
        except (FrameError, ValueError) as error:
            self._streamed = self._source
            if str(error) != self.fault:
                self._logger.warning(f"frame not completed: {error}")
            self.fault = str(error)
        return True

    def _stream_frame(self, source: Source, completion: bool, relevancy: bool) -> None:
        def give_way(_stage: str, _fraction: float) -> None:
            if self._stopping or self._goals.busy:
                raise StreamInterruptedError

        start = time.monotonic()
        classes = check_classes(self._config().classes)
        if relevancy:
            maps = self._scene.relevancy(classes, give_way)
            self._outputs.publish_relevancy(source, maps, classes)
        if completion:
            self._outputs.publish_completion(source, self._scene.complete(classes, give_way))
        self._streamed = source
        self.completed += 1
        self.frame_seconds = time.monotonic() - start
