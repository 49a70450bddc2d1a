"""A camera, and who listens to the completion of its frames, in a process beside the node's.

It answers lines: ``frame`` publishes a frame and waits for its voxels; ``stream HZ SECONDS``
publishes frames for a while.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from semabs.msg import SemanticVoxels
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from semabs_core.data.analytic import analytic_scene
from semabs_ros.convert import depth_to_image, matrix_to_transform, rgb_to_image
from semabs_ros.player import camera_info
from semabs_ros.spinning import spin

WAIT_S = 300.0
RESEND_S = 0.2
"""A transform that was lost comes again after so long."""


class Camera(Node):
    """Publishes frames of one view when it is told to, and listens to what is made of them."""

    def __init__(self) -> None:
        super().__init__("camera")
        self._scene = analytic_scene(640, 480)
        kinds = {"rgb/image": Image, "depth/image": Image, "rgb/camera_info": CameraInfo}
        self._topics = [self.create_publisher(kind, name, 5) for name, kind in kinds.items()]
        header = Header(frame_id="optical")
        self._messages = (
            rgb_to_image(self._scene.rgb[0], header),
            depth_to_image(self._scene.depth_m[0], header, "32FC1"),
            camera_info(self._scene, header),
        )
        # A robot's transforms are sent by another program than its camera's images.
        context = rclpy.Context()
        rclpy.init(context=context)
        self._robot = Node("robot", context=context)
        self._broadcaster = TransformBroadcaster(self._robot)
        self._arrived = threading.Event()
        self._stamp: tuple[int, int] = (0, 0)
        self.create_subscription(SemanticVoxels, "/semabs/completion/voxels", self._voxels, 1)
        self.create_subscription(PointCloud2, "/semabs/completion/points", lambda _: None, 1)

    def _voxels(self, message: SemanticVoxels) -> None:
        stamp = message.header.stamp
        if (stamp.sec, stamp.nanosec) == self._stamp:
            self._arrived.set()

    def wait(self) -> None:
        """Until the node listens."""
        topics = [*self._topics, self._broadcaster.pub_tf]
        deadline = time.monotonic() + WAIT_S
        while not all(topic.get_subscription_count() for topic in topics):
            if time.monotonic() > deadline:
                raise RuntimeError("nobody listens to the camera")
            time.sleep(0.1)

    def shoot(self) -> None:
        """Publish a frame with its transform."""
        stamp = self.get_clock().now().to_msg()
        for message in self._messages:
            message.header.stamp = stamp
        self._stamp = (stamp.sec, stamp.nanosec)
        self._arrived.clear()
        self._send_transform()
        for topic, message in zip(self._topics, self._messages, strict=True):
            topic.publish(message)

    def _send_transform(self) -> None:
        """Where the camera was when it took the last frame."""
        header = self._messages[0].header
        T = matrix_to_transform(self._scene.T_world_camera[0])
        world = Header(stamp=header.stamp, frame_id="map")
        self._broadcaster.sendTransform(
            TransformStamped(header=world, child_frame_id=header.frame_id, transform=T)
        )

    def frame(self) -> dict[str, float]:
        """Publish a frame; seconds until its voxels are there."""
        start = time.perf_counter()
        self.shoot()
        while not self._arrived.wait(RESEND_S):
            if time.perf_counter() - start > WAIT_S:
                raise RuntimeError("the node did not answer")
            self._send_transform()
        return {"wall": time.perf_counter() - start}

    def stream(self, rate_hz: float, seconds: float) -> dict[str, int]:
        """Publish frames at a rate; how many."""
        start, count = time.perf_counter(), 0
        while (due := start + count / rate_hz) < start + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            self.shoot()
            count += 1
        return {"published": count}


def main() -> None:
    rclpy.init()
    camera = Camera()
    executor = SingleThreadedExecutor()
    executor.add_node(camera)
    threading.Thread(target=spin, args=(executor, print), daemon=True).start()
    camera.wait()
    for line in sys.stdin:
        name, *numbers = line.split()
        said = camera.frame() if name == "frame" else camera.stream(*map(float, numbers))
        print("ANSWER " + json.dumps(said), flush=True)
    executor.shutdown(timeout_sec=5)
    rclpy.shutdown()


if __name__ == "__main__":
    main()
