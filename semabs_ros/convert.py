"""Pure functions between messages and arrays: encodings, depth units, poses."""

from __future__ import annotations

import array
import io
import re
import struct
from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
from builtin_interfaces.msg import Time
from cv_bridge import CvBridge, CvBridgeError
from geometry_msgs.msg import Point, Pose, Transform, Vector3
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from semabs_core.text import shorten

_BRIDGE = CvBridge()
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_ENCODINGS = re.compile(
    r"^((rgb|bgr|rgba|bgra)(8|16)|mono(8|16)|8UC[134]|bayer_.*|yuv.*|uyvy|yuyv|nv\d+)$"
)
_NO_PICTURE = "{} bytes that are no (usable) JPEG, PNG or the like"
MAX_PIXELS = 2**26
"""Larger images are taken for damaged messages: a few bytes of PNG can claim gigabytes."""


class ConvertError(ValueError):
    """A message cannot be used; the text names the field, what it is and what would do."""


def stamp_to_seconds(stamp: Time) -> float:
    """Seconds as a float."""
    return stamp.sec + stamp.nanosec * 1e-9


def nanoseconds(stamp: Time) -> int:
    """A stamp as one number."""
    return stamp.sec * 10**9 + stamp.nanosec


def byte_array(values: NDArray) -> array.array:
    """An array's bytes for a ``uint8[]`` field (NumPy there is copied item by item)."""
    return array.array("B", np.ascontiguousarray(values).tobytes())


# --- images ---------------------------------------------------------------------------------------


def image_to_rgb(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """A colour image message to (H, W, 3) uint8 RGB.

    Raises:
        ConvertError: if its encoding is no colour encoding or its data is damaged.
    """
    try:
        if isinstance(message, CompressedImage):
            return _decode_color(bytes(message.data))
        if not COLOR_ENCODINGS.match(message.encoding):
            raise ConvertError(
                f"the colour image has the encoding '{shorten(message.encoding)}', which is no "
                "colour: "
                "remap rgb/image to a topic with rgb8, bgr8, rgba8, bgra8, mono8, bayer or yuv422"
            )
        check_size(message, "colour")
        rgb = np.ascontiguousarray(_BRIDGE.imgmsg_to_cv2(message, "rgb8"))
        check_decoded(rgb, message, "colour")
        return rgb
    except ConvertError:
        raise
    except (CvBridgeError, cv2.error, ValueError, TypeError, AttributeError) as error:
        raise ConvertError(f"the colour image cannot be decoded: {shorten(error)}") from error


def _decode_color(data: bytes) -> NDArray[np.uint8]:
    """JPEG, PNG or the like to (H, W, 3) RGB, grey, transparent and 16-bit images too.

    cv_bridge takes whatever it decodes for bgr8, so that it hands on other numbers of channels.
    """
    check_compressed_size(data, "colour")
    # The calibration is that of the pixels as they are stored, whatever EXIF says of them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    bgr = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    if bgr is None:
        raise ConvertError(f"the colour image cannot be decoded: {_NO_PICTURE.format(len(data))}")
    return np.ascontiguousarray(bgr[..., ::-1])


def check_pixels(width: int, height: int, what: str) -> None:
    """An image has pixels, and not more than a camera can have."""
    if width == 0 or height == 0:
        raise ConvertError(f"the {what} image is empty ({width}x{height})")
    if width * height > MAX_PIXELS:
        raise ConvertError(
            f"the {what} image claims {width}x{height} pixels, more than {MAX_PIXELS}: it is "
            "damaged, or must be scaled down"
        )


def check_size(message: Image, what: str) -> None:
    """The data must be as long as height and step say."""
    check_pixels(message.width, message.height, what)
    if len(message.data) < message.height * message.step:
        raise ConvertError(
            f"the {what} image is truncated: {len(message.data)} bytes, but height x step is "
            f"{message.height * message.step}"
        )


def check_decoded(pixels: NDArray, message: Image, what: str) -> None:
    """Rows that are shorter than their pixels make a narrower image."""
    height, width = pixels.shape[:2]
    if (height, width) != (message.height, message.width):
        raise ConvertError(
            f"the {what} image is {message.width}x{message.height} but its rows (step "
            f"{message.step}) hold {width} pixels"
        )


def check_compressed_size(data: bytes, what: str) -> None:
    """The size that a compressed image claims, before memory is taken for it."""
    try:
        width, height = PIL.Image.open(io.BytesIO(data)).size
    except PIL.Image.DecompressionBombError as error:
        raise ConvertError(f"the {what} image claims more than {MAX_PIXELS} pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ConvertError(
            f"the {what} image cannot be decoded: {_NO_PICTURE.format(len(data))}"
        ) from error
    check_pixels(width, height, what)


def depth_to_metres(message: Image | CompressedImage) -> NDArray[np.float32]:
    """A depth image message (REP 118) to (H, W) float32 metres, NaN where there is no reading.

    Raises:
        ConvertError: if its encoding is not 32FC1 (metres) or 16UC1 (millimetres), or data is
            missing.
    """
    if isinstance(message, CompressedImage):
        return _decode_depth(message)
    if message.encoding not in ("32FC1", "16UC1", "mono16"):
        raise ConvertError(
            f"the depth image has the encoding '{shorten(message.encoding)}'; it must be 32FC1 "
            "(metres) or 16UC1 (millimetres): remap depth/image to the registered depth topic"
        )
    check_size(message, "depth")
    try:
        depth = np.asarray(_BRIDGE.imgmsg_to_cv2(message, "passthrough"))
        check_decoded(depth, message, "depth")
    except ConvertError:
        raise
    except (CvBridgeError, ValueError, TypeError, AttributeError) as error:
        raise ConvertError(f"the depth image cannot be decoded: {shorten(error)}") from error
    return _metres(depth)


def _metres(depth: NDArray) -> NDArray[np.float32]:
    """uint16 millimetres or float metres to float32 metres with NaN for no reading."""
    if depth.dtype.kind == "f":
        metres = depth.astype(np.float32)
        metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
        return metres
    metres = depth.astype(np.float32) / 1000
    metres[depth == 0] = np.nan
    return metres


def _decode_depth(message: CompressedImage) -> NDArray[np.float32]:
    """``compressedDepth`` (PNG behind a 12-byte header) or a plain 16-bit PNG.

    The header and the inverse-depth quantisation of 32FC1 (depth = a / (value - b)) are those of
    compressed_depth_image_transport.
    """
    data = bytes(message.data)
    layout = message.format.lower()
    a = b = 0.0
    if "compresseddepth" in layout:
        if "rvl" in layout:
            raise ConvertError("compressedDepth with RVL is not supported: set its format to png")
        if len(data) < 12:
            raise ConvertError(f"the compressedDepth image is truncated: {len(data)} bytes")
        _, a, b = struct.unpack_from("<iff", data)
        data = data[12:]
    if not data:
        raise ConvertError("the compressed depth image is empty")
    depth = None
    if data.startswith(PNG_SIGNATURE):
        check_compressed_size(data, "depth")
        depth = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.ndim != 2 or depth.dtype != np.uint16:
        raise ConvertError(
            f"the compressed depth image (format '{shorten(message.format)}') holds no 16-bit PNG; "
            "JPEG cannot carry depth: use compressedDepth"
        )
    if "32fc1" not in layout:
        return _metres(depth)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        metres = (a / (depth.astype(np.float32) - b)).astype(np.float32)
    metres[depth == 0] = np.nan
    return _metres(metres)


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
