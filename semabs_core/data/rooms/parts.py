"""Closed meshes in one paint, and how they are moved and turned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.paints import Paint

Vector = Sequence[float]
ORIGIN = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Part:
    """One closed mesh in one paint.

    Attributes:
        vertices: (V, 3) float64, metres, body frame.
        triangles: (F, 3) int64, counter-clockwise from outside.
        normals: (F, 3, 3) float64, unit, of each corner of each triangle.
        paint: how the surface looks.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]
    normals: NDArray[np.float64]
    paint: Paint

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Part:
        """Shifted by metres."""
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def turned(self, axis: str, degrees: float, about: Vector = ORIGIN) -> Part:
        """Turned counter-clockwise about an axis (``x``, ``y`` or ``z``) through a point."""
        R, centre = rotation(axis, degrees), np.asarray(about)
        return replace(
            self, vertices=(self.vertices - centre) @ R.T + centre, normals=self.normals @ R.T
        )

    def stretched(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Part:
        """Scaled about the origin by a positive factor per axis."""
        factors = np.array([x, y, z])
        return replace(self, vertices=self.vertices * factors, normals=unit(self.normals / factors))


def rotation(axis: str, degrees: float) -> NDArray[np.float64]:
    """(3, 3) rotation, counter-clockwise about ``x``, ``y`` or ``z``."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    R = np.eye(3)
    R[i, i], R[i, j], R[j, i], R[j, j] = c, -s, s, c
    return R


def turned(parts: Iterable[Part], axis: str, degrees: float, about: Vector = ORIGIN) -> list[Part]:
    """Several parts, turned as one."""
    return [part.turned(axis, degrees, about) for part in parts]


def moved(parts: Iterable[Part], x: float = 0.0, y: float = 0.0, z: float = 0.0) -> list[Part]:
    """Several parts, shifted as one."""
    return [part.moved(x, y, z) for part in parts]


def unit(vectors: NDArray) -> NDArray[np.float64]:
    """Vectors (..., 3) or (..., 2), made one long; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _face_normals(vertices: NDArray, triangles: NDArray) -> NDArray:
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    return np.cross(b - a, c - a)


def flat_part(vertices: NDArray, triangles: NDArray, paint: Paint) -> Part:
    """A part whose faces are shaded flat."""
    normals = unit(_face_normals(vertices, triangles))
    return Part(vertices, triangles, np.repeat(normals[:, None], 3, axis=1), paint)


def smooth_part(vertices: NDArray, triangles: NDArray, paint: Paint) -> Part:
    """A part that is shaded smooth all over."""
    faces = _face_normals(vertices, triangles)
    sums = np.zeros_like(vertices)
    for column in range(3):
        np.add.at(sums, triangles[:, column], faces)
    return Part(vertices, triangles, unit(sums)[triangles], paint)
