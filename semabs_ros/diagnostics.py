"""What ``/diagnostics`` says of the node: its models, its input, its goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from semabs_core.config import SemabsConfig
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.precision import formats_to_try
from semabs_core.vocabulary import never_shown
from semabs_ros.frames import FrameSource
from semabs_ros.goals import GoalQueue
from semabs_ros.parameters import Parameters
from semabs_ros.silence import clock_fault
from semabs_ros.worker import Worker

SLOW_FRAME_S = 5.0
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Health:
    """What there is to say of a node.

    Attributes:
        node: its name with its namespace, which begins the names of its statuses.
        state: of its lifecycle.
        fault: why it could not be configured or activated; empty if it could.
        scene: the models; None while none are loaded.
        worker: None while the node is not active.
        frames: its input.
        goals: its queue.
        warnings: what makes answers doubtful or will be in the way, although the node works.
    """

    node: str
    state: str
    fault: str
    scene: SceneUnderstanding | None
    worker: Worker | None
    frames: FrameSource
    goals: GoalQueue
    warnings: Sequence[str]


def diagnose(health: Health) -> DiagnosticArray:
    """The node's three statuses, without a stamp."""
    return DiagnosticArray(status=[_models(health), _input(health), _goals(health)])


def _models(health: Health) -> DiagnosticStatus:
    scene, worker = health.scene, health.worker
    status = _status(health, "models")
    status.message = health.fault or (worker.fault if worker else "") or health.state
    if health.fault:
        status.level = ERROR
    elif (worker and worker.fault) or (scene and (scene.untrained or scene.foreign)):
        status.level = WARN
    status.values = _values(
        state=health.state,
        untrained=", ".join(scene.untrained) if scene else "",
        foreign=", ".join(scene.foreign) if scene else "",
        encoder=scene.encoder.name if scene else "",
        device=scene.encoder.device if scene else "",
        formats=_formats(scene) if scene else "",
        seconds_per_frame=f"{worker.pace.frame_seconds:.2f}" if worker else "",
        frames_per_second=f"{worker.pace.rate_hz:.2f}" if worker else "",
        seconds_of_latency=f"{worker.pace.latency_s:.2f}" if worker else "",
        seconds_by_stage=_stages(worker.pace.stages_s) if worker else "",
        frames_completed=worker.completed if worker else 0,
        frames_failed=worker.failed if worker else 0,
    )
    return status


def _formats(scene: SceneUnderstanding) -> str:
    """What the models compute in, which ``auto`` may have measured."""
    networks = {"completion": scene.completion, "localization": scene.localization}
    formats = {"encoder": scene.encoder.dtype}
    formats |= {name: network.encoder.dtype for name, network in networks.items()}
    return ", ".join(f"{name} {str(f).removeprefix('torch.')}" for name, f in formats.items())


def _stages(stages_s: dict[str, float]) -> str:
    return ", ".join(f"{name} {spent:.3f}" for name, spent in stages_s.items())


def _input(health: Health) -> DiagnosticStatus:
    frames, active = health.frames, health.worker is not None
    of_frames = (frames.problem(), frames.warning) if active else ()
    status = _status(health, "input")
    said = [text for text in (*of_frames, *health.warnings) if text]
    status.level = WARN if said else OK
    healthy = f"{frames.frames} frames taken" if active else "not active"
    status.message = "; ".join(said) or healthy
    topics = frames.topics if active else []
    rates = {t.name: f"{t.rate_hz():.1f} Hz, {t.publishers} publisher(s)" for t in topics}
    status.values = _values(synced=frames.synced, dropped=frames.dropped, **rates)
    return status


def _goals(health: Health) -> DiagnosticStatus:
    status, goals = _status(health, "goals"), health.goals
    status.message = "busy" if goals.busy else "idle"
    status.values = _values(waiting=len(goals), refused=goals.refused)
    return status


def _status(health: Health, part: str) -> DiagnosticStatus:
    return DiagnosticStatus(name=status_name(health.node, part), hardware_id="semabs", level=OK)


def status_name(node: str, part: str) -> str:
    """The name of a node's status: ``models``, ``input`` or ``goals``.

    Args:
        node: its fully qualified name; several nodes of one robot share the topic.
        part: what the status is of.
    """
    return f"{node.lstrip('/')}: {part}"


def _values(**values: Any) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def doubts(
    node: Node, scene: SceneUnderstanding | None, worker: Worker | None, classes: Sequence[str]
) -> list[str]:
    """What makes answers doubtful or will be in the way, although the node works."""
    found: list[str] = list(filter(None, [clock_fault(node)]))
    own = (node.get_name(), node.get_namespace())
    namesakes = node.get_node_names_and_namespaces().count(own) - 1
    if namesakes > 0:
        found.append(
            f"{namesakes} more node(s) of the name {node.get_fully_qualified_name()} (one that "
            "died counts for some seconds): goals and parameters reach any of them; start each "
            "with a name of its own (--ros-args -r __node:=NAME)"
        )
    if scene is not None:
        found += [never_shown(scene.unknown_words(classes)), scene.portions.shortage]
    if worker is not None:
        found.append(worker.coarse)
    return [text for text in found if text]


def report_models(scene: SceneUnderstanding, seconds: float, log: Any) -> None:
    """Say which models were loaded, and what is wrong with them.

    Args:
        scene: the models.
        seconds: how long it took.
        log: an rclpy logger.
    """
    log.info(
        f"loaded {scene.encoder.name} on {scene.encoder.device} in "
        f"{str(scene.encoder.dtype).removeprefix('torch.')} ({seconds:.1f} s)"
    )
    if scene.untrained:
        log.warning(
            f"the {' and '.join(scene.untrained)} networks are UNTRAINED (seeded random "
            "weights): the flow is real, the answers mean nothing. Set completion.checkpoint "
            "and localization.checkpoint"
        )
    if scene.foreign:
        log.warning(f"encoder.model is not that of {', '.join(scene.foreign)}")


def slowness(worker: Worker, scene: SceneUnderstanding | None, parameters: Parameters) -> str:
    """That a frame takes long, and what would make it take less; empty when it does not."""
    if scene is None or worker.pace.frame_seconds <= SLOW_FRAME_S:
        return ""
    advice = _faster(scene, parameters.core_config, parameters.node_config.classes)
    return f"a frame takes {worker.pace.frame_seconds:.1f} s; faster: {advice}"


def _faster(scene: SceneUnderstanding, core: SemabsConfig, classes: Sequence[str]) -> str:
    """What would make a frame take less time."""
    advice = []
    if scene.encoder.device.type == "cpu":
        advice.append("use a GPU (device)")
    networks = (scene.completion, scene.localization)
    takes_any = all(network.config.normalization == "evidence" for network in networks)
    if scene.chosen.preset == "ours" or (takes_any and scene.chosen.preset == "fast"):
        advice.append(f"set relevancy.preset to {'sparse' if takes_any else 'fast'}")
    for name in ("encoder.precision", "network_precision"):
        chosen = core.encoder.precision if name.startswith("encoder") else core.network_precision
        if chosen == "fp32" and formats_to_try("auto", scene.encoder.device) != (torch.float32,):
            advice.append(f"set {name} to auto")
    advice.append(
        f"lower completion.resolution ({core.completion.resolution}) or the number of classes "
        f"({len(classes)})"
    )
    return ", ".join(advice)
