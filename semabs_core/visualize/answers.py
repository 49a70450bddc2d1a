"""Answers for people: tables on the console, pictures and meshes in a folder."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from semabs_core.types import Completion, Localization, RGBDFrame
from semabs_core.visualize import figures, meshes


def completion_table(voxels_per_class: Mapping[str, int], title: str) -> Table:
    """How many voxels each class has."""
    table = Table("class", "voxels", title=escape(title))
    for name, count in voxels_per_class.items():
        table.add_row(escape(name), f"{count:,}")
    return table


def localization_table(localization: Localization, question: str, title: str) -> Table:
    """Where the best point of an answer is, and whether there is such a thing at all."""
    axes = (escape(f"{axis} [m]") for axis in "xyz")  # Rich takes words in brackets for styles
    table = Table("question", *axes, "score", "probability", title=escape(title))
    position = [f"{value:.2f}" for value in localization.position_m]
    known = not math.isnan(localization.probability)
    probability = f"{localization.probability:.2f}" if known else "not calibrated"
    table.add_row(escape(question), *position, f"{localization.score:.2f}", probability)
    return table


def write_answers(
    folder: str | os.PathLike,
    frame: RGBDFrame,
    relevancy: NDArray[np.uint8],
    completion: Completion,
    localization: Localization | None,
    question: str,
) -> list[Path]:
    """Write ``relevancy.png``, ``completion.png``, ``localization.png`` and meshes.

    Args:
        folder: made where it is missing.
        frame: what the camera measured.
        relevancy: (H, W, 3) uint8, :func:`semabs_core.visualize.figures.relevancy_mosaic`.
        completion: of the frame.
        localization: of the frame; None where nothing was asked.
        question: what was asked.

    Returns:
        The files. A mesh without a face is left out.
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    pictures = {
        "relevancy.png": relevancy,
        "completion.png": figures.completion_figure(frame, completion),
    }
    if localization is not None:
        pictures["localization.png"] = figures.localization_figure(
            frame, completion, localization, question
        )
    for name, picture in pictures.items():
        figures.write_png(np.ascontiguousarray(picture), out / name)
    solid = meshes.completion_mesh(completion)
    surfaces = {
        "measured.ply": figures.frame_mesh(frame),
        "completion.ply": solid,
        "completion.obj": solid,
    }
    surfaces = {name: mesh for name, mesh in surfaces.items() if len(mesh.triangles)}
    for name, mesh in surfaces.items():
        meshes.write_mesh(mesh, out / name)
    names = [*pictures, *surfaces]
    if localization is not None:
        red = np.tile([0.9, 0.1, 0.1], (len(localization.points_m), 1))
        meshes.write_points(localization.points_m, red, out / "localization.ply")
        names.append("localization.ply")
    return [out / name for name in names]
