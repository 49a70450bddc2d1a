"""Pure functions from arrays to messages (:mod:`semabs_core.readers.messages` reads them)."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Transform, Vector3
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from std_msgs.msg import Header


def byte_array(values: NDArray) -> array.array:
    """An array's bytes for a ``uint8[]`` field (NumPy there is copied item by item)."""
    found = array.array("B")
    found.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return found


# --- images ---------------------------------------------------------------------------------------


def rgb_to_image(rgb: NDArray[np.uint8], header: Header) -> Image:
    """(H, W, 3) uint8 RGB to an ``rgb8`` message."""
    height, width = rgb.shape[:2]
    return Image(
        header=header, height=height, width=width, encoding="rgb8", step=3 * width,
        data=byte_array(rgb),
    )  # fmt: skip


def depth_to_image(depth_m: NDArray[np.float32], header: Header, encoding: str) -> Image:
    """(H, W) metres to a ``32FC1`` (metres, NaN) or ``16UC1`` (millimetres, 0) message."""
    height, width = depth_m.shape
    valid = np.isfinite(depth_m) & (depth_m > 0)
    if encoding == "16UC1":
        millimetres = np.rint(np.where(valid, depth_m, 0) * 1000)
        values = np.where(millimetres < 65536, millimetres, 0).astype("<u2")
    elif encoding == "32FC1":
        values = np.where(valid, depth_m, np.nan).astype("<f4")
    else:
        raise ValueError(f"encoding must be 32FC1 or 16UC1, got {encoding!r}")
    return Image(
        header=header, height=height, width=width, encoding=encoding,
        step=values.itemsize * width, data=byte_array(values),
    )  # fmt: skip


# --- transforms -----------------------------------------------------------------------------------


def transform_to_matrix(transform: Transform) -> NDArray[np.float64]:
    """A transform message to (4, 4)."""
    q, t = transform.rotation, transform.translation
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    T[:3, 3] = t.x, t.y, t.z
    return T


def matrix_to_transform(T: NDArray) -> Transform:
    """(4, 4) rigid to a transform message."""
    message = Transform(translation=Vector3(**xyz(T[:3, 3])))
    q = message.rotation
    q.x, q.y, q.z, q.w = map(float, Rotation.from_matrix(T[:3, :3]).as_quat())
    return message


def matrix_to_pose(T: NDArray) -> Pose:
    """(4, 4) rigid to a pose message."""
    transform = matrix_to_transform(T)
    return Pose(position=Point(**xyz(T[:3, 3])), orientation=transform.rotation)


def xyz(values: Sequence[float]) -> dict[str, float]:
    """Three numbers as a message's fields."""
    return dict(zip("xyz", map(float, values), strict=True))
