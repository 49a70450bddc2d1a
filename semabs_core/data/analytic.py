"""A small room of boxes, balls and cylinders with exact depth: for tests and for a first demo."""

from __future__ import annotations

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from semabs_core.data.scene_file import Scene
from semabs_core.types import Camera
from semabs_core.visualize.meshes import Mesh
from semabs_core.visualize.render import View, cast, look_at

WIDTH, HEIGHT = 320, 240
EYE = np.array([0.0, 0.0, 1.5])
TARGET = np.array([2.3, 0.0, 0.55])
FOV_DEG = 58.0


def _mesh(shape: o3d.geometry.TriangleMesh, centre: tuple, color: tuple) -> Mesh:
    vertices = np.asarray(shape.vertices)
    vertices = vertices - (vertices.max(axis=0) + vertices.min(axis=0)) / 2 + centre
    triangles = np.asarray(shape.triangles)
    return Mesh(vertices, triangles, np.tile(color, (len(triangles), 1)))


def box(centre: tuple, size: tuple, color: tuple) -> Mesh:
    """An axis-aligned box; centre and size in metres, colour RGB in 0..1."""
    return _mesh(o3d.geometry.TriangleMesh.create_box(*size), centre, color)


def cylinder(centre: tuple, radius: float, height: float, color: tuple) -> Mesh:
    """An upright cylinder."""
    return _mesh(o3d.geometry.TriangleMesh.create_cylinder(radius, height, 32), centre, color)


def ball(centre: tuple, radius: float, color: tuple) -> Mesh:
    """A sphere."""
    return _mesh(o3d.geometry.TriangleMesh.create_sphere(radius, 24), centre, color)


def room_mesh() -> Mesh:
    """Floor at z = 0, three walls, a table with things on it, one of them hidden behind another."""
    wood, white, sand = (0.55, 0.36, 0.2), (0.9, 0.89, 0.84), (0.72, 0.66, 0.56)
    legs = [
        box((2.3 + x, y, 0.34), (0.05, 0.05, 0.68), wood)
        for x in (-0.3, 0.3)
        for y in (-0.55, 0.55)
    ]
    return Mesh.join(
        [
            box((2.0, 0, -0.05), (5.0, 5.0, 0.1), sand),
            box((3.85, 0, 1.25), (0.1, 5.0, 2.5), white),
            box((2.0, 1.75, 1.25), (5.0, 0.1, 2.5), (0.8, 0.85, 0.88)),
            box((2.0, -1.75, 1.25), (5.0, 0.1, 2.5), (0.88, 0.85, 0.8)),
            box((2.3, 0, 0.7), (0.7, 1.2, 0.04), wood),
            *legs,
            box((2.15, 0.2, 0.82), (0.16, 0.3, 0.2), (0.2, 0.35, 0.75)),
            cylinder((2.42, 0.22, 0.77), 0.05, 0.1, (0.8, 0.15, 0.12)),
            cylinder((2.3, -0.4, 0.74), 0.09, 0.04, (0.15, 0.15, 0.16)),
            cylinder((2.3, -0.4, 0.9), 0.015, 0.3, (0.15, 0.15, 0.16)),
            cylinder((2.3, -0.4, 1.12), 0.14, 0.18, (0.95, 0.85, 0.5)),
            ball((1.9, -1.0, 0.14), 0.14, (0.95, 0.45, 0.1)),
            box((3.3, 1.1, 0.5), (0.5, 0.9, 1.0), (0.35, 0.45, 0.3)),
        ]
    )


def room_view(width: int = WIDTH, height: int = HEIGHT) -> View:
    """The camera: 1.5 m up, looking along +x and down."""
    return look_at(EYE, TARGET, width, height, FOV_DEG)


def render_room(view: View) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """RGB (H, W, 3) uint8 and exact depth (H, W) float32 in metres, NaN where there is nothing."""
    mesh = room_mesh()
    hits = cast(mesh, view)
    light = np.array([-0.45, -0.35, 0.82])
    shade = 0.5 + 0.5 * (hits.normals @ (light / np.linalg.norm(light))).clip(0)
    color = np.where(hits.triangle[..., None] >= 0, mesh.colors[hits.triangle], 0.0)
    rgb = np.rint(255 * color * shade[..., None]).astype(np.uint8)
    depth = np.where(np.isfinite(hits.depth_m), hits.depth_m, np.nan).astype(np.float32)
    return rgb, depth


def analytic_scene(width: int = WIDTH, height: int = HEIGHT) -> Scene:
    """The room as a scene of one frame, with classes and descriptions to ask for."""
    view = room_view(width, height)
    rgb, depth = render_room(view)
    camera: Camera = view.camera
    return Scene(
        name="analytic room",
        rgb=rgb[None],
        depth_m=depth[None],
        K=camera.K,
        T_world_camera=view.T_world_camera[None],
        classes=["floor", "wall", "table", "blue box", "lamp", "orange ball", "green cupboard"],
        descriptions=[("red mug", "behind", "blue box"), ("orange ball", "on", "floor")],
    )
