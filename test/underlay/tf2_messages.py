"""Transforms as messages and as numbers, for the tests of tf2."""

import math

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time

LATEST = Time()
DEADLINE_S = 10.0


def at(seconds):
    return Time(nanoseconds=round(seconds * 1e9))


def edge(parent, child, seconds, xyz=(0.0, 0.0, 0.0), yaw=0.0):
    """A TransformStamped, turned about z by `yaw` degrees."""
    message = TransformStamped()
    message.header.frame_id = parent
    message.header.stamp = at(seconds).to_msg()
    message.child_frame_id = child
    translation = message.transform.translation
    translation.x, translation.y, translation.z = map(float, xyz)
    message.transform.rotation.z = math.sin(math.radians(yaw) / 2)
    message.transform.rotation.w = math.cos(math.radians(yaw) / 2)
    return message


def numbers(message):
    """((x, y, z), yaw in degrees) of a rotation about z."""
    t, q = message.transform.translation, message.transform.rotation
    assert (q.x, q.y) == pytest.approx((0.0, 0.0), abs=1e-12)
    return (t.x, t.y, t.z), math.degrees(2 * math.atan2(q.z, q.w))


def seconds_of(message):
    return message.header.stamp.sec + message.header.stamp.nanosec / 1e9
