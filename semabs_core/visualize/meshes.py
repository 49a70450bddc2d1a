"""Voxels to coloured meshes."""

from __future__ import annotations

import functools

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

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
FINE = 2
"""Samples per voxel and axis from which surfaces are made."""
SMOOTHING = 40
"""Rounds of smoothing, which takes the steps of the voxels away."""


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

    @functools.cached_property
    def raycasting(self) -> o3d.t.geometry.RaycastingScene:
        """The mesh as rays meet it; made once, so do not change the mesh afterwards."""
        scene = o3d.t.geometry.RaycastingScene()
        scene.add_triangles(
            o3d.core.Tensor(self.vertices.astype(np.float32)),
            o3d.core.Tensor(self.triangles.astype(np.uint32)),
        )
        return scene

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
    inner = np.ones(labels.shape, dtype=bool)
    for axis in range(3):
        rows, kept = np.moveaxis(labels, axis, 0), np.moveaxis(inner, axis, 0)
        same = rows[1:] == rows[:-1]
        kept[1:] &= same
        kept[:-1] &= same
        kept[0] = kept[-1] = False  # beyond the grid nothing is labelled
    return (labels != FREE) & (labels != UNKNOWN) & ~inner


def cubes(occupied: NDArray[np.bool_], size: float, T: NDArray[np.float64], color: NDArray) -> Mesh:
    """The outer faces of voxels as a mesh.

    Args:
        occupied: (X, Y, Z) bool.
        size: edge of a voxel, metres.
        T: (4, 4) transform from the grid's frame.
        color: (3,) RGB in 0..1 of all, or (X, Y, Z, 3) of each voxel.
    """
    padded = np.pad(occupied, 1)
    corners, colors = [], []
    for normal, face in _FACES.items():
        neighbour = np.roll(padded, [-n for n in normal], axis=(0, 1, 2))[1:-1, 1:-1, 1:-1]
        index = np.argwhere(occupied & ~neighbour)
        corners.append(index[:, None] + np.array(face)[None])
        own = color[tuple(index.T)] if color.ndim > 1 else np.tile(color, (len(index), 1))
        colors.append(own)
    quads = np.concatenate(corners)
    vertices = quads.reshape(-1, 3) * size @ T[:3, :3].T + T[:3, 3]
    first = np.arange(len(quads))[:, None] * 4
    triangles = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]])
    return Mesh(vertices, triangles, np.tile(np.concatenate(colors), (2, 1)))


def isosurface(
    occupied: NDArray[np.bool_], size: float, T: NDArray[np.float64], color: NDArray
) -> Mesh:
    """The closed, smoothed surface of voxels by marching cubes.

    Voxels are sampled ``FINE`` times per axis first: then a plane lies where the voxels end, and a
    single voxel is not cut to its inner eighth.

    Args:
        occupied: (X, Y, Z) bool.
        size: edge of a voxel, metres.
        T: (4, 4) transform from the grid's frame.
        color: (3,) RGB in 0..1.
    """
    if not occupied.any():
        return Mesh.join([])
    index = np.argwhere(occupied)
    low, high = index.min(axis=0), index.max(axis=0) + 1
    inner = occupied[tuple(map(slice, low, high))]
    for axis in range(3):
        inner = inner.repeat(FINE, axis=axis)
    volume = np.pad(inner, 1).astype(np.float32)
    surface = o3d.t.geometry.TriangleMesh.create_isosurfaces(o3d.core.Tensor(volume), [0.5])
    corners = _smooth(surface.to_legacy())[:, ::-1]  # the last axis of the volume comes first
    # The first sample is in the padding, half a sample before the voxels begin.
    vertices = (low + (corners - 0.5) / FINE) * size
    triangles = surface.triangle.indices.numpy()[:, ::-1]  # outwards, in the axes' own order
    return Mesh(vertices @ T[:3, :3].T + T[:3, 3], triangles, np.tile(color, (len(triangles), 1)))


def _smooth(surface: o3d.geometry.TriangleMesh) -> NDArray[np.float64]:
    """Vertices (V, 3) of a closed surface, smoothed; each connected part keeps its volume.

    Smoothing alone would make the smallest parts, a mug of two voxels, disappear.
    """
    triangles = np.asarray(surface.triangles)
    before = np.asarray(surface.vertices)
    part_of_triangle = np.asarray(surface.cluster_connected_triangles()[0])
    part = np.zeros(len(before), dtype=int)
    part[triangles] = part_of_triangle[:, None]
    after = np.asarray(surface.filter_smooth_taubin(SMOOTHING).vertices)
    count = np.bincount(part)
    middle = np.stack([np.bincount(part, axis) / count for axis in after.T], axis=1)[part]

    def volumes(vertices: NDArray) -> NDArray[np.float64]:
        a, b, c = (vertices - middle)[triangles].transpose(1, 0, 2)
        return np.abs(np.bincount(part_of_triangle, (np.cross(a, b) * c).sum(axis=1)))

    scale = np.cbrt(volumes(before) / np.maximum(volumes(after), 1e-9))
    return middle + (after - middle) * scale[part][:, None]


def class_meshes(completion: Completion) -> dict[str, Mesh]:
    """The surface of each class that has voxels, in its colour, world frame, metres."""
    colors = class_colors(completion.classes)
    place = completion.voxel_size_m, completion.T_world_grid
    meshes = {
        name: isosurface(completion.labels == i + 1, *place, colors[i])
        for i, name in enumerate(completion.classes)
    }
    return {name: mesh for name, mesh in meshes.items() if len(mesh.triangles)}
