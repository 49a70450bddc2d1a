"""Pure functions from a camera's messages to frames: encodings, depth units, lenses, poses."""

from __future__ import annotations

import array
import re
import struct
from collections.abc import Sequence

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from cv_bridge import CvBridge, CvBridgeError
from geometry_msgs.msg import Point, Pose, Transform, Vector3
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from semabs_core.types import RGBDFrame

_BRIDGE = CvBridge()
COLOR_ENCODINGS = re.compile(
    r"^((rgb|bgr|rgba|bgra)(8|16)|mono(8|16)|8UC[134]|bayer_.*|yuv.*|uyvy|yuyv|nv\d+)$"
)
DISTORTION_MODELS = ("plumb_bob", "rational_polynomial", "equidistant")


class ConvertError(ValueError):
    """A message cannot be used; the text names the field, what it is and what would do."""


def stamp_to_seconds(stamp: Time) -> float:
    """Seconds as a float."""
    return stamp.sec + stamp.nanosec * 1e-9


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
            bgr = _BRIDGE.compressed_imgmsg_to_cv2(message, "bgr8")
            return np.ascontiguousarray(bgr[..., ::-1])
        if not COLOR_ENCODINGS.match(message.encoding):
            raise ConvertError(
                f"the colour image has the encoding {message.encoding!r}, which is no colour: "
                "remap rgb/image to a topic with rgb8, bgr8, rgba8, bgra8, mono8, bayer or yuv422"
            )
        check_size(message, "colour")
        return np.ascontiguousarray(_BRIDGE.imgmsg_to_cv2(message, "rgb8"))
    except (CvBridgeError, cv2.error, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, ConvertError):
            raise
        raise ConvertError(f"the colour image cannot be decoded: {error}") from error


def check_size(message: Image, what: str) -> None:
    """The data must be as long as height and step say."""
    if message.width == 0 or message.height == 0:
        raise ConvertError(f"the {what} image is empty ({message.width}x{message.height})")
    if len(message.data) < message.height * message.step:
        raise ConvertError(
            f"the {what} image is truncated: {len(message.data)} bytes, but height x step is "
            f"{message.height * message.step}"
        )


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
            f"the depth image has the encoding {message.encoding!r}; it must be 32FC1 (metres) or "
            "16UC1 (millimetres): remap depth/image to the registered depth topic"
        )
    check_size(message, "depth")
    try:
        depth = np.asarray(_BRIDGE.imgmsg_to_cv2(message, "passthrough"))
    except (CvBridgeError, ValueError, TypeError, AttributeError) as error:
        raise ConvertError(f"the depth image cannot be decoded: {error}") from error
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
    depth = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.ndim != 2 or depth.dtype != np.uint16:
        raise ConvertError(
            f"the compressed depth image (format {message.format!r}) holds no 16-bit PNG; JPEG "
            "cannot carry depth: use compressedDepth"
        )
    if "32fc1" not in layout:
        return _metres(depth)
    with np.errstate(divide="ignore"):
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


# --- camera and transforms ------------------------------------------------------------------------


def intrinsics(info: CameraInfo, width: int, height: int, rectified: bool) -> NDArray[np.float64]:
    """(3, 3) intrinsics for an image of width x height; scaled where camera_info has another size.

    Raises:
        ConvertError: if the camera is not calibrated, or the sizes have different shapes.
    """
    roi = info.roi
    if max(info.binning_x, info.binning_y) > 1 or roi.x_offset or roi.y_offset:
        raise ConvertError(
            "camera_info has binning or a region of interest, which is not supported: publish the "
            "whole image, or camera_info of the cropped one"
        )
    K = np.array(info.p, dtype=float).reshape(3, 4)[:, :3] if rectified else np.array(info.k)
    K = K.reshape(3, 3).astype(float)
    if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        name = "P" if rectified else "K"
        raise ConvertError(
            f"camera_info has no usable {name} (focal lengths {K[0, 0]:g}, {K[1, 1]:g}): "
            "calibrate the camera or give its driver a calibration file"
        )
    if (info.width, info.height) in ((0, 0), (width, height)):
        return K
    if not (info.width and info.height):
        raise ConvertError(f"camera_info has the size {info.width}x{info.height}: set both or none")
    x, y = width / info.width, height / info.height
    if abs(x / y - 1) > 0.01:
        raise ConvertError(
            f"camera_info is for {info.width}x{info.height} but the image is {width}x{height}, "
            "which is no scaled version of it: remap rgb/camera_info to the camera of rgb/image"
        )
    K[0, :2] *= x
    K[1, 1] *= y
    K[0, 2] = (K[0, 2] + 0.5) * x - 0.5
    K[1, 2] = (K[1, 2] + 0.5) * y - 0.5
    return K


class Rectifier:
    """Takes lens distortion out of registered colour and depth; the maps are kept per camera."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._maps: tuple[NDArray, NDArray] | None = None

    def __call__(
        self, rgb: NDArray, depth_m: NDArray, info: CameraInfo, K: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Undistorted images with the intrinsics ``K``.

        Raises:
            ConvertError: if the distortion model is unknown.
        """
        coefficients = np.array(info.d, dtype=float)
        if not coefficients.any():
            return rgb, depth_m
        if not np.isfinite(coefficients).all():
            raise ConvertError(f"camera_info has distortion that is not finite: {coefficients}")
        if len(coefficients) not in (4, 5, 8, 12, 14):
            raise ConvertError(
                f"camera_info has {len(coefficients)} distortion coefficients; "
                "known are 4, 5, 8, 12 and 14"
            )
        if info.distortion_model not in DISTORTION_MODELS:
            raise ConvertError(
                f"camera_info has distortion of the model {info.distortion_model!r}; known are "
                f"{', '.join(DISTORTION_MODELS)}: rectify the images (image_proc) and set the "
                "parameter rectified_images"
            )
        size = (rgb.shape[1], rgb.shape[0])
        key = (info.distortion_model, tuple(coefficients), K.tobytes(), size)
        if key != self._key:
            if info.distortion_model == "equidistant":
                undistort = cv2.fisheye.initUndistortRectifyMap
                coefficients = coefficients[:4]
            else:
                undistort = cv2.initUndistortRectifyMap
            self._maps = undistort(K, coefficients, np.eye(3), K, size, cv2.CV_32FC1)
            self._key = key
        assert self._maps is not None
        rgb = cv2.remap(rgb, *self._maps, cv2.INTER_LINEAR)
        depth_m = cv2.remap(
            depth_m, *self._maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
            borderValue=float("nan"),
        )  # fmt: skip
        return rgb, depth_m


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


def messages_to_frame(
    rgb: Image | CompressedImage,
    depth: Image | CompressedImage,
    info: CameraInfo,
    T_world_camera: NDArray,
    rectified: bool,
    rectifier: Rectifier,
) -> RGBDFrame:
    """A synced trio of messages and the camera's pose to a frame.

    Raises:
        ConvertError, FrameError: naming what is wrong with which message.
    """
    image, metres = image_to_rgb(rgb), depth_to_metres(depth)
    height, width = image.shape[:2]
    if metres.shape != (height, width):
        raise ConvertError(
            f"the depth image is {metres.shape[1]}x{metres.shape[0]} but the colour image is "
            f"{width}x{height}: remap depth/image to depth that is registered to the colour camera "
            "(depth_image_proc/register, or the driver's aligned depth)"
        )
    K = intrinsics(info, width, height, rectified)
    if not rectified:
        image, metres = rectifier(image, metres, info, K)
    return RGBDFrame(image, metres, K, T_world_camera, stamp_to_seconds(rgb.header.stamp))
