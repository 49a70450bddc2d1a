"""A camera's messages that belong together: while they wait, and as a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from semabs_core.readers.calibration import Rectifier, intrinsics
from semabs_core.readers.messages import ConvertError, depth_to_metres, image_to_rgb
from semabs_core.text import shorten
from semabs_core.types import MIN_IMAGE_EDGE, RGBDFrame
from semabs_ros.convert import stamp_to_seconds
from semabs_ros.node_config import NodeConfig
from semabs_ros.pairing import Pair


@dataclass
class Waiting:
    """A pair of images that may still wait for its transform.

    Attributes:
        pair: the images.
        arrived: when it was complete, monotonic seconds.
        wanted: the ``world_frame`` that the pose was looked up for; None while there is no pose.
        world: its TF frame.
        T_world_camera: (4, 4), once it is there.
    """

    pair: Pair
    arrived: float
    wanted: str | None = None
    world: str = ""
    T_world_camera: NDArray[np.float64] | None = None

    @property
    def header(self) -> Header:
        """The colour image's."""
        return self.pair.rgb.header


@dataclass(frozen=True)
class Source:
    """A frame and where it belongs in ROS.

    Attributes:
        frame: the RGB-D frame.
        world_frame: TF frame of all results.
        header: the colour image's exact stamp and frame.
        arrived: when it came, monotonic seconds.
    """

    frame: RGBDFrame
    world_frame: str
    header: Header
    arrived: float


def messages_to_frame(
    rgb: Image | CompressedImage,
    depth: Image | CompressedImage,
    info: CameraInfo,
    T_world_camera: NDArray,
    config: NodeConfig,
    rectifier: Rectifier,
) -> RGBDFrame:
    """A synced trio of messages and the camera's pose to a frame.

    Raises:
        ConvertError, FrameError: naming what is wrong with which message.
    """
    if not config.ignore_frame_ids:
        _check_frame_ids(rgb, depth, info)
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
            f"{width}x{height}: remap depth/image to depth that is registered to the colour camera "
            "(depth_image_proc/register, or the driver's aligned depth)"
        )
    K = intrinsics(info, width, height, config.rectified_images)
    if not config.rectified_images:
        image, metres = rectifier(image, metres, info, K)
    return RGBDFrame(image, metres, K, T_world_camera, stamp_to_seconds(rgb.header.stamp))


def _check_frame_ids(
    rgb: Image | CompressedImage, depth: Image | CompressedImage, info: CameraInfo
) -> None:
    """Depth of another frame is not registered to colour, whatever its size is.

    Calibration that is published from a file often has no frame_id; that says nothing.
    """
    camera, depth_frame, info_frame = (
        message.header.frame_id.removeprefix("/") for message in (rgb, depth, info)
    )
    if depth_frame != camera:
        raise ConvertError(
            f"the depth image's frame_id is '{shorten(depth_frame)}' but the colour image's is "
            f"'{shorten(camera)}', so depth is not registered to colour: remap depth/image to "
            "registered depth (depth_image_proc/register, or the driver's aligned depth), or set "
            "ignore_frame_ids where only the name is wrong"
        )
    if info_frame and info_frame != camera:
        raise ConvertError(
            f"camera_info's frame_id is '{shorten(info_frame)}' but the colour image's is "
            f"'{shorten(camera)}': remap rgb/camera_info to the camera of rgb/image, or set "
            "ignore_frame_ids where only the name is wrong"
        )
