"""From one encoding to another; OpenCV does the colours."""

from __future__ import annotations

import cv2
import numpy as np

from cv_bridge.encodings import CvBridgeError, Encoding, parse

_PLAIN = ("gray", "rgb", "bgr", "rgba", "bgra")
# OpenCV names a Bayer pattern after the second row's second and third pixel, ROS after the corner.
_BAYER = {"bayer_rggb": "BG", "bayer_bggr": "RG", "bayer_gbrg": "GR", "bayer_grbg": "GB"}
_YUV = {"uyvy": "UYVY", "yuyv": "YUY2"}


def convert_encoding(image: np.ndarray, encoding_in: str, encoding_out: str) -> np.ndarray:
    """Convert an image.

    Colours convert to colours. An encoding that only names a type, such as 16UC1, converts to or
    from any other with as many channels, but never to a colour. Between 8 and 16 bits the full
    ranges correspond (255 to 65535); all other types keep the values, as far as they fit.

    Args:
        image: (H, W) or (H, W, C), in `encoding_in`.
        encoding_in: what it is.
        encoding_out: what it shall become.

    Returns:
        A new array, (H, W) if there is one channel.

    Raises:
        CvBridgeError: there is no such conversion.
    """
    source, target = parse(encoding_in), parse(encoding_out)
    if source.name == target.name:
        return image.copy()
    if source.colours and target.colours:
        image = _convert_colours(image, source, target)
    elif target.colours:
        raise CvBridgeError(
            f"the colours of {encoding_in} are not known, so it cannot become {encoding_out}"
        )
    elif source.channels != target.channels:
        raise CvBridgeError(
            f"{encoding_in} has {source.channels} channels, {encoding_out} has {target.channels}"
        )
    return _convert_depth(image, target.dtype)


def _convert_colours(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    if source.colours == target.colours and source.colours in (*_PLAIN, *_YUV):
        return image
    code = _conversion_code(source.colours, target.colours)
    if code is None:
        raise CvBridgeError(f"there is no conversion from {source.name} to {target.name}")
    try:
        return cv2.cvtColor(image, code)
    except cv2.error as error:
        raise CvBridgeError(
            f"cannot convert an image {image.shape} of {image.dtype} from {source.name} to "
            f"{target.name}: {error}"
        ) from error


def _conversion_code(source: str, target: str) -> int | None:
    if target not in _PLAIN:
        return None
    if source in _BAYER:
        if target.endswith("a"):
            return None
        name = f"Bayer{_BAYER[source]}2{target.upper()}"
    elif source in _YUV:
        name = f"YUV2{target.upper()}_{_YUV[source]}"
    else:
        name = f"{source.upper()}2{target.upper()}"
    return getattr(cv2, f"COLOR_{name}")


def _convert_depth(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    bits = image.dtype.itemsize * 8, dtype.itemsize * 8
    if image.dtype == dtype:
        return image.copy()
    if dtype.kind == "f":
        return image.astype(dtype)
    scale = {(8, 16): 65535.0 / 255.0, (16, 8): 255.0 / 65535.0}.get(bits, 1.0)
    values = np.rint(image.astype(np.float64) * scale)
    limits = np.iinfo(dtype)
    # As OpenCV does: what is not finite becomes zero, what does not fit the nearest that does.
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(values, limits.min, limits.max).astype(dtype)
