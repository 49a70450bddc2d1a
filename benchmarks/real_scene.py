"""How a completion network does on a real picture: against masks that were drawn by hand.

    SEMABS_SHARED=... python -m benchmarks.real_scene shipped:completion_any --figure out/real.png

The picture, its depth and the relevancy that CLIP ViT-B/32 gave for 17 labels lie in the scenes
folder of ``SEMABS_SHARED``; the masks lie beside this file, polygons in pixels, drawn one over the
other ("" is what no label is meant for). A depth reading is right if its label is that of the
nearest labelled voxel within one of its own (*near*), or of its own voxel (*strict*). The hair
dryer on the floor is described, not completed: how far the best point is from its middle.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from semabs_core.config import load_config
from semabs_core.data.scene_file import load_scene
from semabs_core.geometry import back_project, transform_points, valid_depth
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import Completion, RGBDFrame
from semabs_core.visualize.figures import SIZE, legend_entries
from semabs_core.visualize.labels import beside, legend, titled, titled_alike
from semabs_core.visualize.meshes import Mesh, class_meshes
from semabs_core.visualize.png import write_png
from semabs_core.visualize.render import shade
from semabs_core.visualize.views import scene_views

SCENE = Path(os.environ.get("SEMABS_SHARED", "../shared")) / "scenes/arkit_vn_poster.npz"
MASKS = Path(__file__).with_name("real_scene_masks.json")
SAME = {"carpet": "floor", "ground": "floor"}
"""Labels of one thing, which has one mask."""
DESCRIBED = ("hair dryer with its wires all tangled up", "behind", "table legs")
FINE = 8
"""Polygons are drawn so many times larger."""
BEHIND_M = (0.15, 0.35)
"""So far behind the wall's readings voxels are counted: the wall itself has a thickness."""


@dataclass(frozen=True)
class Score:
    """A completion against the masks.

    Attributes:
        iou: mean over the things, of readings inside the region.
        accuracy: share of these readings that are right.
    """

    iou: float
    accuracy: float


def draw_masks(size: tuple[int, int]) -> dict[str, NDArray[np.bool_]]:
    """Masks (H, W) of what was drawn, by name; they do not overlap."""
    polygons = json.loads(MASKS.read_text(encoding="utf-8"))
    names = list(dict.fromkeys(name for name, _ in polygons if name))
    picture = Image.new("L", (size[0] * FINE, size[1] * FINE))
    pen = ImageDraw.Draw(picture)
    for name, corners in polygons:
        number = names.index(name) + 1 if name else 0
        pen.polygon([(x * FINE, y * FINE) for x, y in corners], fill=number)
    ids = np.asarray(picture)[FINE // 2 :: FINE, FINE // 2 :: FINE]
    return {name: ids == number for number, name in enumerate(names, 1)}


def voxels_of(completion: Completion, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 3), world frame, in voxels of the grid."""
    return transform_points(np.linalg.inv(completion.T_world_grid).astype(np.float64), points) / (
        completion.voxel_size_m
    )


def said(completion: Completion, points: NDArray[np.float64], near: bool) -> NDArray[np.object_]:
    """What is said at points (N, 3): (N,) names, "" where nothing is."""
    names = np.array(["", *completion.classes], dtype=object)
    labels = np.where(completion.labels <= len(completion.classes), completion.labels, 0)
    place = voxels_of(completion, points)
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


def compare(answers: NDArray[np.object_], truth: NDArray[np.object_]) -> Score:
    """Names (N,) that are said against those that are true."""
    answers = np.array([SAME.get(name, name) for name in answers], dtype=object)
    things = sorted(set(truth))
    hits = [((answers == thing) & (truth == thing)).sum() for thing in things]
    either = [((answers == thing) | (truth == thing)).sum() for thing in things]
    return Score(float(np.mean(np.divide(hits, either))), float((answers == truth).mean()))


def behind(
    completion: Completion,
    wall: NDArray[np.float64],
    camera: NDArray[np.float64],
    distance_m: float,
) -> float:
    """Share of the labelled voxels that lie so far behind an upright wall's readings (N, 3).

    The camera (3,) is before it.
    """
    middle = wall[:, :2].mean(axis=0)
    normal = np.linalg.svd(wall[:, :2] - middle, full_matrices=False)[2][1]
    labelled = np.argwhere((completion.labels > 0) & (completion.labels <= len(completion.classes)))
    centres = (labelled + 0.5) * completion.voxel_size_m
    points = transform_points(completion.T_world_grid, centres)[:, :2]
    before = np.sign((camera[:2] - middle) @ normal)
    return float((-before * ((points - middle) @ normal) > distance_m).mean())


def figure(completions: dict[str, Completion]) -> NDArray[np.uint8]:
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


def main(
    checkpoint: Annotated[str, typer.Argument(help="completion network")] = (
        "shipped:completion_any"
    ),
    localization: Annotated[str, typer.Option(help="network")] = "shipped:localization_any",
    resolution: Annotated[int, typer.Option(help="voxels per axis")] = 64,
    figure_path: Annotated[
        Path | None, typer.Option("--figure", help="PNG of the completed scene")
    ] = None,
) -> None:
    """Print how good a network is on the real picture, with CLIP's maps and with masks."""
    if not SCENE.is_file():
        raise typer.BadParameter(f"there is no {SCENE}: set SEMABS_SHARED to the folder of scenes")
    config = load_config("semabs.yaml")
    config = replace(
        config,
        completion=replace(config.completion, checkpoint=checkpoint, resolution=resolution),
        localization=replace(config.localization, checkpoint=localization),
    )
    scene = SceneUnderstanding.from_config(config)
    loaded = load_scene(SCENE)
    frame: RGBDFrame = loaded.frame(0)
    height, width = frame.depth_m.shape
    masks = draw_masks((width, height))
    described = masks.pop(DESCRIBED[0])
    classes = [str(name) for name in loaded.classes]
    stored = np.load(SCENE.with_name("arkit_vn_poster_relevancy.npz"))
    clip = dict(zip(map(str, stored["labels"]), stored["maps"], strict=True))
    drawn = {
        name: masks[SAME.get(name, name)].astype(np.float32)
        for name in classes
        if SAME.get(name, name) in masks
    } | {DESCRIBED[0]: described.astype(np.float32)}
    truth = np.full((height, width), "", dtype=object)
    for name, mask in masks.items():
        truth[mask] = name
    counted = valid_depth(frame.depth_m) & (truth != "")
    seen = transform_points(frame.T_world_camera, back_project(frame.depth_m, frame.K))
    points, target = seen[counted], np.median(seen[described & valid_depth(frame.depth_m)], axis=0)
    table = Table(
        "relevancy", "near mIoU", "accuracy", "strict mIoU", "accuracy",
        *(f"behind the wall by {distance} m" for distance in BEHIND_M), "hair dryer off by",
    )  # fmt: skip
    completions = {}
    for title, maps, centred in (("CLIP's maps", clip, True), ("masks", drawn, False)):
        scene.set_frame(frame)
        scene.set_relevancy(maps, centred=centred)
        found = scene.complete([name for name in classes if name in maps])
        completions[title] = found
        place = voxels_of(found, points)
        inside = ((place >= 0) & (place < found.labels.shape[0])).all(axis=1)
        scores = [
            compare(said(found, points[inside], near), truth[counted][inside])
            for near in (True, False)
        ]
        wall, camera = points[truth[counted] == "wall"], frame.T_world_camera[:3, 3]
        leaks = [behind(found, wall, camera, distance) for distance in BEHIND_M]
        cells = [f"{value:.3f}" for score in scores for value in (score.iou, score.accuracy)]
        off = np.linalg.norm(scene.localize(*DESCRIBED).position_m - target)
        table.add_row(title, *cells, *(f"{leak:.1%}" for leak in leaks), f"{off:.2f} m")
    Console().print(table)
    if figure_path is not None:
        write_png(figure(completions), figure_path)


if __name__ == "__main__":
    typer.run(main)
