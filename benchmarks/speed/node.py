"""The node's own share of a frame over real DDS, and what its messages cost."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.speed.clock import Clock
from benchmarks.speed.completion import CLASSES
from benchmarks.speed.report import Table
from benchmarks.speed.workers import ROOT, Worker
from semabs_core.readers.messages import nanoseconds
from semabs_core.types import Completion, RGBDFrame
from semabs_ros import results
from semabs_ros.domains import free_domain

os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import rclpy
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from semabs_ros.node import SemabsNode
from semabs_ros.spinning import spin

WAIT_S = 300.0
POINTS = 100_000
RATES_HZ, STREAM_S = (5, 15, 30), 10
TRANSPORTS: dict[str, dict[str, str]] = {
    "default": {},
    "large data": {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",  # with LOCALHOST Fast DDS is not asked
        "FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA?max_msg_size=4MB&sockets_size=16MB",
    },
}
"""Environment of the node's and of the camera's process, by name."""


class NodeAtWork:
    """The node of this process, its pipeline watched, and a camera in another process.

    Attributes:
        spent: seconds in the pipeline since they were set to 0, of the clock and of the processor.
        taken_s: how old each frame was, by its stamp, when the pipeline got it.
        overtaken: how many of them had come when the images of a newer one were there too.
    """

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        values = {
            "autostart": True, "classes": CLASSES, "relevancy.preset": "chefer_et_al",
            "completion.checkpoint": "untrained", "localization.checkpoint": "untrained",
            "relevancy.still_tolerance": 0.0,
        }  # fmt: skip
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self._node = SemabsNode(context=self._context, parameter_overrides=overrides)
        self._executor = MultiThreadedExecutor(num_threads=4, context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=spin, args=(self._executor, print), daemon=True)
        self._thread.start()
        self._wait(lambda: self._node.state == "active", "become active")
        self.spent = {"wall": 0.0, "cpu": 0.0}
        self.taken_s: list[float] = []
        self.overtaken = 0
        self._watch(self._node._scene)
        self._watch_frames(self._node._frames)
        self.camera = Worker("camera.py", ROOT)

    @property
    def latency_s(self) -> float:
        """From the arrival of the last completed frame's images to its publication."""
        return self._node._worker.pace.latency_s

    @property
    def completed(self) -> int:
        """How many frames."""
        return self._node._worker.completed

    def complete_one(self) -> float:
        """A frame from its publication to the arrival of its voxels; seconds."""
        before = self.completed
        seconds = self.camera.ask("frame")["wall"]
        self._wait(lambda: self.completed > before, "publish the frame")
        return seconds

    def close(self) -> None:
        """End both."""
        self.camera.close()
        self._executor.shutdown(timeout_sec=5)
        self._thread.join(timeout=10)
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node, {self._node.state}, did not {what}")
            time.sleep(0.001)

    def _watch(self, scene: Any) -> None:
        def watched(work: Callable[..., Any]) -> Callable[..., Any]:
            def timed(*arguments: Any) -> Any:
                if isinstance(arguments[0], RGBDFrame):
                    now_s = self._node.get_clock().now().nanoseconds * 1e-9
                    self.taken_s.append(now_s - arguments[0].stamp_s)
                wall, cpu = time.perf_counter(), time.process_time()
                try:
                    return work(*arguments)
                finally:
                    self.spent["wall"] += time.perf_counter() - wall
                    self.spent["cpu"] += time.process_time() - cpu

            return timed

        scene.set_frame, scene.complete = watched(scene.set_frame), watched(scene.complete)

    def _watch_frames(self, frames: Any) -> None:
        take = frames.take

        def watched() -> Any:
            with frames._lock:
                waiting = [entry.pair.stamp_ns for entry in frames._waiting]
            source = take()
            if source is not None:
                self.overtaken += max(waiting, default=0) > nanoseconds(source.header.stamp)
            return source

        frames.take = watched


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """The process with other environment variables."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def node_tables(frames: int) -> tuple[Table, Table]:
    """Image in to voxels out, less the time in the pipeline; and how old what is answered is."""
    share = Table(
        f"The node's own share of a frame, 640x480, {len(CLASSES)} classes, 64^3, over DDS",
        "Medians. A frame: from the publication of its images to the arrival of its voxels, in the "
        "process of the camera and the listener. The pipeline: `set_frame` and `complete`. The "
        "node, wall: from the arrival of the images to the publication of voxels and cloud, less "
        "the pipeline. The node, processor: of all threads of its process, less the pipeline; what "
        "it receives and sends is in it. The rest is the camera's, the listener's and DDS's.",
        ("transport", "frames", "frame [ms]", "pipeline [ms]", "node, wall [ms]",
         "node, processor [ms]", "rest [ms]"),
    )  # fmt: skip
    age = Table(
        "Which frame is answered when the camera is faster, over DDS",
        "In periods of the camera. A frame's age is counted from its stamp to when the pipeline "
        "gets it, with its way through DDS. Overtaken: frames that the pipeline got although the "
        "images of a newer one had come. Large data: both processes with "
        f"`FASTDDS_BUILTIN_TRANSPORTS={TRANSPORTS['large data']['FASTDDS_BUILTIN_TRANSPORTS']}`.",
        ("transport", "camera [Hz]", "published", "answered", "an answer takes", "age, median",
         "age, largest", "overtaken"),
    )  # fmt: skip
    for transport, values in TRANSPORTS.items():
        with _environment(values), contextlib.closing(NodeAtWork()) as work:
            medians = _share(work, frames)
            share.rows.append([transport, frames, *(1000 * seconds for seconds in medians)])
            for rate_hz in RATES_HZ:
                age.rows.append([transport, *_stream(work, rate_hz, medians[1])])
    return share, age


def _share(work: NodeAtWork, frames: int) -> list[float]:
    """The medians of a frame, the pipeline, the node by both clocks and the rest, seconds."""
    found = []
    for number in range(frames + 2):
        work.spent.update(wall=0.0, cpu=0.0)
        cpu = time.process_time()
        total = work.complete_one()
        cpu = time.process_time() - cpu
        own = work.latency_s - work.spent["wall"]
        if number >= 2:  # the first ones warm up
            wall = work.spent["wall"]
            found.append((total, wall, own, cpu - work.spent["cpu"], total - wall - own))
    return [statistics.median(column) for column in zip(*found, strict=True)]


def _stream(work: NodeAtWork, rate_hz: float, takes_s: float) -> list[Any]:
    """What becomes of frames at a rate: a row without its transport."""
    work.taken_s.clear()
    work.overtaken, before = 0, work.completed
    published = work.camera.ask(f"stream {rate_hz} {STREAM_S}")["published"]
    ages = [seconds * rate_hz for seconds in work.taken_s]
    return [
        rate_hz, published, work.completed - before, takes_s * rate_hz, statistics.median(ages),
        max(ages), work.overtaken,
    ]  # fmt: skip


def message_table(clock: Clock) -> Table:
    """The making of messages of many points."""
    table = Table(
        f"Messages of {POINTS} points",
        "From the pipeline's answer to the message; of markers to its bytes.",
        ("message", "points", "[ms]"),
    )
    labels = np.zeros(64**3, dtype=np.uint8)
    labels[np.random.default_rng(0).permutation(64**3)[:POINTS]] = 1
    labels = labels.reshape(64, 64, 64)
    answer = Completion(["box"], labels, labels.astype(np.float32), 0.05, np.eye(4), {})
    makers = {
        "points": lambda: results.completion_to_cloud(answer, Header()),
        "voxels": lambda: results.completion_to_voxels(answer, Header()),
        "markers": lambda: results.completion_to_markers(answer, Header()),
    }
    spent = clock.compare(makers)
    for name in makers:
        table.rows.append([f"completion/{name}", POINTS, 1000 * spent[name]])
    return table
