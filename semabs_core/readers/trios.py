"""A camera's messages that belong together, as a frame; whatever library has read them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from semabs_core.readers.calibration import Rectifier, intrinsics
from semabs_core.readers.messages import (
    ConvertError,
    depth_to_metres,
    image_to_rgb,
    stamp_to_seconds,
)
from semabs_core.text import shorten
from semabs_core.types import MIN_IMAGE_EDGE, RGBDFrame

REGISTER = "registered depth (depth_image_proc/register, or the driver's aligned depth)"


def messages_to_frame(
    rgb: Any,
    depth: Any,
    info: Any,
    T_world_camera: NDArray,
    rectifier: Rectifier,
    rectified: bool = False,
    ignore_frame_ids: bool = False,
) -> RGBDFrame:
    """Colour, depth, camera_info and the camera's pose to a frame.

    Args:
        rgb: ``Image`` or ``CompressedImage``.
        depth: likewise, registered to colour.
        info: ``CameraInfo`` of the colour image.
        T_world_camera: (4, 4) rigid.
        rectifier: takes distortion out of images that are not rectified.
        rectified: whether the images are.
        ignore_frame_ids: whether frame_ids that differ are let pass.

    Raises:
        ConvertError, FrameError: naming what is wrong with which message.
    """
    if not ignore_frame_ids:
        check_frame_ids(*(message.header.frame_id for message in (rgb, depth, info)))
    image, metres = image_to_rgb(rgb), depth_to_metres(depth)
    height, width = image.shape[:2]
    if min(height, width) < MIN_IMAGE_EDGE:
        raise ConvertError(
            f"the colour image is {width}x{height}: it must be at least {MIN_IMAGE_EDGE} pixels "
            "wide and high"
        )
    if metres.shape != (height, width):
        raise ConvertError(
            f"the depth image is {metres.shape[1]}x{metres.shape[0]} but the colour image is "
            f"{width}x{height}: remap depth/image to {REGISTER}"
        )
    K = intrinsics(info, width, height, rectified)
    if not rectified:
        image, metres = rectifier(image, metres, info, K)
    return RGBDFrame(image, metres, K, T_world_camera, stamp_to_seconds(rgb.header.stamp))


def check_frame_ids(camera: str, depth_frame: str, info_frame: str) -> None:
    """Depth of another frame is not registered to colour, whatever its size is.

    Calibration that is published from a file often has no frame_id; that says nothing.

    Raises:
        ConvertError: if they differ.
    """
    camera, depth_frame, info_frame = (
        frame.removeprefix("/") for frame in (camera, depth_frame, info_frame)
    )
    if depth_frame != camera:
        raise ConvertError(
            f"the depth image's frame_id is '{shorten(depth_frame)}' but the colour image's is "
            f"'{shorten(camera)}', so depth is not registered to colour: remap depth/image to "
            f"{REGISTER}, or set ignore_frame_ids where only the name is wrong"
        )
    if info_frame and info_frame != camera:
        raise ConvertError(
            f"camera_info's frame_id is '{shorten(info_frame)}' but the colour image's is "
            f"'{shorten(camera)}': remap rgb/camera_info to the camera of rgb/image, or set "
            "ignore_frame_ids where only the name is wrong"
        )
