"""Meshes and points to files that other programs open: ``.ply``, ``.obj``. Metres, z up."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from semabs_core.files import write_atomic
from semabs_core.visualize.meshes import Mesh


def write_ply(mesh: Mesh, path: str | os.PathLike) -> None:
    """Write a coloured ``.ply``, beside and renamed.

    Raises:
        ValueError: if the ending is another or the mesh is empty.
    """
    file = _check(path, ".ply")
    if not len(mesh.triangles):
        raise ValueError(f"there is nothing to write to {file}: the mesh has no face")
    solid = mesh.to_open3d()
    _write_named(
        file, lambda name: o3d.io.write_triangle_mesh(name, solid, write_vertex_normals=False)
    )


def write_obj(meshes: Mapping[str, Mesh], path: str | os.PathLike) -> list[Path]:
    """Write an ``.obj`` with an object and a material per name, and the ``.mtl`` beside it.

    A vertex carries its colour too, for programs that read no materials.

    Args:
        meshes: by name, each of one colour.
        path: of the ``.obj``.

    Returns:
        Both files.

    Raises:
        ValueError: if the ending is another or there is no face.
    """
    file = _check(path, ".obj")
    if not any(len(mesh.triangles) for mesh in meshes.values()):
        raise ValueError(f"there is nothing to write to {file}: the mesh has no face")
    materials = file.with_suffix(".mtl")
    text = io.StringIO()
    text.write(f"# metres, z up\nmtllib {materials.name}\n")
    library, first = [], 1
    for number, (name, mesh) in enumerate(meshes.items()):
        color = mesh.colors[0]
        label = "_".join(name.split())
        library.append(f"newmtl {number}_{label}\nKd {_numbers(color)}\n")
        text.write(f"o {label}\nusemtl {number}_{label}\n")
        colored = np.hstack([mesh.vertices, np.tile(color, (len(mesh.vertices), 1))])
        np.savetxt(text, colored, fmt="v %.4f %.4f %.4f %.3f %.3f %.3f")
        np.savetxt(text, mesh.triangles + first, fmt="f %d %d %d")
        first += len(mesh.vertices)
    write_atomic(materials, "\n".join(library))
    write_atomic(file, text.getvalue())
    return [file, materials]


def write_points(points: NDArray, colors: NDArray, path: str | os.PathLike) -> None:
    """Write points (N, 3) with colours (N, 3) in 0..1 as ``.ply``, beside and renamed."""
    file = _check(path, ".ply")
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(np.asarray(points, dtype=float)))
    cloud.colors = o3d.utility.Vector3dVector(np.asarray(colors, dtype=float))
    _write_named(file, lambda name: o3d.io.write_point_cloud(name, cloud))


def _check(path: str | os.PathLike, ending: str) -> Path:
    file = Path(path)
    if file.suffix != ending:
        raise ValueError(f"the file's name must end in {ending}, got {file.name}")
    return file


def _numbers(values: NDArray) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def _write_named(file: Path, write: Callable[[str], bool]) -> None:
    """Write what open3d, which chooses the format by the ending of the name, writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / file.name
        if not write(str(named)):
            raise OSError(f"cannot write {file}")
        write_atomic(file, named.read_bytes())
