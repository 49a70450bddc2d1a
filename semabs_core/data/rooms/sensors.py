"""Depth as real sensors report it, with their noise, steps, blur and holes.

The sizes of the faults are those of five Kinect frames and one phone frame of real rooms: on planes
a Kinect's readings scatter by about 0.9 mm z^2, the phone's by 0.2 mm z^2; 27 to 32 % of a
Kinect's picture have no reading once it is registered to the colour picture (9 to 13 % without its
border), none of the phone's; at half of a Kinect's edges and a third of the phone's a reading flies
between the two sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, minimum_filter, uniform_filter, zoom

SHARES = {"exact": 0.2, "kinect": 0.35, "phone": 0.25, "stereo": 0.2}
ROUNDED_SHARE = 0.5
"""How often readings are whole millimetres; half as often where they are exact otherwise."""
GRAZING = 0.12
JUMP = 0.05
"""Neighbours whose depths differ by more than this share of the nearer one are an edge."""
BASELINE_M = 0.075


@dataclass(frozen=True)
class Exact:
    """What there is to measure in a picture of (H, W) pixels.

    Attributes:
        depth_m: float32, 0 where there is nothing.
        facing: float32, cosine between ray and surface.
        gloss: float32, of the surface, 0..1.
        glass: bool, mirrors and windows.
        light: float32, brightness of the picture, 0..1.
        focal: in pixels.
    """

    depth_m: NDArray[np.float32]
    facing: NDArray[np.float32]
    gloss: NDArray[np.float32]
    glass: NDArray[np.bool_]
    light: NDArray[np.float32]
    focal: float

    @property
    def baseline_axis(self) -> int:
        """Along which axis of the picture the projector or the other eye is: the longer one."""
        return int(self.depth_m.shape[1] >= self.depth_m.shape[0])


def measure(
    exact: Exact, rng: np.random.Generator
) -> tuple[NDArray[np.float32], dict[str, float | str]]:
    """Depth (H, W) float32 from a sensor of random kind, 0 for no reading, and what it is.

    The notes are ``sensor``; ``depth_error_mm``, which the errors of two thirds of the readings
    stay below; ``holes``, the share of pixels without a reading; ``rounded``, 1 for whole
    millimetres.
    """
    kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    depth = SENSORS[kind](exact, rng)
    rounded = rng.random() < ROUNDED_SHARE * (0.5 if kind == "exact" else 1)
    if rounded:
        depth = np.rint(depth * 1000) / 1000
    depth = np.where((depth > 0) & (exact.depth_m > 0), depth, 0).astype(np.float32)
    there = depth > 0
    error = np.abs(depth - exact.depth_m)[there]
    return depth, {
        "sensor": kind,
        "depth_error_mm": 1000 * float(np.quantile(error, 0.68)) if there.any() else 0.0,
        "holes": float(1 - there.mean()),
        "rounded": float(rounded),
    }


def _exact(exact: Exact, rng: np.random.Generator) -> NDArray:
    return exact.depth_m


def _kinect(exact: Exact, rng: np.random.Generator) -> NDArray:
    """Structured light."""
    seen = _ragged(exact.depth_m, rng, 0.6)
    edge = edges(seen)
    depth = _flying(seen, edge, rng, float(rng.uniform(0.2, 0.7)))
    square = depth.clip(0.3) ** 2
    depth = depth * (1 + 0.004 * _smooth(depth.shape, rng, 5))
    depth = depth + float(rng.uniform(0.4, 1.8)) * 1e-3 * square * _grain(depth.shape, rng)
    if rng.random() < 0.7:
        step = float(rng.uniform(1.0, 3.0)) * 1e-3 * square
        depth = np.rint(depth / step) * step
    lost = shadow(exact, rng) | (edge & (rng.random(edge.shape) < rng.uniform(0.05, 0.3)))
    lost |= (depth < rng.uniform(0.3, 0.45)) | (depth > rng.uniform(4.5, 9.0))
    lost |= _shiny(exact, rng) | _scattered(exact.facing < GRAZING, rng, 0.8)
    lost |= _scattered(exact.light < rng.uniform(0.02, 0.1), rng, float(rng.uniform(0.2, 0.9)))
    for _ in range(int(rng.integers(0, 6))):
        lost |= blob(depth.shape, rng)
    if rng.random() < 0.5:
        lost |= _border(depth.shape, rng)
    return np.where(lost, 0, depth)


def _phone(exact: Exact, rng: np.random.Generator) -> NDArray:
    """Lidar spread by the colour picture: smooth, whole, blurred at edges."""
    width = float(rng.uniform(0.3, 1.0))
    depth = gaussian_filter(_ragged(exact.depth_m, rng, 0.8), width, mode="nearest")
    depth = depth * (1 + float(rng.uniform(0.002, 0.008)) * _smooth(depth.shape, rng, 6))
    far = 1 + 0.01 * (depth - 4).clip(0) * _smooth(depth.shape, rng, 12)
    return depth * far + 0.2e-3 * depth**2 * _grain(depth.shape, rng)


def _stereo(exact: Exact, rng: np.random.Generator) -> NDArray:
    """Two eyes: wide noise, near things grow, nothing to match on even surfaces."""
    grown = minimum_filter(exact.depth_m, 3) if rng.random() < 0.7 else exact.depth_m
    depth = _ragged(grown, rng, 0.8)
    noise = 0.6 * _smooth(depth.shape, rng, max(depth.shape) // 6) + 0.5 * _grain(depth.shape, rng)
    depth = depth + float(rng.uniform(0.8, 4.0)) * 1e-3 * depth**2 * noise
    contrast = np.sqrt(
        (uniform_filter(exact.light**2, 7) - uniform_filter(exact.light, 7) ** 2).clip(0)
    )
    lost = _scattered(contrast < rng.uniform(0.002, 0.012), rng, float(rng.uniform(0.1, 0.7)))
    lost |= shadow(exact, rng) | _shiny(exact, rng) | (depth < rng.uniform(0.25, 0.45))
    lost |= depth > rng.uniform(5.0, 10.0)
    lost |= edges(depth) & (rng.random(depth.shape) < 0.2)
    return np.where(lost, 0, depth)


SENSORS: dict[str, Callable[[Exact, np.random.Generator], NDArray]] = {
    "exact": _exact,
    "kinect": _kinect,
    "phone": _phone,
    "stereo": _stereo,
}


def edges(depth_m: NDArray) -> NDArray[np.bool_]:
    """(H, W) bool: pixels on either side of a jump in depth."""
    found = np.zeros(depth_m.shape, dtype=bool)
    for axis in (0, 1):
        near, far = _pair(axis)
        a, b = depth_m[near], depth_m[far]
        jump = np.abs(a - b) > JUMP * np.minimum(a, b)
        found[near] |= jump
        found[far] |= jump
    return found


def shadow(exact: Exact, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(H, W) bool: what the projector or the other eye cannot see behind nearer things.

    It stands :data:`BASELINE_M` aside, so a surface at depth z moves by focal * baseline / z
    pixels; what another surface moves onto or past is hidden.
    """
    side, axis = (1 if rng.random() < 0.5 else -1), exact.baseline_axis
    order: list[slice] = [slice(None), slice(None)]
    order[axis] = slice(None, None, side)
    depth = exact.depth_m[tuple(order)]
    along = np.arange(depth.shape[axis]).reshape((-1, 1) if axis == 0 else (1, -1))
    moved = along + exact.focal * BASELINE_M / np.maximum(depth, 0.2)
    return (moved < np.maximum.accumulate(moved, axis=axis) - 0.7)[tuple(order)]


def blob(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A ragged spot without readings."""
    height, width = shape
    v, u = np.mgrid[0:height, 0:width]
    radius = rng.uniform(0.01, 0.03) * width
    distance = np.hypot(v - rng.uniform(0, height), u - rng.uniform(0, width))
    return distance < radius * (1 + 0.25 * rng.normal(size=shape))


def _pair(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of neighbours along an axis."""
    first, second = [slice(None)] * 2, [slice(None)] * 2
    first[axis], second[axis] = slice(None, -1), slice(1, None)
    return (first[0], first[1]), (second[0], second[1])


def _ragged(depth_m: NDArray, rng: np.random.Generator, spread: float) -> NDArray:
    """Readings of a spot up to a pixel or two aside, so that edges fray."""
    v, u = np.indices(depth_m.shape)
    height, width = depth_m.shape
    shift = np.rint(rng.normal(0, spread, (2, *depth_m.shape)) * edges(depth_m)).astype(int)
    return depth_m[(v + shift[0]).clip(0, height - 1), (u + shift[1]).clip(0, width - 1)]


def _flying(depth: NDArray, edge: NDArray, rng: np.random.Generator, share: float) -> NDArray:
    """Some pixels at edges get a depth between those of the two sides."""
    low, high = minimum_filter(depth, 3), -minimum_filter(-depth, 3)
    flies = edge & (rng.random(depth.shape) < share)
    return np.where(flies, low + (high - low) * rng.random(depth.shape), depth)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    """Noise of variance 1 that neighbours share in part."""
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.6, mode="nearest")
    return noise / max(float(noise.std()), 1e-6)


def _smooth(shape: tuple[int, ...], rng: np.random.Generator, cells: int) -> NDArray:
    """Noise of about variance 1 that changes over a ``cells``-th of the picture."""
    coarse = rng.standard_normal((cells + 3, cells + 3))
    factors = [(side + 1) / (cells + 2) for side in shape]
    return zoom(coarse, factors, order=1, grid_mode=False)[: shape[0], : shape[1]]


def _scattered(
    where: NDArray[np.bool_], rng: np.random.Generator, share: float
) -> NDArray[np.bool_]:
    """About a share of some pixels, in patches."""
    field = _smooth(where.shape, rng, 24) + 0.4 * rng.standard_normal(where.shape)
    return where & (field < np.quantile(field, share))


def _shiny(exact: Exact, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Glass and mirrors, and gloss that throws the light back or away."""
    lost = _scattered(exact.glass, rng, float(rng.uniform(0.2, 1.0)))
    mirrored = (exact.gloss > 0.45) & ((exact.facing > 0.97) | (exact.facing < 0.35))
    return lost | _scattered(mirrored, rng, float(rng.uniform(0.2, 0.8)))


def _border(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The frame that is left when depth is registered to a colour camera with a wider view."""
    height, width = shape
    lost = np.ones(shape, dtype=bool)
    top, bottom = (int(rng.uniform(0, 0.14) * height) for _ in range(2))
    left, right = (int(rng.uniform(0, 0.12) * width) for _ in range(2))
    lost[top : height - bottom, left : width - right] = False
    return lost


def expose(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 as a camera takes it: too light or dark, blurred, with grain."""
    image = picture.astype(np.float32) / 255
    if rng.random() < 0.3:
        width = float(rng.uniform(0.3, 0.9))
        image = gaussian_filter(image, (width, width, 0), mode="nearest")
    gamma = np.exp(rng.normal(0, 0.2))
    image = image**gamma * rng.normal(1, 0.04, 3) * np.exp(rng.normal(0, 0.15))
    noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(0, 0.02)
    return np.rint(255 * (image + noise).clip(0, 1)).astype(np.uint8)
