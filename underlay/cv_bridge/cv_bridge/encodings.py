"""What the encoding of an image says: type of its numbers, channels, and colours.

The names are those of sensor_msgs/image_encodings.hpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np


class CvBridgeError(TypeError):
    """An image cannot be converted as asked."""


DEPTHS = {
    "8U": np.dtype(np.uint8),
    "8S": np.dtype(np.int8),
    "16U": np.dtype(np.uint16),
    "16S": np.dtype(np.int16),
    "32S": np.dtype(np.int32),
    "32F": np.dtype(np.float32),
    "64F": np.dtype(np.float64),
}
_DEPTH_NAMES = {dtype.name: name for name, dtype in DEPTHS.items()}
_TYPE_NAME = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)(?:C(\d+))?")


@dataclass(frozen=True)
class Encoding:
    """An encoding, taken apart.

    Attributes:
        name: as in the message.
        depth: type of one number, a key of `DEPTHS`.
        channels: numbers per pixel.
        colours: what the numbers mean ("rgb", "gray", "bayer_rggb", "uyvy", ...); empty if that is
            not known, as for "8UC3".
    """

    name: str
    depth: str
    channels: int
    colours: str = ""

    @property
    def dtype(self) -> np.dtype:
        return DEPTHS[self.depth]

    @property
    def bits(self) -> int:
        return self.dtype.itemsize * 8


def _named_encodings() -> dict[str, Encoding]:
    channels = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "mono": 1}
    channels |= {f"bayer_{pattern}": 1 for pattern in ("rggb", "bggr", "gbrg", "grbg")}
    named = {}
    for colours, count in channels.items():
        meaning = "gray" if colours == "mono" else colours
        for bits in (8, 16):
            name = f"{colours}{bits}"
            named[name] = Encoding(name, f"{bits}U", count, meaning)
    for name, meaning in {
        "yuv422": "uyvy",
        "uyvy": "uyvy",
        "yuv422_yuy2": "yuyv",
        "yuyv": "yuyv",
    }.items():
        named[name] = Encoding(name, "8U", 2, meaning)
    return named


_NAMED = _named_encodings()


def parse(encoding: str) -> Encoding:
    """Take an encoding apart.

    Raises:
        CvBridgeError: nobody knows it.
    """
    if encoding in _NAMED:
        return _NAMED[encoding]
    match = _TYPE_NAME.fullmatch(encoding)
    if match is None:
        raise CvBridgeError(f"unknown image encoding {encoding!r}")
    return Encoding(encoding, match[1], int(match[2] or 1))


def depth_name(dtype: np.dtype) -> str:
    """OpenCV's name for a type of numbers, without regard to byte order.

    Raises:
        CvBridgeError: images cannot have numbers of this type.
    """
    try:
        return _DEPTH_NAMES[np.dtype(dtype).name]
    except KeyError:
        raise CvBridgeError(
            f"images cannot hold {np.dtype(dtype).name}, only {', '.join(_DEPTH_NAMES)}"
        ) from None


def cv_type(depth: str, channels: int) -> int:
    """OpenCV's number for a type of pixels; old releases have no ``CV_8UC(channels)``."""
    per_channel = cv2.CV_8UC2 - cv2.CV_8UC1
    return int(getattr(cv2, f"CV_{depth}") + (channels - 1) * per_channel)


def getCvType(encoding: str) -> int:
    """OpenCV's number for the pixels of an encoding.

    Raises:
        CvBridgeError: nobody knows the encoding.
    """
    parsed = parse(encoding)
    return cv_type(parsed.depth, parsed.channels)
