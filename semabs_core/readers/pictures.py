"""Colour and depth pictures in files, and colour that is brought to the pixels of depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from semabs_core.data.scene_arrays import read_depth
from semabs_core.data.scene_file import SceneError
from semabs_core.readers.lens import remap, scaled_intrinsics
from semabs_core.readers.messages import ConvertError, image_colors, open_image

COLOR_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".pgm")
ASPECT_TOLERANCE = 0.01


def read_picture(file: Path) -> NDArray[np.uint8]:
    """A colour picture to (H, W, 3) uint8, as its pixels are stored, whatever EXIF says.

    Raises:
        SceneError: naming the file.
    """
    try:
        return image_colors(_open(file))
    except (ConvertError, OSError, ValueError, SyntaxError) as error:
        raise SceneError(f"{file} is no readable picture: {error}") from None


def check_picture(file: Path) -> None:
    """Raises :class:`SceneError` unless a file begins as a picture does."""
    try:
        _open(file).close()
    except ConvertError as error:
        raise SceneError(f"{file} is no readable picture: {error}") from None


def read_depth_picture(file: Path, units_per_m: float | None) -> NDArray[np.float32]:
    """A depth picture (16 bits, or a ``.npy``) to (H, W) float32 metres, 0 for no reading.

    Args:
        file: what to read.
        units_per_m: stored units of a metre; None for integer millimetres and float metres.

    Raises:
        SceneError: naming the file and what is wrong.
    """
    try:
        stored = np.load(file, allow_pickle=False) if file.suffix == ".npy" else _units(file)
        if units_per_m is not None:
            stored = stored.astype(np.float32) / np.float32(units_per_m)
        if not np.any(stored > 0):
            return np.zeros(stored.shape[:2], np.float32)  # a dark moment is no damage
        return read_depth(stored)[0]
    except FileNotFoundError:
        raise SceneError(f"there is no {file}") from None
    except (ConvertError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise SceneError(f"{file}: {' '.join(str(error).split())}") from None


def _units(file: Path) -> NDArray:
    """The stored numbers of a depth picture."""
    image = _open(file)
    if image.mode == "F":
        return np.asarray(image)
    if not image.mode.startswith("I"):
        raise ValueError(f"depth must have 16 bits and one channel, got {image.mode}")
    return np.asarray(image).astype(np.uint16)


def _open(file: Path) -> PIL.Image.Image:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise SceneError(f"there is no {file}") from None
    return open_image(data, file.name)


def bring_together(
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    K_color: NDArray,
    K_depth: NDArray | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Colour at the pixels of depth, and the intrinsics of these pixels.

    Both come from one place (as phones, simulators and exported ScanNet scenes give them), so that
    their pixels differ by their intrinsics alone.

    Args:
        rgb: (H, W, 3) uint8.
        depth_m: (h, w).
        K_color: (3, 3), pixels of the colour image.
        K_depth: (3, 3), pixels of the depth image; None where depth is colour's view in another
            size.

    Raises:
        ValueError: if the sizes cannot belong together.
    """
    height, width = depth_m.shape
    x, y = width / rgb.shape[1], height / rgb.shape[0]
    if K_depth is None:
        if abs(x / y - 1) > ASPECT_TOLERANCE:
            raise ValueError(
                f"depth is {width}x{height} but colour is {rgb.shape[1]}x{rgb.shape[0]}, which is "
                "another shape: give depth that is registered to colour"
            )
        K_depth = scaled_intrinsics(K_color, x, y)
    if (x, y) == (1, 1) and np.allclose(K_color, K_depth, atol=0.05):
        return rgb, K_depth
    shrink = max(int(0.5 / x + 0.5), int(0.5 / y + 0.5), 1)
    if shrink > 1:  # a mean of the pixels, else colour flickers
        image = PIL.Image.fromarray(rgb).reduce(shrink)
        K_color = scaled_intrinsics(K_color, 1 / shrink, 1 / shrink)
        rgb = np.asarray(image)
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    column = (u - K_depth[0, 2]) / K_depth[0, 0] * K_color[0, 0] + K_color[0, 2]
    row = (v - K_depth[1, 2]) / K_depth[1, 1] * K_color[1, 1] + K_color[1, 2]
    return remap(rgb, column.astype(np.float32), row.astype(np.float32)), K_depth
