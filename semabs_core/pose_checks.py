"""Camera poses that are possible but hardly true: wrong TF answers without an error."""

from __future__ import annotations

import re

import numpy as np

from semabs_core import geometry
from semabs_core.problem import NONE, Problem
from semabs_core.text import shorten
from semabs_core.types import RGBDFrame

STEEP_UP = float(np.sin(np.radians(45)))
SLIGHT_UP = float(np.sin(np.radians(20)))
"""Upward parts of an optical axis: of one that looks at the ceiling; of one worth a second look."""
LEVEL = float(np.sin(np.radians(10)))
"""An axis with a smaller vertical part is level."""
FLOOR_BAND_M = 0.1
"""A camera that is no higher above the floor stands on it."""
BELOW_M = 0.15
"""A reading that is further below the floor is not of the floor."""
BELOW_SHARE = 0.05
SAMPLE_STEP = 8
"""Every so many pixels a reading is looked at."""
BODY_NAME = re.compile(r"(^|_)(link|body|base)$")

OPTICAL = (
    "an image's frame_id must be the optical frame (x right, y down, z forward; REP 103), which "
    "drivers call ..._optical_frame"
)


def doubt(frame: RGBDFrame, camera_frame: str, world_frame: str, floor_z_m: float) -> Problem:
    """What is suspicious about a frame's camera pose; empty when nothing is.

    A camera that is rolled or upside down is not: pictures are turned upright.

    Args:
        frame: the RGB-D frame.
        camera_frame: the image's frame_id.
        world_frame: the TF frame that the poses are in.
        floor_z_m: height of the floor in it, metres.
    """
    return _doubt_axes(frame, camera_frame) or _doubt_height(frame, world_frame, floor_z_m)


def _doubt_axes(frame: RGBDFrame, camera_frame: str) -> Problem:
    """A body frame (x forward, y left, z up) that is taken for an optical one.

    Where the camera is level such a picture seems to show the ceiling; where it is pitched, its
    "down" is still level, as of a camera that is rolled by 90 degrees. The latter is common, so
    only what also looks upwards, or has the name of a body frame, is suspicious.
    """
    down, forward = frame.T_world_camera[2, 1], frame.T_world_camera[2, 2]
    name = shorten(camera_frame)
    rolled = abs(down) < LEVEL
    if forward > STEEP_UP or (rolled and forward > SLIGHT_UP):
        return Problem(
            f"the camera looks {np.degrees(np.arcsin(min(forward, 1))):.0f} degrees upwards, says "
            f"TF of '{name}': if it looks ahead in reality, {OPTICAL}",
            "looks up",
        )
    body = BODY_NAME.search(camera_frame) is not None and "optical" not in camera_frame
    if body and rolled and abs(forward) < STEEP_UP:
        return Problem(
            f"the camera is rolled by 90 degrees, says TF, and its frame '{name}' has the name of "
            f"a body frame: if its pictures are upright in reality, {OPTICAL}",
            "body frame",
        )
    return NONE


def _doubt_height(frame: RGBDFrame, world_frame: str, floor_z_m: float) -> Problem:
    """A world frame that starts at the camera: then the floor is below the floor."""
    height = float(frame.T_world_camera[2, 3]) - floor_z_m
    remedy = (
        f"the world frame '{shorten(world_frame)}' does not seem to be at floor height: connect "
        "the camera to the robot in TF, set world_frame to a frame on the floor, or "
        "region.floor_z_m to the floor's height in it"
    )
    if height < -FLOOR_BAND_M:
        return Problem(f"the camera is {-height:.2f} m below the floor: {remedy}", "below floor")
    if height > FLOOR_BAND_M:
        return NONE
    share = _share_below(frame, floor_z_m - BELOW_M)
    if share > BELOW_SHARE:
        return Problem(
            f"the camera stands on the floor ({height:.2f} m above it) and {share:.0%} of its "
            f"depth readings are below the floor: {remedy}",
            "camera on the floor",
        )
    return NONE


def _share_below(frame: RGBDFrame, z_m: float) -> float:
    """Which share of the depth readings lies below a height of the world."""
    depth = frame.depth_m[::SAMPLE_STEP, ::SAMPLE_STEP]
    K = frame.K.copy()
    # Pixel i of the thinned image is pixel SAMPLE_STEP * i of the whole one.
    K[:2] /= SAMPLE_STEP
    points = geometry.back_project(depth, K)[geometry.valid_depth(depth)]
    if not len(points):
        return 0.0
    return float((geometry.transform_points(frame.T_world_camera, points)[:, 2] < z_m).mean())
