"""What ``/diagnostics`` says of the node: its models, its input, its goals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from semabs_core.config import SemabsConfig
from semabs_core.pipeline import SceneUnderstanding
from semabs_ros.frames import FrameSource
from semabs_ros.goals import GoalQueue
from semabs_ros.worker import Worker

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def diagnose(
    state: str,
    fault: str,
    scene: SceneUnderstanding | None,
    worker: Worker | None,
    frames: FrameSource,
    goals: GoalQueue,
    refused: int,
) -> DiagnosticArray:
    """The node's three statuses, without a stamp.

    Args:
        state: of its lifecycle.
        fault: why it could not be configured or activated; empty if it could.
        scene: the models; None while none are loaded.
        worker: None while the node is not active.
        frames: its input.
        goals: its queue.
        refused: how many goals were.
    """
    return DiagnosticArray(
        status=[
            _models(state, fault, scene, worker),
            _input(frames, worker is not None),
            _goals(goals, refused),
        ]
    )


def _models(
    state: str, fault: str, scene: SceneUnderstanding | None, worker: Worker | None
) -> DiagnosticStatus:
    status = DiagnosticStatus(name="semabs: models", hardware_id="semabs", level=OK)
    status.message = fault or (worker.fault if worker else "") or state
    if fault:
        status.level = ERROR
    elif (worker and worker.fault) or (scene and (scene.untrained or scene.foreign)):
        status.level = WARN
    status.values = _values(
        state=state,
        untrained=", ".join(scene.untrained) if scene else "",
        foreign=", ".join(scene.foreign) if scene else "",
        encoder=scene.encoder.name if scene else "",
        device=scene.encoder.device if scene else "",
        seconds_per_frame=f"{worker.frame_seconds:.2f}" if worker else "",
        frames_completed=worker.completed if worker else 0,
    )
    return status


def _input(frames: FrameSource, active: bool) -> DiagnosticStatus:
    problem = frames.problem() if active else ""
    status = DiagnosticStatus(name="semabs: input", hardware_id="semabs")
    status.level = WARN if problem else OK
    status.message = problem or (f"{frames.frames} frames taken" if active else "not active")
    topics = frames.topics if active else []
    rates = {t.name: f"{t.rate_hz():.1f} Hz, {t.publishers} publisher(s)" for t in topics}
    status.values = _values(synced=frames.synced, dropped=frames.dropped, **rates)
    return status


def _goals(goals: GoalQueue, refused: int) -> DiagnosticStatus:
    status = DiagnosticStatus(name="semabs: goals", hardware_id="semabs", level=OK)
    status.message = "busy" if goals.busy else "idle"
    status.values = _values(waiting=len(goals), refused=refused)
    return status


def _values(**values: Any) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def faster(scene: SceneUnderstanding, core: SemabsConfig, classes: Sequence[str]) -> str:
    """What would make a frame take less time."""
    advice = []
    if scene.encoder.device.type == "cpu":
        advice.append("use a GPU (device)")
    if scene.chosen.preset == "ours":
        advice.append("set relevancy.preset to fast")
    if scene.encoder.dtype == torch.float32:
        advice.append("set encoder.precision to bf16")
    advice.append(
        f"lower completion.resolution ({core.completion.resolution}) or the number of classes "
        f"({len(classes)})"
    )
    return ", ".join(advice)
