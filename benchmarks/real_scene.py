"""How a completion network does on a real picture: against masks that were drawn by hand.

    SEMABS_SHARED=... python -m benchmarks.real_scene shipped:completion_any --figure out/real.png

The picture, its depth and the relevancy that CLIP ViT-B/32 gave for 17 labels lie in the scenes
folder of ``SEMABS_SHARED``; the masks lie beside this file, see :mod:`benchmarks.against_masks`.
The hair dryer on the floor is described, not completed: how far the best point is from its middle.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.against_masks import (
    SCENES,
    Checkpoint,
    FigurePath,
    Resolution,
    Truth,
    check_scene,
    draw_masks,
    figure,
    labelled,
    readings,
    scores,
)
from semabs_core.config import load_config
from semabs_core.data.scene_file import load_scene
from semabs_core.geometry import transform_points, valid_depth
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import Completion, RGBDFrame
from semabs_core.visualize.png import write_png

SCENE = SCENES / "arkit_vn_poster.npz"
MASKS = Path(__file__).with_name("real_scene_masks.json")
SAME = {"carpet": "floor", "ground": "floor"}
"""Labels of one thing, which has one mask."""
DESCRIBED = ("hair dryer with its wires all tangled up", "behind", "table legs")
BEHIND_M = (0.15, 0.35)
"""So far behind the wall's readings voxels are counted: the wall itself has a thickness."""


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
    centres = (np.argwhere(labelled(completion)) + 0.5) * completion.voxel_size_m
    points = transform_points(completion.T_world_grid, centres)[:, :2]
    before = np.sign((camera[:2] - middle) @ normal)
    return float((-before * ((points - middle) @ normal) > distance_m).mean())


def main(
    checkpoint: Checkpoint = "shipped:completion_any",
    localization: Annotated[str, typer.Option(help="network")] = "shipped:localization_any",
    resolution: Resolution = 64,
    figure_path: FigurePath = None,
) -> None:
    """Print how good a network is on the real picture, with CLIP's maps and with masks."""
    check_scene(SCENE)
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
    masks = draw_masks(MASKS, (width, height))
    described = masks.pop(DESCRIBED[0])
    classes = [str(name) for name in loaded.classes]
    stored = np.load(SCENE.with_name("arkit_vn_poster_relevancy.npz"))
    clip = dict(zip(map(str, stored["labels"]), stored["maps"], strict=True))
    drawn = {
        name: masks[SAME.get(name, name)].astype(np.float32)
        for name in classes
        if SAME.get(name, name) in masks
    } | {DESCRIBED[0]: described.astype(np.float32)}
    truth = Truth.of(frame, masks)
    target = np.median(readings(frame)[described & valid_depth(frame.depth_m)], axis=0)
    wall, camera = truth.points[truth.names == "wall"], frame.T_world_camera[:3, 3]
    table = Table(
        "relevancy", "near mIoU", "accuracy", "strict mIoU", "accuracy",
        *(f"behind the wall by {distance} m" for distance in BEHIND_M), "hair dryer off by",
    )  # fmt: skip
    completions: dict[str, Completion] = {}
    for title, maps, centred in (("CLIP's maps", clip, True), ("masks", drawn, False)):
        scene.set_frame(frame)
        scene.set_relevancy(maps, centred=centred)
        found = scene.complete([name for name in classes if name in maps])
        completions.setdefault("measured, by the masks", truth.as_completion(found))
        completions[title] = found
        leaks = [behind(found, wall, camera, distance) for distance in BEHIND_M]
        off = np.linalg.norm(scene.localize(*DESCRIBED).position_m - target)
        cells = [*scores(found, truth, SAME), *(f"{leak:.1%}" for leak in leaks), f"{off:.2f} m"]
        table.add_row(title, *cells)
    Console().print(table)
    if figure_path is not None:
        write_png(figure(completions), figure_path)


if __name__ == "__main__":
    typer.run(main)
