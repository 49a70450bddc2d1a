"""Synced RGB-D, camera_info and TF at the stamp: an ``RGBDFrame``, or the reason why not."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from rclpy.clock import JumpHandle, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from tf2_ros import TransformException

from semabs_core.pose_checks import doubt
from semabs_core.problem import NONE, Problem
from semabs_core.readers.calibration import Rectifier
from semabs_core.readers.messages import ConvertError
from semabs_core.readers.trios import messages_to_frame
from semabs_core.text import shorten
from semabs_core.types import FrameError
from semabs_ros.node_config import NodeConfig
from semabs_ros.pairing import ImageMessage, Pair, Pairing
from semabs_ros.poses import CameraPoses
from semabs_ros.rgbd import Source, Waiting
from semabs_ros.silence import explain_silence
from semabs_ros.subscriptions import DEPTH, INFO, RGB, SILENCE_S, Subscriptions, Topic

WAITING_FRAMES = 16
"""Synced frames that may wait for their transform."""
JUMP_BACK_NS = 10**9
"""Stamps or ROS time that go back so far have jumped: a bag starts again, a simulator is reset."""
LASTING_S = 1.0
"""What is over within so long is an incident, and no state."""
MEND_S = 4.0
"""When images have got no transform for ``tf_timeout_s`` and so long, TF's memory is cleared."""
IDLE_S = 1.0
"""When nobody took a frame for so long, the newest is looked at for faults all the same."""


class FrameSource:
    """Subscribes to a camera, follows its QoS, and hands out the newest frame that has a transform.

    Several can exist in one node, one for each camera.

    Args:
        node: owns the subscriptions.
        config: returns the current node config.
        on_frame: called (in an executor's thread) when a new frame may be there.
        prefix: goes before the topics' names, as in ``left/rgb/image``.
        floor_z_m: returns the floor's height in the world frame, metres.
    """

    def __init__(
        self,
        node: Node,
        config: Callable[[], NodeConfig],
        on_frame: Callable[[], None],
        prefix: str = "",
        floor_z_m: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._node, self._config, self._on_frame = node, config, on_frame
        self._prefix, self._floor_z_m = prefix, floor_z_m
        self._lock = threading.RLock()
        self._graph_lock = threading.RLock()
        self._convert_lock = threading.Lock()
        self._rectifier = Rectifier()
        self._waiting: deque[Waiting] = deque()
        self._subscriptions: Subscriptions | None = None
        self._poses: CameraPoses | None = None
        self._pairing = Pairing(1, 0.0)
        self._jump_handle: JumpHandle | None = None
        self.synced = 0
        self.frames = 0
        self.dropped = 0
        self._reset_health()

    def _reset_health(self) -> None:
        self._started = time.monotonic()
        self._last_synced = self._last_taken = self._last_placed = -np.inf
        self._newest_ns: int | None = None
        self._jumped = self._restless = self._mended = -np.inf
        self._inspected: Waiting | None = None
        self._tf_error = self._tf_fault = self._frame_fault = self._pose_doubt = NONE

    # --- start and stop ---------------------------------------------------------------------------

    def start(self) -> None:
        """Listen to TF and to the camera."""
        with self._graph_lock:
            config = self._config()
            self._reset_health()
            self._pairing = Pairing(config.sync_queue_size, config.sync_slop_s)
            self._poses = CameraPoses(self._node, config.tf_cache_s)
            receivers = {
                RGB: lambda image: self._store(self._pairing.add_rgb, image),
                DEPTH: lambda image: self._store(self._pairing.add_depth, image),
                INFO: self._store_info,
            }
            self._subscriptions = Subscriptions(self._node, self._config, receivers, self._prefix)
            self._jump_handle = self._node.get_clock().create_jump_callback(
                JumpThreshold(
                    min_forward=None,
                    min_backward=Duration(nanoseconds=-JUMP_BACK_NS),
                    on_clock_change=True,
                ),
                post_callback=self._on_jump,
            )
            self.follow()

    def stop(self) -> None:
        """Release all subscriptions and forget waiting frames."""
        with self._graph_lock:
            if self._jump_handle is not None:
                self._jump_handle.unregister()
            if self._subscriptions is not None:
                self._subscriptions.stop()
            if self._poses is not None:
                self._poses.stop()
            self._jump_handle = self._subscriptions = self._poses = None
        with self._lock:
            self._waiting.clear()

    def follow(self) -> None:
        """Subscribe, or again with another QoS, when the graph has changed."""
        with self._graph_lock:
            if self._subscriptions is not None:
                self._subscriptions.follow()

    @property
    def topics(self) -> list[Topic]:
        """The inputs; empty while nothing is listened to."""
        subscriptions = self._subscriptions
        return subscriptions.topics if subscriptions is not None else []

    # --- messages come in -------------------------------------------------------------------------

    def _store_info(self, message: CameraInfo) -> None:
        with self._lock:
            self._pairing.add_info(message)
        self._on_frame()

    def _store(self, add: Callable[[ImageMessage], Pair | None], image: ImageMessage) -> None:
        with self._lock:
            pair = add(image)
            if pair is None or not self._follow_time(pair.stamp_ns):
                return
            if len(self._waiting) >= WAITING_FRAMES:
                # Not the oldest, which may be the next to get its transform, nor the newest.
                del self._waiting[WAITING_FRAMES // 2]
                self.dropped += 1
            self._last_synced = time.monotonic()
            self._waiting.append(Waiting(pair, self._last_synced))
            self.synced += 1
            self._settle()
        self._on_frame()

    def _follow_time(self, stamp_ns: int) -> bool:
        """Start afresh where the stamps have jumped back; whether the pair can be used.

        Only pairs tell: a single image from the past or the future finds no partner.
        """
        now, newest = time.monotonic(), self._newest_ns
        if newest is not None and stamp_ns < newest - JUMP_BACK_NS:
            if now - self._jumped < LASTING_S:
                self._restless = now
                return False
            self._forget(f"the images' stamps went back by {(newest - stamp_ns) * 1e-9:.1f} s")
        self._newest_ns = max(stamp_ns, self._newest_ns or 0)
        return True

    def _on_jump(self, jump: TimeJump) -> None:
        """ROS time has jumped back, or changed between simulated and real."""
        self._forget("ROS time jumped back, or use_sim_time changed")

    def _forget(self, why: str) -> None:
        """What moves belongs to another time: forget it; static transforms and calibration stay."""
        with self._lock:
            self._waiting.clear()
            self._pairing.clear()
            if self._poses is not None:
                self._poses.clear()
            self._newest_ns, self._jumped = None, time.monotonic()
            self._last_placed = self._jumped
            self._tf_error = self._tf_fault = self._frame_fault = NONE
        self._node.get_logger().info(f"{why}: forgetting images and moving transforms")

    # --- poses ------------------------------------------------------------------------------------

    def _settle(self) -> Waiting | None:
        """The newest frame that has its pose, after what can no longer be of use is gone.

        Frames older than that one go, and those that have waited in vain for longer than
        ``tf_timeout_s``. That is a fault only where no frame at all has got its pose for seconds:
        between big images transforms get lost.
        """
        now, timeout = time.monotonic(), self._config().tf_timeout_s
        placed = None
        for index in reversed(range(len(self._waiting))):
            entry = self._waiting[index]
            error = self._place(entry)
            if not error:
                placed = entry
                for _ in range(index):
                    self._waiting.popleft()
                break
            self._tf_error = error
            if now - entry.arrived > timeout:
                del self._waiting[index]
                self.dropped += 1
                since = max(self._last_placed, self._started)
                if entry.arrived - since > max(timeout, SILENCE_S):
                    self._tf_fault = error
        return placed

    def _place(self, entry: Waiting) -> Problem:
        """Look a frame's pose up, once; returns why it is not there."""
        poses, wanted, header = self._poses, self._config().world_frame, entry.header
        if entry.wanted == wanted:
            return NONE
        if poses is None:
            return Problem("not listening to TF", "inactive")
        try:
            entry.world, entry.T_world_camera = poses.look_up(wanted, header.frame_id, header.stamp)
        except TransformException as error:
            return poses.explain(wanted, header.frame_id, header.stamp, error)
        entry.wanted = wanted
        self._last_placed = max(self._last_placed, entry.arrived)
        self._tf_error = self._tf_fault = NONE
        return NONE

    # --- frames go out ----------------------------------------------------------------------------

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
            self._last_taken = time.monotonic()
            entry = self._settle()
            info = self._pairing.info_for(entry.pair.stamp_ns) if entry is not None else None
            if entry is None or info is None:
                return None
            self._waiting.popleft()
        source = self._convert(entry, info)
        if source is None:
            self.dropped += 1
        else:
            self.frames += 1
        return source

    def _convert(self, entry: Waiting, info: CameraInfo) -> Source | None:
        config, header, T_world_camera = self._config(), entry.header, entry.T_world_camera
        assert T_world_camera is not None
        try:
            with self._convert_lock:
                pair = entry.pair
                named = any(info.d) and any(topic.rectified for topic in self.topics[:1])
                how = (config.rectified_images or named, config.ignore_frame_ids)
                images = pair.rgb, pair.depth, info
                frame = messages_to_frame(*images, T_world_camera, self._rectifier, *how)
        except (ConvertError, FrameError) as error:
            self._frame_fault = Problem(str(error), "bad frame")
        except Exception as error:
            self._frame_fault = Problem(
                f"the frame cannot be converted ({type(error).__name__}): {shorten(error)}",
                "bad frame",
            )
        else:
            self._frame_fault = NONE
            self._pose_doubt = doubt(frame, header.frame_id, entry.world, self._floor_z_m())
            return Source(frame, entry.world, header, entry.arrived, self._pose_doubt)
        return None

    # --- health -----------------------------------------------------------------------------------

    def check_transform(self) -> None:
        """Look at the newest frame: faults show, and end, while nobody takes frames."""
        with self._lock:
            entry = self._settle()
            self._mend()
            if entry is None or time.monotonic() - self._last_taken < IDLE_S:
                return
            info = self._pairing.info_for(entry.pair.stamp_ns)
        if info is not None and entry is not self._inspected:
            self._inspected = entry
            self._convert(entry, info)

    def _mend(self) -> None:
        """Clear TF's memory where nothing can be had from it.

        One transform from the future makes TF refuse all that come after it as too old. But what
        comes seldom is waited for: the transform before it is needed to tell what was in between.
        """
        now = time.monotonic()
        last = max(self._last_placed, self._started, self._mended)
        missed = self._tf_error and now - self._last_synced < LASTING_S
        patience = self._config().tf_timeout_s + MEND_S
        if missed and now - last > patience and self._poses is not None:
            self._mended = now
            self._poses.clear()

    @property
    def reason(self) -> Problem:
        """Why there is no frame, as far as is known; empty when the last one was fine."""
        if self._quiet_s() > self._patience_s():
            return explain_silence(self._node, self.topics, self._pairing, self._config())
        late = time.monotonic() - self._last_placed > LASTING_S
        return self._frame_fault or (self._tf_error if late else NONE)

    def problem(self) -> Problem:
        """What keeps frames from coming, for people; empty when they come."""
        silent = min(self._quiet_s(), time.monotonic() - self._started)
        if silent <= self._patience_s():
            return self._frame_fault or self._tf_fault
        why = explain_silence(self._node, self.topics, self._pairing, self._config())
        return Problem(f"no synced frame for {silent:.0f} s: {why}", f"silence: {why.kind}")

    @property
    def warning(self) -> Problem:
        """What makes the frames' answers doubtful although they can be used; empty when nothing."""
        if time.monotonic() - self._restless < SILENCE_S:
            return Problem(
                f"the stamps of {self.topics[0].name if self.topics else 'the images'} jump back "
                "and forth: do two cameras publish to one topic?",
                "restless stamps",
            )
        return self._pose_doubt if self._quiet_s() <= self._patience_s() else NONE

    def _quiet_s(self) -> float:
        """How long ago the last synced frame came, with its camera_info."""
        if not self._pairing.calibrated:
            return float("inf")
        return time.monotonic() - self._last_synced

    def _patience_s(self) -> float:
        """How long no frame may come: a slow camera is not silent between its images."""
        rates = [topic.rate_hz() for topic in self.topics if topic.kind is not CameraInfo]
        slowest = min((rate for rate in rates if rate), default=1.0)
        return max(SILENCE_S, 3 / slowest)
