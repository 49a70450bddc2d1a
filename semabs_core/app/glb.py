"""Coloured meshes as binary glTF 2.0, which browsers show: y up, metres."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semabs_core.visualize.meshes import Mesh

_FLOAT, _BYTE, _ARRAY = 5126, 5121, 34962
_UNLIT = "KHR_materials_unlit"
_TO_GLTF = np.array([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]])
"""x forward, y left, z up to x right, y up, z towards the viewer."""


@dataclass(frozen=True)
class Part:
    """A mesh and how it is drawn.

    Attributes:
        mesh: world frame; each triangle in its own colour, seen from both sides.
        opacity: 0..1; what is not opaque shows what is behind.
        lit: whether light falls on it; not for colours of photographs, which hold their own.
    """

    mesh: Mesh
    opacity: float = 1.0
    lit: bool = True


def to_glb(parts: Sequence[Part], T_viewer_world: NDArray) -> bytes:
    """Meshes as one file.

    Args:
        parts: what to show; those without a face are left out.
        T_viewer_world: (4, 4) to a frame with x forward, y left, z up, in which it is shown.

    Raises:
        ValueError: if none has a face.
    """
    shown = [part for part in parts if len(part.mesh.triangles)]
    if not shown:
        raise ValueError("there is nothing to show: the mesh has no face")
    columns = [column for part in shown for column in _columns(part, T_viewer_world)]
    data = b"".join(column.tobytes() for column in columns)
    return _container(_document(shown, columns), data)


def _columns(part: Part, T_viewer_world: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Corners, normals and linear colours, three rows per triangle."""
    mesh = part.mesh
    vertices = mesh.vertices @ T_viewer_world[:3, :3].T + T_viewer_world[:3, 3]
    corners = (vertices @ _TO_GLTF.T)[mesh.triangles].astype("<f4")
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 0, normals / np.maximum(length, 1e-12), [0, 1, 0])
    linear = np.where(
        mesh.colors <= 0.04045, mesh.colors / 12.92, ((mesh.colors + 0.055) / 1.055) ** 2.4
    )
    rgba = np.hstack([linear.clip(0, 1), np.full((len(corners), 1), part.opacity)])
    return (
        corners.reshape(-1, 3),
        np.repeat(normals, 3, axis=0).astype("<f4"),
        np.repeat(np.rint(255 * rgba), 3, axis=0).astype(np.uint8),
    )


def _document(parts: Sequence[Part], columns: Sequence[NDArray]) -> dict[str, Any]:
    """The JSON part: a primitive per part of three columns, which lie behind each other."""
    starts = np.cumsum([0] + [column.nbytes for column in columns])
    accessors: list[dict[str, Any]] = []
    for number, column in enumerate(columns):
        is_color = column.dtype == np.uint8
        accessors.append(
            {
                "bufferView": number,
                "componentType": _BYTE if is_color else _FLOAT,
                "normalized": is_color,
                "count": len(column),
                "type": "VEC4" if is_color else "VEC3",
            }
        )
        if number % 3 == 0:
            bounds = {"min": column.min(axis=0).tolist(), "max": column.max(axis=0).tolist()}
            accessors[-1].update(bounds)
    primitives = [
        {
            "attributes": {"POSITION": 3 * i, "NORMAL": 3 * i + 1, "COLOR_0": 3 * i + 2},
            "material": i,
        }
        for i in range(len(parts))
    ]
    views = [
        {"buffer": 0, "byteOffset": int(start), "byteLength": column.nbytes, "target": _ARRAY}
        for start, column in zip(starts, columns)
    ]
    return {
        "asset": {"version": "2.0", "generator": "semabs"},
        "extensionsUsed": [_UNLIT],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": primitives}],
        "materials": [_material(part) for part in parts],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": int(starts[-1])}],
    }


def _material(part: Part) -> dict[str, Any]:
    material: dict[str, Any] = {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
        "doubleSided": True,
        "alphaMode": "OPAQUE" if part.opacity == 1 else "BLEND",
    }
    return material if part.lit else {**material, "extensions": {_UNLIT: {}}}


def _container(document: dict, data: bytes) -> bytes:
    """Both parts, each padded to four bytes, behind glTF's header."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
