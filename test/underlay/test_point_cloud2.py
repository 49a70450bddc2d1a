"""The stand-in of sensor_msgs_py.point_cloud2: bytes laid out by hand."""

# ruff: noqa: E402 (what is imported decides whether the tests apply)

import struct
from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2")
point_cloud2 = pytest.importorskip(
    "sensor_msgs_py.point_cloud2", reason="needs the underlay to be built and sourced"
)
if not getattr(point_cloud2, "__semabs_stand_in__", False):
    pytest.skip("the real sensor_msgs_py is installed, not the stand-in", allow_module_level=True)

import sensor_msgs_py
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

NAN = float("nan")
HEADER = Header(frame_id="map")


def fields(*specs):
    """(name, offset, datatype[, count]) each."""
    return [
        PointField(name=name, offset=offset, datatype=datatype, count=count[0] if count else 1)
        for name, offset, datatype, *count in specs
    ]


XYZ = fields(*((name, 4 * i, PointField.FLOAT32) for i, name in enumerate("xyz")))
# x float32, a gap of two bytes, label uint8, three bytes of padding
LABELLED = fields(("x", 0, PointField.FLOAT32), ("label", 6, PointField.UINT8))


def labelled(points, order="<", height=1, row_padding=0):
    width = len(points) // height
    rows = [points[row * width : (row + 1) * width] for row in range(height)]
    data = b"".join(
        b"".join(struct.pack(f"{order}fxxBxxx", *point) for point in row) + b"\xff" * row_padding
        for row in rows
    )
    cloud = PointCloud2(
        header=HEADER,
        height=height,
        width=width,
        fields=LABELLED,
        is_bigendian=order == ">",
        point_step=10,
        row_step=10 * width + row_padding,
        is_dense=False,
    )
    cloud.data = array("B", data)
    return cloud


@pytest.mark.parametrize("order", ["<", ">"])
def test_padded_points_of_any_byte_order(order):
    cloud = labelled([(1.5, 7), (-2.0, 255)], order)
    before = bytes(cloud.data)
    points = point_cloud2.read_points(cloud)
    assert points.tolist() == [(1.5, 7), (-2.0, 255)]
    assert points["x"].dtype.isnative
    assert bytes(cloud.data) == before


def test_padded_rows():
    cloud = labelled([(1, 1), (2, 2), (3, 3), (4, 4)], height=2, row_padding=3)
    assert point_cloud2.read_points(cloud)["label"].tolist() == [1, 2, 3, 4]


def test_fields_come_in_the_order_asked_for():
    cloud = labelled([(1.5, 7)])
    assert point_cloud2.read_points(cloud, ["label", "x"]).tolist() == [(7, 1.5)]
    assert point_cloud2.read_points_numpy(cloud, ["label"]).tolist() == [[7]]
    with pytest.raises(AssertionError, match=r"no field \['y'\]"):
        point_cloud2.read_points(cloud, ["y"])


def test_named_tuples():
    (point,) = point_cloud2.read_points_list(labelled([(1.5, 7)]))
    assert (point.x, point.label) == (1.5, 7)


def test_points_with_nan():
    cloud = labelled([(NAN, 1), (2.0, 2), (3.0, 3)])
    assert len(point_cloud2.read_points(cloud)) == 3
    assert point_cloud2.read_points(cloud, skip_nans=True)["label"].tolist() == [2, 3]
    # Only the fields asked for count, and a dense cloud says that it has none:
    assert len(point_cloud2.read_points(cloud, ["label"], skip_nans=True)) == 3
    cloud.is_dense = True
    assert len(point_cloud2.read_points(cloud, skip_nans=True)) == 3


def test_indices():
    cloud = labelled([(NAN, 1), (2.0, 2), (3.0, 3)])
    for uvs in ([2, 0], iter([2, 0]), np.array([2, 0])):
        assert point_cloud2.read_points(cloud, uvs=uvs)["label"].tolist() == [3, 1]
    assert point_cloud2.read_points(cloud, skip_nans=True, uvs=[0])["label"].tolist() == [2]


def test_fields_of_several_types_or_several_numbers():
    with pytest.raises(AssertionError, match="several types"):
        point_cloud2.read_points_numpy(labelled([(1.5, 7)]))
    vector = fields(("v", 0, PointField.INT16, 3))
    cloud = point_cloud2.create_cloud(HEADER, vector, np.array([[1, 2, 3]], np.int16))
    assert point_cloud2.read_points(cloud).dtype.names == ("v_0", "v_1", "v_2")
    assert point_cloud2.read_points_numpy(cloud).tolist() == [[1, 2, 3]]


def test_dtype_from_fields():
    dtype = point_cloud2.dtype_from_fields(LABELLED, 10)
    assert dtype.itemsize == 10
    assert dtype.fields["label"] == (np.dtype("u1"), 6)
    assert point_cloud2.dtype_from_fields(LABELLED).itemsize == 7
    unnamed = fields(("", 0, PointField.FLOAT64))
    assert point_cloud2.dtype_from_fields(unnamed).names == ("unnamed_field_0",)
    with pytest.raises(AssertionError, match="duplicate"):
        point_cloud2.dtype_from_fields(fields(("x", 0, 7), ("x", 4, 7)))
    with pytest.raises(AssertionError, match="count 0"):
        point_cloud2.dtype_from_fields(fields(("x", 0, 7, 0)))


@pytest.mark.parametrize(
    "points",
    [
        [(1, 2, 3), (4, 5, 6)],
        np.array([[1, 2, 3], [4, 5, 6]], np.float64),
        np.array([[1, 4], [2, 5], [3, 6]], np.float32).T,
        (row for row in [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_create_cloud_xyz32(points):
    cloud = point_cloud2.create_cloud_xyz32(HEADER, points)
    assert bytes(cloud.data) == struct.pack("=6f", 1, 2, 3, 4, 5, 6)
    assert type(cloud._data) is array
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 2, 12, 24)
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
    ]
    assert cloud.header == HEADER
    assert not cloud.is_dense


def test_organized_clouds_have_upstreams_shape():
    points = np.arange(18, dtype=np.float32).reshape(3, 2, 3)  # width 3, height 2
    cloud = point_cloud2.create_cloud_xyz32(HEADER, points)
    assert (cloud.width, cloud.height, cloud.row_step) == (3, 2, 36)
    assert point_cloud2.read_points(cloud).shape == (6,)
    again = point_cloud2.read_points_numpy(cloud, reshape_organized_cloud=True)
    np.testing.assert_array_equal(again, points)
    with pytest.raises(AssertionError, match="two dimensions"):
        point_cloud2.create_cloud_xyz32(HEADER, np.zeros((2, 2, 2, 3)))


def test_structured_points():
    points = np.array([(1.5, 7)], point_cloud2.dtype_from_fields(LABELLED, 10))
    cloud = point_cloud2.create_cloud(HEADER, LABELLED, points, 10)
    assert cloud.point_step == 10
    assert point_cloud2.read_points(cloud).tolist() == [(1.5, 7)]
    with pytest.raises(AssertionError, match="does not match"):
        point_cloud2.create_cloud(HEADER, LABELLED, points)
    with pytest.raises(AssertionError, match="several types"):
        point_cloud2.create_cloud(HEADER, LABELLED, np.zeros((1, 2)))


def test_empty_cloud():
    cloud = point_cloud2.create_cloud(HEADER, XYZ, np.zeros((0, 3), np.float32))
    assert (cloud.width, len(cloud.data)) == (0, 0)
    assert point_cloud2.read_points_numpy(cloud).shape == (0, 3)


def test_only_clouds_are_read():
    with pytest.raises(AssertionError, match="must be a PointCloud2 and was a bytes"):
        point_cloud2.read_points(b"")


def test_missing_parts_name_the_real_package():
    with pytest.raises(ImportError, match=r"ros-.*-sensor-msgs-py"):
        from sensor_msgs_py import numpy_compat  # noqa: F401
    with pytest.raises(AttributeError, match=r"ros-.*-sensor-msgs-py"):
        _ = sensor_msgs_py.anything
