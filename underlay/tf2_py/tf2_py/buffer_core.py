"""`BufferCore`: all frames, under one lock, with tf2's answers and errors."""

from __future__ import annotations

import threading
from functools import reduce
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.logging import get_logger
from rclpy.time import Time

from tf2_py import velocity
from tf2_py.conversions import (
    to_nanoseconds,
    transform_from_message,
    transform_to_message,
)
from tf2_py.exceptions import (
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from tf2_py.frame_tree import FrameCache, find_path, latest_common_time
from tf2_py.report import frames_as_text, frames_as_yaml
from tf2_py.rigid import RigidTransform
from tf2_py.time_cache import LATEST, Sample, StaticCache, TimeCache

DEFAULT_CACHE_TIME = 10_000_000_000  # nanoseconds
_NOT_HERE = ("_chain", "_allFramesAsDot")


class BufferCore:
    """Stores transforms over time and answers what the transform between two frames was.

    Times may be rclpy times or time messages; time zero asks for the newest time that all edges
    of the path have. All methods may be called from any thread.

    Args:
        cache_time: how far back moving frames are remembered (default 10 s).
    """

    def __init__(self, cache_time: Any = None) -> None:
        self._cache_time = (
            DEFAULT_CACHE_TIME if cache_time is None else to_nanoseconds(cache_time, "cache_time")
        )
        self._lock = threading.RLock()
        self._caches: dict[str, FrameCache] = {}
        self._authorities: dict[str, str] = {}
        self._frames: dict[str, None] = {}  # every name ever seen, in order

    def __getattr__(self, name: str) -> Any:
        if name in _NOT_HERE:
            raise AttributeError(
                f"semabs' stand-in for tf2_py.BufferCore has no {name!r}; the real package has "
                "(apt: ros-$ROS_DISTRO-tf2-py)"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # Storing

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store the pose of a moving frame; an unusable one is reported in the log and ignored."""
        self._store(transform, authority, is_static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store the pose of a frame that does not move in its parent."""
        self._store(transform, authority, is_static=True)

    def clear(self) -> None:
        """Forget the poses of all moving frames."""
        with self._lock:
            for cache in self._caches.values():
                cache.clear()

    def _store(self, message: TransformStamped, authority: str, is_static: bool) -> None:
        parent = message.header.frame_id.removeprefix("/")
        child = message.child_frame_id.removeprefix("/")
        stamp = to_nanoseconds(message.header.stamp)
        problem = _name_problem(parent, child)
        if problem is None:
            try:
                sample = Sample(stamp, parent, transform_from_message(message.transform))
            except ValueError as error:
                problem = f"TF_NAN_INPUT: {error}"
        if problem is not None:
            get_logger("tf2").error(
                f"{problem}. Ignoring transform of child_frame_id {child!r} in frame_id "
                f"{parent!r} from authority {authority!r}"
            )
            return
        with self._lock:
            stored = self._cache_for(child, is_static).insert(sample)
            if stored:
                self._frames.update({child: None, parent: None})
                self._authorities[child] = authority
        if not stored:
            get_logger("tf2").warning(
                f"TF_OLD_DATA: ignoring data from the past for frame {child!r} at time "
                f"{stamp / 1e9:.6f} from authority {authority!r}"
            )

    def _cache_for(self, frame: str, is_static: bool) -> FrameCache:
        cache = self._caches.get(frame)
        if cache is None or cache.is_static != is_static:
            cache = StaticCache() if is_static else TimeCache(self._cache_time)
            self._caches[frame] = cache
        return cache

    # Looking up

    def lookup_transform_core(
        self, target_frame: str, source_frame: str, time: Any
    ) -> TransformStamped:
        """The transform that maps points of the source frame to the target frame at a time.

        Raises:
            LookupException: a frame is not known.
            ConnectivityException: no path leads from one frame to the other.
            ExtrapolationException: an edge of the path has no data for that time.
            InvalidArgumentException: a frame name is empty or starts with a slash.
        """
        transform, stamp = self._lookup(target_frame, source_frame, to_nanoseconds(time))
        return transform_to_message(transform, target_frame, source_frame, stamp)

    def lookup_transform_full_core(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> TransformStamped:
        """As above between two times: `fixed_frame` is where the world stands still meanwhile.

        Points of the source frame at `source_time` become points of the target frame at
        `target_time`, which is also the stamp of the answer.
        """
        start, end = to_nanoseconds(source_time), to_nanoseconds(target_time)
        with self._lock:
            for frame in (target_frame, source_frame, fixed_frame):
                self._require_frame(frame)
            to_fixed, _ = self._lookup(fixed_frame, source_frame, start)
            from_fixed, stamp = self._lookup(target_frame, fixed_frame, end)
        return transform_to_message(from_fixed @ to_fixed, target_frame, source_frame, stamp)

    def can_transform_core(
        self, target_frame: str, source_frame: str, time: Any
    ) -> tuple[bool, str]:
        """Whether a lookup would succeed, and if not, why."""
        stamp = to_nanoseconds(time)
        try:
            with self._lock:
                self._find(target_frame, source_frame, stamp)
        except TransformException as error:
            return False, str(error)
        return True, ""

    def can_transform_full_core(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
    ) -> tuple[bool, str]:
        """Whether a lookup between two times would succeed, and if not, why."""
        start, end = to_nanoseconds(source_time), to_nanoseconds(target_time)
        try:
            with self._lock:
                for frame in (target_frame, source_frame, fixed_frame):
                    self._require_frame(frame)
                self._find(target_frame, fixed_frame, end)
                self._find(fixed_frame, source_frame, start)
        except TransformException as error:
            return False, str(error)
        return True, ""

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """The newest time at which the two frames can be transformed; zero if always."""
        with self._lock:
            for frame in (target_frame, source_frame):
                self._require_frame(frame)
            nanoseconds = latest_common_time(self._caches, target_frame, source_frame)
        return Time(nanoseconds=nanoseconds)

    def _lookup(self, target: str, source: str, stamp: int) -> tuple[RigidTransform, int]:
        with self._lock:
            up, down, stamp = self._find(target, source, stamp)
            to_ancestor = [self._caches[frame].sample_at(stamp).transform for frame in up]
            from_ancestor = [
                self._caches[frame].sample_at(stamp).transform.inverse() for frame in down
            ]
        steps = from_ancestor + to_ancestor[::-1]
        if not steps:
            return RigidTransform.identity(), stamp
        return reduce(RigidTransform.__matmul__, steps), stamp

    def _find(self, target: str, source: str, stamp: int) -> tuple[list[str], list[str], int]:
        """The two halves of the path, and the time that `stamp` stands for."""
        if target == source:  # needs no data, not even a known frame
            if stamp == LATEST and target in self._caches:
                stamp = self._caches[target].latest_stamp
            return [], [], stamp
        for frame in (target, source):
            self._require_frame(frame)
        if stamp == LATEST:
            stamp = latest_common_time(self._caches, target, source)
        up, down = find_path(self._caches, target, source, stamp)
        return up, down, stamp

    def _require_frame(self, frame: str) -> None:
        if not isinstance(frame, str):
            raise TypeError(f"a frame name must be a str and was a {type(frame).__name__}")
        if not frame:
            raise InvalidArgumentException("a frame name must not be empty")
        if frame.startswith("/"):
            raise InvalidArgumentException(
                f"frame {frame!r}: a frame name must not start with a '/'"
            )
        if frame not in self._frames:
            raise LookupException(f"frame {frame!r} does not exist")

    # Velocity (names as the real package has them)

    def lookupVelocityCore(
        self, tracking_frame: str, observation_frame: str, time: Any, averaging_interval: Any
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Linear (m/s) and angular (rad/s) velocity of a frame as another one sees it."""
        return self.lookupVelocityFullCore(
            tracking_frame,
            observation_frame,
            observation_frame,
            (0.0, 0.0, 0.0),
            tracking_frame,
            time,
            averaging_interval,
        )

    def lookupVelocityFullCore(
        self,
        tracking_frame: str,
        observation_frame: str,
        reference_frame: str,
        reference_point: tuple[float, float, float],
        reference_point_frame: str,
        time: Any,
        averaging_interval: Any,
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The same, expressed in a reference frame and about a reference point.

        The motion is the difference of two poses, `averaging_interval` apart around `time`.
        """
        with self._lock:
            newest = self.get_latest_common_time(observation_frame, tracking_frame).nanoseconds
            return velocity.measure(
                lambda target, source, stamp: self._lookup(target, source, stamp)[0],
                velocity.Frames(
                    tracking_frame, observation_frame, reference_frame, reference_point_frame
                ),
                reference_point,
                to_nanoseconds(time),
                to_nanoseconds(averaging_interval, "averaging_interval"),
                newest,
            )

    # Reporting

    def all_frames_as_string(self) -> str:
        """One line per frame: its name and its parent."""
        with self._lock:
            return frames_as_text(self._caches)

    def all_frames_as_yaml(self) -> str:
        """A YAML document: parent, broadcaster, rate and times of each frame."""
        with self._lock:
            return frames_as_yaml(self._caches, self._authorities)

    def _frameExists(self, frame_id: str) -> bool:
        with self._lock:
            return frame_id in self._frames

    def _getFrameStrings(self) -> list[str]:
        with self._lock:
            return list(self._frames)


def _name_problem(parent: str, child: str) -> str | None:
    if not child:
        return "TF_NO_CHILD_FRAME_ID: the child_frame_id is empty"
    if not parent:
        return "TF_NO_FRAME_ID: the frame_id is empty"
    if parent == child:
        return "TF_SELF_TRANSFORM: frame_id and child_frame_id are the same"
    return None
