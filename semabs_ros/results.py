"""Pure functions from completions and localizations to the messages that show them."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from semabs.msg import Labels, SemanticVoxels
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from semabs_core.description import Description
from semabs_core.types import FREE, UNKNOWN, Completion, Localization
from semabs_core.visualize.colors import class_colors
from semabs_core.visualize.meshes import surface_voxels
from semabs_ros.convert import matrix_to_pose, xyz
from semabs_ros.frames import Source
from semabs_ros.wire import markers_to_bytes

COARSEST = 0.1
"""How coarse the coordinates of a cloud may be, in voxels."""
REGION_COLOR = (0.9, 0.1, 0.1)
COMPLETION_POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4"), ("label", "u1"), ("score", "<f4")]
)
LOCALIZATION_POINT = np.dtype([(name, "<f4") for name in (*"xyz", "score")])


def world_header(source: Source) -> Header:
    """The header of what is said about a frame: the image's exact stamp, the world frame."""
    return Header(stamp=source.header.stamp, frame_id=source.world_frame)


def coarse_coordinates(answer: Completion | Localization, frame: str) -> str:
    """A warning where the float32 points of an answer's cloud are too coarse; else empty.

    Point clouds carry float32, as everything reads that reads clouds. Far from the origin, as in
    UTM coordinates, neighbouring float32 numbers lie decimetres apart.

    Args:
        answer: in the world frame, metres.
        frame: name of the world frame.
    """
    if isinstance(answer, Completion):
        corner = answer.T_world_grid @ [*np.multiply(answer.labels.shape, answer.voxel_size_m), 1]
        points = np.stack([answer.T_world_grid[:3, 3], corner[:3]])
    else:
        points = answer.points_m
    size_m = answer.voxel_size_m
    largest = float(np.abs(points).max(initial=0.0))
    step = float(np.spacing(np.float32(largest)))
    if step <= COARSEST * size_m:
        return ""
    return (
        f"coordinates in {frame!r} reach {largest:.0f} m, where the float32 points of clouds are "
        f"{step:.3g} m apart (a voxel is {size_m:.3g} m): set world_frame to a frame near the "
        "robot, such as odom or a local map; poses, voxel grids and markers are exact"
    )


def color(rgb: Sequence[float], alpha: float = 1.0) -> ColorRGBA:
    """RGB in 0..1 to a message."""
    return ColorRGBA(r=float(rgb[0]), g=float(rgb[1]), b=float(rgb[2]), a=float(alpha))


def completion_to_voxels(completion: Completion, header: Header) -> SemanticVoxels:
    """A completion as the message that planners read."""
    message = SemanticVoxels(
        header=header,
        origin=matrix_to_pose(completion.T_world_grid),
        voxel_size=float(completion.voxel_size_m),
        shape=np.array(completion.labels.shape, dtype=np.uint32),
        classes=completion.classes,
    )
    message.labels.frombytes(completion.labels.ravel(order="F").data)
    return message


def labels_message(classes: Sequence[str], header: Header) -> Labels:
    """Names, ids and colours."""
    colors = [color(c) for c in class_colors(classes)]
    ids = array.array("B", range(1, len(classes) + 1))
    return Labels(header=header, classes=list(classes), ids=ids, colors=colors)


def cloud(header: Header, points: NDArray) -> PointCloud2:
    """A point cloud out of a structured array (N,) with fields of float32, uint32 or uint8."""
    codes = {"f4": PointField.FLOAT32, "u4": PointField.UINT32, "u1": PointField.UINT8}
    dtype, size = points.dtype, len(points)
    message = PointCloud2(
        header=header, height=1, width=size, is_bigendian=False, is_dense=True,
        point_step=dtype.itemsize, row_step=dtype.itemsize * size,
    )  # fmt: skip
    message.fields = [
        PointField(name=name, offset=offset, count=1, datatype=codes[kind.str[1:]])
        for name, (kind, offset, *_) in dtype.fields.items()
    ]
    # What is assigned, or given to the constructor, is copied once more.
    message.data.frombytes(points.view(np.uint8).data)
    return message


def _packed_rgb(colors: NDArray) -> NDArray[np.float32]:
    """RGB (N, 3) in 0..1 to the packed float that RViz and PCL read."""
    r, g, b = np.rint(colors * 255).astype(np.uint32).T
    return ((r << 16) | (g << 8) | b).astype(np.uint32).view(np.float32)


def completion_to_cloud(completion: Completion, header: Header) -> PointCloud2:
    """Occupied voxels as points: x y z, rgb, label, score."""
    labels = completion.labels
    flat = np.flatnonzero((labels != FREE) & (labels != UNKNOWN))
    points = np.empty(len(flat), COMPLETION_POINT)
    T, size_m = completion.T_world_grid, completion.voxel_size_m
    # A coordinate is what a column of voxels adds to it and what the height does: looked up.
    column, height = np.divmod(flat, labels.shape[2])
    x, y, z = ((np.arange(n) + 0.5) * size_m for n in labels.shape)
    across, up = np.empty(len(flat)), np.empty(len(flat))
    for row, name in enumerate("xyz"):
        plane = np.add.outer(x * T[row, 0], y * T[row, 1]).ravel()
        # With "raise" NumPy would write elsewhere first, to leave `out` as it was.
        plane.take(column, out=across, mode="clip")
        (z * T[row, 2] + T[row, 3]).take(height, out=up, mode="clip")
        np.add(across, up, out=points[name], casting="same_kind")
    points["label"] = labels.ravel().take(flat)
    points["rgb"] = _packed_rgb(class_colors(completion.classes)).take(points["label"] - 1)
    points["score"] = completion.scores.ravel().take(flat)
    return cloud(header, points)


def localization_to_cloud(localization: Localization, header: Header) -> PointCloud2:
    """The answer region as points: x y z, score."""
    found = localization.points_m
    points = np.empty(len(found), LOCALIZATION_POINT)
    for axis, name in enumerate("xyz"):
        points[name] = found[:, axis]
    points["score"] = localization.scores
    return cloud(header, points)


def completion_to_markers(completion: Completion, header: Header) -> bytes:
    """A CUBE_LIST and a name per class; starts by deleting what was drawn before; serialized.

    Only voxels at the surface of their class are drawn, since RViz cannot show the others anyway.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    points: dict[int, NDArray] = {}
    flat = np.flatnonzero(surface_voxels(completion.labels)).astype(np.int32)
    labels = completion.labels.ravel()[flat]
    flat = flat[np.argsort(labels, kind="stable")]  # by label; of bytes that is a radix sort
    ends = np.bincount(labels, minlength=len(completion.classes) + 1).cumsum()
    T, size_m = completion.T_world_grid, completion.voxel_size_m
    x, y, z = (
        ((np.arange(count) + 0.5) * size_m).take(index)
        for count, index in zip(
            completion.labels.shape, np.unravel_index(flat, completion.labels.shape), strict=True
        )
    )
    centres = np.stack([x, y, z], axis=1)
    for i, (name, rgb) in enumerate(
        zip(completion.classes, class_colors(completion.classes), strict=True)
    ):
        own = slice(ends[i], ends[i + 1])
        if own.start == own.stop:
            continue
        boxes = Marker(
            header=header, ns="completion", id=i + 1, type=Marker.CUBE_LIST, action=Marker.ADD,
            pose=matrix_to_pose(T), color=color(rgb),
        )  # fmt: skip
        boxes.scale = Vector3(**dict.fromkeys("xyz", 0.96 * float(size_m)))
        points[len(markers)] = centres[own]
        middle = np.array([x[own].mean(), y[own].mean(), z[own].max() + 2 * size_m])
        markers += [boxes, text_marker(name, middle @ T[:3, :3].T + T[:3, 3], i + 1, header)]
    return markers_to_bytes(MarkerArray(markers=markers), points)


def text_marker(text: str, point: NDArray, index: int, header: Header) -> Marker:
    """A name that faces the viewer."""
    marker = Marker(
        header=header, ns="names", id=index, type=Marker.TEXT_VIEW_FACING, action=Marker.ADD,
        text=text, color=color((1, 1, 1)),
    )  # fmt: skip
    marker.pose.position = Point(**xyz(point))
    marker.pose.orientation.w = 1.0
    marker.scale.z = 0.1
    return marker


def localization_to_markers(
    localization: Localization, wanted: Description, header: Header
) -> bytes:
    """The answer region as cubes, its best point as a sphere, its extent as a box, the question.

    Serialized, see :func:`semabs_ros.wire.markers_to_bytes`.
    """
    size_m = localization.voxel_size_m
    region = Marker(
        header=header, ns="region", id=0, type=Marker.CUBE_LIST, action=Marker.ADD,
        color=color(REGION_COLOR, 0.6),
    )  # fmt: skip
    region.pose.orientation.w = 1.0
    region.scale = Vector3(**dict.fromkeys("xyz", float(size_m)))
    best = Marker(
        header=header, ns="best", id=0, type=Marker.SPHERE, action=Marker.ADD,
        color=color((1.0, 0.9, 0.1)),
    )  # fmt: skip
    best.pose.position = Point(**xyz(localization.position_m))
    best.pose.orientation.w = 1.0
    best.scale = Vector3(**dict.fromkeys("xyz", 2.0 * float(size_m)))
    low, high = localization.points_m.min(axis=0), localization.points_m.max(axis=0)
    box = Marker(
        header=header, ns="extent", id=0, type=Marker.CUBE, action=Marker.ADD,
        color=color(REGION_COLOR, 0.2),
    )  # fmt: skip
    box.pose.position = Point(**xyz((low + high) / 2))
    box.pose.orientation.w = 1.0
    box.scale = Vector3(**xyz(localization.extent_m))
    above = localization.position_m + [0, 0, 0.15]
    name = text_marker(f"{wanted.words}: {localization.outcome}", above, 0, header)
    clear = Marker(header=header, action=Marker.DELETEALL)
    array = MarkerArray(markers=[clear, region, best, box, name])
    return markers_to_bytes(array, {1: localization.points_m})
