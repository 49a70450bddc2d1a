"""Voxels and points to coloured meshes and files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from semabs_core.files import write_atomic
from semabs_core.types import FREE, UNKNOWN, Completion
from semabs_core.visualize.colors import class_colors

# The six faces of a unit cube as corner offsets, each counter-clockwise from outside.
_FACES = {
    (1, 0, 0): ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1)),
    (-1, 0, 0): ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)),
    (0, 1, 0): ((0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0)),
    (0, -1, 0): ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)),
    (0, 0, 1): ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
    (0, 0, -1): ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0)),
}


class Mesh:
    """Triangles with a colour each.

    Attributes:
        vertices: (V, 3) float64, metres.
        triangles: (F, 3) int64.
        colors: (F, 3) float64 RGB in 0..1, one per triangle.
    """

    def __init__(self, vertices: NDArray, triangles: NDArray, colors: NDArray) -> None:
        self.vertices = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
        self.triangles = np.asarray(triangles, dtype=np.int64).reshape(-1, 3)
        self.colors = np.asarray(colors, dtype=np.float64).reshape(-1, 3)

    @classmethod
    def join(cls, meshes: list[Mesh]) -> Mesh:
        """All meshes as one."""
        starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
        return cls(
            np.concatenate([np.zeros((0, 3))] + [mesh.vertices for mesh in meshes]),
            np.concatenate(
                [np.zeros((0, 3), dtype=np.int64)]
                + [mesh.triangles + start for mesh, start in zip(meshes, starts)]
            ),
            np.concatenate([np.zeros((0, 3))] + [mesh.colors for mesh in meshes]),
        )

    def to_open3d(self) -> o3d.geometry.TriangleMesh:
        """With a vertex per corner, so that faces keep their own colours in any viewer."""
        corners = self.vertices[self.triangles].reshape(-1, 3)
        mesh = o3d.geometry.TriangleMesh(
            o3d.utility.Vector3dVector(corners),
            o3d.utility.Vector3iVector(np.arange(len(corners)).reshape(-1, 3)),
        )
        mesh.vertex_colors = o3d.utility.Vector3dVector(np.repeat(self.colors, 3, axis=0))
        return mesh


def surface_voxels(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(X, Y, Z) bool: labelled voxels with a neighbour of another label."""
    filled = (labels != FREE) & (labels != UNKNOWN)
    padded = np.pad(labels, 1, constant_values=FREE)
    inner = np.ones(labels.shape, dtype=bool)
    for axis in range(3):
        for step in (-1, 1):
            shifted = np.roll(padded, step, axis=axis)[1:-1, 1:-1, 1:-1]
            inner &= shifted == labels
    return filled & ~inner


def cubes(occupied: NDArray[np.bool_], size: float, T: NDArray[np.float64], color: NDArray) -> Mesh:
    """The outer faces of voxels as a mesh.

    Args:
        occupied: (X, Y, Z) bool.
        size: edge of a voxel, metres.
        T: (4, 4) transform from the grid's frame.
        color: (3,) RGB in 0..1.
    """
    padded = np.pad(occupied, 1)
    corners = []
    for normal, face in _FACES.items():
        neighbour = np.roll(padded, [-n for n in normal], axis=(0, 1, 2))[1:-1, 1:-1, 1:-1]
        index = np.argwhere(occupied & ~neighbour)
        corners.append(index[:, None] + np.array(face)[None])
    quads = np.concatenate(corners) if corners else np.zeros((0, 4, 3))
    vertices = quads.reshape(-1, 3) * size @ T[:3, :3].T + T[:3, 3]
    first = np.arange(len(quads))[:, None] * 4
    triangles = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]])
    return Mesh(vertices, triangles, np.tile(color, (len(triangles), 1)))


def completion_mesh(completion: Completion) -> Mesh:
    """All labelled voxels of a completion in their classes' colours, world frame, metres."""
    colors = class_colors(completion.classes)
    return Mesh.join(
        [
            cubes(
                completion.labels == i + 1,
                completion.voxel_size_m,
                completion.T_world_grid,
                colors[i],
            )
            for i in range(len(completion.classes))
        ]
    )


def write_mesh(mesh: Mesh, path: str | os.PathLike) -> None:
    """Write a ``.ply`` or ``.obj`` file, beside and renamed.

    Raises:
        ValueError: if the ending is another or the mesh is empty.
    """
    file = Path(path)
    if file.suffix not in (".ply", ".obj"):
        raise ValueError(f"a mesh file must end in .ply or .obj, got {file.name}")
    if not len(mesh.triangles):
        raise ValueError(f"there is nothing to write to {file}: the mesh has no face")
    solid = mesh.to_open3d()
    _write_named(
        file, lambda name: o3d.io.write_triangle_mesh(name, solid, write_vertex_normals=False)
    )


def write_points(points: NDArray, colors: NDArray, path: str | os.PathLike) -> None:
    """Write points (N, 3) with colours (N, 3) in 0..1 as ``.ply``, beside and renamed."""
    file = Path(path)
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(np.asarray(points, dtype=float)))
    cloud.colors = o3d.utility.Vector3dVector(np.asarray(colors, dtype=float))
    _write_named(file, lambda name: o3d.io.write_point_cloud(name, cloud))


def _write_named(file: Path, write: Callable[[str], bool]) -> None:
    """Write what open3d, which chooses the format by the ending of the name, writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / file.name
        if not write(str(named)):
            raise OSError(f"cannot write {file}")
        write_atomic(file, named.read_bytes())
