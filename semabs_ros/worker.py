"""The one thread that owns the models: goals first, then the newest frame."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from semabs_core.config import SemabsConfig
from semabs_core.description import DescriptionError, RelationError, check_classes
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.portions import free_memory
from semabs_core.text import shorten
from semabs_core.types import Completion, FrameError, Localization
from semabs_core.vocabulary import never_shown
from semabs_ros import results
from semabs_ros.frames import FrameSource, Source
from semabs_ros.goals import Goal, GoalEndedError, GoalQueue
from semabs_ros.node_config import NodeConfig
from semabs_ros.outputs import COMPLETED, RELEVANCY, Outputs
from semabs_ros.pace import Pace
from semabs_ros.reports import Reporter

POLL_S = 0.01
"""How often a waiting transform is looked for."""
BAD_FRAMES_S = 2.0
"""A goal ends where for so long none of several frames that came could be used."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""After an unexpected error the continuous completion rests; twice as long after each further."""


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

    Attributes:
        pace: how fast the continuous completion is.
        completed: how many frames it has completed.
        failed: how many frames it could not complete.
        fault: why the last one failed; empty when it did not.
        coarse: why the clouds of the last answer are coarse; empty when they are not.
    """

    def __init__(
        self,
        scene: SceneUnderstanding,
        frames: FrameSource,
        goals: GoalQueue,
        outputs: Outputs,
        config: Callable[[], NodeConfig],
        logger: Any,
    ) -> None:
        self._scene, self._frames, self._goals = scene, frames, goals
        self._outputs, self._config = outputs, config
        self._reporter = Reporter(lambda text: logger.error(text))
        self._unknown = Reporter(lambda text: logger.warning(text))
        self._wake = threading.Condition()
        self._stopping = False
        self._new_core_config: SemabsConfig | None = None
        self._source: Source | None = None
        self._streamed: Source | None = None
        self._stream_started = self._resume_at = -np.inf
        self._failures_in_row = 0
        self.pace = Pace()
        self.completed = self.failed = 0
        self.fault = self.coarse = ""
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
        with self._wake:
            self._new_core_config = config
            self._wake.notify_all()

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
                self.fault = _described(error)
                with contextlib.suppress(Exception):  # whatever happens, the thread lives
                    self._reporter.report(f"the worker goes on after a fault: {self.fault}")
                self._pause()

    def _idle(self) -> None:
        """Sleep until something happens; shortly where a frame waits for its transform."""
        wanted = self._outputs.wants(COMPLETED) or self._outputs.wants(RELEVANCY)
        with self._wake:
            if not self._stopping and not self._goals.busy:
                self._wake.wait(POLL_S if wanted and self._frames.waiting else 0.2)

    def _pause(self) -> None:
        with self._wake:
            if not self._stopping:
                self._wake.wait(0.2)

    def _apply_config(self) -> None:
        with self._wake:
            config, self._new_core_config = self._new_core_config, None
        if config is None:
            return
        try:
            self._scene.reconfigure(config)
        except Exception:
            self._source = None
            raise

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

    def _start_afresh(self) -> None:
        """After an error of any kind: let go of all that was worked out for the current frame."""
        self._scene.forget_frame()
        free_memory()
        source, self._source = self._source, None
        if source is not None:
            self._scene.set_frame(source.frame)
            self._source = source

    # --- goals ------------------------------------------------------------------------------------

    def _run_goal(self, goal: Goal) -> None:
        outcome: tuple[str, str, Any]
        try:
            goal.begin()
            self._await_frame(goal)
            outcome = self._answer(goal)
        except GoalEndedError as ended:
            outcome = (ended.code, str(ended), None)
        except RelationError as error:
            outcome = ("UNKNOWN_RELATION", str(error), None)
        except FrameError as error:
            outcome = ("BAD_FRAME", str(error), None)
        except DescriptionError as error:
            outcome = ("INVALID_GOAL", str(error), None)
        except Exception as error:
            outcome = ("INTERNAL_ERROR", _described(error), None)
            self._reporter.report(f"a goal failed: {outcome[1]}")
        self._goals.finish(goal)
        goal.end(*outcome)
        if outcome[0] == "INTERNAL_ERROR":
            self._start_afresh()

    def _answer(self, goal: Goal) -> tuple[str, str, Any]:
        """Error code, message and result of a goal that has its frame."""
        source, hook = self._source, self._hook(goal)
        assert source is not None
        answer: Completion | Localization
        if goal.kind == "localize":
            wanted = goal.request
            names = wanted.names
            answer = self._scene.localize(wanted.target, wanted.relation, wanted.reference, hook)
            code, message = "NONE" if answer.found else "NOT_FOUND", answer.verdict
            self._publish(source, answer, lambda: self._outputs.localized(source, wanted, answer))
        else:
            names = goal.request
            answer = self._scene.complete(names, hook)
            code, message = "NONE", f"{sum(answer.voxels_per_class().values())} voxels"
            message = "; ".join(filter(None, [message, answer.left_out]))
            self._publish(source, answer, lambda: self._outputs.completed(source, answer))
        stages = ", ".join(f"{k} {v:.2f} s" for k, v in answer.timings_s.items())
        unknown = never_shown(self._scene.unknown_words(names))
        self._unknown.report(unknown)
        doubts = [unknown, source.doubt, self.coarse]
        message = "; ".join(filter(None, [f"{message} ({stages})", *doubts]))
        return code, message, (source, answer)

    def _publish(
        self, source: Source, answer: Completion | Localization, publish: Callable[[], None]
    ) -> None:
        """Show an answer; a fault in that is said and takes nothing from who asked."""
        self.coarse = results.coarse_coordinates(answer, source.world_frame)
        try:
            publish()
        except Exception as error:
            self._reporter.report(f"an answer was not published: {_described(error)}")

    def _hook(self, goal: Goal) -> Callable[[str, float], None]:
        """What the pipeline calls between batches."""

        def check(stage: str, fraction: float) -> None:
            if self._stopping:
                goal.stop("NOT_ACTIVE", "the node was deactivated")
            goal.check(stage, fraction)

        return check

    def _await_frame(self, goal: Goal) -> None:
        """Pin the newest frame; wait for one where there is none, or none that can be used."""
        hook = self._hook(goal)
        last_report, bad_since, dropped, bad = -np.inf, np.inf, self._frames.dropped, 0
        unusable = fault = ""
        while True:
            known = self._source
            try:
                self._take_frame()
            except FrameError as error:  # the next one may be better
                unusable, bad = str(error), bad + 1
            else:
                unusable = unusable if self._source is known else ""
            if self._fresh():
                return
            stage, now = "", time.monotonic()
            if now - last_report > 0.5:
                stage, last_report = "frame", now
                problem = self._frames.problem()
                fault = problem if problem.kind == "bad frame" else unusable
                bad_since = min(bad_since, now) if fault else np.inf
            several = bad + self._frames.dropped - dropped > 1
            if several and now - bad_since > BAD_FRAMES_S:
                raise GoalEndedError("BAD_FRAME", fault)
            try:
                hook(stage, 0.0)
            except GoalEndedError as ended:
                if ended.code != "TIMEOUT":
                    raise
                code, why = ("BAD_FRAME", fault) if fault else ("NO_FRAME", self._no_frame())
                raise GoalEndedError(code, why) from None
            with self._wake:
                self._wake.wait(POLL_S)

    def _fresh(self) -> bool:
        limit = self._config().max_frame_age_s
        source = self._source
        return source is not None and (limit == 0 or time.monotonic() - source.arrived <= limit)

    def _no_frame(self) -> str:
        why = self._frames.problem() or self._frames.reason
        if self._source is not None:
            age, limit = time.monotonic() - self._source.arrived, self._config().max_frame_age_s
            aged = f"the last frame came {age:.1f} s ago (max_frame_age_s is {limit:g})"
            why = f"{why}; {aged}" if why else aged
        return f"no RGB-D frame came in time: {why or 'none was received'}"

    # --- continuous completion --------------------------------------------------------------------

    def _stream(self) -> bool:
        """Complete the newest frame where somebody listens; whether there was something to do."""
        completion, relevancy = self._outputs.wants(COMPLETED), self._outputs.wants(RELEVANCY)
        if not (completion or relevancy):
            self.fault = ""  # it was of frames that nobody waits for any more
            return False
        rate = self._config().completion_rate_hz
        due = max(self._resume_at, self._stream_started + 1 / rate if rate else -np.inf)
        if time.monotonic() < due:
            return False
        start = time.monotonic()
        try:
            self._take_frame()
            if self._source is None or self._source is self._streamed:
                return False
            self._stream_started = start
            self._stream_frame(self._source, completion, relevancy)
        except StreamInterruptedError:
            return True
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they hold what was worked out
            self._give_up_frame(error)
        else:
            self.fault, self._failures_in_row = "", 0
        return True

    def _give_up_frame(self, error: Exception) -> None:
        """A frame is tried once; after an error of the machine or our own, wait ever longer."""
        self._streamed = self._source
        self.failed += 1
        expected = isinstance(error, ValueError)
        self.fault = str(error) if expected else _described(error)
        self._reporter.report(f"frame not completed: {self.fault}")
        if not expected:
            self._failures_in_row += 1
            wait = min(FIRST_PAUSE_S * 2 ** (self._failures_in_row - 1), LONGEST_PAUSE_S)
            self._resume_at = time.monotonic() + wait
            self._start_afresh()

    def _stream_frame(self, source: Source, completion: bool, relevancy: bool) -> None:
        def give_way(_stage: str, _fraction: float) -> None:
            if self._stopping or self._goals.busy:
                raise StreamInterruptedError

        pace, classes = self.pace, check_classes(self._config().classes)
        pace.begin(self._stream_started)
        if relevancy:
            maps = self._scene.relevancy(classes, give_way)
            pace.step("relevancy")
            self._outputs.publish(RELEVANCY, source, maps, classes)
            pace.step("output")
        if completion:
            answer = self._scene.complete(classes, give_way)
            pace.step("other", answer.timings_s)
            self._publish(source, answer, lambda: self._outputs.completed(source, answer))
            pace.step("output")
        self._streamed = source
        self.completed += 1
        pace.end(source.arrived)


def _described(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}")
