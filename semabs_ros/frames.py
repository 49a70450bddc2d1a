"""Synced RGB-D, camera_info and TF at the stamp: an ``RGBDFrame``, or the reason why not."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import message_filters
import numpy as np
import yaml
from message_filters import SimpleFilter
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener

from semabs_core.types import FrameError, RGBDFrame
from semabs_ros.convert import ConvertError, Rectifier, messages_to_frame, transform_to_matrix
from semabs_ros.node_config import NodeConfig

WAITING_FRAMES = 16
"""Synced frames that may wait for their transform; the oldest goes first."""
ROOT_CHECK_S = 1.0
NO_TRANSFORM = "no transform"
SILENCE_S = 5.0
"""After so long without a synced frame the node says what is missing."""


@dataclass
class Topic:
    """One input topic and what came of it.

    Attributes:
        role: its relative name before remapping.
        name: its resolved name.
        kind: message type.
        reliable: reliability of the subscription; None while there is none.
        publishers: how many there are.
        received: how many messages came.
        times: when the last ones came, monotonic seconds.
        incompatible: whether a publisher's QoS does not fit the subscription.
    """

    role: str
    name: str
    kind: type
    reliable: bool | None = None
    publishers: int = 0
    received: int = 0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    incompatible: bool = False

    def rate_hz(self) -> float:
        """Messages per second over the last ones; 0 when the last came more than 2 s ago."""
        now = time.monotonic()
        if len(self.times) < 2 or now - self.times[-1] > 2:
            return 0.0
        return (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-6)


@dataclass(frozen=True)
class Synced:
    """A synced trio that may still wait for its transform."""

    rgb: Image | CompressedImage
    depth: Image | CompressedImage
    info: CameraInfo
    arrived: float


@dataclass(frozen=True)
class Source:
    """A frame and where it belongs in ROS.

    Attributes:
        frame: the RGB-D frame.
        world_frame: TF frame of all results.
        header: the colour image's exact stamp and frame.
        arrived: when it came, monotonic seconds.
    """

    frame: RGBDFrame
    world_frame: str
    header: Header
    arrived: float


class FrameSource:
    """Subscribes to a camera, follows its QoS, and hands out the newest frame that has a transform.

    Args:
        node: owns the subscriptions.
        config: returns the current node config.
        on_frame: called (in an executor's thread) when a new frame may be there.
    """

    def __init__(
        self, node: Node, config: Callable[[], NodeConfig], on_frame: Callable[[], None]
    ) -> None:
        self._node, self._config, self._on_frame = node, config, on_frame
        self._group = MutuallyExclusiveCallbackGroup()
        self._lock = threading.Lock()
        self._graph_lock = threading.RLock()
        self._active = False
        self._waiting: deque[Synced] = deque()
        self._rectifier = Rectifier()
        self._buffer: Buffer | None = None
        self._listener: TransformListener | None = None
        self._subscribers: list[message_filters.Subscriber] = []
        self._sync: message_filters.ApproximateTimeSynchronizer | None = None
        self._root, self._root_checked = "", -np.inf
        self._last_synced = 0.0
        self.topics: list[Topic] = []
        self.synced = 0
        self.frames = 0
        self.dropped = 0
        self.reason = ""
        """Why the last frame was dropped or waits; empty when the last one was fine."""

    # --- subscriptions ----------------------------------------------------------------------------

    def start(self) -> None:
        """Listen to TF and to the camera."""
        with self._graph_lock:
            self._start()
            self._active = True
            self.follow()

    def _start(self) -> None:
        config = self._config()
        self._buffer = Buffer(cache_time=Duration(nanoseconds=int(config.tf_cache_s * 1e9)))
        self._listener = TransformListener(self._buffer, self._node, spin_thread=False)
        self.topics = [
            self._topic("rgb/image", config.rgb_transport),
            self._topic("depth/image", config.depth_transport),
            Topic("rgb/camera_info", self._resolve("rgb/camera_info"), CameraInfo),
        ]
        self._last_synced = time.monotonic()
        self._root, self._root_checked, self.reason = "", -np.inf, ""

    def stop(self) -> None:
        """Release all subscriptions and forget waiting frames."""
        with self._graph_lock:
            self._active = False
            self._unsubscribe()
            if self._listener is not None:
                self._listener.unregister()
            self._listener = self._buffer = None
        with self._lock:
            self._waiting.clear()

    def follow(self) -> None:
        """Subscribe, or again with another reliability, when the graph has changed."""
        with self._graph_lock:
            if self._active:
                self._follow()

    def _follow(self) -> None:
        wanted = self._config().reliability
        changed = False
        for topic in self.topics:
            offers = self._node.get_publishers_info_by_topic(topic.name)
            topic.publishers = len(offers)
            if not offers:
                continue
            reliable = wanted == "reliable" or (
                wanted == "auto"
                and all(o.qos_profile.reliability == ReliabilityPolicy.RELIABLE for o in offers)
            )
            topic.incompatible = reliable and any(
                o.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for o in offers
            )
            if topic.reliable != reliable:
                topic.reliable, changed = reliable, True
        if changed and all(topic.reliable is not None for topic in self.topics):
            self._subscribe()

    def _topic(self, role: str, transport: str) -> Topic:
        """An image topic; compressed transports have their own sub-topic and type."""
        name = self._resolve(role)
        if transport == "raw":
            return Topic(role, name, Image)
        return Topic(role, f"{name}/{transport}", CompressedImage)

    def _resolve(self, name: str) -> str:
        return self._node.resolve_topic_name(name)

    def _subscribe(self) -> None:
        self._unsubscribe()
        config = self._config()
        gates = []
        for topic in self.topics:
            policy = ReliabilityPolicy.RELIABLE if topic.reliable else ReliabilityPolicy.BEST_EFFORT
            subscriber = message_filters.Subscriber(
                self._node,
                topic.kind,
                topic.name,
                qos_profile=QoSProfile(depth=config.sync_queue_size, reliability=policy),
                callback_group=self._group,
                # rclpy's default event handlers break the executor when they are destroyed.
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )
            gate = message_filters.SimpleFilter()
            subscriber.registerCallback(self._admit, topic, gate)
            self._subscribers.append(subscriber)
            gates.append(gate)
        self._sync = message_filters.ApproximateTimeSynchronizer(
            gates, config.sync_queue_size, config.sync_slop_s
        )
        self._sync.registerCallback(self._store)
        kinds = ", ".join(
            f"{t.name} ({'reliable' if t.reliable else 'best effort'})" for t in self.topics
        )
        self._node.get_logger().info(f"subscribed to {kinds}")

    def _unsubscribe(self) -> None:
        for subscriber in self._subscribers:
            self._node.destroy_subscription(subscriber.sub)
        self._subscribers, self._sync = [], None

    def _admit(
        self, message: Image | CompressedImage | CameraInfo, topic: Topic, gate: SimpleFilter
    ) -> None:
        """Count a message and pass it on to the synchronizer, if its stamp can be one."""
        topic.received += 1
        topic.times.append(time.monotonic())
        stamp = message.header.stamp
        if stamp.sec < 0 or (stamp.sec == 0 and stamp.nanosec == 0):
            self.reason = (
                f"messages of {topic.name} have no usable stamp ({stamp.sec}.{stamp.nanosec:09d}): "
                "the camera driver must stamp them with the time of the exposure"
            )
            return
        gate.signalMessage(message)

    def _store(self, rgb: Image, depth: Image, info: CameraInfo) -> None:
        now = time.monotonic()
        with self._lock:
            if len(self._waiting) >= WAITING_FRAMES:
                # Not the oldest, which may be the next to get its transform, nor the newest.
                del self._waiting[WAITING_FRAMES // 2]
                self.dropped += 1
            self._waiting.append(Synced(rgb, depth, info, now))
            self.synced += 1
            self._last_synced = now
        self._on_frame()

    # --- frames -----------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether a synced frame is there that was not taken."""
        return bool(self._waiting)

    def take(self) -> Source | None:
        """The newest frame whose transform is there; it and older ones are used up.

        Returns:
            The frame and where it belongs; None when there is none yet (``reason`` says why when
            something is wrong).
        """
        with self._lock:
            candidates = list(self._waiting)
        timeout = self._config().tf_timeout_s
        for synced in reversed(candidates):
            try:
                world, T = self._pose(synced)
            except TransformException as error:
                self.reason = self._explain(synced, error)
                if time.monotonic() - synced.arrived > timeout:
                    self._discard(synced, dropped=True)
                    return None
                continue
            self._discard(synced, dropped=False)
            return self._convert(synced, world, T)
        return None

    def _discard(self, synced: Synced, dropped: bool) -> None:
        """Forget a frame and everything older."""
        with self._lock:
            while self._waiting and self._waiting[0].arrived <= synced.arrived:
                self._waiting.popleft()
        self.dropped += dropped

    def _pose(self, synced: Synced) -> tuple[str, np.ndarray]:
        """World frame and ``T_world_camera`` at the image's stamp."""
        buffer, header = self._buffer, synced.rgb.header
        if buffer is None:
            raise TransformException("not listening to TF")
        world = self._config().world_frame or self._find_root(buffer, header.frame_id)
        stamp = Time.from_msg(header.stamp, clock_type=self._node.get_clock().clock_type)
        transform = buffer.lookup_transform(world, header.frame_id, stamp)
        return world, transform_to_matrix(transform.transform)

    def _find_root(self, buffer: Buffer, frame: str) -> str:
        """The root of the TF tree that a frame is in; looked up again once a second."""
        if not frame:
            raise TransformException("the colour image has an empty frame_id")
        if self._root and time.monotonic() - self._root_checked < ROOT_CHECK_S:
            return self._root
        try:
            frames = yaml.safe_load(buffer.all_frames_as_yaml()) or {}
        except yaml.YAMLError as error:
            raise TransformException(
                f"the TF tree cannot be read to find its root, set world_frame: {error}"
            ) from error
        if not isinstance(frames, dict) or frame not in frames:
            raise TransformException(
                f"no transform to the camera's frame {frame!r} has been received"
            )
        root = frame
        for _ in range(len(frames) + 1):
            if root not in frames:
                break
            root = str(frames[root]["parent"])
        self._root_checked = time.monotonic()
        if root != self._root:
            self._root = root
            self._node.get_logger().info(
                f"world_frame is not set: using {root!r}, the root of the camera's TF tree"
            )
        return root

    def _convert(self, synced: Synced, world: str, T: np.ndarray) -> Source | None:
        rectified = self._config().rectified_images
        try:
            frame = messages_to_frame(
                synced.rgb, synced.depth, synced.info, T, rectified, self._rectifier
            )
        except (ConvertError, FrameError) as error:
            self.reason = str(error)
        except Exception as error:
            self.reason = f"the frame cannot be converted ({type(error).__name__}): {error}"
        else:
            self.frames += 1
            self.reason = ""
            return Source(frame, world, synced.rgb.header, synced.arrived)
        self.dropped += 1
        return None

    def _explain(self, synced: Synced, error: Exception) -> str:
        camera = synced.rgb.header.frame_id
        world = self._config().world_frame or self._root or "the root of its TF tree"
        stamp = synced.rgb.header.stamp
        return (
            f"{NO_TRANSFORM} from {camera!r} to {world!r} at the image's stamp "
            f"{stamp.sec}.{stamp.nanosec:09d}: {error}; check that TF is published, world_frame is "
            "right and all clocks agree (use_sim_time)"
        )

    # --- health -----------------------------------------------------------------------------------

    def check_transform(self) -> None:
        """Try the oldest waiting frame's transform: faults show while nobody takes frames."""
        with self._lock:
            oldest = self._waiting[0] if self._waiting else None
        if oldest is None or time.monotonic() - oldest.arrived < self._config().tf_timeout_s:
            return
        try:
            self._pose(oldest)
        except TransformException as error:
            self.reason = self._explain(oldest, error)
        else:
            if self.reason.startswith(NO_TRANSFORM):
                self.reason = ""

    def problem(self) -> str:
        """What keeps frames from coming, for people; empty when they come."""
        silent = time.monotonic() - self._last_synced
        if silent <= SILENCE_S:
            return self.reason
        faults = []
        for topic in self.topics:
            if not topic.publishers:
                faults.append(f"{topic.name} has no publisher (is {topic.role} remapped?)")
            elif topic.incompatible:
                faults.append(
                    f"{topic.name}: its publisher's QoS does not fit (set reliability to auto)"
                )
            elif topic.rate_hz() == 0:
                faults.append(
                    f"{topic.name} has a publisher but nothing arrives (large best-effort images "
                    "need larger socket buffers: see the README)"
                )
        if not faults:
            rates = ", ".join(f"{t.name} {t.rate_hz():.1f} Hz" for t in self.topics)
            faults = [
                f"messages arrive ({rates}) but their stamps do not match within sync_slop_s = "
                f"{self._config().sync_slop_s:g} s"
            ]
        return f"no synced frame for {silent:.0f} s: " + "; ".join(faults)
