"""Reading and creating `sensor_msgs/PointCloud2`.

Organized clouds have upstream's shapes: an array of (W, H) points, x first, becomes a message of
width W and height H, and is what `reshape_organized_cloud` gives back.
"""

from __future__ import annotations

import sys
from array import array
from collections import namedtuple
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

__semabs_stand_in__ = True

DUMMY_FIELD_PREFIX = "unnamed_field"
_DATATYPES = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read the points of a message.

    Args:
        cloud: the message.
        field_names: which fields, in which order; all if None.
        skip_nans: leave out points with a NaN in one of these fields (a dense cloud has none).
        uvs: indices of the points wanted, counted after those with NaN have gone.
        reshape_organized_cloud: give a cloud of several rows back as (W, H).

    Returns:
        Structured array in this machine's byte order, (N,) or (W, H); may share the message's
        memory.

    Raises:
        AssertionError: this is no cloud, or lacks a field (as upstream).
    """
    _require(
        isinstance(cloud, PointCloud2),
        f"cloud must be a PointCloud2 and was a {type(cloud).__name__}",
    )
    points = _all_points(cloud)
    if field_names is not None:
        missing = [name for name in field_names if name not in points.dtype.names]
        _require(not missing, f"the cloud has no field {missing}, only {points.dtype.names}")
        points = points[list(field_names)]
    if bool(cloud.is_bigendian) != (sys.byteorder == "big"):
        points = points.astype(points.dtype.newbyteorder("="))
    if skip_nans and not cloud.is_dense:
        is_nan = [np.isnan(points[name]) for name in points.dtype.names]
        points = points[~np.any(is_nan, axis=0)]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def read_points_numpy(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read fields of one type into a plain array; arguments as for `read_points`.

    Returns:
        (N, F) or (W, H, F) for F fields.

    Raises:
        AssertionError: the fields are of several types (as upstream).
    """
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    types = {points.dtype[name] for name in points.dtype.names}
    _require(len(types) <= 1, "the fields are of several types: take read_points()")
    return structured_to_unstructured(points)


def read_points_list(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
) -> list[tuple]:
    """Read the points into named tuples (slow); arguments as for `read_points`."""
    points = read_points(cloud, field_names, skip_nans, uvs)
    point = namedtuple("Point", points.dtype.names)
    return [point._make(values) for values in points.tolist()]


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """The structured type of one point, in this machine's byte order.

    A field of several numbers becomes `name_0`, `name_1`, ...; a field without name becomes
    `unnamed_field_<index>`.

    Args:
        fields: the message's fields.
        point_step: size of a point in bytes; by default what the fields need.

    Raises:
        AssertionError: a field has no numbers, or two have the same name (as upstream).
    """
    names, formats, offsets = [], [], []
    for index, field in enumerate(fields):
        datatype = _DATATYPES[field.datatype]
        name = field.name or f"{DUMMY_FIELD_PREFIX}_{index}"
        _require(field.count > 0, f"field {name!r} has count 0")
        for item in range(field.count):
            names.append(name if field.count == 1 else f"{name}_{item}")
            formats.append(datatype.str)
            offsets.append(field.offset + item * datatype.itemsize)
    _require(len(set(names)) == len(names), f"duplicate field names: {names}")
    layout = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)


def create_cloud(
    header: Header,
    fields: Iterable[PointField],
    points: Iterable,
    point_step: int | None = None,
) -> PointCloud2:
    """Create a message.

    Args:
        header: its header.
        fields: its fields.
        points: a structured array of the fields' type; a plain one, (N, F) or (W, H, F), for fields
            of one type; or any iterable of points (slow).
        point_step: size of a point in bytes; by default what the fields need.

    Raises:
        AssertionError: points and fields do not fit (as upstream).
    """
    fields = list(fields)
    points = _structured(fields, points, point_step)
    _require(points.ndim <= 2, "points can be organized in two dimensions at most")
    cloud = PointCloud2(
        header=header,
        height=points.shape[1] if points.ndim == 2 else 1,
        width=points.shape[0],
        is_dense=False,
        is_bigendian=sys.byteorder == "big",
        fields=fields,
        point_step=points.dtype.itemsize,
        row_step=points.dtype.itemsize * points.shape[0],
    )
    data = array("B")  # the only thing that a message takes as it is
    data.frombytes(np.ascontiguousarray(points).reshape(-1).view(np.uint8))
    cloud.data = data
    return cloud


def create_cloud_xyz32(header: Header, points: Iterable) -> PointCloud2:
    """Create a message of x, y and z as float32 from (N, 3) or (W, H, 3) points."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points)


def _all_points(cloud: PointCloud2) -> np.ndarray:
    """(H * W,) points in the message's byte order and memory, without padding of the rows."""
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    if bool(cloud.is_bigendian) != (sys.byteorder == "big"):
        dtype = dtype.newbyteorder()
    row_bytes = cloud.width * cloud.point_step
    if cloud.row_step <= row_bytes or cloud.height <= 1:
        return np.ndarray((cloud.width * cloud.height,), dtype, cloud.data)
    strides = (cloud.row_step, cloud.point_step)
    return np.ndarray((cloud.height, cloud.width), dtype, cloud.data, 0, strides).reshape(-1)


def _structured(
    fields: Sequence[PointField], points: Iterable, point_step: int | None
) -> np.ndarray:
    dtype = dtype_from_fields(fields, point_step)
    if not isinstance(points, np.ndarray):
        return np.array([tuple(point) for point in points], dtype)
    if points.dtype.names is None:
        _require(
            len({field.datatype for field in fields}) <= 1,
            "the fields are of several types: pass a structured array",
        )
        return unstructured_to_structured(points, dtype)
    _require(
        points.dtype == dtype,
        f"the points' type {points.dtype} does not match that of the fields, {dtype}",
    )
    return points


def _require(condition: bool, message: str) -> None:
    """`assert` that also holds under `python -O`."""
    if not condition:
        raise AssertionError(message)
