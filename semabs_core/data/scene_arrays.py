"""Arrays as scene files hold them (any layout, number type and unit) to checked RGB-D arrays.

Every function raises ``ValueError`` that names the array, what it must be and what it was; the
caller adds the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semabs_core.geometry import split_similarity
from semabs_core.text import shorten

REQUIRED = {
    "rgb": "(H, W, 3) or (n, H, W, 3) colours",
    "depth": "(H, W) or (n, H, W), float metres or integer millimetres",
    "cam_intr": "(3, 3) intrinsics in pixels",
    "cam_pose": "(4, 4) or (n, 4, 4), camera to a world with z up",
}
"""What a scene cannot do without."""
FARTHEST_M = 65.535
"""The largest 16-bit value in millimetres; no RGB-D camera measures as far, so that this and larger
values (65535 in any unit, 1e6, the largest float) are marks of no reading."""
SMALLEST_MM = 100
"""Integers whose median is below are no millimetres: nothing is seen from 10 cm."""
TURNED = 0.05
"""How near to the middle a principal point is, in parts of the image, that is taken for it."""


def check_present(values: Mapping[str, Any]) -> None:
    """All of ``REQUIRED`` must be there."""
    missing = [f"{name}, {what}" for name, what in REQUIRED.items() if name not in values]
    if missing:
        there = ", ".join(sorted(values)) or "nothing that a scene has"
        raise ValueError(f"it lacks {'; '.join(missing)} (it holds {there})")


def numbers(values: Mapping[str, Any], name: str) -> NDArray:
    """An array of numbers."""
    array = np.asarray(values[name])
    if array.dtype.kind not in "uif":
        raise ValueError(f"{name} must hold numbers, got {array.dtype}")
    if array.size == 0:
        raise ValueError(f"{name} is empty, its shape is {array.shape}")
    return array


def read_depth(depth: NDArray) -> NDArray[np.float32]:
    """Depth to (n, H, W) float32 metres, 0 for no reading.

    Args:
        depth: (H, W), (n, H, W), each with or without a last axis of 1; float metres or integer
            millimetres. Zero, negative and not finite values are no readings, nor are those of
            ``FARTHEST_M`` and above.
    """
    shape = depth.shape
    if depth.ndim in (3, 4) and shape[-1] == 1:
        depth = depth[..., 0]
    depth = depth[None] if depth.ndim == 2 else depth
    if depth.ndim != 3:
        raise ValueError(f"depth must be (H, W) or (n, H, W), got {shape}")
    integer = depth.dtype.kind in "ui"
    if depth.dtype.itemsize == 1:
        raise ValueError("depth has 8 bits, which hold no millimetres: store uint16 or float32")
    with np.errstate(over="ignore"):
        metres = depth.astype(np.float32) / np.float32(1000 if integer else 1)
    metres[~(np.isfinite(metres) & (metres > 0))] = 0
    readings = metres[metres > 0]
    if not readings.size:
        raise ValueError("depth holds no reading")
    if not integer:  # all but the mark of no reading are too far to be metres
        values = readings[readings < readings.max()]
        if values.size and np.median(values) >= FARTHEST_M:
            raise ValueError(
                f"depth must be metres where it is float, but its median is {np.median(values):g}; "
                "divide millimetres by 1000"
            )
    # Just below, because 65.535 has no exact binary number.
    metres[metres >= np.float32(FARTHEST_M - 1e-4)] = 0
    readings = metres[metres > 0]
    if not readings.size:
        raise ValueError(f"depth holds no reading below {FARTHEST_M} m")
    if integer and np.median(readings) * 1000 < SMALLEST_MM:
        raise ValueError(
            "depth must be millimetres where it is integer, but its median is "
            f"{np.median(readings) * 1000:g}; store metres as float32"
        )
    return metres


def read_colors(rgb: NDArray, count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Colours to (n, H, W, 3) uint8.

    Args:
        rgb: grey, RGB or RGBA (alpha is left out), channels last or first, with or without n;
            uint8, integers up to 255 or 65535, or floats in 0..1 or 0..255.
        count: n, of the depth.
        height: of the depth.
        width: of the depth.
    """
    return _eight_bits(_channels_last(rgb, count, height, width))


def _channels_last(rgb: NDArray, count: int, height: int, width: int) -> NDArray:
    """Colours of any layout to (n, H, W, 3), told apart by the depth's size."""
    image = rgb if rgb.ndim == 4 or rgb.shape == (count, height, width) else rgb[None]
    if image.ndim == 3:
        image = image[..., None]
    if image.ndim == 4 and image.shape[3] not in (1, 3, 4) and image.shape[1] in (1, 3, 4):
        image = np.moveaxis(image, 1, 3)
    if image.ndim != 4 or image.shape[3] not in (1, 3, 4):
        raise ValueError(f"rgb must be (H, W, 3) or (n, H, W, 3), got {rgb.shape}")
    if image.shape[1:3] == (width, height) and width != height:
        raise ValueError(
            f"rgb is {height}x{width} but depth is {width}x{height}: one of them is transposed; "
            "store both as (rows, columns)"
        )
    if image.shape[3] == 1:
        return np.repeat(image, 3, axis=3)
    return image[..., :3]


def _eight_bits(rgb: NDArray) -> NDArray[np.uint8]:
    """Numbers of any type to uint8."""
    if rgb.dtype == np.uint8:
        return rgb
    low, high = rgb.min(), rgb.max()
    if rgb.dtype.kind == "f":
        if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 255:
            raise ValueError(
                f"rgb must be in 0..1 or 0..255 where it is float, got {low:g}..{high:g}"
            )
        return np.rint(rgb * (255 if high <= 1 else 1)).astype(np.uint8)
    if low < 0 or high > 65535:
        raise ValueError(f"rgb must be in 0..255 or 0..65535, got {low}..{high}")
    return (rgb if high <= 255 else rgb // 257).astype(np.uint8)


def read_intrinsics(K: NDArray, width: int, height: int) -> NDArray[np.float64]:
    """Intrinsics to (3, 3) float64 for images of width x height.

    Args:
        K: (3, 3), a (4, 4) or (3, 4) that extends it, or n equal ones.
        width: of the images, pixels.
        height: of the images, pixels.
    """
    stack = K.reshape(-1, *K.shape[-2:]) if K.ndim in (2, 3) else K
    if stack.ndim != 3 or stack.shape[1:] not in ((3, 3), (3, 4), (4, 4)):
        raise ValueError(f"cam_intr must be (3, 3), got {K.shape}")
    if not np.isfinite(stack).all():
        raise ValueError("cam_intr must be finite")
    if (stack != stack[0]).any():
        raise ValueError("cam_intr differs between the frames; a scene has one camera")
    one = stack[0].astype(np.float64)
    if (one[:3, 3:] != 0).any():
        raise ValueError(f"cam_intr must hold no translation, got {one.tolist()}")
    one = one[:3, :3]
    if not (0 <= one[0, 2] < width and 0 <= one[1, 2] < height):
        raise ValueError(
            f"cam_intr's principal point ({one[0, 2]:g}, {one[1, 2]:g}) is outside the "
            f"{width}x{height} image: give the intrinsics for this size"
        )
    return one


def is_turned(K: NDArray, width: int, height: int) -> bool:
    """Whether the principal point is the middle of the image turned by 90 degrees, not of this."""

    def near(across: int, down: int) -> bool:
        x, y = K[0, 2] - (across - 1) / 2, K[1, 2] - (down - 1) / 2
        return bool(abs(x) <= TURNED * across and abs(y) <= TURNED * down)

    return near(height, width) and not near(width, height)


def read_poses(poses: NDArray, count: int, bounds: NDArray | None = None) -> NDArray[np.float64]:
    """Camera poses to (n, 4, 4) float64, rigid, in metres.

    Args:
        poses: (4, 4) or (n, 4, 4), or without their last rows; a scale and a reflection are taken
            out.
        count: n; one pose serves all frames.
        bounds: (2, 3) of the published scenes, scene units; z = 0 of our world is the lower one.
    """
    if poses.ndim not in (2, 3) or poses.shape[-2:] not in ((4, 4), (3, 4)):
        raise ValueError(f"cam_pose must be (4, 4) or (n, 4, 4), got {poses.shape}")
    if not np.isfinite(poses).all():
        raise ValueError("cam_pose must be finite")
    stored = np.tile(np.eye(4), (1 if poses.ndim == 2 else len(poses), 1, 1))
    stored[:, : poses.shape[-2]] = poses
    if not np.array_equal(stored[:, 3], np.tile([0, 0, 0, 1], (len(stored), 1))):
        raise ValueError(f"the last row of cam_pose must be 0 0 0 1, got {stored[0, 3].tolist()}")
    split = [split_similarity(pose) for pose in stored]
    rigid = np.stack([pose for pose, _ in split])
    if bounds is not None:
        if bounds.shape != (2, 3) or not np.isfinite(bounds).all():
            raise ValueError(f"scene_bounds must be finite and (2, 3), got {bounds.shape}")
        rigid[:, 2, 3] -= bounds[0, 2] / split[0][1]
    return np.repeat(rigid, count, axis=0) if len(rigid) == 1 else rigid


def read_names(names: Any) -> list[str]:
    """Names to strings, empty ones left out."""
    texts = [_text(name, "classes") for name in np.asarray(names).ravel().tolist()]
    return [text for text in texts if text]


def read_descriptions(rows: Any) -> list[tuple[str, str, str]]:
    """Rows of target, relation, reference; one row may come alone."""
    array = np.asarray(rows)
    if array.size == 0:
        return []
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(
            f"descriptions must be (n, 3): target, relation, reference; got {array.shape}"
        )
    words = [[_text(value, "descriptions") for value in row] for row in array.tolist()]
    return [(target, relation, reference) for target, relation, reference in words]


def _text(value: Any, where: str) -> str:
    """Text or bytes as text."""
    if not isinstance(value, str | bytes):
        raise ValueError(f"{where} must hold texts, got {shorten(value)}")
    try:
        return (value.decode() if isinstance(value, bytes) else value).strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} holds {shorten(value)}, which is no UTF-8 text") from error


def read_relevancy_maps(
    values: Mapping[str, Any], labels: list[str], count: int
) -> NDArray[np.float32] | None:
    """Relevancy to (n, L, h, w) float32; None where there is none.

    Args:
        values: arrays by name: ``relevancy`` (L, h, w) of one frame or (n, L, h, w), numbers or
            bool.
        labels: the L names of the maps.
        count: frames n.
    """
    if "relevancy" not in values:
        if labels:
            raise ValueError("relevancy_labels without relevancy, the maps of these names")
        return None
    maps = np.asarray(values["relevancy"])
    if maps.dtype.kind not in "buif":
        raise ValueError(f"relevancy must hold numbers or bool, got {maps.dtype}")
    maps = maps[None] if maps.ndim == 3 else maps
    if maps.ndim != 4 or maps.shape[:2] != (count, len(labels)) or maps.size == 0:
        raise ValueError(
            f"relevancy must be ({count}, {len(labels)}, h, w), a map per frame and name of "
            f"relevancy_labels, got {maps.shape}"
        )
    if not np.isfinite(maps).all():
        raise ValueError("relevancy holds NaN or infinite values")
    return maps.astype(np.float32)
