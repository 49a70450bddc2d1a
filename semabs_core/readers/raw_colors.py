"""Raw colour images as camera drivers send them (RGB, grey, Bayer, YUV 4:2:2) to RGB."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

COLOR_ENCODINGS = re.compile(
    r"^((rgb|bgr|rgba|bgra)(8|16)|mono(8|16)|8UC[134]|bayer_.*|yuv.*|uyvy|yuyv|nv\d+)$"
)
CHANNELS = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "mono": 1, "8UC1": 1, "8UC3": 3, "8UC4": 4}
BAYER = re.compile(r"^bayer_(rggb|bggr|gbrg|grbg)(8|16)$")
PACKED = {
    "uyvy": (1, 0, 2), "yuv422": (1, 0, 2), "yuyv": (0, 1, 3), "yuv422_yuy2": (0, 1, 3)
}  # fmt: skip
"""Where the first Y, the U and the V of two pixels' four bytes are."""


def decode_colors(rows: NDArray[np.uint8], encoding: str, height: int, width: int) -> NDArray:
    """Rows of bytes to (H, W, 3) uint8 RGB.

    Args:
        rows: (H, step); of 16-bit samples the lower byte comes first.
        encoding: of ``sensor_msgs/image_encodings``.
        height: pixels.
        width: pixels.

    Raises:
        ValueError: if the encoding is not known, or the rows are too short.
    """
    if encoding in PACKED:
        return _yuv(_samples(rows, height, width, 2, 1), PACKED[encoding])
    if bayer := BAYER.match(encoding):
        mosaic = _samples(rows, height, width, 1, int(bayer[2]) // 8)[..., 0]
        return _demosaic(mosaic, bayer[1])
    name = re.sub(r"(?<!C)(8|16)$", "", encoding) if encoding not in CHANNELS else encoding
    if name not in CHANNELS:
        raise ValueError(
            f"the encoding {encoding} is not supported; let the driver send rgb8 or bgr8"
        )
    samples = _samples(rows, height, width, CHANNELS[name], 2 if encoding.endswith("16") else 1)
    if CHANNELS[name] == 1:
        return np.repeat(samples, 3, axis=2)
    return samples[..., :3] if name.startswith("rgb") else samples[..., 2::-1]


def _samples(
    rows: NDArray[np.uint8], height: int, width: int, channels: int, size: int
) -> NDArray[np.uint8]:
    """(H, W, channels) uint8; of samples of two bytes the higher one counts."""
    needed = width * channels * size
    if rows.shape[1] < needed:
        raise ValueError(f"its rows (step {rows.shape[1]}) hold no {width} pixels")
    return rows[:, :needed].reshape(height, width, channels, size)[..., size - 1]


def _demosaic(mosaic: NDArray[np.uint8], pattern: str) -> NDArray[np.uint8]:
    """A Bayer mosaic (H, W), whose first four filters are named, bilinear."""
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    values = mosaic.astype(np.float32)
    planes = []
    for color in "rgb":
        mask = np.zeros(mosaic.shape, np.float32)
        for place, filtered in enumerate(pattern):
            if filtered == color:
                mask[place // 2 :: 2, place % 2 :: 2] = 1
        kernel = cross if color == "g" else square
        total = convolve(values * mask, kernel, mode="constant")
        weight = convolve(mask, kernel, mode="constant")  # less than 1 at the border
        planes.append(total / np.maximum(weight, 1e-6))
    return np.rint(np.stack(planes, axis=-1)).clip(0, 255).astype(np.uint8)


def _yuv(samples: NDArray[np.uint8], places: tuple[int, int, int]) -> NDArray[np.uint8]:
    """YUV 4:2:2 (H, W, 2) by BT.601 with luma in 16..235, as cameras send it."""
    height, width = samples.shape[:2]
    if width % 2:
        raise ValueError(f"YUV 4:2:2 has an even width, not {width}")
    quads = samples.reshape(height, width // 2, 4).astype(np.float32)
    first = places[0]
    y = 1.164 * (quads[..., [first, first + 2]].reshape(height, width) - 16)
    u, v = (np.repeat(quads[..., place] - 128, 2, axis=1) for place in places[1:])
    rgb = np.stack([y + 1.596 * v, y - 0.392 * u - 0.813 * v, y + 2.017 * u], axis=-1)
    return np.rint(rgb).clip(0, 255).astype(np.uint8)
