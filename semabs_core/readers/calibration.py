"""What camera_info says of an image: its intrinsics, and the lens distortion to take out.

A camera_info is any object with the fields of ``sensor_msgs/CameraInfo``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semabs_core.readers.lens import distorted_pixels, remap, scaled_intrinsics
from semabs_core.readers.messages import ConvertError
from semabs_core.text import shorten

DISTORTION_MODELS = ("plumb_bob", "rational_polynomial", "equidistant")
ASPECT_TOLERANCE = 0.01


def intrinsics(info: Any, width: int, height: int, rectified: bool) -> NDArray[np.float64]:
    """The (3, 3) intrinsics of an image of width x height pixels.

    K and P of camera_info are those of the whole sensor at full resolution. The driver cuts the
    region of interest out of that and then bins its pixels. An image of another size than that
    makes is taken for a scaled version of it, but only where nothing was cut or binned: else it
    could as well be the whole image with a region of interest that was not applied.

    Raises:
        ConvertError: if the camera is not calibrated, or the sizes do not fit.
    """
    K = _full_intrinsics(info, rectified)
    x, y, cut_width, cut_height = _region_of_interest(info)
    bin_x, bin_y = max(info.binning_x, 1), max(info.binning_y, 1)
    K[0, 2] -= x
    K[1, 2] -= y
    if not (cut_width and cut_height):
        cut_width, cut_height = width * bin_x, height * bin_y
    expected = cut_width / bin_x, cut_height / bin_y
    # A remainder of the binning may or may not make a pixel.
    if abs(width - expected[0]) < 1 and abs(height - expected[1]) < 1:
        return scaled_intrinsics(K, 1 / bin_x, 1 / bin_y)
    if (cut_width, cut_height) != (info.width, info.height) or max(bin_x, bin_y) > 1:
        raise ConvertError(
            f"camera_info describes an image of {expected[0]:g}x{expected[1]:g} (region of "
            f"interest {cut_width}x{cut_height} of {info.width}x{info.height}, binning {bin_x}x"
            f"{bin_y}) but the image is {width}x{height}: publish the camera_info of this image"
        )
    scale_x, scale_y = width / info.width, height / info.height
    if abs(scale_x / scale_y - 1) > ASPECT_TOLERANCE:
        raise ConvertError(
            f"camera_info is for {info.width}x{info.height} but the image is {width}x{height}, "
            "which is no scaled version of it: remap rgb/camera_info to the camera of rgb/image"
        )
    return scaled_intrinsics(K, scale_x, scale_y)


def _full_intrinsics(info: Any, rectified: bool) -> NDArray[np.float64]:
    """K, or that of P for rectified images, checked."""
    name = "P" if rectified else "K"
    K = np.array(info.p if rectified else info.k, dtype=float)
    K = K.reshape(3, 4)[:, :3].copy() if rectified else K.reshape(3, 3)
    if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise ConvertError(
            f"camera_info has no usable {name} (focal lengths {K[0, 0]:g}, {K[1, 1]:g}): "
            "calibrate the camera or give its driver a calibration file"
        )
    return K


def _region_of_interest(info: Any) -> tuple[int, int, int, int]:
    """Its x, y, width and height, pixels of the whole sensor; the size is 0 where it is not told.

    A region of all zeros is the whole image.
    """
    roi = info.roi
    if bool(info.width) != bool(info.height):
        raise ConvertError(f"camera_info has the size {info.width}x{info.height}: set both or none")
    if not (roi.x_offset or roi.y_offset or roi.width or roi.height):
        return 0, 0, info.width, info.height
    inside = roi.x_offset + roi.width <= info.width and roi.y_offset + roi.height <= info.height
    if not (roi.width and roi.height) or not (inside or not info.width):
        raise ConvertError(
            f"camera_info has a region of interest of {roi.width}x{roi.height} at "
            f"({roi.x_offset}, {roi.y_offset}), which is no part of its {info.width}x{info.height} "
            "pixels: the driver must set all of it, or none"
        )
    return roi.x_offset, roi.y_offset, roi.width, roi.height


class Rectifier:
    """Takes lens distortion out of registered colour and depth; the maps are kept per camera."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._maps: tuple[NDArray, NDArray] | None = None

    def __call__(
        self, rgb: NDArray, depth_m: NDArray, info: Any, K: NDArray
    ) -> tuple[NDArray, NDArray]:
        """Undistorted images with the intrinsics ``K``.

        Raises:
            ConvertError: if the distortion model is unknown.
        """
        coefficients = np.array(info.d, dtype=float)
        if not coefficients.any():
            return rgb, depth_m
        if len(coefficients) not in (4, 5, 8, 12, 14):
            raise ConvertError(
                f"camera_info has {len(coefficients)} distortion coefficients; "
                "known are 4, 5, 8, 12 and 14"
            )
        if not np.isfinite(coefficients).all():
            raise ConvertError(f"camera_info has distortion that is not finite: {coefficients}")
        if info.distortion_model not in DISTORTION_MODELS:
            raise ConvertError(
                f"camera_info has distortion of the model '{shorten(info.distortion_model)}'; "
                f"known are {', '.join(DISTORTION_MODELS)}: rectify the images (image_proc) and "
                "set the parameter rectified_images"
            )
        size = (rgb.shape[1], rgb.shape[0])
        key = (info.distortion_model, tuple(coefficients), K.tobytes(), size)
        if key != self._key:
            self._maps = distorted_pixels(info.distortion_model, coefficients, K, *size)
            self._key = key
        assert self._maps is not None
        return remap(rgb, *self._maps), remap(depth_m, *self._maps)
