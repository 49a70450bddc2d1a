"""A camera, TF and a client that misbehave on demand, and the node as a process beside them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import ListParameters, SetParameters
from rclpy.action import ActionClient
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from semabs.action import Complete, Localize
from semabs.srv import SetClasses
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from benchmarks.faults.kinds import GoalFault, Spoil, SpoilTransform
from semabs_core.data.analytic import analytic_scene
from semabs_ros.convert import depth_to_image, matrix_to_transform, rgb_to_image
from semabs_ros.goals import CODES
from semabs_ros.player import camera_info
from semabs_ros.spinning import spin

WIDTH, HEIGHT, RATE_HZ = 64, 48, 20.0
ANSWER_S = 30.0
"""A service or action that has not answered by then does not answer."""
NAMES = {value: name for name, value in CODES.items()}
DEEP = QoSProfile(depth=1000)
"""An action client's own queues: with rclpy's usual ten it loses answers to a burst of goals."""


class NoAnswerError(RuntimeError):
    """Something that must be answered was not."""


class Rig(Node):
    """The outside world of a node under test.

    Args:
        seed: of all that is random.
    """

    def __init__(self, seed: int) -> None:
        super().__init__("faults")
        self.rng = np.random.default_rng(seed)
        self.scene = analytic_scene(WIDTH, HEIGHT)
        self.spoil: Spoil | None = None
        self.transform: SpoilTransform | None = None
        self.messages = 0
        self.completed, self.input_level, self.said = 0, -1, [""]
        self.actions = {
            name: ActionClient(
                self,
                action,
                f"semabs/{name}",
                goal_service_qos_profile=DEEP,
                result_service_qos_profile=DEEP,
                cancel_service_qos_profile=DEEP,
            )
            for name, action in (("localize", Localize), ("complete", Complete))
        }
        self._callers: dict[str, Any] = {}
        self._camera: dict[str, Any] = {}
        self._tf = self.create_publisher(TFMessage, "/tf", 100)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)
        # Somebody who listens, or nothing is completed.
        self.create_subscription(PointCloud2, "semabs/completion/points", self._count, 1)
        self._lock = threading.Lock()
        self._other: Node | None = None
        self.open_camera()
        self.create_timer(1 / RATE_HZ, self._shoot)

    # --- the camera -------------------------------------------------------------------------------

    def open_camera(
        self,
        reliable: bool = True,
        latched_info: bool = False,
        wrong_type: bool = False,
        closed: bool = False,
    ) -> None:
        """Replace the camera's publishers."""
        with self._lock:
            old, self._camera = self._camera, {}
            for publisher in old.values():
                self.destroy_publisher(publisher)
            if self._other is not None:
                self._other.destroy_node()
                self._other.context.shutdown()
                self._other = None
            if closed:
                return
            policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
            qos = QoSProfile(depth=5, reliability=policy)
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            # A topic has one type in a DDS participant, so another type wants another one.
            owner = self._stranger() if wrong_type else self
            color = CompressedImage if wrong_type else Image
            self._camera = {
                "rgb": owner.create_publisher(color, "rgb/image", qos),
                "depth": self.create_publisher(Image, "depth/image", qos),
                "info": self.create_publisher(
                    CameraInfo, "rgb/camera_info", latched if latched_info else qos
                ),
            }
            if latched_info:
                header = Header(frame_id="optical", stamp=self.get_clock().now().to_msg())
                self._camera.pop("info").publish(camera_info(self.scene, header))

    def _stranger(self) -> Node:
        """A node of a DDS participant of its own."""
        context = rclpy.Context()
        rclpy.init(context=context)
        self._other = Node("stranger", context=context)
        return self._other

    def _shoot(self) -> None:
        """One trio and its transform, spoilt as the fault of the moment wants it."""
        now = self.get_clock().now().to_msg()

        def header() -> Header:
            stamp = type(now)(sec=now.sec, nanosec=now.nanosec)
            return Header(frame_id="optical", stamp=stamp)

        transform = TransformStamped(
            header=Header(frame_id="map", stamp=header().stamp),
            child_frame_id="optical",
            transform=matrix_to_transform(self.scene.T_world_camera[0]),
        )
        trio: tuple = (
            rgb_to_image(self.scene.rgb[0], header()),
            depth_to_image(self.scene.depth_m[0], header(), "32FC1"),
            camera_info(self.scene, header()),
        )
        transforms = self.transform(self.rng, transform) if self.transform else [transform]
        if transforms:
            self._send(self._tf, TFMessage(transforms=list(transforms)))
        if self.spoil:
            trio = self.spoil(self.rng, *trio)
        with self._lock:
            for name, message in zip(("rgb", "depth", "info"), trio, strict=True):
                publisher = self._camera.get(name)
                if publisher is not None and message is not None:
                    kind = publisher.msg_type
                    self._send(publisher, message if isinstance(message, kind) else kind())

    def _send(self, publisher: Any, message: Any) -> None:
        publisher.publish(message)
        self.messages += self.spoil is not None or self.transform is not None

    # --- what the node says -----------------------------------------------------------------------

    def _diagnose(self, array: DiagnosticArray) -> None:
        for status in array.status:
            values = {item.key: item.value for item in status.values}
            level = int.from_bytes(status.level, "little")
            if status.name == "semabs: input":
                self.input_level = level
            if level:
                self.said.append(status.message)
            self.said += [
                text for key, text in values.items() if "warning" in key or "doubt" in key
            ]

    def _count(self, _cloud: PointCloud2) -> None:
        self.completed += 1

    def heard(self, expected: str) -> str:
        """The first thing said since ``said`` was cleared that matches; empty where none does."""
        return next((text for text in list(self.said) if re.search(expected, text, re.S)), "")

    def wait(self, ready: Callable[[], Any], seconds: float) -> Any:
        """Wait until something is so; what it then is, or its last value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = ready()
            if found:
                return found
            time.sleep(0.02)
        return ready()

    def healthy(self, seconds: float) -> bool:
        """Whether two more frames are completed, and the input said to be fine, within a time."""
        before = self.completed
        return bool(
            self.wait(lambda: self.completed >= before + 2 and self.input_level == 0, seconds)
        )

    # --- calls ------------------------------------------------------------------------------------

    def _call(self, kind: Any, name: str, request: Any) -> Any:
        self.messages += 1
        if name not in self._callers:
            self._callers[name] = self.create_client(kind, f"semabs/{name}")
        client = self._callers[name]
        if not client.wait_for_service(timeout_sec=ANSWER_S):
            raise NoAnswerError(f"there is no service {name}")
        future = client.call_async(request)
        if not self.wait(future.done, ANSWER_S):
            raise NoAnswerError(f"{name} did not answer within {ANSWER_S:g} s")
        return future.result()

    def set_parameter(self, value: Parameter) -> str:
        """Set one parameter; ``ok`` or ``refused: reason``."""
        request = SetParameters.Request(parameters=[value.to_parameter_msg()])
        (result,) = self._call(SetParameters, "set_parameters", request).results
        return "ok" if result.successful else f"refused: {result.reason}"

    def set_classes(self, names: list[str]) -> str:
        """Set the classes; ``ok`` or ``refused: reason``."""
        answer = self._call(SetClasses, "set_classes", SetClasses.Request(classes=names))
        return "ok" if answer.success else f"refused: {answer.message}"

    def change_state(self, number: int) -> str:
        """Ask for a transition; ``ok`` or ``refused``."""
        request = ChangeState.Request(transition=Transition(id=number))
        return "ok" if self._call(ChangeState, "change_state", request).success else "refused"

    def list_parameters(self) -> str:
        """List all parameters."""
        names = self._call(ListParameters, "list_parameters", ListParameters.Request()).result.names
        return "ok" if names else "none"

    def ask(self, fault: GoalFault) -> list[tuple[str, str]]:
        """Send a fault's goals; error code's name and message of each."""
        client = self.actions[fault.action]
        goal = Localize.Goal if fault.action == "localize" else Complete.Goal
        if not client.wait_for_server(timeout_sec=ANSWER_S):
            raise NoAnswerError(f"there is no action {fault.action}")
        sent = [client.send_goal_async(goal(**fault.fields)) for _ in range(fault.burst)]
        self.messages += fault.burst
        if not self.wait(lambda: all(future.done() for future in sent), 2 * ANSWER_S):
            missing = sum(not future.done() for future in sent)
            raise NoAnswerError(f"{missing} of {fault.burst} goals were neither taken nor refused")
        handles = [future.result() for future in sent]
        if fault.cancel:
            for handle in handles:
                handle.cancel_goal_async()
        results = [handle.get_result_async() for handle in handles if handle.accepted]
        if not self.wait(lambda: all(future.done() for future in results), 4 * ANSWER_S):
            missing = sum(not future.done() for future in results)
            raise NoAnswerError(f"{missing} of {fault.burst} goals have no result")
        found = [future.result().result for future in results]
        return [(NAMES[result.error_code], result.message) for result in found]


class NodeProcess:
    """The node under test: small models, so that a frame takes little.

    Args:
        log: where its output goes.
        encoder: of the pipeline.
    """

    def __init__(self, log: Path, encoder: str) -> None:
        options = {
            "autostart": "true", "device": "cpu", "encoder.model": encoder,
            "encoder.precision": "fp32", "relevancy.preset": "chefer_et_al",
            "completion.checkpoint": "untrained", "completion.resolution": "16",
            "localization.checkpoint": "untrained", "localization.resolution": "16",
            "classes": "[floor, sofa, mug]",
        }  # fmt: skip
        command = [sys.executable, "-m", "semabs_ros.node", "--ros-args"]
        for name, value in options.items():
            command += ["-p", f"{name}:={value}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._log = log.open("w")
        self.process = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def memory_mb(self) -> float:
        """Its resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", text)
        return int(match[1]) / 1024 if match else float("nan")

    def stop(self) -> int:
        """End it as a terminal would; its exit code."""
        if self.alive:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = -9
        self._log.close()
        return code


def start_rig(seed: int) -> tuple[Rig, threading.Thread]:
    """A rig that is spun in a thread of its own."""
    rig = Rig(seed)
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(rig)
    faults = rig.get_logger().error
    thread = threading.Thread(target=spin, args=(executor, faults), daemon=True)
    thread.start()
    return rig, thread


def stop_rig(rig: Rig, thread: threading.Thread) -> None:
    """Let go of DDS."""
    rclpy.try_shutdown()
    thread.join(timeout=10)
