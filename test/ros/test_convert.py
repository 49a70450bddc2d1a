"""Messages to core types and back."""

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import Transform
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from semabs_core.readers import calibration, messages
from semabs_core.readers.calibration import Rectifier
from semabs_core.readers.messages import ConvertError
from semabs_core.readers.trios import messages_to_frame
from semabs_ros import convert

BOMB = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60000, 60000, 16, 0, 0, 0, 0)
BOMB += struct.pack(">I", zlib.crc32(BOMB[12:])) + b"\0\0\0\0IDAT"
"""A few bytes that claim an image of 3.6 gigapixels."""
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


def info(width=640, height=480, **changes):
    message = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    message.k = [500.0, 0, 319.5, 0, 500.0, 239.5, 0, 0, 1]
    message.p = [450.0, 0, 310.0, 0, 0, 450.0, 230.0, 0, 0, 0, 1.0, 0]
    message.d = [0.0] * 5
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_intrinsics_are_scaled_with_the_image():
    K = calibration.intrinsics(info(), 320, 240, rectified=False)
    # The centre of the image stays in the centre: (319.5 + 0.5) / 2 - 0.5.
    np.testing.assert_allclose(K, [[250, 0, 159.5], [0, 250, 119.5], [0, 0, 1]])
    K = calibration.intrinsics(info(), 640, 480, rectified=True)
    np.testing.assert_allclose(K, [[450, 0, 310], [0, 450, 230], [0, 0, 1]])


def region(x=0, y=0, width=0, height=0):
    return RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)


@pytest.mark.parametrize(
    ("changes", "size", "centre", "focal"),
    [
        # A window keeps the focal length; the centre moves by its corner.
        (dict(roi=region(100, 40, 320, 240)), (320, 240), (219.5, 199.5), 500),
        # Of the whole's shape but no scaled version of it, though the corner is the same.
        (dict(roi=region(0, 0, 320, 240)), (320, 240), (319.5, 239.5), 500),
        (dict(roi=region(0, 0, 640, 480)), (320, 240), (159.5, 119.5), 250),
        # Binned pixel i is made of 2 i and 2 i + 1: (319.5 + 0.5) / 2 - 0.5.
        (dict(binning_x=2, binning_y=2), (320, 240), (159.5, 119.5), 250),
        (dict(binning_x=1, binning_y=1), (640, 480), (319.5, 239.5), 500),
        # First cut, then binned: (319.5 - 100 + 0.5) / 2 - 0.5.
        (
            dict(roi=region(100, 40, 321, 240), binning_x=2, binning_y=2),
            (160, 120),
            (109.5, 99.5),
            250,
        ),
        (dict(width=0, height=0, roi=region(100, 40, 320, 240)), (320, 240), (219.5, 199.5), 500),
        (dict(width=0, height=0), (640, 480), (319.5, 239.5), 500),
    ],
)
@pytest.mark.parametrize("rectified", [False, True])
def test_region_of_interest_and_binning(changes, size, centre, focal, rectified):
    message = info(**changes)
    message.p = [500.0, 0, 319.5, 0, 0, 500.0, 239.5, 0, 0, 0, 1.0, 0]
    K = calibration.intrinsics(message, *size, rectified=rectified)
    np.testing.assert_allclose(K, [[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(roi=region(10, 0, 0, 0)), "region of interest of 0x0 at .10, 0., which is no part"),
        (dict(roi=region(400, 0, 320, 240)), "of 320x240 at .400, 0., which is no part of its 640"),
        (dict(roi=region(0, 0, 4294967295, 1)), "which is no part of its 640x480"),
        (dict(roi=region(0, 0, 320, 240)), "describes an image of 320x240 .* is 640x480"),
        (dict(binning_x=2, binning_y=2), "describes an image of 320x240 .* binning 2x2"),
        (dict(width=0), "has the size 0x480: set both or none"),
    ],
)
def test_regions_that_do_not_fit_the_image_are_named(changes, match):
    with pytest.raises(ConvertError, match=match):
        calibration.intrinsics(info(**changes), 640, 480, False)


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
        calibration.intrinsics(message, 640, 480, rectified)


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


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(d=[0.1] * 10_000), "has 10000 distortion coefficients"),
        (dict(d=[float("nan")] * 5), "distortion that is not finite"),
        (dict(d=[0.1] * 5, distortion_model="\n" * 10_000), r"model '\\n.*10000 characters"),
    ],
)
def test_lenses_that_are_none_are_named(changes, match):
    with pytest.raises(ConvertError, match=match) as failed:
        Rectifier()(RGB, DEPTH, info(**changes), np.eye(3))
    assert len(str(failed.value)) < 500


def trio(width=32, height=24, depth_frame="optical", info_frame="optical"):
    rgb = convert.rgb_to_image(np.zeros((height, width, 3), np.uint8), Header(frame_id="optical"))
    ones = np.ones((height, width), np.float32)
    depth = convert.depth_to_image(ones, Header(frame_id=depth_frame), "32FC1")
    return rgb, depth, info(width, height, header=Header(frame_id=info_frame))


def to_frame(messages, **options):
    return messages_to_frame(*messages, np.eye(4), Rectifier(), **options)


def test_a_trio_becomes_a_frame():
    frame = to_frame(trio(info_frame=""))
    assert frame.rgb.shape == (24, 32, 3)
    assert frame.depth_m[3, 4] == 1
    # tf2 takes a leading slash off, so it makes no difference.
    to_frame(trio(depth_frame="/optical", info_frame="/optical"))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(depth_frame="depth_optical"), "depth image's frame_id is 'depth_optical' but"),
        (dict(depth_frame=""), "depth image's frame_id is '' but the colour image's is 'optical'"),
        (dict(info_frame="left"), "camera_info's frame_id is 'left' but the colour image's"),
        (dict(depth_frame="\n" * 10_000), r"frame_id is '\\n"),
    ],
)
def test_depth_and_camera_info_of_another_frame_are_refused_unless_allowed(changes, match):
    with pytest.raises(ConvertError, match=match) as failed:
        to_frame(trio(**changes))
    assert "ignore_frame_ids" in str(failed.value)
    assert len(str(failed.value)) < 600
    to_frame(trio(**changes), ignore_frame_ids=True)


@pytest.mark.parametrize("size", [(1, 1), (15, 100), (100, 15)])
def test_images_that_are_too_small_for_tiles_are_named(size):
    with pytest.raises(ConvertError, match="must be at least 16 pixels"):
        to_frame(trio(*size))
    to_frame(trio(16, 16))


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
