"""`CvBridge`: image messages to arrays and back."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from cv_bridge.colour import convert_encoding
from cv_bridge.encodings import DEPTHS, CvBridgeError, cv_type, depth_name, getCvType, parse

_PASSTHROUGH = "passthrough"


class CvBridge:
    """Converts between image messages and the NumPy arrays that OpenCV works on.

    Attributes:
        cvtype_to_name: OpenCV's number of a pixel type -> its name, such as "8UC3".
        cvdepth_to_numpy_depth: OpenCV's number of a depth -> NumPy's name of it.
        numpy_type_to_cvtype: NumPy's name of a depth -> OpenCV's ("8U"), and the other way round.
    """

    def __init__(self) -> None:
        self.cvtype_to_name = {
            cv_type(depth, channels): f"{depth}C{channels}"
            for depth in DEPTHS
            for channels in range(1, 5)
        }
        self.cvdepth_to_numpy_depth = {
            getattr(cv2, f"CV_{depth}"): dtype.name for depth, dtype in DEPTHS.items()
        }
        self.numpy_type_to_cvtype = {dtype.name: depth for depth, dtype in DEPTHS.items()}
        self.numpy_type_to_cvtype |= {depth: dtype.name for depth, dtype in DEPTHS.items()}

    # Types

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """For example ("uint8", 3) -> "8UC3"."""
        return f"{depth_name(dtype)}C{n_channels}"

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """For example `cv2.CV_8UC3` -> ("uint8", 3)."""
        per_channel = cv2.CV_8UC2 - cv2.CV_8UC1
        channels, depth = divmod(int(cvtype), per_channel)
        return self.cvdepth_to_numpy_depth[depth], channels + 1

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """For example "bgr8" -> `cv2.CV_8UC3`."""
        return getCvType(encoding)

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """For example "bgr8" -> ("uint8", 3)."""
        parsed = parse(encoding)
        return parsed.dtype.name, parsed.channels

    # Raw images

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = _PASSTHROUGH) -> np.ndarray:
        """Read an image message.

        Args:
            img_msg: the message; of its rows only the pixels are read, no padding.
            desired_encoding: convert to this one, or "passthrough" to leave the pixels as they are.

        Returns:
            (H, W) or, with more than one channel, (H, W, C), in this machine's byte order. Not
            converted it may share the message's memory.

        Raises:
            CvBridgeError: the message is malformed, or there is no such conversion.
        """
        image = _pixels(img_msg)
        if desired_encoding == _PASSTHROUGH:
            return image
        return convert_encoding(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = _PASSTHROUGH, header: Any = None
    ) -> Image:
        """Make an image message.

        Args:
            cvim: (H, W) or (H, W, C).
            encoding: what the pixels are; "passthrough" names only their type, such as 8UC3.
            header: the message's header.

        Raises:
            TypeError: `cvim` is no array.
            CvBridgeError: the array is not of the encoding's type.
        """
        _require_array(cvim)
        if cvim.ndim not in (2, 3):
            raise CvBridgeError(f"cvim must be (H, W) or (H, W, C) and was {cvim.shape}")
        channels = cvim.shape[2] if cvim.ndim == 3 else 1
        type_name = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding != _PASSTHROUGH:
            wanted = parse(encoding)
            if f"{wanted.depth}C{wanted.channels}" != type_name:
                raise CvBridgeError(
                    f"{encoding} is {wanted.depth}C{wanted.channels}, but the image is {type_name}"
                )
        message = Image() if header is None else Image(header=header)
        message.height, message.width = cvim.shape[:2]
        message.encoding = type_name if encoding == _PASSTHROUGH else encoding
        message.is_bigendian = _is_big_endian(cvim.dtype)
        message.step = message.width * channels * cvim.dtype.itemsize
        message.data = _as_byte_array(cvim)
        return message

    # Compressed images

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = _PASSTHROUGH
    ) -> np.ndarray:
        """Decompress an image message.

        Args:
            cmprs_img_msg: the message, in any format that OpenCV reads.
            desired_encoding: convert to this one, or "passthrough" for what OpenCV makes of it:
                gray, BGR or BGRA, 8 or 16 bits.

        Raises:
            CvBridgeError: OpenCV cannot read it, or there is no such conversion.
        """
        buffer = np.frombuffer(cmprs_img_msg.data, np.uint8)
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED) if buffer.size else None
        if image is None:
            raise CvBridgeError(
                f"OpenCV cannot decode the {buffer.size} bytes of format {cmprs_img_msg.format!r}"
            )
        if desired_encoding == _PASSTHROUGH:
            return image
        return convert_encoding(image, _encoding_of_decoded(image), desired_encoding)

    def cv2_to_compressed_imgmsg(
        self, cvim: np.ndarray, dst_format: str = "jpg"
    ) -> CompressedImage:
        """Make a compressed image message.

        Args:
            cvim: (H, W) or (H, W, C), gray, BGR or BGRA.
            dst_format: an image format as OpenCV calls it: "jpg", "png", ...

        Raises:
            TypeError: `cvim` is no array.
            CvBridgeError: OpenCV cannot write the image in this format.
        """
        _require_array(cvim)
        try:
            done, data = cv2.imencode(f".{dst_format}", cvim)
        except cv2.error as error:
            raise CvBridgeError(str(error)) from error
        if not done:
            raise CvBridgeError(f"OpenCV cannot write {cvim.shape} {cvim.dtype} as {dst_format!r}")
        message = CompressedImage(format=dst_format)
        message.data = _as_byte_array(data)
        return message


def _pixels(message: Image) -> np.ndarray:
    encoding = parse(message.encoding)
    height, width, step = message.height, message.width, message.step
    row_bytes = width * encoding.channels * encoding.dtype.itemsize
    data = bytes(message.data) if isinstance(message.data, list) else message.data
    if step < row_bytes:
        raise CvBridgeError(
            f"step must be at least {row_bytes} bytes for {width} pixels of {encoding.name} and "
            f"was {step}"
        )
    if len(data) < height * step:
        raise CvBridgeError(
            f"data must have {height} rows of {step} bytes and had {len(data)} bytes"
        )
    rows = np.frombuffer(data, np.uint8, count=height * step).reshape(height, step)
    order = ">" if message.is_bigendian else "<"
    flat = np.ascontiguousarray(rows[:, :row_bytes]).reshape(-1)
    image = flat.view(encoding.dtype.newbyteorder(order)).astype(encoding.dtype, copy=False)
    shape = (height, width) if encoding.channels == 1 else (height, width, encoding.channels)
    return image.reshape(shape)


def _encoding_of_decoded(image: np.ndarray) -> str:
    channels = image.shape[2] if image.ndim == 3 else 1
    name = {1: "mono", 3: "bgr", 4: "bgra"}.get(channels)
    if name is None or image.dtype not in (np.uint8, np.uint16):
        raise CvBridgeError(f"decoded to {image.shape} {image.dtype}: colours unknown")
    return f"{name}{image.dtype.itemsize * 8}"


def _require_array(image: Any) -> None:
    if not isinstance(image, (np.ndarray, np.generic)):
        raise TypeError(f"cvim must be a NumPy array and was a {type(image).__name__}")


def _is_big_endian(dtype: np.dtype) -> bool:
    return dtype.byteorder == ">" or (dtype.byteorder == "=" and sys.byteorder == "big")


def _as_byte_array(image: np.ndarray) -> array:
    """Copy to what a message's uint8[] takes as it is; a NumPy array it checks item by item."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).reshape(-1).view(np.uint8))
    return data
