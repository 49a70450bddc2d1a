"""The camera, its depth sensor and the light of a room."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.parts import rotation
from semabs_core.data.rooms.picture import Light, Lighting
from semabs_core.data.rooms.plan import HEIGHT_M, Plan
from semabs_core.data.rooms.sensors import blob
from semabs_core.geometry import Matrix, transform_points
from semabs_core.types import Camera

CAMERA_HEIGHT_M = 1.5
PITCH_DEG = 20.0
OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""From a camera's axes (x right, y down, z ahead) to a viewer's, of one that looks level."""


@dataclass(frozen=True)
class View:
    """A camera in a room, and what is made of its picture.

    Attributes:
        camera: intrinsics and image size.
        T_viewer_camera: (4, 4) rigid, metres.
        T_viewer_room: (4, 4) rigid, metres.
        T_scene_viewer: (4, 4) the similarity to scene units.
        info: notes about the view for evaluations to group by.
    """

    camera: Camera
    T_viewer_camera: Matrix
    T_viewer_room: Matrix
    T_scene_viewer: Matrix
    info: dict[str, float | str] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """Scene units per metre."""
        return float(np.cbrt(np.linalg.det(self.T_scene_viewer[:3, :3])))


def draw_camera(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Camera, Matrix]:
    """A camera of (width, height) pixels at about 1.5 m that looks ahead and somewhat down.

    Returns:
        The intrinsics, and (4, 4) ``T_viewer_camera``, rigid, metres.
    """
    width, height = size
    focal = height / 2 / np.tan(np.radians(rng.uniform(45, 54)) / 2)
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    pitch = np.clip(rng.normal(PITCH_DEG, 3), 13, 27)
    roll = rng.normal(0, 0.7)
    T = np.eye(4)
    T[:3, :3] = rotation("y", float(pitch)) @ rotation("x", float(roll)) @ OPTICAL
    T[:3, 3] = [0, 0, CAMERA_HEIGHT_M + rng.normal(0, 0.08)]
    return Camera(K, width, height), T


def draw_lighting(plan: Plan, T_viewer_room: Matrix) -> Lighting:
    """A ceiling lamp, daylight from a side, light from everywhere; warm or cool."""
    rng = plan.rng
    warmth = rng.uniform(-0.5, 1.0)
    tint = np.array([1 + 0.12 * warmth, 1.0, 1 - 0.16 * warmth])
    lamp = np.array([rng.uniform(-2.2, -1.2), rng.uniform(-0.8, 0.8), HEIGHT_M - 0.25])
    side = rng.choice([-1.0, 1.0])
    window = np.array(
        [rng.uniform(-3.2, -1.5), side * rng.uniform(1.2, 2.2), rng.uniform(1.5, 2.2)]
    )
    window[1] = np.clip(window[1], plan.right + 0.1, plan.left - 0.1)
    T, day = T_viewer_room, np.array([0.92, 0.98, 1.08])
    lights = [
        Light(
            transform_points(T, lamp), tint * rng.uniform(1.6, 2.8), float(rng.uniform(0.1, 0.2))
        ),
        Light(transform_points(T, window), day * rng.uniform(0.3, 2.0), 0.35),
    ]
    lights += [
        Light(transform_points(T, position), tint * power, 0.15) for position, power in plan.lamps
    ]
    return Lighting(
        lights, (0.5 + 0.5 * tint) * rng.uniform(0.36, 0.55), float(rng.uniform(1.0, 1.4))
    )


def sense(
    depth_m: NDArray[np.float32], facing: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Depth as a structured-light sensor reports it: noise that grows with distance, steps, holes.

    The growth, 1.2 mm + 1.9 mm (z - 0.4)^2, is a Kinect's (Nguyen et al., 3DIMPVT 2012).

    Args:
        depth_m: (H, W) float32 metres, exact, 0 for nothing.
        facing: (H, W) cosine between ray and surface; grazing surfaces give no reading.
        rng: source of chance.
    """
    sigma = 0.0012 + 0.0019 * (depth_m - 0.4).clip(0) ** 2
    noisy = depth_m + rng.normal(size=depth_m.shape) * sigma
    step = 0.0012 * depth_m.clip(0.5) ** 2
    noisy = np.rint(noisy / step) * step
    jump = np.zeros(depth_m.shape, dtype=bool)
    for axis in (0, 1):
        edge = np.abs(np.diff(depth_m, axis=axis, append=np.take(depth_m, [-1], axis=axis))) > 0.1
        jump |= edge | np.roll(edge, 1, axis=axis)
    lost = (facing < 0.08) | (jump & (rng.random(depth_m.shape) < 0.35))
    lost |= rng.random(depth_m.shape) < 0.002
    for _ in range(int(rng.integers(0, 4))):
        lost |= blob(depth_m.shape, rng)
    return np.where(lost | (depth_m <= 0), 0, noisy).astype(np.float32)
