"""The program ``client``: asks for a completion and a localization, prints and draws them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import cv_bridge
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rich.console import Console
from sensor_msgs.msg import Image

from semabs_core.types import RGBDFrame
from semabs_core.visualize import answers
from semabs_ros.client import SemabsClient, SemabsError
from semabs_ros.diagnostics import status_name
from semabs_ros.frames import FrameSource
from semabs_ros.node_config import NodeConfig
from semabs_ros.programs import ProgramOption, read_options, start
from semabs_ros.spinning import spin

T = TypeVar("T")
OPTIONS = (
    ProgramOption("node_name", "semabs", "name of the semabs node"),
    ProgramOption("classes", [], "names to label; empty: the node's"),
    ProgramOption("sentence", "", "what to localize, such as 'the mug behind the table lamp'"),
    ProgramOption("target", "", "what to localize, instead of a sentence"),
    ProgramOption("relation", "", "its spatial relation to the reference"),
    ProgramOption("reference", "", "what the target is found by"),
    ProgramOption("timeout_s", 120.0, "how long to wait for each answer [s]"),
    ProgramOption("out", "", "folder for pictures and meshes; empty: none are written"),
)


class ClientError(RuntimeError):
    """The system did not answer; the message says what was waited for and what is known."""


class Client(Node):
    """Asks a running semabs node; its parameters are ``OPTIONS``."""

    def __init__(self, **options: Any) -> None:
        super().__init__("semabs_client", **options)
        given = read_options(self, OPTIONS)
        self.node_name, self.classes = given["node_name"], given["classes"]
        self.models_status = status_name(self.resolve_topic_name(self.node_name), "models")
        self.words = {word: given[word] for word in ("sentence", "target", "relation", "reference")}
        self.timeout_s, self.out = given["timeout_s"], given["out"]
        self.semabs = SemabsClient(self.resolve_topic_name(self.node_name), self.context)
        self.frames = FrameSource(self, NodeConfig, lambda: None)
        self.relevancy: np.ndarray | None = None
        self.diagnostics: dict[str, tuple[str, dict[str, str]]] = {}
        self.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)
        self.create_timer(0.5, self._follow, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._follows = False

    def destroy_node(self) -> None:
        """Let go of everything."""
        self.semabs.close()
        super().destroy_node()

    def _follow(self) -> None:
        if self._follows:
            self.frames.follow()

    def _diagnose(self, array: DiagnosticArray) -> None:
        for status in array.status:
            values = {item.key: item.value for item in status.values}
            self.diagnostics[status.name] = status.message, values

    def _store_relevancy(self, message: Image) -> None:
        self.relevancy = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")

    def wait(self, what: str, ready: Callable[[], T | None]) -> T:
        """Wait until ``ready`` returns something.

        Raises:
            ClientError: after ``timeout_s``, with what the node says of itself.
        """
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline:
            found = ready()
            if found:
                return found
            time.sleep(0.05)
        known = "; ".join(f"{name}: {text}" for name, (text, _) in self.diagnostics.items())
        known = known or f"no diagnostics: is the node {self.node_name} running?"
        raise ClientError(f"no {what} within {self.timeout_s:g} s ({known})")

    @property
    def question(self) -> str:
        """What is asked, as a sentence."""
        parts = (self.words[word] for word in ("target", "relation", "reference"))
        return self.words["sentence"] or " ".join(parts)

    def take_frame(self) -> RGBDFrame:
        """One frame of the camera, for the pictures."""
        self.frames.start()
        self._follows = True
        frame = self.wait("RGB-D frame with TF", self.frames.take).frame
        self._follows = False
        self.frames.stop()
        return frame

    def active(self) -> bool:
        """Whether the node says that it is active.

        Raises:
            ClientError: if it says that it cannot be configured.
        """
        text, values = self.diagnostics.get(self.models_status, ("", {}))
        if values.get("state") == "unconfigured" and text not in ("", "unconfigured"):
            raise ClientError(f"the node cannot be configured: {text}")
        return values.get("state") == "active"

    def run(self) -> None:
        """Ask, print and draw."""
        console = Console(width=100)
        self.wait("active semabs node", self.active)
        untrained = self.diagnostics[self.models_status][1].get("untrained")
        if untrained:
            console.print(
                f"[bold yellow]NOTE: the {untrained} networks are untrained (seeded random "
                "weights): the flow is real, the answers mean nothing.[/]"
            )
        frame = self.take_frame()
        kind = f"{self.node_name}/relevancy/image"
        subscription = self.create_subscription(Image, kind, self._store_relevancy, 1)
        completion = self.semabs.complete(self.classes, timeout_s=self.timeout_s)
        counts = completion.voxels_per_class()
        console.print(answers.completion_table(counts, f"Completion: {completion.message}"))
        if self.out:
            self.wait("relevancy image", lambda: self.relevancy is not None)
        self.destroy_subscription(subscription)
        localization = None
        if any(self.words.values()):
            localization = self.semabs.localize(**self.words, timeout_s=self.timeout_s)
            if not localization.found:
                console.print("[bold yellow]NOT FOUND: the best guess follows.[/]")
            table = answers.localization_table(localization, self.question, localization.message)
            console.print(table)
        if self.out:
            assert self.relevancy is not None
            asked = []
            if localization is not None:
                asked = [answers.Asked(self.question, localization, completion.region)]
            written = answers.write_answers(self.out, frame, completion, asked, self.relevancy)
            console.print("written: " + ", ".join(map(str, written)))


def main() -> None:
    """Ask once; an answer that does not come is one clear line and exit code 1."""
    purpose = "Asks a running semabs node for a completion and a localization."
    client = start("client", purpose, OPTIONS, Client)
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(client)
    thread = threading.Thread(
        target=spin, args=(executor, lambda text: client.get_logger().error(text)), daemon=True
    )
    thread.start()
    code = 0
    try:
        client.run()
    except (ClientError, SemabsError) as error:
        print(f"client: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    client.semabs.close()
    rclpy.try_shutdown()
    thread.join(timeout=5)
    sys.exit(code)


if __name__ == "__main__":
    main()
