"""A scene small enough to work out by hand: a wall, a cabinet with a hidden mug, a red mug on it.

The camera stands at (-1.5, 0, 0.8) and looks along +x; 0.6 scene units are a metre. The wall is at
x = 0.9 (4 m ahead), the cabinet's front at x = 0 (2.5 m ahead), the red mug on its top.
"""

import dataclasses
from pathlib import Path

import numpy as np

from semabs_core.data.hdf5 import (
    RelevancyRecord,
    SceneData,
    SceneDescription,
    write_relevancy,
    write_scene,
)
from semabs_core.data.labels import rename
from semabs_core.data.splits import write_splits
from semabs_core.data.text_features import write_text_features

WIDTH, HEIGHT, FOCAL = 32, 24, 32.0
NAMES = ["empty[0]", "wall[1]", "cabinet[2]", "mug[3]", "red mug[4]", "out of bounds"]
EMPTY, WALL, CABINET, MUG, RED_MUG, OUTSIDE = range(6)
CABINET_BOX = np.array([[0.0, -0.3, 0.2], [0.4, 0.3, 0.8]])
RED_MUG_BOX = np.array([[0.0, -0.1, 0.8], [0.1, 0.0, 0.95]])
MUG_BOX = np.array([[0.15, 0.0, 0.4], [0.25, 0.1, 0.5]])
T_SCENE_CAMERA = np.array(
    [[0, 0, 0.6, -1.5], [-0.6, 0, 0, 0], [0, -0.6, 0, 0.8], [0, 0, 0, 1]], dtype=np.float64
)
BOUNDS = np.array([[-1, -1, -0.1], [1, 1, 1.9]], dtype=np.float64)
DESCRIPTIONS = [
    SceneDescription("mug", MUG, "cabinet", "in"),
    SceneDescription("red mug", RED_MUG, "cabinet", "on"),
]
SMALL = {"num_input_points": 200, "num_query_points": 300}
"""Options of data sets of such scenes."""


def inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    return ((points >= box[0]) & (points <= box[1])).all(axis=-1)


def pixels_of(box: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose ray meets the box's front, which is at its smallest x."""
    distance = (box[0, 0] + 1.5) / 0.6
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    y = -(u - (WIDTH - 1) / 2) / FOCAL * distance * 0.6
    z = 0.8 - (v - (HEIGHT - 1) / 2) / FOCAL * distance * 0.6
    return (y >= box[0, 1]) & (y <= box[1, 1]) & (z >= box[0, 2]) & (z <= box[1, 2])


def toy_scene(seed: int = 0, points: int = 3000, randomized: bool = False) -> SceneData:
    rng = np.random.default_rng(seed)
    depth = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    seg = np.full((HEIGHT, WIDTH), WALL, np.int32)
    for number, box in ((CABINET, CABINET_BOX), (RED_MUG, RED_MUG_BOX)):
        mask = pixels_of(box)
        depth[mask], seg[mask] = (box[0, 0] + 1.5) / 0.6, number
    depth[0, 0], seg[0, 0] = 0.0, -1
    xyz = rng.uniform(BOUNDS[0], BOUNDS[1], (points, 3)).astype(np.float32)
    for start, box in ((0, CABINET_BOX), (400, RED_MUG_BOX), (500, MUG_BOX)):
        xyz[start : start + 100] = rng.uniform(box[0], box[1], (100, 3))
    ids = np.zeros(points, np.int32)
    ids[xyz[:, 0] > 0.9] = WALL
    cavity = CABINET_BOX + np.array([[0.05], [-0.05]])
    shell = inside(xyz, CABINET_BOX) & ~inside(xyz, cavity)
    ids[shell] = CABINET
    ids[inside(xyz, RED_MUG_BOX)] = RED_MUG
    ids[inside(xyz, MUG_BOX)] = MUG
    ids[xyz[:, 1] > 0.9] = OUTSIDE
    colors = (2, HEIGHT, WIDTH, 3)
    rgb, other = rng.integers(0, 256, colors, dtype=np.uint8)
    return SceneData(
        rgb=rgb[None],
        depth=depth[None],
        seg=seg[None],
        cam_intr=np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1.0]]),
        cam_pose=T_SCENE_CAMERA,
        scene_bounds=BOUNDS,
        objid_to_class=list(NAMES),
        full_xyz_pts=xyz[None],
        full_objid_pts=ids[None],
        domain_randomized_rgb=other[None] if randomized else None,
        descriptions=list(DESCRIPTIONS),
    )


def bare_scene() -> SceneData:
    """The scene with plain names."""
    return rename(toy_scene(), {})


def toy_record(scene: SceneData, seed: int = 0, width: int = 6) -> RelevancyRecord:
    rng = np.random.default_rng(seed)
    labels = ["wall", "cabinet", "mug", "red mug", *(item.sentence for item in scene.descriptions)]
    features = rng.normal(size=(len(labels), width)).astype(np.float32)
    return RelevancyRecord(
        labels,
        rng.random((len(labels), 8, 8), dtype=np.float32),
        rng.random((8, 8), dtype=np.float32),
        features / np.linalg.norm(features, axis=1, keepdims=True),
    )


def write_toy_set(folder: Path, scenes: int = 3, split: str = "train", **options) -> list[str]:
    """A data set with relevancy; returns its paths."""
    paths = [f"{split}/room_{number}.hdf5" for number in range(scenes)]
    for number, path in enumerate(paths):
        scene = toy_scene(number, **options)
        write_scene(folder / path, scene)
        write_relevancy(folder / path, "rgb", "ours", toy_record(scene, number))
    write_splits(folder, {split: paths})
    return paths


def write_toy_data(folder: Path) -> Path:
    """A data set with relevancy and text features; returns its folder."""
    write_toy_set(folder)
    names = ("mug", "red mug", "cabinet", "wall")
    write_text_features(folder, {n: np.full(6, i, np.float32) for i, n in enumerate(names)})
    return folder


def assert_same(one, other) -> None:
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name
            np.testing.assert_array_equal(a, b, err_msg=field.name)
        else:
            assert a == b, field.name
