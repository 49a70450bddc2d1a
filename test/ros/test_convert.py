"""Messages to core types and back: images in all encodings, transforms."""

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import Transform
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage, Image
from small_images import DEPTH, RGB
from std_msgs.msg import Header

from semabs_core.readers import messages
from semabs_core.readers.messages import ConvertError
from semabs_ros import convert

BOMB = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60000, 60000, 16, 0, 0, 0, 0)
BOMB += struct.pack(">I", zlib.crc32(BOMB[12:])) + b"\0\0\0\0IDAT"
"""A few bytes that claim an image of 3.6 gigapixels."""


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
    np.testing.assert_array_equal(messages.image_to_rgb(message), RGB)


def test_rows_may_be_padded_and_grey_becomes_rgb():
    padded = np.zeros((6, 10), np.uint8)
    padded[:, :8] = RGB[..., 0]
    message = Image(height=6, width=8, encoding="mono8", step=10, data=convert.byte_array(padded))
    np.testing.assert_array_equal(
        messages.image_to_rgb(message), np.repeat(RGB[..., :1], 3, axis=2)
    )


def test_images_round_trip():
    message = convert.rgb_to_image(RGB, Header(frame_id="optical"))
    assert isinstance(message.data, array.array)
    np.testing.assert_array_equal(messages.image_to_rgb(message), RGB)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_depth_round_trip(encoding):
    result = messages.depth_to_metres(convert.depth_to_image(DEPTH, Header(), encoding))
    expected = np.array([[0.5, np.nan, 1.2345], [2.0, np.nan, 65.0]], np.float32)
    # 16UC1 holds whole millimetres.
    np.testing.assert_allclose(result, expected, atol=0 if encoding == "32FC1" else 5.1e-4)


def test_zero_and_negative_depth_are_no_reading():
    values = np.array([[0.0, -1.0, 3.0]], np.float32)
    message = Image(height=1, width=3, encoding="32FC1", step=12, data=convert.byte_array(values))
    np.testing.assert_array_equal(messages.depth_to_metres(message), [[np.nan, np.nan, 3.0]])


def test_big_endian_depth():
    values = np.array([[1000, 2500]], ">u2")
    message = Image(height=1, width=2, encoding="16UC1", step=4, is_bigendian=1)
    message.data = convert.byte_array(values)
    np.testing.assert_allclose(messages.depth_to_metres(message), [[1.0, 2.5]])


def png(values):
    return cv2.imencode(".png", values)[1].tobytes()


def test_compressed_depth_in_millimetres():
    data = struct.pack("<iff", 0, 0, 0) + png(np.array([[0, 1500]], np.uint16))
    message = CompressedImage(format="16UC1; compressedDepth png", data=list(data))
    np.testing.assert_allclose(messages.depth_to_metres(message), [[np.nan, 1.5]])


def test_compressed_depth_in_quantised_inverse_metres():
    # depth = a / (value - b): a = 1000, b = -10 gives 1000 / 510 m for the value 500.
    data = struct.pack("<iff", 0, 1000.0, -10.0) + png(np.array([[0, 500]], np.uint16))
    message = CompressedImage(format="32FC1; compressedDepth", data=list(data))
    np.testing.assert_allclose(messages.depth_to_metres(message), [[np.nan, 1000 / 510]], rtol=1e-6)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (RGB[..., ::-1], RGB),
        (RGB[..., 0], RGB[..., [0, 0, 0]]),
        (np.dstack([RGB[..., ::-1], RGB[..., 0]]), RGB),
        (RGB[..., ::-1].astype(np.uint16) * 257, RGB),
    ],
    ids=["colour", "grey", "transparent", "16 bit"],
)
def test_compressed_colour(stored, expected):
    message = CompressedImage(format="png", data=list(png(stored)))
    np.testing.assert_array_equal(messages.image_to_rgb(message), expected)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        # BT.601: Y 235 is white, Y 16 black; V 240 is the reddest there is.
        ("yuyv", [235, 128, 16, 128]),
        ("uyvy", [128, 235, 128, 16]),
        ("yuv422", [128, 235, 128, 16]),
        ("yuv422_yuy2", [235, 128, 16, 128]),
    ],
)
def test_yuv(encoding, pixels):
    message = Image(height=1, width=2, encoding=encoding, step=4, data=pixels)
    np.testing.assert_array_equal(messages.image_to_rgb(message), [[[255] * 3, [0] * 3]])


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer(pattern, bits):
    """A uniform colour comes back, at the border too."""
    colour = dict(r=200, g=100, b=50)
    tile = np.array([colour[filtered] for filtered in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(tile, (3, 4))
    data = mosaic if bits == 8 else (mosaic.astype("<u2") * 257)
    message = Image(height=6, width=8, encoding=f"bayer_{pattern}{bits}", step=bits)
    message.data = convert.byte_array(data)
    np.testing.assert_array_equal(
        messages.image_to_rgb(message), np.tile(np.uint8([200, 100, 50]), (6, 8, 1))
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_colour(order):
    message = Image(height=6, width=8, encoding="bgr16", step=48, is_bigendian=order == ">")
    message.data = convert.byte_array((RGB[..., ::-1].astype(np.uint16) * 257).astype(order + "u2"))
    np.testing.assert_array_equal(messages.image_to_rgb(message), RGB)


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
        (Image(height=2**32 - 1, width=2**32 - 1, encoding="16UC1"), "more than 67108864"),
        (Image(height=2, width=2, encoding="16UC1", step=2**32 - 1), "height x step is 8589934590"),
        (Image(height=2, width=2, encoding="16UC1", step=2, data=[0] * 4), "depth image"),
        (CompressedImage(format="png", data=list(BOMB)), "claims more than 67108864 pixels"),
        (CompressedImage(format="x" * 10_000), "is empty"),
        (Image(height=1, width=1, encoding="rgb8", step=3, data=[0] * 3), "must be 32FC1"),
    ],
)
def test_depth_that_cannot_be_read_is_named(message, match):
    with pytest.raises(ConvertError, match=match):
        messages.depth_to_metres(message)


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (CompressedImage(format="jpeg", data=[1, 2, 3]), "the colour image cannot be decoded: 3"),
        (CompressedImage(format="jpeg"), "the colour image cannot be decoded: 0 bytes"),
        (CompressedImage(format="png", data=list(BOMB)), "claims more than 67108864 pixels"),
        (Image(height=2**31, width=2**31, encoding="rgb8", data=[1]), "more than 67108864"),
        (Image(height=1, width=8, encoding="rgb8", step=0, data=[1]), "colour image"),
        (Image(height=1, width=8, encoding="bayer_\x1b" + "x" * 9999, step=8, data=[0] * 8), "x1b"),
    ],
)
def test_colour_that_cannot_be_read_is_named(message, match):
    with pytest.raises(ConvertError, match=match) as failed:
        messages.image_to_rgb(message)
    assert len(str(failed.value)) < 400
    assert str(failed.value).isprintable()


def test_transforms_round_trip():
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [0.1, -2, 3]).as_matrix()
    T[:3, 3] = [1, 2, 3]
    message = convert.matrix_to_transform(T)
    assert isinstance(message, Transform)
    np.testing.assert_allclose(convert.transform_to_matrix(message), T, atol=1e-12)
