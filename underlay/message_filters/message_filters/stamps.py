"""When a message was taken."""

from __future__ import annotations

from typing import Any

from rclpy.clock import ROSClock
from rclpy.logging import get_logger
from rclpy.time import Time


def to_time(stamp: Any) -> Time:
    """An rclpy time from a stamp, which may be one already."""
    return stamp if hasattr(stamp, "nanoseconds") else Time.from_msg(stamp)


def time_of(msg: Any, allow_headerless: bool, user: str) -> Time | None:
    """The stamp of a message; now, if it has none and may have none.

    Args:
        msg: any message.
        allow_headerless: whether "now" will do.
        user: name of the logger.

    Returns:
        None, after a warning, if the message is unusable.
    """
    stamp = getattr(getattr(msg, "header", None), "stamp", None)
    if stamp is not None:
        return to_time(stamp)
    if allow_headerless:
        return ROSClock().now()
    get_logger(user).warning(
        f"dropped a message without header.stamp ({type(msg).__name__}); allow_headerless=True "
        "would give it the time of its arrival"
    )
    return None
