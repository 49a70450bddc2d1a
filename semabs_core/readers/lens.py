"""Images of other sizes and through lenses: their intrinsics, and where their pixels lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scaled_intrinsics(K: NDArray, x: float, y: float) -> NDArray[np.float64]:
    """Intrinsics of an image whose size is multiplied; pixel (0, 0) is the first one's centre."""
    scaled = np.array(K, dtype=np.float64)
    scaled[0, :2] *= x
    scaled[1, 1] *= y
    scaled[0, 2] = (K[0, 2] + 0.5) * x - 0.5
    scaled[1, 2] = (K[1, 2] + 0.5) * y - 0.5
    return scaled


def distorted_pixels(
    model: str, coefficients: NDArray[np.float64], K: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel of an undistorted image with the intrinsics K is in the distorted one.

    The models are those of ROS: ``plumb_bob`` and ``rational_polynomial`` in OpenCV's order (k1 k2
    p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tau_x tau_y, as many as there are), ``equidistant`` (Kannala and
    Brandt, 2006) with k1 to k4.

    Returns:
        (H, W) float32 each: u and v in the distorted image.
    """
    v, u = np.mgrid[0:height, 0:width].astype(np.float64)
    y = (v - K[1, 2]) / K[1, 1]
    x = (u - K[0, 2] - K[0, 1] * y) / K[0, 0]
    bend = _equidistant if model == "equidistant" else _polynomial
    x, y = bend(x, y, coefficients)
    u, v = K[0, 0] * x + K[0, 1] * y + K[0, 2], K[1, 1] * y + K[1, 2]
    return u.astype(np.float32), v.astype(np.float32)


def _equidistant(x: NDArray, y: NDArray, k: NDArray) -> tuple[NDArray, NDArray]:
    r = np.hypot(x, y)
    theta = np.arctan(r)
    bent = theta * (1 + sum(k[i] * theta ** (2 * i + 2) for i in range(4)))
    scale = np.divide(bent, r, out=np.ones_like(r), where=r > 1e-12)
    return x * scale, y * scale


def _polynomial(x: NDArray, y: NDArray, coefficients: NDArray) -> tuple[NDArray, NDArray]:
    d = np.zeros(14)
    d[: len(coefficients)] = coefficients
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, tau_x, tau_y = d
    r2 = x**2 + y**2
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2) + s1 * r2 + s2 * r2**2
    bent_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y + s3 * r2 + s4 * r2**2
    if not (tau_x or tau_y):
        return bent_x, bent_y
    tilt = _tilt(tau_x, tau_y)
    z = tilt[2, 0] * bent_x + tilt[2, 1] * bent_y + tilt[2, 2]
    return (
        (tilt[0, 0] * bent_x + tilt[0, 1] * bent_y + tilt[0, 2]) / z,
        (tilt[1, 0] * bent_x + tilt[1, 1] * bent_y + tilt[1, 2]) / z,
    )


def _tilt(tau_x: float, tau_y: float) -> NDArray:
    """The homography of a sensor that is tilted against its lens (OpenCV's tilted model)."""
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tau_x), np.sin(tau_x)], [0, -np.sin(tau_x), np.cos(tau_x)]]
    )
    about_y = np.array(
        [[np.cos(tau_y), 0, -np.sin(tau_y)], [0, 1, 0], [np.sin(tau_y), 0, np.cos(tau_y)]]
    )
    R = about_y @ about_x
    return np.array([[R[2, 2], 0, -R[0, 2]], [0, R[2, 2], -R[1, 2]], [0, 0, 1]]) @ R


def remap(image: NDArray, u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray:
    """An image seen at other places.

    Args:
        image: (H, W, C) uint8 colours, which are interpolated, black outside; or (H, W) float
            depth, of which the nearest reading is taken (a mean of near and far lies on neither),
            NaN outside.
        u: (h, w) columns, pixels.
        v: (h, w) rows, pixels.

    Returns:
        (h, w, C) or (h, w), of the image's type.
    """
    height, width = image.shape[:2]
    if image.ndim == 2:
        column, row = np.rint(u).astype(np.intp), np.rint(v).astype(np.intp)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found = image[row.clip(0, height - 1), column.clip(0, width - 1)]
        return np.where(inside, found, np.float32(np.nan)).astype(image.dtype)
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))  # what is outside counts as black
    x, y = u.clip(-1, width) + 1, v.clip(-1, height) + 1
    left = np.floor(x).astype(np.intp).clip(0, width)
    top = np.floor(y).astype(np.intp).clip(0, height)
    a, b = (x - left)[..., None], (y - top)[..., None]
    upper = padded[top, left] * (1 - a) + padded[top, left + 1] * a
    lower = padded[top + 1, left] * (1 - a) + padded[top + 1, left + 1] * a
    return np.rint(upper * (1 - b) + lower * b).clip(0, 255).astype(image.dtype)
