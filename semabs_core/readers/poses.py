"""Camera poses as files and people give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from semabs_core.data.scene_file import SceneError

T_BODY_OPTICAL = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=float)
"""Optical axes (x right, y down, z forward) in the camera's body (x forward, y left, z up)."""


def parse_pose(text: str) -> NDArray[np.float64]:
    """``x y z roll pitch yaw`` of a camera's body to (4, 4) ``T_world_camera`` (optical axes).

    Raises:
        ValueError: if it is not six numbers.
    """
    try:
        numbers = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or not np.isfinite(numbers).all():
        raise ValueError(
            "camera_pose must be six numbers, x y z in metres and roll pitch yaw in degrees, "
            f"got {text!r}"
        )
    T_world_body = rigid(Rotation.from_euler("xyz", numbers[3:], degrees=True), numbers[:3])
    return T_world_body @ T_BODY_OPTICAL


def rigid(rotation: Rotation, translation: NDArray | list[float]) -> NDArray[np.float64]:
    """A rotation and a translation as (4, 4)."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation.as_matrix(), translation
    return T


class Track:
    """Rigid transforms at some times, and between them.

    Args:
        stamps_s: (n,) seconds, in any order.
        transforms: (n, 4, 4) rigid.
        gap_s: neighbours that are farther apart tell nothing of what is between them.
        reach_s: how far outside the first and the last one may be.
    """

    def __init__(
        self, stamps_s: NDArray, transforms: NDArray, gap_s: float, reach_s: float
    ) -> None:
        self.stamps_s, first = np.unique(np.asarray(stamps_s, dtype=np.float64), return_index=True)
        self.transforms = np.asarray(transforms, dtype=np.float64)[first]
        self.gap_s, self.reach_s = gap_s, reach_s

    def at(self, stamp_s: float) -> NDArray[np.float64] | None:
        """The transform at a time: interpolated, or None where it is not known."""
        after = int(np.searchsorted(self.stamps_s, stamp_s))
        around = [i for i in (after - 1, after) if 0 <= i < len(self.stamps_s)]
        if not around:
            return None
        nearest = min(around, key=lambda i: abs(self.stamps_s[i] - stamp_s))
        if len(around) == 1 or self.stamps_s[after] - self.stamps_s[after - 1] > self.gap_s:
            near = abs(self.stamps_s[nearest] - stamp_s) <= self.reach_s
            return self.transforms[nearest] if near else None
        times, ends = self.stamps_s[around], self.transforms[around]
        between = Slerp(times, Rotation.from_matrix(ends[:, :3, :3]))(stamp_s)
        part = (stamp_s - times[0]) / (times[1] - times[0])
        return rigid(between, (1 - part) * ends[0, :3, 3] + part * ends[1, :3, 3])


def read_matrix(file: Path, shape: tuple[int, int] = (4, 4)) -> NDArray[np.float64]:
    """A matrix in a text file, numbers separated by spaces or commas; it may hold infinities.

    Raises:
        SceneError: naming the file.
    """
    numbers = read_numbers(file)
    if numbers.size != shape[0] * shape[1]:
        raise SceneError(f"{file} must hold {shape[0]}x{shape[1]} numbers, got {numbers.size}")
    return numbers.reshape(shape)


def read_numbers(file: Path) -> NDArray[np.float64]:
    """All numbers of a text file, (n,); lines that begin with # are left out."""
    words = [word for line in read_lines(file) for word in line]
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise SceneError(f"{file} must hold numbers: {error}") from None


def read_lines(file: Path) -> list[list[str]]:
    """The words of each line of a text file, without comments (#) and empty lines.

    Raises:
        SceneError: if it cannot be read as text.
    """
    try:
        text = file.read_text()
    except FileNotFoundError:
        raise SceneError(f"there is no {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{file} cannot be read as text: {error}") from None
    lines = (line.partition("#")[0].replace(",", " ").split() for line in text.splitlines())
    return [words for words in lines if words]


def check_rigid(T: NDArray, where: str) -> NDArray[np.float64]:
    """A pose whose rotation is one but for rounding, made exact.

    Raises:
        SceneError: naming where it came from.
    """
    R = T[:3, :3]
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-2) or np.linalg.det(R) < 0:
        raise SceneError(
            f"{where} must be a rigid pose (a rotation and metres), got {T[:3].tolist()}"
        )
    u, _, vt = np.linalg.svd(R)
    exact = np.eye(4)
    exact[:3, :3], exact[:3, 3] = u @ vt, T[:3, 3]
    return exact
