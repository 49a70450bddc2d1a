"""From where a scene is looked at, and what of it the camera saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semabs_core.geometry import back_project, transform_points, valid_depth
from semabs_core.types import Region, RGBDFrame
from semabs_core.visualize.meshes import Mesh
from semabs_core.visualize.render import View, look_at

FIELD_OF_VIEW_DEG = 40.0


def scene_views(region: Region, content: Mesh, size: tuple[int, int]) -> list[View]:
    """Two views that just hold all of a mesh: over the camera's shoulder, and from the right."""
    forward, left, up = region.T_world_region[:3, :3].T
    ways = (-0.85 * forward + 0.2 * left + 0.4 * up, -0.45 * forward - 0.75 * left + 0.5 * up)
    return [_filled_view(content, way / np.linalg.norm(way), size) for way in ways]


def turntable(region: Region, content: Mesh, size: tuple[int, int], count: int) -> list[View]:
    """Views from all around that hold all of a mesh, each as far away; the first is the camera's.

    They look down at 45 degrees, over the walls and into the room.
    """
    forward, left, up = region.T_world_region[:3, :3].T
    centre = (content.vertices.min(axis=0) + content.vertices.max(axis=0)) / 2
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ways = [(up - np.cos(angle) * forward - np.sin(angle) * left) / np.sqrt(2) for angle in angles]
    distance = max(_distance(content, centre, way, size) for way in ways)
    width, height = size
    return [
        look_at(centre + distance * way, centre, width, height, FIELD_OF_VIEW_DEG) for way in ways
    ]


def _distance(content: Mesh, centre: NDArray, way: NDArray, size: tuple[int, int]) -> float:
    """How far from the centre a camera must be that all of a mesh is in the picture."""
    width, height = size
    axes = look_at(centre + way, centre, width, height).T_world_camera[:3, :3]
    x, y, z = ((content.vertices - centre) @ axes).T
    tangent = np.tan(np.radians(FIELD_OF_VIEW_DEG) / 2)
    needed = np.maximum(np.abs(x) * height / width, np.abs(y)) / tangent - z
    return 1.04 * float(needed.max())


def _filled_view(content: Mesh, way: NDArray, size: tuple[int, int]) -> View:
    """The view from where ``way`` (unit vector, world) points that a mesh just fills."""
    width, height = size
    centre = (content.vertices.min(axis=0) + content.vertices.max(axis=0)) / 2
    for _ in range(4):  # the middle of the picture moves the camera, and that the middle
        distance = _distance(content, centre, way, size)
        view = look_at(centre + distance * way, centre, width, height, FIELD_OF_VIEW_DEG)
        axes = view.T_world_camera[:3, :3]
        x, y, z = ((content.vertices - centre) @ axes).T
        seen = np.stack([x, y]) / (z + distance)
        centre = centre + axes[:, :2] @ (seen.min(axis=1) + seen.max(axis=1)) / 2 * distance
    distance = _distance(content, centre, way, size)
    return look_at(centre + distance * way, centre, width, height, FIELD_OF_VIEW_DEG)


def frame_mesh(frame: RGBDFrame, max_jump: float = 0.05) -> Mesh:
    """The visible surface as a mesh in the image's colours; broken where the depth jumps."""
    height, width = frame.depth_m.shape
    points = transform_points(frame.T_world_camera, back_project(frame.depth_m, frame.K))
    points = np.nan_to_num(points.reshape(-1, 3))
    index = np.arange(height * width).reshape(height, width)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    quads = np.stack([a, b, c, d], axis=-1).reshape(-1, 4)
    depth = np.where(valid_depth(frame.depth_m), frame.depth_m, np.nan).reshape(-1)[quads]
    with np.errstate(invalid="ignore"):
        good = np.ptp(depth, axis=1) < max_jump * depth.mean(axis=1)
    quads = quads[good]
    triangles = np.concatenate([quads[:, [0, 2, 1]], quads[:, [0, 3, 2]]])
    colors = frame.rgb.reshape(-1, 3)[quads].mean(axis=1) / 255
    return Mesh(points, triangles, np.tile(colors, (2, 1)))


def clip_to_region(mesh: Mesh, region: Region) -> Mesh:
    """The triangles of a mesh inside the region."""
    T = np.linalg.inv(region.T_world_region)
    local = mesh.vertices @ T[:3, :3].T + T[:3, 3]
    inside = ((local >= 0) & (local <= region.size_m)).all(axis=1)
    kept = inside[mesh.triangles].all(axis=1)
    used, triangles = np.unique(mesh.triangles[kept], return_inverse=True)
    return Mesh(mesh.vertices[used], triangles.reshape(-1, 3), mesh.colors[kept])
