"""The published demo's scene pickles, read without running code from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semabs_core import inert_pickle
from semabs_core.data.scene_arrays import is_turned, numbers
from semabs_core.text import shorten

NAMES = {"cam_extr": "cam_pose", "ovssc_obj_classes": "classes"}
"""The published names of what scene files call otherwise."""


def read_pickle(file: Path) -> dict[str, Any]:
    """The arrays and words of a scene pickle, under the names of scene files.

    ``img_shape`` (width, height), where it is there, is the size that ``cam_intr`` is for: colour
    is resized smoothly and depth by the nearest reading, since a mean of near and far lies on
    neither. The published portrait images carry the intrinsics of the sensor, which is landscape:
    those are turned with the image.

    Raises:
        PickleError: if it is no dict or refers to anything but arrays and plain values.
        ValueError: if its arrays cannot be resized.
    """
    content = inert_pickle.load(file.read_bytes())
    if not isinstance(content, dict):
        raise inert_pickle.PickleError(
            f"a scene pickle must hold a dict, got a {type(content).__name__}"
        )
    values = {NAMES.get(str(name), str(name)): _plain(value) for name, value in content.items()}
    if values.get("img_shape") is not None:
        width, height = _size(values["img_shape"])
        if "rgb" in values:
            values["rgb"] = _resized_colors(numbers(values, "rgb"), width, height)
        if "depth" in values:
            values["depth"] = _resized_depth(numbers(values, "depth"), width, height)
    depth, K = np.asarray(values.get("depth")), np.asarray(values.get("cam_intr"))
    if depth.ndim == 2 and K.ndim == 2 and is_turned(K, depth.shape[1], depth.shape[0]):
        turn = [1, 0, 2]
        values["cam_intr"] = K[turn][:, turn]
    return values


def _plain(value: Any) -> Any:
    """Records to values, inside lists and tuples too."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return inert_pickle.plain(value)


def _size(shape: Any) -> tuple[int, int]:
    """Width and height."""
    size = np.asarray(shape).ravel()
    if size.shape != (2,) or size.dtype.kind not in "ui" or (size < 1).any():
        raise ValueError(f"img_shape must be (width, height) in pixels, got {shorten(shape)}")
    return int(size[0]), int(size[1])


def _resized_colors(rgb: NDArray, width: int, height: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 at another size, bilinear."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(
            f"rgb must be (H, W, 3) uint8 beside img_shape, got {rgb.shape} {rgb.dtype}"
        )
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def _resized_depth(depth: NDArray, width: int, height: int) -> NDArray:
    """(H, W) at another size, each pixel the reading that is nearest to its centre."""
    if depth.ndim != 2:
        raise ValueError(f"depth must be (H, W) beside img_shape, got {depth.shape}")
    rows = ((np.arange(height) + 0.5) * depth.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * depth.shape[1] / width).astype(int)
    return depth[rows[:, None], columns]
