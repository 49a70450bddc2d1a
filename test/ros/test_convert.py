"""Messages to core types and back."""

import array
import struct

import cv2
import cv_bridge
import numpy as np
import pytest
from geometry_msgs.msg import Transform
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from semabs_ros import convert
from semabs_ros.convert import ConvertError, Rectifier

RGB = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
DEPTH = np.array([[0.5, np.nan, 1.2345], [2.0, np.inf, 65.0]], np.float32)


@pytest.mark.parametrize(
    ("encoding", "values"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("rgba8", np.dstack([RGB, np.full((6, 8), 9, np.uint8)])),
        ("bgra8", np.dstack([RGB[..., ::-1], np.full((6, 8), 9, np.uint8)])),
    ],
)
def test_colour_encodings(encoding, values):
    message = Image(height=6, width=8, encoding=encoding, step=values.shape[2] * 8)
    message.data = convert.byte_array(values)
    np.testing.assert_array_equal(convert.image_to_rgb(message), RGB)


def test_rows_may_be_padded_and_grey_becomes_rgb():
    padded = np.zeros((6, 10), np.uint8)
    padded[:, :8] = RGB[..., 0]
    message = Image(height=6, width=8, encoding="mono8", step=10, data=convert.byte_array(padded))
    np.testing.assert_array_equal(convert.image_to_rgb(message), np.repeat(RGB[..., :1], 3, axis=2))


def test_images_round_trip():
    message = convert.rgb_to_image(RGB, Header(frame_id="optical"))
    assert isinstance(message.data, array.array)
    np.testing.assert_array_equal(convert.image_to_rgb(message), RGB)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_depth_round_trip(encoding):
    result = convert.depth_to_metres(convert.depth_to_image(DEPTH, Header(), encoding))
    expected = np.array([[0.5, np.nan, 1.2345], [2.0, np.nan, 65.0]], np.float32)
    # 16UC1 holds whole millimetres.
    np.testing.assert_allclose(result, expected, atol=0 if encoding == "32FC1" else 5.1e-4)


def test_zero_and_negative_depth_are_no_reading():
    values = np.array([[0.0, -1.0, 3.0]], np.float32)
    message = Image(height=1, width=3, encoding="32FC1", step=12, data=convert.byte_array(values))
    np.testing.assert_array_equal(convert.depth_to_metres(message), [[np.nan, np.nan, 3.0]])


@pytest.mark.skipif(
    not hasattr(cv_bridge, "__semabs_stand_in__") and int(np.__version__.split(".")[0]) >= 2,
    reason="the real cv_bridge reads big-endian images only with NumPy 1",
)
def test_big_endian_depth():
    values = np.array([[1000, 2500]], ">u2")
    message = Image(height=1, width=2, encoding="16UC1", step=4, is_bigendian=1)
    message.data = convert.byte_array(values)
    np.testing.assert_allclose(convert.depth_to_metres(message), [[1.0, 2.5]])


def png(values):
    return cv2.imencode(".png", values)[1].tobytes()


def test_compressed_depth_in_millimetres():
    data = struct.pack("<iff", 0, 0, 0) + png(np.array([[0, 1500]], np.uint16))
    message = CompressedImage(format="16UC1; compressedDepth png", data=list(data))
    np.testing.assert_allclose(convert.depth_to_metres(message), [[np.nan, 1.5]])


def test_compressed_depth_in_quantised_inverse_metres():
    # depth = a / (value - b): a = 1000, b = -10 gives 1000 / 510 m for the value 500.
    data = struct.pack("<iff", 0, 1000.0, -10.0) + png(np.array([[0, 500]], np.uint16))
    message = CompressedImage(format="32FC1; compressedDepth", data=list(data))
    np.testing.assert_allclose(convert.depth_to_metres(message), [[np.nan, 1000 / 510]], rtol=1e-6)


def test_compressed_colour():
    flat = np.full((16, 16, 3), (200, 30, 60), np.uint8)
    data = cv2.imencode(".png", flat[..., ::-1])[1].tobytes()
    message = CompressedImage(format="png", data=list(data))
    np.testing.assert_array_equal(convert.image_to_rgb(message), flat)


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (CompressedImage(format="jpeg", data=[1, 2, 3]), "holds no 16-bit PNG; JPEG cannot"),
        (
            CompressedImage(format="16UC1; compressedDepth rvl", data=[0] * 20),
            "RVL is not supported",
        ),
        (CompressedImage(format="16UC1; compressedDepth png", data=[0] * 5), "truncated: 5 bytes"),
        (Image(height=2, width=2, encoding="16UC1", step=4, data=[0] * 7), "truncated: 7 bytes"),
        (Image(encoding="16UC1"), r"empty \(0x0\)"),
        (Image(height=1, width=1, encoding="rgb8", step=3, data=[0] * 3), "must be 32FC1"),
    ],
)
def test_depth_that_cannot_be_read_is_named(message, match):
    with pytest.raises(ConvertError, match=match):
        convert.depth_to_metres(message)


def test_damaged_colour_is_named():
    with pytest.raises(ConvertError, match="the colour image cannot be decoded"):
        convert.image_to_rgb(CompressedImage(format="jpeg", data=[1, 2, 3]))


def info(width=640, height=480, **changes):
    message = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    message.k = [500.0, 0, 319.5, 0, 500.0, 239.5, 0, 0, 1]
    message.p = [450.0, 0, 310.0, 0, 0, 450.0, 230.0, 0, 0, 0, 1.0, 0]
    message.d = [0.0] * 5
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_intrinsics_are_scaled_with_the_image():
    K = convert.intrinsics(info(), 320, 240, rectified=False)
    # The centre of the image stays in the centre: (319.5 + 0.5) / 2 - 0.5.
    np.testing.assert_allclose(K, [[250, 0, 159.5], [0, 250, 119.5], [0, 0, 1]])
    K = convert.intrinsics(info(), 640, 480, rectified=True)
    np.testing.assert_allclose(K, [[450, 0, 310], [0, 450, 230], [0, 0, 1]])


@pytest.mark.parametrize(
    ("message", "rectified", "match"),
    [
        (info(k=[0.0] * 9), False, "camera_info has no usable K"),
        (info(p=[0.0] * 12), True, "camera_info has no usable P"),
        (info(k=[float("nan")] * 9), False, "camera_info has no usable K"),
        (info(width=640, height=360), False, "is for 640x360 but the image is 640x480"),
    ],
)
def test_unusable_intrinsics_are_named(message, rectified, match):
    with pytest.raises(ConvertError, match=match):
        convert.intrinsics(message, 640, 480, rectified)


@pytest.mark.parametrize(
    ("model", "d"),
    [("plumb_bob", [0.2, -0.1, 0.0, 0.0, 0.0]), ("equidistant", [0.1, 0.02, 0.0, 0.0])],
)
def test_distortion_is_taken_out(model, d):
    """A pixel of the undistorted image shows what the lens put at the distorted place."""
    v, u = np.mgrid[0:480, 0:640].astype(np.float32)
    rgb = np.stack([u / 4, v / 4, u * 0], axis=-1).astype(np.uint8)
    message = info(distortion_model=model, d=d)
    K = np.array(message.k).reshape(3, 3)
    result, depth = Rectifier()(rgb, u, message, K)
    ray = (np.array([500, 400]) - K[:2, 2]) / 500
    if model == "plumb_bob":
        r2 = (ray**2).sum()
        x, y = ray * (1 + d[0] * r2 + d[1] * r2**2) * 500 + K[:2, 2]
    else:
        r = np.linalg.norm(ray)
        theta = np.arctan(r)
        bent = theta * (1 + d[0] * theta**2 + d[1] * theta**4)
        x, y = ray * bent / r * 500 + K[:2, 2]
    np.testing.assert_allclose(result[400, 500, :2], [x / 4, y / 4], atol=1)
    assert depth[400, 500] == pytest.approx(x, abs=0.51)


def test_no_distortion_changes_nothing():
    rgb = np.zeros((480, 640, 3), np.uint8)
    assert Rectifier()(rgb, DEPTH, info(), np.eye(3))[0] is rgb


def test_transforms_round_trip():
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [0.1, -2, 3]).as_matrix()
    T[:3, 3] = [1, 2, 3]
    message = convert.matrix_to_transform(T)
    assert isinstance(message, Transform)
    np.testing.assert_allclose(convert.transform_to_matrix(message), T, atol=1e-12)
