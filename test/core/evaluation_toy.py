"""A tiny network, items, and rooms that hold a book, a box and a mug: to evaluate in tests."""

import json

import numpy as np
import torch

from semabs_core.checkpoint import save_network
from semabs_core.data.hdf5 import (
    RelevancyRecord,
    SceneData,
    SceneDescription,
    write_relevancy,
    write_scene,
)
from semabs_core.data.labels import NOVEL_CLASSES_FILE
from semabs_core.data.splits import write_splits
from semabs_core.data.text_features import write_text_features
from semabs_core.evaluation.scene import EvaluationOptions
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network

WIDTH = 8
WORDS = ("book", "box", "mug")
SENTENCES = (("book", "in", "box"), ("mug", "on", "box"), ("book", "behind", "mug"))
SPLITS = {
    "train": ["a.hdf5"],
    "validation": ["a.hdf5", "b.hdf5"],
    "unseen_instances": ["c.hdf5"],
    "unseen_instances_dr": ["c.hdf5"],
    "unseen_instances_synonyms": ["b.hdf5", "c.hdf5"],
}
OPTIONS = EvaluationOptions(grids=(8, 32), query_batch=100)
SMALL = {"num_input_points": 50, "options": OPTIONS, "device": "cpu"}


def tiny_network(task="completion", approach="semantic_abstraction"):
    torch.manual_seed(0)
    config = NetworkConfig(
        task=task, approach=approach, voxel_shape=(8, 8, 8), channels=4, f_maps=4, groups=2,
        levels=2, hidden=8, pointing_dim=8, text_dim=WIDTH,
    )  # fmt: skip
    return build_network(config).eval().requires_grad_(False)


def random_item(task, approach, points=60, queries=70):
    """An item of the form of the data sets."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.rand(*shape, generator=generator)

    count = len(SENTENCES)
    item = {
        "scene_id": "room1",
        "input_xyz": random(points, 3) * 2 - 1,
        "query_xyz": (random(queries, 3) * 2 - 1).expand(count, -1, -1),
        "targets": (random(count, queries) < 0.3).float(),
        "ignore": random(count, queries) < 0.1,
    }
    rgb = approach == "semantic_aware"
    maps = dict(zip(WORDS, random(len(WORDS), points, 1), strict=True))
    if task == "completion":
        features = random(1, points, 3) if rgb else torch.stack(list(maps.values()))
        text = random(count, WIDTH)
        return {**item, "input_features": features, "label_features": text, "names": list(WORDS)}
    features = {
        "semantic_aware": {"rgb": random(1, points, 3)},
        "clip_spatial": {"description": random(count, points, 1)},
        "semantic_abstraction": {
            "target": torch.stack([maps[target] for target, _, _ in SENTENCES]),
            "reference": torch.stack([maps[reference] for _, _, reference in SENTENCES]),
        },
    }
    return {
        **item,
        "features": features[approach],
        "names": [(target, reference) for target, _, reference in SENTENCES],
        "relations": [relation for _, relation, _ in SENTENCES],
        "target_features": random(count, WIDTH),
        "reference_features": random(count, WIDTH),
    }


def forward(network, item):
    """The network's logits for a whole item at once."""
    keys = ("input_xyz", "query_xyz") + {
        "completion": ("input_features", "label_features"),
        "localization": ("target_features", "reference_features"),
    }[network.config.task]
    arguments = {key: item[key][None] for key in keys}
    if network.config.task == "localization":
        arguments["features"] = {key: value[None] for key, value in item["features"].items()}
        arguments["relations"] = [item["relations"]]
    return network(**arguments)[0]


def write_room(file, seed):
    """A scene whose image and points hold a book, a box and a mug at random places."""
    rng = np.random.default_rng(seed)
    names = ["empty[0]", "out of bounds[1]", "book[2]", "box[3]", "mug[4]"]
    height, width, points = 12, 16, 300
    pose = np.eye(4)
    pose[:3, :3] = 0.6 * np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    pose[:3, 3] = -1.5, 0, 0.8
    scene = SceneData(
        rgb=rng.integers(0, 255, (1, height, width, 3), np.uint8),
        depth=rng.uniform(2, 4, (1, height, width)).astype(np.float32),
        seg=rng.integers(2, 5, (1, height, width), np.int32),
        cam_intr=np.array([[12.0, 0, 7.5], [0, 12, 5.5], [0, 0, 1]]),
        cam_pose=pose,
        scene_bounds=np.array([[-1, -1, -0.1], [1, 1, 1.9]]),
        objid_to_class=names,
        full_xyz_pts=rng.uniform([-1, -1, -0.1], [1, 1, 1.9], (1, points, 3)).astype(np.float32),
        full_objid_pts=rng.integers(0, 5, (1, points), np.int32),
        descriptions=[
            SceneDescription(target, WORDS.index(target) + 2, reference, relation)
            for target, relation, reference in SENTENCES
        ],
    )
    write_scene(file, scene)
    sentences = [d.sentence for d in scene.descriptions]
    words = [*WORDS, "cup", *sentences, *(s.replace("mug", "cup") for s in sentences)]
    words = sorted(set(words))
    record = RelevancyRecord(
        labels=words,
        maps=rng.random((len(words), 6, 8)).astype(np.float32),
        mean=rng.random((6, 8)).astype(np.float32),
        features=rng.normal(size=(len(words), WIDTH)).astype(np.float32),
    )
    write_relevancy(file, "rgb", "ours", record)


def write_data(folder):
    """Three rooms and a broken one, with splits, synonyms and novel classes."""
    for seed, name in enumerate("abc"):
        write_room(folder / f"{name}.hdf5", seed)
    (folder / "broken.hdf5").write_bytes((folder / "a.hdf5").read_bytes()[:3000])
    splits = {**SPLITS, "validation": [*SPLITS["validation"], "broken.hdf5"]}
    write_splits(folder, splits)
    write_text_features(folder, {word: np.full(WIDTH, 0.1, np.float32) for word in [*WORDS, "cup"]})
    (folder / "synonyms.json").write_text(json.dumps({"mug": "cup"}))
    (folder / NOVEL_CLASSES_FILE).write_text(json.dumps(["book"]))
    return folder


def checkpoint(folder, task="completion", approach="semantic_abstraction"):
    save_network(tiny_network(task, approach), folder, {"preset": "ours", "epoch": 2.5})
    return folder
