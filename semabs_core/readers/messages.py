"""ROS image messages to arrays, whatever library has read them: encodings, depth units.

A message is any object with the fields of ``sensor_msgs/Image`` or ``CompressedImage``; nothing
here needs ROS.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from semabs_core.readers.raw_colors import COLOR_ENCODINGS, decode_colors
from semabs_core.text import shorten

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH_TYPES = {"32FC1": "f4", "16UC1": "u2", "mono16": "u2"}
_NO_PICTURE = "{} bytes that are no (usable) JPEG, PNG or the like"
MAX_PIXELS = 2**26
"""Larger images are taken for damaged messages: a few bytes of PNG can claim gigabytes."""


class ConvertError(ValueError):
    """A message cannot be used; the text names the field, what it is and what would do."""


def nanoseconds(stamp: Any) -> int:
    """A stamp as one number."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def stamp_to_seconds(stamp: Any) -> float:
    """Seconds as a float."""
    return nanoseconds(stamp) * 1e-9


def is_compressed(message: Any) -> bool:
    """Whether it is a ``CompressedImage``."""
    return hasattr(message, "format")


def image_to_rgb(message: Any) -> NDArray[np.uint8]:
    """A colour image message to (H, W, 3) uint8 RGB.

    Raises:
        ConvertError: if its encoding is no colour encoding or its data is damaged.
    """
    if is_compressed(message):
        return _decode_color(bytes(message.data))
    encoding = str(message.encoding)
    if not COLOR_ENCODINGS.match(encoding):
        raise ConvertError(
            f"the colour image has the encoding '{shorten(encoding)}', which is no colour: "
            "remap rgb/image to a topic with rgb8, bgr8, rgba8, bgra8, mono8, bayer or yuv422"
        )
    check_size(message, "colour")
    try:
        return np.array(decode_colors(_rows(message), encoding, *_shape(message)), order="C")
    except ValueError as error:
        raise ConvertError(f"the colour image cannot be decoded: {shorten(error)}") from error


def _rows(message: Any) -> NDArray[np.uint8]:
    """(H, step) bytes; of 16-bit samples the lower byte comes first."""
    data = np.frombuffer(bytes(message.data), dtype=np.uint8, count=message.height * message.step)
    rows = data.reshape(message.height, message.step)
    wide = "16" in message.encoding and not message.encoding.startswith("yuv")
    if wide and message.is_bigendian and message.step % 2 == 0:
        return rows.reshape(message.height, -1, 2)[..., ::-1].reshape(message.height, -1)
    return rows


def _shape(message: Any) -> tuple[int, int]:
    return int(message.height), int(message.width)


def check_pixels(width: int, height: int, what: str) -> None:
    """An image has pixels, and not more than a camera can have."""
    if width == 0 or height == 0:
        raise ConvertError(f"the {what} image is empty ({width}x{height})")
    if width * height > MAX_PIXELS:
        raise ConvertError(
            f"the {what} image claims {width}x{height} pixels, more than {MAX_PIXELS}: it is "
            "damaged, or must be scaled down"
        )


def check_size(message: Any, what: str) -> None:
    """The data must be as long as height and step say."""
    check_pixels(message.width, message.height, what)
    if len(message.data) < message.height * message.step:
        raise ConvertError(
            f"the {what} image is truncated: {len(message.data)} bytes, but height x step is "
            f"{message.height * message.step}"
        )


def _decode_color(data: bytes) -> NDArray[np.uint8]:
    """JPEG, PNG or the like to (H, W, 3) RGB, grey, transparent and 16-bit images too.

    The calibration is that of the pixels as they are stored, whatever EXIF says of them.
    """
    image = open_image(data, "colour")
    try:
        return image_colors(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise ConvertError(
            f"the colour image cannot be decoded: {_NO_PICTURE.format(len(data))}"
        ) from error


def image_colors(image: PIL.Image.Image) -> NDArray[np.uint8]:
    """A Pillow image to (H, W, 3) uint8 RGB; alpha is left out."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
        grey = (np.asarray(image).astype(np.uint32) // 257).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


def open_image(data: bytes, what: str) -> PIL.Image.Image:
    """A compressed image whose size is checked before memory is taken for its pixels."""
    try:
        image = PIL.Image.open(io.BytesIO(data))
    except PIL.Image.DecompressionBombError as error:
        raise ConvertError(f"the {what} image claims more than {MAX_PIXELS} pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ConvertError(
            f"the {what} image cannot be decoded: {_NO_PICTURE.format(len(data))}"
        ) from error
    check_pixels(*image.size, what)
    return image


def depth_to_metres(message: Any) -> NDArray[np.float32]:
    """A depth image message (REP 118) to (H, W) float32 metres, NaN where there is no reading.

    Raises:
        ConvertError: if its encoding is not 32FC1 (metres) or 16UC1 (millimetres), or data is
            missing.
    """
    if is_compressed(message):
        return _decode_depth(message)
    name = DEPTH_TYPES.get(message.encoding)
    if name is None:
        raise ConvertError(
            f"the depth image has the encoding '{shorten(message.encoding)}'; it must be 32FC1 "
            "(metres) or 16UC1 (millimetres): remap depth/image to the registered depth topic"
        )
    check_size(message, "depth")
    kind = np.dtype((">" if message.is_bigendian else "<") + name)
    height, width = _shape(message)
    row = width * kind.itemsize
    if message.step < row:
        raise ConvertError(
            f"the depth image is {width}x{height} but its rows (step {message.step}) hold "
            f"{message.step // kind.itemsize} pixels"
        )
    data = np.frombuffer(bytes(message.data), dtype=np.uint8, count=height * message.step)
    rows = np.ascontiguousarray(data.reshape(height, message.step)[:, :row])
    return _metres(rows.view(kind).astype(kind.newbyteorder("=")))


def _metres(depth: NDArray) -> NDArray[np.float32]:
    """uint16 millimetres or float metres to float32 metres with NaN for no reading."""
    if depth.dtype.kind == "f":
        metres = depth.astype(np.float32)
        metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
        return metres
    return np.where(depth == 0, np.nan, depth / 1000).astype(np.float32)


def _decode_depth(message: Any) -> NDArray[np.float32]:
    """``compressedDepth`` (PNG behind a 12-byte header) or a plain 16-bit PNG.

    The header and the inverse-depth quantisation of 32FC1 (depth = a / (value - b)) are those of
    compressed_depth_image_transport.
    """
    data = bytes(message.data)
    layout = message.format.lower()
    a = b = 0.0
    if "compresseddepth" in layout:
        if "rvl" in layout:
            raise ConvertError("compressedDepth with RVL is not supported: set its format to png")
        if len(data) < 12:
            raise ConvertError(f"the compressedDepth image is truncated: {len(data)} bytes")
        _, a, b = struct.unpack_from("<iff", data)
        data = data[12:]
    if not data:
        raise ConvertError("the compressed depth image is empty")
    depth = _decode_png(data) if data.startswith(PNG_SIGNATURE) else None
    if depth is None:
        raise ConvertError(
            f"the compressed depth image (format '{shorten(message.format)}') holds no 16-bit PNG; "
            "JPEG cannot carry depth: use compressedDepth"
        )
    if "32fc1" not in layout:
        return _metres(depth)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        metres = np.float32(a) / (depth.astype(np.float32) - np.float32(b))
    return _metres(np.where(depth == 0, np.nan, metres))


def _decode_png(data: bytes) -> NDArray[np.uint16] | None:
    """16 bits of grey, or None where the PNG holds something else."""
    image = open_image(data, "depth")
    if not image.mode.startswith("I"):
        return None
    try:
        return np.asarray(image).astype(np.uint16)
    except (OSError, ValueError, SyntaxError):
        return None
