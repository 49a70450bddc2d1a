"""Poses that are possible but hardly true are doubted; unusual ones that are true are not."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from semabs_core.pose_checks import doubt
from semabs_core.types import RGBDFrame

OPTICAL_IN_BODY = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Columns are the optical axes (right, down, forward) in a body frame (forward, left, up)."""
K = np.array([[100.0, 0, 79.5], [0, 100, 59.5], [0, 0, 1]])


def frame(R, height=1.5, z_floor=0.0):
    """A picture of a floor, walls far away; `R` turns the camera to the world."""
    T = np.eye(4)
    T[:3, :3], T[2, 3] = R, height
    v, u = np.mgrid[0:120, 0:160]
    rays = np.stack([(u - 79.5) / 100, (v - 59.5) / 100, np.ones(u.shape)], axis=-1) @ R.T
    with np.errstate(divide="ignore"):
        depth = np.where(rays[..., 2] < 0, (z_floor - height) / rays[..., 2], np.inf)
    depth = np.where((depth > 0) & (depth < 10), depth, np.nan).astype(np.float32)
    return RGBDFrame(np.zeros((120, 160, 3), np.uint8), depth, K, T)


def pitched(degrees, roll=0, yaw=30):
    """A body that looks down by `degrees`."""
    return Rotation.from_euler("ZYX", [yaw, degrees, roll], degrees=True).as_matrix()


@pytest.mark.parametrize(
    ("pitch", "roll"),
    [(pitch, roll) for pitch in (0, 30, 60, 90) for roll in (0, 90, 180, 270, 37)]
    + [(-30, 0), (-30, 180)],
)
@pytest.mark.parametrize("name", ["camera_color_optical_frame", "cam"])
def test_true_poses_are_not_doubted(name, pitch, roll):
    seen = frame(pitched(pitch, roll) @ OPTICAL_IN_BODY)
    assert not doubt(seen, name, "map", 0.0)


@pytest.mark.parametrize("pitch", [0, 30, 60, -20])
def test_a_body_frame_as_optical_frame_is_doubted(pitch):
    found = doubt(frame(pitched(pitch)), "cam", "map", 0.0)
    assert found.kind == "looks up"
    assert "'cam'" in found
    assert "x right, y down, z forward" in found


def test_a_body_frame_that_looks_straight_down_is_doubted_by_its_name():
    seen = frame(pitched(90))
    found = doubt(seen, "wrist_camera_link", "map", 0.0)
    assert found.kind == "body frame"
    assert not doubt(seen, "wrist_camera_optical_frame", "map", 0.0)


def test_an_optical_axis_upwards_is_doubted():
    found = doubt(frame(pitched(-80) @ OPTICAL_IN_BODY), "cam", "map", 0.0)
    assert "looks 80 degrees upwards" in found


def test_a_world_that_starts_at_the_camera_is_doubted():
    """TF ends at camera_link: the height is 0, the real floor is 1.5 m below that."""
    seen = frame(pitched(20) @ OPTICAL_IN_BODY, height=0.0, z_floor=-1.5)
    found = doubt(seen, "camera_optical_frame", "camera_link", 0.0)
    assert found.kind == "camera on the floor"
    assert "'camera_link'" in found
    assert "world_frame" in found
    assert not doubt(seen, "camera_optical_frame", "camera_link", -1.5)


def test_a_camera_that_is_truly_low_is_not_doubted():
    assert not doubt(frame(pitched(10) @ OPTICAL_IN_BODY, height=0.06), "cam", "map", 0.0)


def test_a_camera_below_the_floor_is_doubted():
    seen = frame(pitched(20) @ OPTICAL_IN_BODY, height=-0.4, z_floor=-1.5)
    assert "0.40 m below the floor" in doubt(seen, "cam", "odom", 0.0)


def test_without_a_reading_only_the_axes_count():
    seen = frame(pitched(0) @ OPTICAL_IN_BODY, height=0.0)
    seen.depth_m[:] = np.nan
    assert not doubt(seen, "cam", "map", 0.0)
