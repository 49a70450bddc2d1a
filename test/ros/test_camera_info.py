"""camera_info: intrinsics of whole and cut images, lenses, and the trios that become frames."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from small_images import DEPTH, RGB
from std_msgs.msg import Header

from semabs_core.readers import calibration
from semabs_core.readers.calibration import Rectifier
from semabs_core.readers.messages import ConvertError
from semabs_core.readers.trios import messages_to_frame
from semabs_ros import convert


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
