"""How a completion network does on a Kinect's frame of a dining room, against masks drawn by hand.

    SEMABS_SHARED=... python -m benchmarks.kinect_room --figure out/kinect.png

The frame is the first of ``kinect_dining_room.npz`` in the scenes folder of ``SEMABS_SHARED``, the
masks lie beside this file, see :mod:`benchmarks.against_masks`. Relevancy is that of the masks, and
of the shipped encoder, which has never seen a photograph. Beside what the readings are called, it
tells how upright and whole the geometry is: of the columns of voxels where the floor was read, the
share that is empty at the floor's height; of the floor as far as it is closed around, too; and by
how much planes through the tops of floor and table lean.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy import ndimage

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
    scores,
    voxels_of,
)
from semabs_core.config import load_config
from semabs_core.data.scene_file import load_scene
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import Completion
from semabs_core.visualize.png import write_png

SCENE = SCENES / "kinect_dining_room.npz"
MASKS = Path(__file__).with_name("kinect_masks.json")
FLOOR_M = 0.1
"""So near to z = 0 a voxel's centre is at the floor's height."""
TOP_M = 0.15
"""Tops of columns so near to their median make a plane."""


def floor_holes(completion: Completion, truth: Truth) -> tuple[float, float]:
    """Shares of the columns where the floor was read, and of the closed floor, that are empty."""
    labels = labelled(completion)
    heights = completion.T_world_grid[2, 3] + (np.arange(labels.shape[2]) + 0.5) * (
        completion.voxel_size_m
    )
    solid = (labels[:, :, np.abs(heights) < FLOOR_M] > 0).any(axis=2)
    inside = truth.within(completion)
    floor = inside.points[inside.names == "floor"]
    columns = np.unique(np.floor(voxels_of(completion, floor)).astype(int)[:, :2], axis=0)
    closed = ndimage.binary_fill_holes(solid)
    empty = ~solid
    read = empty[tuple(columns.T)].mean()
    return float(read), float((closed & empty).sum() / closed.sum())


def lean_degrees(completion: Completion, name: str) -> float:
    """The angle between the vertical and the normal of a plane through the tops of a thing."""
    voxels = np.argwhere(completion.labels == completion.classes.index(name) + 1)
    columns, of = np.unique(voxels[:, :2], axis=0, return_inverse=True)
    tops = np.zeros(len(columns))
    np.maximum.at(tops, of.ravel(), voxels[:, 2] + 1.0)
    flat = np.abs(tops - np.median(tops)) * completion.voxel_size_m < TOP_M
    plane = np.column_stack([columns[flat], np.ones(flat.sum())])
    slope = np.linalg.lstsq(plane, tops[flat], rcond=None)[0][:2]
    return float(np.degrees(np.arctan(np.linalg.norm(slope))))


def main(
    checkpoint: Checkpoint = "shipped:completion_any",
    resolution: Resolution = 64,
    figure_path: FigurePath = None,
) -> None:
    """Print how good a network is on the Kinect's frame, with the encoder's maps and with masks."""
    check_scene(SCENE)
    config = load_config("semabs.yaml")
    completion = replace(config.completion, checkpoint=checkpoint, resolution=resolution)
    scene = SceneUnderstanding.from_config(replace(config, completion=completion))
    frame = load_scene(SCENE).frame(0)
    height, width = frame.depth_m.shape
    masks = draw_masks(MASKS, (width, height))
    truth = Truth.of(frame, masks)
    table = Table(
        "relevancy", "near mIoU", "accuracy", "strict mIoU", "accuracy", "read floor empty",
        "holes in the floor", "floor leans", "table leans",
    )  # fmt: skip
    completions: dict[str, Completion] = {}
    given = {name: mask.astype(np.float32) for name, mask in masks.items()}
    for title, maps in (("the encoder's maps", {}), ("masks", given)):
        scene.set_frame(frame)
        if maps:
            scene.set_relevancy(maps)
        found = scene.complete(list(masks))
        completions.setdefault("measured, by the masks", truth.as_completion(found))
        completions[title] = found
        empty, holes = floor_holes(found, truth)
        leans = [f"{lean_degrees(found, name):.1f}°" for name in ("floor", "dining table")]
        table.add_row(title, *scores(found, truth), f"{empty:.1%}", f"{holes:.1%}", *leans)
    Console().print(table)
    if figure_path is not None:
        write_png(figure(completions), figure_path)


if __name__ == "__main__":
    typer.run(main)
