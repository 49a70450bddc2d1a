"""A camera for tests: publishes one frame again and again, faults included."""

import contextlib
import threading

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from semabs_ros.convert import depth_to_image, matrix_to_transform, rgb_to_image
from semabs_ros.player import camera_info


def transform(parent, child, T, stamp):
    return TransformStamped(
        header=Header(stamp=stamp, frame_id=parent),
        child_frame_id=child,
        transform=matrix_to_transform(T),
    )


class Camera(Node):
    """Publishes `scene` at `rate` Hz; `change` may spoil the messages (rgb, depth, info) first.

    `now` gives the stamps. With `latched_info` camera_info is published once, before the images,
    without a stamp.
    """

    def __init__(
        self, scene, context, reliable=True, rate=10.0, name="camera", tf=True, tf_delay=0.0,
        prefix="", frame="optical", latched_info=False,
    ):  # fmt: skip
        super().__init__(name, context=context)
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=5, reliability=policy)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.topics = [
            self.create_publisher(Image, f"{prefix}rgb/image", qos),
            self.create_publisher(Image, f"{prefix}depth/image", qos),
            self.create_publisher(
                CameraInfo, f"{prefix}rgb/camera_info", latched if latched_info else qos
            ),
        ]
        self.broadcaster = TransformBroadcaster(self)
        self.scene, self.tf, self.tf_delay = scene, tf, tf_delay
        self.frame, self.latched_info = frame, latched_info
        self.change = lambda rgb, depth, info: (rgb, depth, info)
        self.now = lambda: self.get_clock().now().to_msg()
        self.stamps = []
        if latched_info:
            self.topics[2].publish(camera_info(scene, Header(frame_id=frame)))
        self.timer = self.create_timer(1 / rate, self.shoot)

    def shoot(self):
        now = self.now()
        if now is None:
            return
        self.stamps.append((now.sec, now.nanosec))
        if self.tf and self.tf_delay:
            threading.Timer(self.tf_delay, self.send_transform, (now,)).start()
        elif self.tf:
            self.send_transform(now)
        messages = self.change(
            rgb_to_image(self.scene.rgb[0], self.header(now)),
            depth_to_image(self.scene.depth_m[0], self.header(now), "32FC1"),
            None if self.latched_info else camera_info(self.scene, self.header(now)),
        )
        for topic, message in zip(self.topics, messages):
            if message is not None:
                topic.publish(message)

    def header(self, now):
        return Header(stamp=Time(sec=now.sec, nanosec=now.nanosec), frame_id=self.frame)

    def send_transform(self, stamp):
        pose = transform("map", self.frame, self.scene.T_world_camera[0], stamp)
        with contextlib.suppress(InvalidHandle):  # the test may be over when a late one is due
            self.broadcaster.sendTransform(pose)
