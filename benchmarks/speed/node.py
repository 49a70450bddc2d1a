"""The node's own share of a frame over real DDS, and what its messages cost."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed.clock import Clock
from benchmarks.speed.completion import CLASSES
from benchmarks.speed.report import Table
from semabs_core.data.analytic import analytic_scene
from semabs_core.types import Completion
from semabs_ros import results
from semabs_ros.domains import free_domain

os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from semabs.msg import SemanticVoxels
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from semabs_ros.convert import depth_to_image, matrix_to_transform, rgb_to_image
from semabs_ros.node import SemabsNode
from semabs_ros.player import camera_info
from semabs_ros.spinning import spin

WAIT_S = 300.0
POINTS = 100_000


class Camera(Node):
    """Publishes a frame when it is told to, and waits for its completion.

    Args:
        context: of rclpy.
    """

    def __init__(self, context: Any) -> None:
        super().__init__("camera", context=context)
        self.scene = analytic_scene(640, 480)
        kinds = {"rgb/image": Image, "depth/image": Image, "rgb/camera_info": CameraInfo}
        self.topics = [self.create_publisher(kind, name, 5) for name, kind in kinds.items()]
        header = Header(frame_id="optical")
        self.messages = (
            rgb_to_image(self.scene.rgb[0], header),
            depth_to_image(self.scene.depth_m[0], header, "32FC1"),
            camera_info(self.scene, header),
        )
        self.broadcaster = TransformBroadcaster(self)
        self.arrived = threading.Event()
        self.stamp: tuple[int, int] = (0, 0)
        self.create_subscription(SemanticVoxels, "/semabs/completion/voxels", self._voxels, 1)
        self.create_subscription(PointCloud2, "/semabs/completion/points", lambda _: None, 1)

    def _voxels(self, message: SemanticVoxels) -> None:
        stamp = message.header.stamp
        if (stamp.sec, stamp.nanosec) == self.stamp:
            self.arrived.set()

    def ready(self) -> bool:
        """Whether the node listens and is listened to."""
        return all(topic.get_subscription_count() for topic in self.topics)

    def frame(self) -> float:
        """Publish a frame; seconds until its voxels are there."""
        stamp = self.get_clock().now().to_msg()
        for message in self.messages:
            message.header.stamp = stamp
        self.stamp = (stamp.sec, stamp.nanosec)
        self.arrived.clear()
        start = time.perf_counter()
        T = matrix_to_transform(self.scene.T_world_camera[0])
        world = Header(stamp=stamp, frame_id="map")
        self.broadcaster.sendTransform(
            TransformStamped(header=world, child_frame_id="optical", transform=T)
        )
        for topic, message in zip(self.topics, self.messages, strict=True):
            topic.publish(message)
        if not self.arrived.wait(WAIT_S):
            raise RuntimeError("the node did not answer")
        return time.perf_counter() - start


def node_table(frames: int) -> Table:
    """Image in to voxels out, less the time in the pipeline."""
    table = Table(
        f"The node's own share of a frame, 640x480, {len(CLASSES)} classes, 64^3, over DDS",
        "From the publication of the images to the arrival of the voxels (and the cloud), less "
        "`set_frame` and `complete`; medians. The camera, the node and who listens are one "
        "process, so that the camera's and the listener's part counts too. Processor time is that "
        "of all threads.",
        ("frames", "frame [ms]", "pipeline [ms]", "node, wall [ms]", "node, processor [ms]"),
    )
    context = rclpy.Context()
    rclpy.init(context=context)
    values = {
        "autostart": True, "classes": CLASSES, "relevancy.preset": "chefer_et_al",
        "completion.checkpoint": "untrained", "localization.checkpoint": "untrained",
    }  # fmt: skip
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = SemabsNode(context=context, parameter_overrides=overrides)
    camera = Camera(context)
    executors = [
        MultiThreadedExecutor(num_threads=4, context=context),
        SingleThreadedExecutor(context=context),
    ]
    for executor, spun in zip(executors, (node, camera), strict=True):
        executor.add_node(spun)
    threads = [threading.Thread(target=spin, args=(e, print), daemon=True) for e in executors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + WAIT_S
    while not (node.state == "active" and camera.ready()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the node is {node.state}: {node._fault}")
        time.sleep(0.1)
    spent = _watch(node._scene)
    found = []
    for number in range(frames + 2):
        spent.update(wall=0.0, cpu=0.0)
        cpu = time.process_time()
        total = camera.frame()
        cpu = time.process_time() - cpu
        if number >= 2:  # the first ones warm up
            found.append((total, spent["wall"], total - spent["wall"], cpu - spent["cpu"]))
    for executor, thread in zip(executors, threads, strict=True):
        executor.shutdown(timeout_sec=5)
        thread.join(timeout=10)
    node.destroy_node()
    camera.destroy_node()
    rclpy.shutdown(context=context)
    table.rows.append([frames, *(1000 * statistics.median(column) for column in zip(*found))])
    return table


def _watch(scene: Any) -> dict[str, float]:
    """Seconds that a pipeline spends from now on, of the clock and of the processor."""
    spent = {"wall": 0.0, "cpu": 0.0}

    def watched(work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return work(*arguments)
            finally:
                spent["wall"] += time.perf_counter() - wall
                spent["cpu"] += time.process_time() - cpu

        return timed

    scene.set_frame, scene.complete = watched(scene.set_frame), watched(scene.complete)
    return spent


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
    for name, spent in clock.compare(makers).items():
        table.rows.append([f"completion/{name}", POINTS, 1000 * spent])
    return table
