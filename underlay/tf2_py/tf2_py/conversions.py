"""Times, durations and transforms between ROS objects and plain numbers."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped

from tf2_py.rigid import RigidTransform

NANOSECONDS_PER_SECOND = 1_000_000_000


def to_nanoseconds(value: Any, what: str = "time") -> int:
    """Read a time or a duration, whatever its class.

    Args:
        value: a message (`sec`, `nanosec`) or an rclpy object (`nanoseconds`).
        what: how the error calls the value.

    Raises:
        TypeError: neither pair of attributes is there.
    """
    if hasattr(value, "sec") and hasattr(value, "nanosec"):
        return int(value.sec) * NANOSECONDS_PER_SECOND + int(value.nanosec)
    if hasattr(value, "nanoseconds"):
        return int(value.nanoseconds)
    raise TypeError(
        f"{what} must have sec and nanosec, or nanoseconds, and was a {type(value).__name__}"
    )


def to_time_message(nanoseconds: int) -> TimeMessage:
    sec, nanosec = divmod(nanoseconds, NANOSECONDS_PER_SECOND)
    return TimeMessage(sec=sec, nanosec=nanosec)


def display_time(nanoseconds: int) -> str:
    return f"{nanoseconds / NANOSECONDS_PER_SECOND:.6f}"


def transform_from_message(message: Any) -> RigidTransform:
    """Take the numbers of a `geometry_msgs/Transform`.

    Raises:
        ValueError: a number is NaN, or the quaternion is no rotation.
    """
    t, q = message.translation, message.rotation
    return RigidTransform.from_numbers((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def transform_to_message(
    transform: RigidTransform, target_frame: str, source_frame: str, nanoseconds: int
) -> TransformStamped:
    message = TransformStamped()
    message.header.stamp = to_time_message(nanoseconds)
    message.header.frame_id = target_frame
    message.child_frame_id = source_frame
    translation = message.transform.translation
    translation.x, translation.y, translation.z = map(float, transform.translation)
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = map(
        float, transform.rotation.as_quat(canonical=True)
    )
    return message
