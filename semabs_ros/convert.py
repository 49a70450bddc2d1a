"""Pure functions between ROS messages and core types: encodings, depth units, colours, frames."""

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
from semabs.msg import Labels, SemanticVoxels
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from semabs_core.types import FREE, UNKNOWN, Completion, Localization, RGBDFrame
from semabs_core.visualize.colors import class_colors
from semabs_core.visualize.meshes import surface_voxels

_BRIDGE = CvBridge()
COLOR_ENCODINGS = re.compile(
    r"^((rgb|bgr|rgba|bgra)(8|16)|mono(8|16)|8UC[134]|bayer_.*|yuv.*|uyvy|yuyv|nv\d+)$"
)
DISTORTION_MODELS = ("plumb_bob", "rational_polynomial", "equidistant")
REGION_COLOR = (0.9, 0.1, 0.1)


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
    message = Transform(translation=Vector3(**_xyz(T[:3, 3])))
    q = message.rotation
    q.x, q.y, q.z, q.w = map(float, Rotation.from_matrix(T[:3, :3]).as_quat())
    return message


def matrix_to_pose(T: NDArray) -> Pose:
    """(4, 4) rigid to a pose message."""
    transform = matrix_to_transform(T)
    return Pose(position=Point(**_xyz(T[:3, 3])), orientation=transform.rotation)


def _xyz(values: Sequence[float]) -> dict[str, float]:
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


# --- results --------------------------------------------------------------------------------------


def color(rgb: Sequence[float], alpha: float = 1.0) -> ColorRGBA:
    """RGB in 0..1 to a message."""
    return ColorRGBA(r=float(rgb[0]), g=float(rgb[1]), b=float(rgb[2]), a=float(alpha))


def completion_to_voxels(completion: Completion, header: Header) -> SemanticVoxels:
    """A completion as the message that planners read."""
    return SemanticVoxels(
        header=header,
        origin=matrix_to_pose(completion.T_world_grid),
        voxel_size=float(completion.voxel_size_m),
        shape=np.array(completion.labels.shape, dtype=np.uint32),
        classes=completion.classes,
        labels=byte_array(completion.labels.ravel(order="F")),
    )


def voxels_to_completion(message: SemanticVoxels) -> Completion:
    """The message back to a completion, without scores and timings."""
    shape = tuple(int(n) for n in message.shape)
    labels = np.frombuffer(bytes(message.labels), dtype=np.uint8).reshape(shape, order="F")
    pose = message.origin
    transform = Transform(
        translation=Vector3(x=pose.position.x, y=pose.position.y, z=pose.position.z),
        rotation=pose.orientation,
    )
    return Completion(
        classes=list(message.classes),
        labels=labels.copy(),
        scores=np.zeros(shape, dtype=np.float32),
        voxel_size_m=float(message.voxel_size),
        T_world_grid=transform_to_matrix(transform),
        timings_s={},
    )


def labels_message(classes: Sequence[str], header: Header) -> Labels:
    """Names, ids and colours."""
    colors = [color(c) for c in class_colors(classes)]
    ids = array.array("B", range(1, len(classes) + 1))
    return Labels(header=header, classes=list(classes), ids=ids, colors=colors)


def cloud(header: Header, fields: dict[str, NDArray]) -> PointCloud2:
    """A point cloud out of named columns (N,) of float32, uint32 or uint8."""
    codes = {"f4": PointField.FLOAT32, "u4": PointField.UINT32, "u1": PointField.UINT8}
    dtype = np.dtype([(name, values.dtype.str) for name, values in fields.items()])
    size = len(next(iter(fields.values())))
    data = np.empty(size, dtype=dtype)
    for name, values in fields.items():
        data[name] = values
    points = [
        PointField(name=name, offset=dtype.fields[name][1], count=1,
                   datatype=codes[dtype[name].str[1:]])
        for name in fields
    ]  # fmt: skip
    return PointCloud2(
        header=header, height=1, width=size, fields=points, is_bigendian=False, is_dense=True,
        point_step=dtype.itemsize, row_step=dtype.itemsize * size, data=byte_array(data),
    )  # fmt: skip


def _packed_rgb(colors: NDArray) -> NDArray[np.float32]:
    """RGB (N, 3) in 0..1 to the packed float that RViz and PCL read."""
    r, g, b = np.rint(colors * 255).astype(np.uint32).T
    return ((r << 16) | (g << 8) | b).astype(np.uint32).view(np.float32)


def completion_to_cloud(completion: Completion, header: Header) -> PointCloud2:
    """Occupied voxels as points: x y z, rgb, label, score."""
    index = np.argwhere((completion.labels != FREE) & (completion.labels != UNKNOWN))
    T = completion.T_world_grid
    points = (index + 0.5) * completion.voxel_size_m @ T[:3, :3].T + T[:3, 3]
    labels = completion.labels[tuple(index.T)]
    colors = class_colors(completion.classes)[labels.astype(int) - 1]
    return cloud(
        header,
        _columns(points)
        | {
            "rgb": _packed_rgb(colors),
            "label": labels,
            "score": completion.scores[tuple(index.T)].astype(np.float32),
        },
    )


def _columns(points: NDArray) -> dict[str, NDArray]:
    return {name: points[:, i].astype(np.float32) for i, name in enumerate("xyz")}


def localization_to_cloud(localization: Localization, header: Header) -> PointCloud2:
    """The answer region as points: x y z, score."""
    columns = _columns(localization.points_m)
    return cloud(header, columns | {"score": localization.scores.astype(np.float32)})


def completion_to_markers(completion: Completion, header: Header) -> MarkerArray:
    """A CUBE_LIST and a name per class; starts by deleting what was drawn before.

    Only voxels at the surface of their class are drawn, since RViz cannot show the others anyway.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    surface = surface_voxels(completion.labels)
    T = completion.T_world_grid
    for i, (name, rgb) in enumerate(
        zip(completion.classes, class_colors(completion.classes), strict=True)
    ):
        index = np.argwhere(surface & (completion.labels == i + 1))
        if not len(index):
            continue
        centres = (index + 0.5) * completion.voxel_size_m
        boxes = Marker(
            header=header, ns="completion", id=i + 1, type=Marker.CUBE_LIST, action=Marker.ADD,
            pose=matrix_to_pose(T), color=color(rgb),
        )  # fmt: skip
        boxes.scale = Vector3(**dict.fromkeys("xyz", 0.96 * float(completion.voxel_size_m)))
        boxes.points = [Point(x=x, y=y, z=z) for x, y, z in centres.tolist()]
        middle = centres.mean(axis=0)
        middle[2] = centres[:, 2].max() + 2 * completion.voxel_size_m
        markers += [boxes, text_marker(name, middle @ T[:3, :3].T + T[:3, 3], i + 1, header)]
    return MarkerArray(markers=markers)


def text_marker(text: str, point: NDArray, index: int, header: Header) -> Marker:
    """A name that faces the viewer."""
    marker = Marker(
        header=header, ns="names", id=index, type=Marker.TEXT_VIEW_FACING, action=Marker.ADD,
        text=text, color=color((1, 1, 1)),
    )  # fmt: skip
    marker.pose.position = Point(**_xyz(point))
    marker.pose.orientation.w = 1.0
    marker.scale.z = 0.1
    return marker


def localization_to_markers(
    localization: Localization, text: str, size_m: float, header: Header
) -> MarkerArray:
    """The answer region as cubes, its best point as a sphere, its extent as a box, the question."""
    region = Marker(
        header=header, ns="region", id=0, type=Marker.CUBE_LIST, action=Marker.ADD,
        color=color(REGION_COLOR, 0.6),
    )  # fmt: skip
    region.pose.orientation.w = 1.0
    region.scale = Vector3(**dict.fromkeys("xyz", float(size_m)))
    region.points = [Point(x=x, y=y, z=z) for x, y, z in localization.points_m.tolist()]
    best = Marker(
        header=header, ns="best", id=0, type=Marker.SPHERE, action=Marker.ADD,
        color=color((1.0, 0.9, 0.1)),
    )  # fmt: skip
    best.pose.position = Point(**_xyz(localization.position_m))
    best.pose.orientation.w = 1.0
    best.scale = Vector3(**dict.fromkeys("xyz", 2.0 * float(size_m)))
    low, high = localization.points_m.min(axis=0), localization.points_m.max(axis=0)
    box = Marker(
        header=header, ns="extent", id=0, type=Marker.CUBE, action=Marker.ADD,
        color=color(REGION_COLOR, 0.2),
    )  # fmt: skip
    box.pose.position = Point(**_xyz((low + high) / 2))
    box.pose.orientation.w = 1.0
    box.scale = Vector3(**_xyz(localization.extent_m))
    above = localization.position_m + [0, 0, 0.15]
    name = text_marker(f"{text} ({localization.score:.2f})", above, 0, header)
    clear = Marker(header=header, action=Marker.DELETEALL)
    return MarkerArray(markers=[clear, region, best, box, name])
