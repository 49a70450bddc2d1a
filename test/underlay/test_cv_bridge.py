"""The stand-in of cv_bridge: pixels worked out by hand."""

# ruff: noqa: E402 (what is imported decides whether the tests apply)

import sys
from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS 2")
cv_bridge = pytest.importorskip("cv_bridge", reason="needs the underlay to be built and sourced")
if not getattr(cv_bridge, "__semabs_stand_in__", False):
    pytest.skip("the real cv_bridge is installed, not the stand-in", allow_module_level=True)

import cv2
from cv_bridge import CvBridge, CvBridgeError, cvtColorForDisplay, getCvType
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
BRIDGE = CvBridge()


def make_message(pixels, encoding):
    return BRIDGE.cv2_to_imgmsg(np.asarray(pixels), encoding)


def convert(pixels, encoding_in, encoding_out):
    return BRIDGE.imgmsg_to_cv2(make_message(pixels, encoding_in), encoding_out)


@pytest.mark.parametrize(
    ("encoding", "cv_type", "dtype", "channels"),
    [
        ("mono8", cv2.CV_8UC1, "uint8", 1),
        ("mono16", cv2.CV_16UC1, "uint16", 1),
        ("rgb8", cv2.CV_8UC3, "uint8", 3),
        ("bgra16", cv2.CV_16UC4, "uint16", 4),
        ("bayer_grbg16", cv2.CV_16UC1, "uint16", 1),
        ("yuv422", cv2.CV_8UC2, "uint8", 2),
        ("yuv422_yuy2", cv2.CV_8UC2, "uint8", 2),
        ("8SC2", cv2.CV_8SC2, "int8", 2),
        ("16SC1", cv2.CV_16SC1, "int16", 1),
        ("32SC4", cv2.CV_32SC4, "int32", 4),
        ("32FC1", cv2.CV_32FC1, "float32", 1),
        ("64F", cv2.CV_64FC1, "float64", 1),
        ("8UC5", cv2.CV_8UC4 + cv2.CV_8UC2 - cv2.CV_8UC1, "uint8", 5),
    ],
)
def test_encodings(encoding, cv_type, dtype, channels):
    assert getCvType(encoding) == BRIDGE.encoding_to_cvtype2(encoding) == cv_type
    assert BRIDGE.encoding_to_dtype_with_channels(encoding) == (dtype, channels)
    assert BRIDGE.cvtype2_to_dtype_with_channels(cv_type) == (dtype, channels)


@pytest.mark.parametrize("encoding", ["", "rgb9", "8UC", "8UC3x", "128FC1"])
def test_unknown_encodings(encoding):
    with pytest.raises(CvBridgeError, match="unknown image encoding"):
        getCvType(encoding)


def test_tables():
    assert BRIDGE.cvtype_to_name[cv2.CV_16UC3] == "16UC3"
    assert BRIDGE.dtype_with_channels_to_cvtype2(np.dtype("float32"), 2) == "32FC2"
    assert BRIDGE.numpy_type_to_cvtype["int16"] == "16S"
    assert BRIDGE.numpy_type_to_cvtype["16S"] == "int16"
    assert BRIDGE.cvdepth_to_numpy_depth[cv2.CV_64F] == "float64"


# Messages


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "f4", "f8"])
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 2), (3, 5, 3), (3, 5, 4), (3, 5, 5)])
def test_round_trip(dtype, shape):
    image = (np.arange(np.prod(shape)).reshape(shape) - 20).astype(dtype)
    message = BRIDGE.cv2_to_imgmsg(image)
    assert (message.height, message.width) == (3, 5)
    assert message.step * 3 == len(message.data) == image.nbytes
    again = BRIDGE.imgmsg_to_cv2(message)
    assert again.dtype == image.dtype
    np.testing.assert_array_equal(again, image[..., 0] if shape[2:] == (1,) else image)


def test_message_is_filled_with_what_it_takes_as_it_is():
    """A NumPy array would be checked item by item, fifty times slower."""
    header = Header(frame_id="camera")
    message = BRIDGE.cv2_to_imgmsg(np.array([[RED, BLUE]], np.uint8), "rgb8", header)
    assert type(message._data) is array
    assert message.header == header
    assert bytes(message.data) == bytes([255, 0, 0, 0, 0, 255])
    assert (message.step, message.encoding, message.is_bigendian) == (6, "rgb8", 0)


def test_views_need_not_be_contiguous():
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert list(BRIDGE.cv2_to_imgmsg(image[::2, ::3]).data) == [0, 3, 12, 15]


@pytest.mark.parametrize("data", [bytes, array, list])
def test_rows_may_be_padded(data):
    message = Image(height=2, width=1, encoding="16UC1", step=5)
    raw = bytes([1, 0, 9, 9, 9, 2, 1, 9, 9, 9])
    message.data = array("B", raw) if data is array else data(raw)
    assert BRIDGE.imgmsg_to_cv2(message).tolist() == [[1], [258]]


def test_byte_order():
    message = Image(height=1, width=2, encoding="16UC1", step=4, is_bigendian=1)
    message.data = array("B", [1, 2, 0, 3])
    image = BRIDGE.imgmsg_to_cv2(message)
    assert image.tolist() == [[258, 3]]
    assert image.dtype.isnative
    swapped = BRIDGE.cv2_to_imgmsg(image.astype(">u2"))
    assert swapped.is_bigendian
    assert bytes(swapped.data) == bytes([1, 2, 0, 3])
    assert bool(BRIDGE.cv2_to_imgmsg(image).is_bigendian) == (sys.byteorder == "big")


def test_passthrough_does_not_copy():
    message = BRIDGE.cv2_to_imgmsg(np.eye(4))
    assert np.shares_memory(BRIDGE.imgmsg_to_cv2(message), np.frombuffer(message.data, np.uint8))


def test_empty_image():
    assert BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(np.zeros((0, 4, 3), np.uint8))).size == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"step": 5}, "step must be at least 6 bytes"),
        ({"height": 3}, "3 rows of 6 bytes and had 12"),
        ({"encoding": "rgb9"}, "unknown image encoding"),
    ],
)
def test_malformed_messages(change, text):
    message = BRIDGE.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "rgb8")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(CvBridgeError, match=text):
        BRIDGE.imgmsg_to_cv2(message)


def test_unusable_arrays():
    with pytest.raises(TypeError, match="must be a NumPy array and was a int"):
        BRIDGE.cv2_to_imgmsg(1)
    with pytest.raises(CvBridgeError, match="cannot hold int64"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2), np.int64))
    with pytest.raises(CvBridgeError, match="must be"):
        BRIDGE.cv2_to_imgmsg(np.zeros(2, np.uint8))
    with pytest.raises(CvBridgeError, match="rgba8 is 8UC4, but the image is 8UC3"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "rgba8")


# Colours


@pytest.mark.parametrize(
    ("encoding_in", "encoding_out", "pixel_in", "pixel_out"),
    [
        ("rgb8", "bgr8", [1, 2, 3], [3, 2, 1]),
        ("bgr8", "rgb8", [1, 2, 3], [3, 2, 1]),
        ("rgb8", "rgba8", [1, 2, 3], [1, 2, 3, 255]),
        ("rgba8", "bgr8", [1, 2, 3, 4], [3, 2, 1]),
        ("bgra8", "rgba8", [1, 2, 3, 4], [3, 2, 1, 4]),
        ("rgb8", "mono8", [255, 0, 0], 76),  # 0.299 * 255
        ("bgr8", "mono8", [255, 0, 0], 29),  # 0.114 * 255
        ("mono8", "rgb8", 7, [7, 7, 7]),
        ("mono8", "mono16", 2, 514),  # full ranges correspond: times 257
        ("mono16", "mono8", 514, 2),
        ("mono16", "mono8", 65535, 255),
        ("rgb8", "rgb16", [0, 1, 255], [0, 257, 65535]),
        ("rgb16", "bgr8", [0, 257, 65535], [255, 1, 0]),
        ("rgb8", "mono16", [255, 255, 255], 65535),
        ("rgb8", "8UC3", [1, 2, 3], [1, 2, 3]),
        ("mono8", "32FC1", 7, 7.0),
        ("16UC1", "32FC1", 1500, 1500.0),
        ("32FC1", "16UC1", 1500.5, 1500),  # half to even
        ("32FC1", "16UC1", 1e9, 65535),
        ("32FC1", "16UC1", np.nan, 0),
        ("32FC1", "16UC1", np.inf, 0),
        ("32FC1", "64FC1", np.inf, np.inf),
    ],
)
def test_conversions(encoding_in, encoding_out, pixel_in, pixel_out):
    dtype, _ = BRIDGE.encoding_to_dtype_with_channels(encoding_in)
    image = convert(np.array([[pixel_in] * 2] * 2, dtype), encoding_in, encoding_out)
    assert image.dtype.name == BRIDGE.encoding_to_dtype_with_channels(encoding_out)[0]
    np.testing.assert_array_equal(image, np.array([[pixel_out] * 2] * 2))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(pattern, bits):
    """A scene of one colour: away from the edges every pixel has it."""
    colour = {"r": 200, "g": 100, "b": 50}
    tile = np.array([colour[letter] for letter in pattern]).reshape(2, 2)
    mosaic = np.tile(tile, (4, 4)).astype(f"uint{bits}")
    image = convert(mosaic, f"bayer_{pattern}{bits}", f"rgb{bits}")
    assert np.unique(image[2:-2, 2:-2].reshape(-1, 3), axis=0).tolist() == [[200, 100, 50]]
    image = convert(mosaic, f"bayer_{pattern}{bits}", f"bgr{bits}")
    assert np.unique(image[2:-2, 2:-2].reshape(-1, 3), axis=0).tolist() == [[50, 100, 200]]


@pytest.mark.parametrize(
    ("encoding", "luma"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)]
)
def test_yuv(encoding, luma):
    image = np.full((2, 2, 2), 128, np.uint8)  # no colour
    image[:, :, luma] = [16, 235]  # black and white of the video range
    assert convert(image, encoding, "rgb8").tolist() == [[[0] * 3, [255] * 3]] * 2
    assert convert(image, encoding, "mono8").tolist() == [[16, 235]] * 2


def test_same_encoding_is_a_copy():
    message = make_message(np.zeros((2, 2), np.uint8), "mono8")
    image = BRIDGE.imgmsg_to_cv2(message, "mono8")
    assert not np.shares_memory(image, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ("encoding_in", "encoding_out", "text"),
    [
        ("8UC3", "bgr8", "are not known"),
        ("16UC1", "mono16", "are not known"),
        ("rgb8", "8UC1", "rgb8 has 3 channels, 8UC1 has 1"),
        ("8UC3", "8UC1", "8UC3 has 3 channels, 8UC1 has 1"),
        ("mono8", "bayer_rggb8", "there is no conversion"),
        ("rgb8", "yuv422", "there is no conversion"),
        ("bayer_rggb8", "bgra8", "there is no conversion"),
        ("rgb8", "rgb9", "unknown image encoding"),
    ],
)
def test_conversions_that_do_not_exist(encoding_in, encoding_out, text):
    dtype, channels = BRIDGE.encoding_to_dtype_with_channels(encoding_in)
    with pytest.raises(CvBridgeError, match=text):
        convert(np.zeros((4, 4, channels), dtype), encoding_in, encoding_out)


# Compressed


@pytest.mark.parametrize(
    ("shape", "dtype"), [((5, 7), "u1"), ((5, 7), "u2"), ((5, 7, 3), "u1"), ((5, 7, 4), "u1")]
)
def test_png_keeps_everything(shape, dtype):
    image = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    message = BRIDGE.cv2_to_compressed_imgmsg(image, "png")
    assert message.format == "png"
    assert type(message._data) is array
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message), image)


def test_compressed_images_are_converted_from_what_they_hold():
    blue = BRIDGE.cv2_to_compressed_imgmsg(np.array([[(255, 0, 0)]], np.uint8), "png")
    assert BRIDGE.compressed_imgmsg_to_cv2(blue, "rgb8").tolist() == [[[0, 0, 255]]]
    gray = BRIDGE.cv2_to_compressed_imgmsg(np.full((8, 8), 90, np.uint8), "jpg")
    assert BRIDGE.compressed_imgmsg_to_cv2(gray, "bgr8")[0, 0].tolist() == [90, 90, 90]
    depth = BRIDGE.cv2_to_compressed_imgmsg(np.full((2, 2), 514, np.uint16), "png")
    assert BRIDGE.compressed_imgmsg_to_cv2(depth, "mono8").tolist() == [[2, 2]] * 2


def test_compression_errors():
    for data in (b"", b"no image"):
        message = CompressedImage(format="png")
        message.data = array("B", data)
        with pytest.raises(CvBridgeError, match="cannot decode"):
            BRIDGE.compressed_imgmsg_to_cv2(message)
    with pytest.raises(CvBridgeError):
        BRIDGE.cv2_to_compressed_imgmsg(np.zeros((2, 2), np.uint8), "nonsense")
    with pytest.raises(TypeError, match="must be a NumPy array"):
        BRIDGE.cv2_to_compressed_imgmsg([1])


# Display


def test_labels_for_display():
    labels = np.array([[-1, 0], [1, 0]], np.int32)
    image = cvtColorForDisplay(labels, "32SC1", "bgr8")
    assert image[0, 0].tolist() == [0, 0, 0]
    assert image[0, 1].tolist() == image[1, 1].tolist() == [0, 0, 255]
    assert image[1, 0].tolist() != image[0, 1].tolist()


def test_depth_for_display():
    depth = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)
    expected = [[0, 128], [255, 0]]  # 127.5 to even
    shown = cvtColorForDisplay(depth, "32FC1", "mono8", do_dynamic_scaling=True)
    assert shown.tolist() == expected
    shown = cvtColorForDisplay(depth, "32FC1", "mono8", min_image_value=1.0, max_image_value=3.0)
    assert shown.tolist() == expected
    coloured = cvtColorForDisplay(
        depth, "32FC1", do_dynamic_scaling=True, colormap=cv2.COLORMAP_JET
    )
    assert coloured[1, 1].tolist() == [0, 0, 0]
    flat = cvtColorForDisplay(np.ones((2, 2), np.float32), "32FC1", do_dynamic_scaling=True)
    assert flat.tolist() == [[[128] * 3] * 2] * 2


def test_bare_types_for_display():
    pixels = np.array([[(1, 2, 3)]], np.uint8)
    assert cvtColorForDisplay(pixels, "8UC3", "rgb8").tolist() == [[[3, 2, 1]]]
    with pytest.raises(CvBridgeError, match="color or mono encoding of 8 bits"):
        cvtColorForDisplay(pixels, "8UC3", "mono16")
    with pytest.raises(CvBridgeError, match="one channel"):
        cvtColorForDisplay(pixels, "8UC3", "mono8", max_image_value=5.0)


def test_missing_parts_name_the_real_package():
    with pytest.raises(ImportError, match=r"ros-.*-cv-bridge"):
        from cv_bridge import boost  # noqa: F401
    with pytest.raises(AttributeError, match=r"ros-.*-cv-bridge"):
        _ = cv_bridge.anything
