"""What the page shows in three dimensions: what was measured, completed and found."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from semabs_core.app.glb import Part, to_glb
from semabs_core.app.models import SceneAnswer
from semabs_core.types import RGBDFrame
from semabs_core.visualize.colors import class_colors
from semabs_core.visualize.meshes import Mesh, cubes
from semabs_core.visualize.views import frame_mesh

MEASURED, COMPLETED, FOUND = "measured", "completed", "found"
SHOWN = (COMPLETED, FOUND, MEASURED)
WIDTH = 200
"""The measured surface is thinned to so many columns: browsers turn it smoothly."""
SEE_THROUGH = 0.45
"""Opacity of the measured surface: what is found may lie inside a thing."""
PIN_M = 0.25
"""So far a pin sticks out of an answer."""
RED, YELLOW = np.array([0.9, 0.1, 0.1]), np.array([1.0, 0.85, 0.1])


def scene_glb(frame: RGBDFrame, answer: SceneAnswer, shown: str) -> bytes:
    """One of the views as binary glTF, seen from behind the camera.

    Args:
        frame: what was asked about.
        answer: what was said.
        shown: ``completed``: the labelled voxels; ``found``: the answer region in red and a pin
            in its best point in yellow, behind the measured surface too, which lets them through;
            ``measured``: that alone.

    Raises:
        ValueError: if there is nothing to show.
    """
    completion, found = answer.completion, answer.localization
    T_grid_world = np.linalg.inv(completion.T_world_grid)
    if shown == COMPLETED:
        mesh = _completed(answer)
        if not len(mesh.triangles):
            raise ValueError("no voxel has one of the classes: try other words")
        return to_glb([Part(mesh)], T_grid_world)
    surface = _clip(frame_mesh(_thinned(frame)), answer)
    if shown == MEASURED:
        return to_glb([Part(surface, lit=False)], T_grid_world)
    if found is None:
        raise ValueError("type a sentence: nothing was looked for")
    likeliest, size = found.likeliest().points_m, found.voxel_size_m
    # The best point is amid the region: a pin goes up from it and sticks out.
    top = max(likeliest[:, 2].max(), found.position_m[2]) + PIN_M
    above = np.arange(0, top - found.position_m[2], size)
    pin = found.position_m + above[:, None] * [0, 0, 1]
    parts = [
        Part(_boxes(likeliest, size, RED)),
        Part(_boxes(pin, size, YELLOW)),
        Part(surface, SEE_THROUGH, lit=False),
    ]
    return to_glb(parts, T_grid_world)


def legend(answer: SceneAnswer) -> str:
    """The classes with their colours and numbers of voxels, as HTML."""
    rows = []
    counts = answer.completion.voxels_per_class()
    colors = class_colors(answer.completion.classes)
    for name, color in zip(answer.completion.classes, colors, strict=True):
        rgb = ", ".join(str(round(255 * part)) for part in color)
        box = f'<span style="background: rgb({rgb})" class="swatch"></span>'
        rows.append(f"<li>{box} {html.escape(name)} <small>{counts[name]:,} voxels</small></li>")
    return f'<ul class="legend">{"".join(rows)}</ul>'


def verdict(answer: SceneAnswer, sentence: str, read: Sequence[str] = ()) -> str:
    """What was found and how sure that is, as Markdown.

    Args:
        answer: what was said.
        sentence: what was looked for.
        read: what was recognised or assumed about the visitor's files.
    """
    lines = [f"⚠ {html.escape(note)}" for note in answer.notes]
    if answer.localization is not None:
        x, y, z = answer.localization.position_m
        lines.insert(
            0,
            f"**“{html.escape(sentence.strip())}”: {answer.localization.outcome}**, best point "
            f"x {x:.2f}, y {y:.2f}, z {z:.2f} m",
        )
    if read:
        lines.append(f"As read: {html.escape('; '.join(read))}")
    return "\n\n".join(lines)


def _completed(answer: SceneAnswer) -> Mesh:
    completion = answer.completion
    colors = class_colors(completion.classes)
    return Mesh.join(
        [
            cubes(completion.labels == i + 1, completion.voxel_size_m, completion.T_world_grid, c)
            for i, c in enumerate(colors)
        ]
    )


def _thinned(frame: RGBDFrame) -> RGBDFrame:
    """Every n-th pixel of a frame."""
    step = max(1, round(frame.rgb.shape[1] / WIDTH))
    K = frame.K.copy()
    K[:2] /= step  # pixel i of the thinned image is pixel step * i of the whole one
    return RGBDFrame(
        frame.rgb[::step, ::step], frame.depth_m[::step, ::step], K, frame.T_world_camera
    )


def _clip(mesh: Mesh, answer: SceneAnswer) -> Mesh:
    """The triangles of a mesh that lie in the completed region."""
    completion = answer.completion
    T = np.linalg.inv(completion.T_world_grid)
    local = mesh.vertices @ T[:3, :3].T + T[:3, 3]
    edge = completion.voxel_size_m * np.array(completion.labels.shape)
    kept = ((local >= 0) & (local <= edge)).all(axis=1)[mesh.triangles].all(axis=1)
    return Mesh(mesh.vertices, mesh.triangles[kept], mesh.colors[kept])


def _boxes(centres: np.ndarray, size: float, color: np.ndarray) -> Mesh:
    """A cube around each point (N, 3)."""
    one = cubes(np.ones((1, 1, 1), dtype=bool), size, np.eye(4), color)
    one = Mesh(one.vertices - size / 2, one.triangles, one.colors)
    return Mesh.join([Mesh(one.vertices + centre, one.triangles, one.colors) for centre in centres])
