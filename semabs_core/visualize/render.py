"""Shaded pictures of meshes by ray casting on the CPU: no display and no GPU needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from semabs_core.types import Camera
from semabs_core.visualize.meshes import Mesh

LIGHT = np.array([-0.45, -0.6, -0.65])
"""Direction to the light in the camera's frame: over the left shoulder."""
BACKGROUND = 255
SUPERSAMPLING = 2


@dataclass(frozen=True)
class View:
    """A virtual camera.

    Attributes:
        camera: intrinsics and image size.
        T_world_camera: (4, 4) rigid, camera (x right, y down, z forward) to world.
    """

    camera: Camera
    T_world_camera: NDArray[np.float64]


def look_at(eye: NDArray, target: NDArray, width: int, height: int, fov_deg: float = 45.0) -> View:
    """A view from ``eye`` to ``target`` (world, metres) with z up in the picture.

    Args:
        eye: (3,) position of the camera.
        target: (3,) point in the middle of the picture; not straight above or below the eye.
        width: pixels.
        height: pixels.
        fov_deg: vertical field of view.
    """
    forward = np.asarray(target, dtype=np.float64) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T[:3, 3] = eye
    focal = height / 2 / np.tan(np.radians(fov_deg) / 2)
    K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return View(Camera(K, width, height), T)


@dataclass(frozen=True)
class Hits:
    """What each pixel of a view meets.

    Attributes:
        triangle: (H, W) int64 index into the mesh's triangles, -1 for nothing.
        depth_m: (H, W) float32 along the optical axis, metres; inf for nothing.
        normals: (H, W, 3) float32, world frame, towards the camera.
    """

    triangle: NDArray[np.int64]
    depth_m: NDArray[np.float32]
    normals: NDArray[np.float32]


def cast(mesh: Mesh, view: View) -> Hits:
    """Ray casting of a mesh, one ray through the centre of each pixel."""
    scene = mesh.raycasting
    camera, T = view.camera, view.T_world_camera
    # Open3D's pinhole rays go through (u + 0.5, v + 0.5); its K has the corner of pixel 0 at 0.
    K = camera.K.copy()
    K[:2, 2] += 0.5
    rays = scene.create_rays_pinhole(
        o3d.core.Tensor(K),
        o3d.core.Tensor(np.linalg.inv(T)),
        camera.width,
        camera.height,
    )
    hit = scene.cast_rays(rays)
    triangle = hit["primitive_ids"].numpy().astype(np.int64)
    # The rays' directions have length 1 along the optical axis, so t is the depth.
    depth = hit["t_hit"].numpy()
    triangle[~np.isfinite(depth)] = -1
    normals = hit["primitive_normals"].numpy()
    directions = rays.numpy()[..., 3:]
    facing = np.sign(-(normals * directions).sum(axis=-1, keepdims=True))
    return Hits(triangle, depth, normals * facing)


def shade(
    mesh: Mesh, view: View, ambient: float = 0.5, samples: int = SUPERSAMPLING
) -> NDArray[np.uint8]:
    """A picture of a mesh: its colours, a light over the shoulder, dark edges.

    Args:
        mesh: what to show.
        view: from where.
        ambient: brightness of faces turned away from the light, 0..1; high for colours that come
            from a photograph and hold their own shading.
        samples: per pixel and axis; 1 is fast and not antialiased.

    Returns:
        (H, W, 3) uint8.
    """
    factor = samples
    camera = view.camera
    K = camera.K.copy()
    K[:2, 2] = (K[:2, 2] + 0.5) * factor - 0.5
    K[:2, :2] *= factor
    fine = View(Camera(K, camera.width * factor, camera.height * factor), view.T_world_camera)
    hits = cast(mesh, fine)
    found = hits.triangle >= 0
    image = np.full((*found.shape, 3), float(BACKGROUND))
    direction = view.T_world_camera[:3, :3] @ (LIGHT / np.linalg.norm(LIGHT))
    light = ambient + (1 - ambient) * (hits.normals[found] @ direction).clip(0)
    image[found] = 255 * mesh.colors[hits.triangle[found]] * light[:, None]
    image[_edges(hits)] *= 0.72
    image = image.reshape(camera.height, factor, camera.width, factor, 3).mean(axis=(1, 3))
    return np.rint(image.clip(0, 255)).astype(np.uint8)


def _edges(hits: Hits) -> NDArray[np.bool_]:
    """(H, W) bool: where the surface turns or jumps against the next pixel."""
    depth = np.where(np.isfinite(hits.depth_m), hits.depth_m, 1e3)
    edges = np.zeros(depth.shape, dtype=bool)
    for axis in (0, 1):
        turn = (hits.normals * np.roll(hits.normals, -1, axis=axis)).sum(axis=-1) < 0.9
        jump = np.abs(np.roll(depth, -1, axis=axis) - depth) > 0.03 * depth
        edge = turn | jump
        edge[(slice(None),) * axis + (-1,)] = False
        edges |= edge
    return edges & (hits.triangle >= 0)
