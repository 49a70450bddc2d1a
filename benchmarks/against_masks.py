"""Completions of real pictures against masks that were drawn by hand: what both pictures share.

Masks are polygons in pixels, drawn one over the other; "" is what no label is meant for. A depth
reading is right if its label is that of the nearest labelled voxel within one of its own (*near*),
or of its own voxel (*strict*).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from semabs_core.geometry import back_project, transform_points, valid_depth
from semabs_core.types import Completion, RGBDFrame
from semabs_core.visualize.figures import SIZE, legend_entries
from semabs_core.visualize.labels import beside, legend, titled, titled_alike
from semabs_core.visualize.meshes import Mesh, class_meshes
from semabs_core.visualize.render import shade
from semabs_core.visualize.views import scene_views

SCENES = Path(os.environ.get("SEMABS_SHARED", "../shared")) / "scenes"
Checkpoint = Annotated[str, typer.Argument(help="completion network")]
Resolution = Annotated[int, typer.Option(help="voxels per axis")]
FigurePath = Annotated[Path | None, typer.Option("--figure", help="PNG of the completed scene")]
FINE = 8
"""Polygons are drawn so many times larger."""


@dataclass(frozen=True)
class Score:
    """A completion against the masks.

    Attributes:
        iou: mean over the things, of readings inside the region.
        accuracy: share of these readings that are right.
    """

    iou: float
    accuracy: float


def check_scene(path: Path) -> None:
    """Say what to do where a real scene is not there."""
    if not path.is_file():
        raise typer.BadParameter(f"there is no {path}: set SEMABS_SHARED to the folder of scenes")


def draw_masks(path: Path, size: tuple[int, int]) -> dict[str, NDArray[np.bool_]]:
    """Masks (H, W) of what was drawn, by name; they do not overlap.

    Args:
        path: JSON, a list of pairs of a name and the corners of a polygon.
        size: width and height of the picture [pixels].
    """
    polygons = json.loads(path.read_text(encoding="utf-8"))
    names = list(dict.fromkeys(name for name, _ in polygons if name))
    picture = Image.new("L", (size[0] * FINE, size[1] * FINE))
    pen = ImageDraw.Draw(picture)
    for name, corners in polygons:
        number = names.index(name) + 1 if name else 0
        pen.polygon([(x * FINE, y * FINE) for x, y in corners], fill=number)
    ids = np.asarray(picture)[FINE // 2 :: FINE, FINE // 2 :: FINE]
    return {name: ids == number for number, name in enumerate(names, 1)}


@dataclass(frozen=True)
class Truth:
    """What the masks say of a frame's readings.

    Attributes:
        points: (N, 3) of readings that lie on something that was drawn, world frame, metres.
        names: (N,) of what they lie on.
    """

    points: NDArray[np.float64]
    names: NDArray[np.object_]

    @classmethod
    def of(cls, frame: RGBDFrame, masks: Mapping[str, NDArray[np.bool_]]) -> Truth:
        names = np.full(frame.depth_m.shape, "", dtype=object)
        for name, mask in masks.items():
            names[mask] = name
        counted = valid_depth(frame.depth_m) & (names != "")
        return cls(readings(frame)[counted], names[counted])

    def within(self, completion: Completion) -> Truth:
        """Those inside of a completion's grid."""
        place = voxels_of(completion, self.points)
        inside = ((place >= 0) & (place < completion.labels.shape)).all(axis=1)
        return Truth(self.points[inside], self.names[inside])

    def as_completion(self, completion: Completion) -> Completion:
        """The readings themselves as voxels of another completion: the most frequent name each."""
        inside = self.within(completion)
        numbers = np.array([completion.classes.index(name) + 1 for name in inside.names])
        voxels = np.floor(voxels_of(completion, inside.points)).astype(int)
        flat = np.ravel_multi_index(voxels.T, completion.labels.shape)
        pairs, counts = np.unique(np.stack([flat, numbers]), axis=1, return_counts=True)
        labels = np.zeros(completion.labels.size, dtype=completion.labels.dtype)
        order = np.argsort(counts, kind="stable")  # what is more frequent is written later
        labels[pairs[0, order]] = pairs[1, order]
        return replace(completion, labels=labels.reshape(completion.labels.shape))


def readings(frame: RGBDFrame) -> NDArray[np.float64]:
    """Where the depth readings lie, (H, W, 3) world frame, metres; NaN or wrong without one."""
    return transform_points(frame.T_world_camera, back_project(frame.depth_m, frame.K))


def voxels_of(completion: Completion, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 3), world frame, in voxels of the grid."""
    return transform_points(np.linalg.inv(completion.T_world_grid).astype(np.float64), points) / (
        completion.voxel_size_m
    )


def labelled(completion: Completion) -> NDArray[np.intp]:
    """The labels (X, Y, Z) of a completion's classes, 0 for all else."""
    return np.where(completion.labels <= len(completion.classes), completion.labels, 0)


def said(completion: Completion, points: NDArray[np.float64], near: bool) -> NDArray[np.object_]:
    """What is said at points (N, 3): (N,) names, "" where nothing is."""
    names = np.array(["", *completion.classes], dtype=object)
    labels, place = labelled(completion), voxels_of(completion, points)
    own = np.floor(place).astype(int)
    best, label = np.full(len(points), np.inf), np.zeros(len(points), dtype=int)
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), axis=-1).reshape(-1, 3)
    for step in steps if near else np.zeros((1, 3), int):
        voxel = own + step
        inside = ((voxel >= 0) & (voxel < labels.shape)).all(axis=1)
        found = np.zeros(len(points), dtype=int)
        found[inside] = labels[tuple(voxel[inside].T)]
        distance = np.linalg.norm(voxel + 0.5 - place, axis=1)
        better = (found > 0) & (distance < best)
        best[better], label[better] = distance[better], found[better]
    return names[label]


def compare(
    answers: NDArray[np.object_], truth: NDArray[np.object_], same: Mapping[str, str]
) -> Score:
    """Names (N,) that are said against those that are true; ``same``: labels of one thing."""
    answers = np.array([same.get(name, name) for name in answers], dtype=object)
    things = sorted(set(truth))
    hits = [((answers == thing) & (truth == thing)).sum() for thing in things]
    either = [((answers == thing) | (truth == thing)).sum() for thing in things]
    return Score(float(np.mean(np.divide(hits, either))), float((answers == truth).mean()))


def scores(
    completion: Completion, truth: Truth, same: Mapping[str, str] | None = None
) -> list[str]:
    """Near mIoU and accuracy, strict mIoU and accuracy, as cells of a table."""
    inside = truth.within(completion)
    found = [
        compare(said(completion, inside.points, near), inside.names, same or {})
        for near in (True, False)
    ]
    return [f"{value:.3f}" for score in found for value in (score.iou, score.accuracy)]


def figure(completions: Mapping[str, Completion]) -> NDArray[np.uint8]:
    """The completed scene from two views, a row for each source of relevancy."""
    rows = []
    for title, completion in completions.items():
        solid = Mesh.join(list(class_meshes(completion).values()))
        views = scene_views(completion.region, solid, SIZE)
        panels = titled_alike([shade(solid, view) for view in views], [title, "from the right"])
        rows.append(beside(*panels, titled(legend(legend_entries(completion), SIZE[1]), "class")))
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.concatenate(padded)
