"""Each of the five networks learns one scene by heart from ideal relevancy: IoU at 32^3 voxels.

A scene of simple solids is written as a data set of one scene, whose relevancy maps are the
ground-truth masks: of a name the visible pixels of its objects, of a sentence the pixels towards
its answer. The networks train on it through the same data sets and loop as on any other data.

``python -m benchmarks.overfit --help``
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import open3d as o3d
from rich.console import Console
from rich.table import Table

from semabs_core.data.analytic import ball, box, cylinder, room_view
from semabs_core.data.hdf5 import write_scene
from semabs_core.data.labels import description_target
from semabs_core.data.relevancy_records import write_relevancy
from semabs_core.data.scene_data import RelevancyRecord, SceneData, SceneDescription
from semabs_core.data.splits import write_splits
from semabs_core.data.text_features import write_text_features
from semabs_core.geometry import in_frustum, project, seen_free, transform_points
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import NETWORKS
from semabs_core.relevancy import RELEVANCY_GAIN
from semabs_core.training import TrainingConfig, train
from semabs_core.training.config import DataConfig, OptimizationConfig
from semabs_core.types import Camera
from semabs_core.visualize.meshes import Mesh
from semabs_core.visualize.render import cast

WANTED = {"completion": 0.9, "localization": 0.8}
SCALE = 0.6
T_SCENE_WORLD = np.diag([SCALE, SCALE, SCALE, 1.0])
T_SCENE_WORLD[:3, 3] = -1.5, 0.0, -0.1
"""The published frame: 0.6 units per metre, the camera 1.5 m high at (-1.5, 0, 0.8)."""
BOUNDS = np.array([[-1.0, -1.0, -0.1], [1.0, 1.0, 1.9]])
POINTS = 100_000
TEXT_DIM = 32
SCENE = "scene.hdf5"
LABELS = 6
WOOD, BLUE, RED, ORANGE, GREEN = (
    (0.55, 0.36, 0.2), (0.2, 0.35, 0.75), (0.8, 0.15, 0.12), (0.95, 0.45, 0.1), (0.35, 0.45, 0.3)
)  # fmt: skip


def objects() -> dict[str, list[Mesh]]:
    """Name to closed solids, world frame (x away from the viewer, y left, z up), metres."""
    legs = [box((x, y, 0.3), (0.1, 0.1, 0.6), WOOD) for x in (2.0, 2.6) for y in (-0.5, 0.5)]
    return {
        "table": [box((2.3, 0, 0.66), (0.8, 1.3, 0.12), WOOD), *legs],
        "box": [box((2.15, 0.25, 0.92), (0.3, 0.5, 0.4), BLUE)],
        "vase": [cylinder((2.52, 0.25, 0.87), 0.13, 0.3, RED)],
        "lamp": [
            cylinder((2.3, -0.4, 0.92), 0.06, 0.4, (0.2, 0.2, 0.2)),
            cylinder((2.3, -0.4, 1.22), 0.22, 0.3, (0.95, 0.85, 0.5)),
        ],
        "ball": [ball((1.8, -1.0, 0.25), 0.25, ORANGE)],
        "cabinet": [box((3.4, 1.0, 0.6), (0.6, 1.0, 1.2), GREEN)],
    }


SENTENCES = (
    ("box", "on", "table"),
    ("vase", "behind", "box"),
    ("lamp", "on the right of", "box"),
    ("ball", "in front of", "cabinet"),
    ("cabinet", "on the left of", "lamp"),
    ("ball", "on the right of", "table"),
)


def make_scene() -> SceneData:
    """The solids as the camera sees them, and the object at each of random points."""
    solids = objects()
    names, view = ["empty", *solids], room_view()
    parts = [(number, mesh) for number, name in enumerate(names[1:], 1) for mesh in solids[name]]
    mesh = Mesh.join([mesh for _, mesh in parts])
    owner = np.concatenate([np.full(len(mesh.triangles), number) for number, mesh in parts])
    hits = cast(mesh, view)
    seen = hits.triangle >= 0
    points = np.random.default_rng(0).uniform(*BOUNDS, (POINTS, 3)).astype(np.float32)
    world = transform_points(np.linalg.inv(T_SCENE_WORLD), points).astype(np.float32)
    ids = np.zeros(POINTS, np.int32)
    for number, solid in parts:
        caster = o3d.t.geometry.RaycastingScene()
        caster.add_triangles(
            o3d.core.Tensor(solid.vertices.astype(np.float32)),
            o3d.core.Tensor(solid.triangles.astype(np.uint32)),
        )
        ids[caster.compute_occupancy(o3d.core.Tensor(world)).numpy() > 0] = number
    colors = np.where(seen[..., None], mesh.colors[hits.triangle], 1.0)
    return SceneData(
        rgb=(255 * colors[None]).astype(np.uint8),
        depth=np.where(seen, hits.depth_m, 0)[None].astype(np.float32),
        seg=np.where(seen, owner[hits.triangle], -1)[None].astype(np.int32),
        cam_intr=view.camera.K,
        cam_pose=T_SCENE_WORLD @ view.T_world_camera,
        scene_bounds=BOUNDS,
        objid_to_class=[f"{name}[{number}]" for number, name in enumerate(names)],
        full_xyz_pts=points[None],
        full_objid_pts=ids[None],
        descriptions=[
            SceneDescription(target, names.index(target), reference, relation)
            for target, relation, reference in SENTENCES
        ],
    )


def ideal_relevancy(scene: SceneData) -> RelevancyRecord:
    """1 (after the gain) where a name's objects are seen and towards sentences' answers, else 0."""
    height, width = scene.depth.shape[1:]
    names = [name.split("[")[0] for name in scene.objid_to_class]
    maps = {name: scene.seg[0] == number for number, name in enumerate(names) if number}
    camera, points = Camera(scene.cam_intr, width, height), scene.full_xyz_pts[0]
    in_view = in_frustum(points, camera, scene.cam_pose)
    unseen = in_view & ~seen_free(points, scene.depth[0], camera, scene.cam_pose)
    bare = replace(scene, objid_to_class=names)
    for sentence in scene.descriptions:
        answer = points[description_target(bare, 0, sentence, unseen) & in_view]
        uv, _ = project(transform_points(np.linalg.inv(scene.cam_pose), answer), scene.cam_intr)
        u, v = uv.round().astype(int).T
        towards = np.zeros((height, width), np.uint8)
        towards[v.clip(0, height - 1), u.clip(0, width - 1)] = 1
        maps[sentence.sentence] = towards > 0
    stacked = np.stack(list(maps.values())).astype(np.float32) / RELEVANCY_GAIN
    features = np.random.default_rng(1).normal(size=(len(maps), TEXT_DIM)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return RelevancyRecord(list(maps), stacked, np.zeros_like(stacked[0]), features)


def write_data(folder: Path) -> None:
    """A data set whose training and validation scene are the same one."""
    scene = make_scene()
    record = ideal_relevancy(scene)
    write_scene(folder / SCENE, scene)
    write_relevancy(folder / SCENE, "rgb", "ours", record)
    write_splits(folder, {"train": [SCENE], "validation": [SCENE]})
    write_text_features(folder, dict(zip(record.labels, record.features)))


def learn(task: str, approach: str, data: Path, out: Path, options: argparse.Namespace) -> dict:
    """Train one network; what its checkpoint says about the validation."""
    network = NetworkConfig(
        task=task,
        approach=approach,
        voxel_shape=(options.voxels,) * 3,
        channels=16,
        f_maps=8,
        levels=3,
        hidden=64,
        pointing_dim=16,
    )
    config = TrainingConfig(
        out=str(out),
        network=network,
        data=DataConfig(
            folder=str(data),
            num_input_points=10_000,
            num_query_points=options.queries,
            num_labels=LABELS,
            augment=False,
        ),
        optimization=OptimizationConfig(
            epochs=options.steps, learning_rate=options.learning_rate, weight_decay=0.0
        ),
        device=options.device,
        workers=0,
        save_every_steps=options.steps,
        validate_every_epochs=options.steps,
    )
    train(config)
    return json.loads((out / "network.json").read_text())["metadata"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400, help="training steps per network")
    parser.add_argument("--voxels", type=int, default=32, help="cells per axis")
    parser.add_argument("--queries", type=int, default=12_000, help="query points per label")
    parser.add_argument("--learning-rate", type=float, default=0.015, help="at its peak")
    parser.add_argument("--device", default="auto", help="torch device")
    parser.add_argument("--only", nargs=2, metavar=("TASK", "APPROACH"), help="one network")
    options = parser.parse_args()
    pairs = [tuple(options.only)] if options.only else list(NETWORKS)
    table = Table("task", "approach", "IoU at 32^3", "wanted", "cutoff", "seconds")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write_data(data)
        for task, approach in pairs:
            start = time.perf_counter()
            found = learn(task, approach, data, Path(folder) / f"{task}_{approach}", options)
            table.add_row(
                task,
                approach,
                f"{found['validation_iou']:.3f}",
                f"> {WANTED[task]}",
                f"{found['cutoff']}",
                f"{time.perf_counter() - start:.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
