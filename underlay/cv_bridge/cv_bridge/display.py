"""Any image as one that people can look at."""

from __future__ import annotations

import cv2
import numpy as np

from cv_bridge.colour import convert_encoding
from cv_bridge.encodings import CvBridgeError, parse

_GOLDEN_RATIO = 0.618033988749895
_GUESSES = {"8UC1": "mono8", "16UC1": "mono16", "8UC3": "bgr8", "8UC4": "bgra8"}
_GUESSES |= {"16UC3": "bgr16", "16UC4": "bgra16"}


def cvtColorForDisplay(
    source: np.ndarray,
    encoding_in: str,
    encoding_out: str = "",
    do_dynamic_scaling: bool = False,
    min_image_value: float = 0.0,
    max_image_value: float = 0.0,
    colormap: int = -1,
) -> np.ndarray:
    """Convert an image to one of 8 bits.

    Label images (32SC1, to bgr8) get one colour per label. Others of one channel are stretched
    where a range is given or asked for; else the encoding is converted, a bare type being taken
    for the usual colours.

    Args:
        source: (H, W) or (H, W, C), in `encoding_in`.
        encoding_in: what it is.
        encoding_out: a colour or mono encoding of 8 bits; bgr8 if empty.
        do_dynamic_scaling: stretch between the smallest and the largest finite value.
        min_image_value: becomes 0, unless it equals `max_image_value`.
        max_image_value: becomes 255.
        colormap: one of OpenCV's, for stretched images; -1 for gray.

    Raises:
        CvBridgeError: the image cannot be displayed so.
    """
    encoding_out = encoding_out or "bgr8"
    target = parse(encoding_out)
    if target.bits != 8 or target.colours not in ("gray", "rgb", "bgr", "rgba", "bgra"):
        raise CvBridgeError(
            f"encoding_out must be a color or mono encoding of 8 bits and was {encoding_out!r}"
        )
    if encoding_in == "32SC1" and encoding_out == "bgr8":
        return _colour_labels(source)
    if do_dynamic_scaling:
        finite = source[np.isfinite(source)]
        if finite.size == 0 or finite.min() == finite.max():
            shape = source.shape[:2] + ((target.channels,) if target.channels > 1 else ())
            return np.full(shape, 128, np.uint8)
        min_image_value, max_image_value = float(finite.min()), float(finite.max())
    if min_image_value != max_image_value:
        stretched, encoding = _stretch(source, min_image_value, max_image_value, colormap)
        return convert_encoding(stretched, encoding, encoding_out)
    return convert_encoding(source, _GUESSES.get(encoding_in, encoding_in), encoding_out)


def _colour_labels(labels: np.ndarray) -> np.ndarray:
    """(H, W) int32 -> (H, W, 3) uint8 BGR: hues far apart for neighbouring labels, -1 black."""
    values, indices = np.unique(labels, return_inverse=True)
    hues = (values.astype(np.float64) * _GOLDEN_RATIO % 1.0 * 360.0).astype(np.float32)
    hsv = np.stack([hues, np.ones_like(hues), np.ones_like(hues)], axis=-1)[None]
    colours = np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0] * 255).astype(np.uint8)
    colours[values == -1] = 0
    return colours[indices.reshape(labels.shape[:2])]


def _stretch(
    image: np.ndarray, lowest: float, highest: float, colormap: int
) -> tuple[np.ndarray, str]:
    if image.ndim == 3 and image.shape[2] != 1:
        raise CvBridgeError("only images of one channel can be stretched")
    image = image.reshape(image.shape[:2]).astype(np.float64)
    missing = np.isnan(image)
    gray = np.clip((image - lowest) * (255.0 / (highest - lowest)), 0, 255)
    gray = np.rint(np.where(missing, 0, gray)).astype(np.uint8)
    if colormap == -1:
        return gray, "mono8"
    coloured = cv2.applyColorMap(gray, colormap)
    coloured[missing] = 0
    return coloured, "bgr8"
