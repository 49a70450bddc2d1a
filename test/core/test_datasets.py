"""Items of the data sets, by hand; the same in every process and epoch; batches."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from scene_toy import (
    NAMES,
    OUTSIDE,
    RED_MUG,
    SMALL,
    WALL,
    toy_record,
    toy_scene,
    write_toy_data,
    write_toy_set,
)

from semabs_core.data.datasets import CompletionDataset, LocalizationDataset, collate
from semabs_core.data.hdf5 import SceneFileError, write_relevancy, write_scene
from semabs_core.data.splits import write_splits
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network

KINDS = [
    (CompletionDataset, "semantic_abstraction"),
    (CompletionDataset, "semantic_aware"),
    (LocalizationDataset, "semantic_abstraction"),
    (LocalizationDataset, "semantic_aware"),
    (LocalizationDataset, "clip_spatial"),
]


@pytest.fixture
def folder(tmp_path):
    return write_toy_data(tmp_path)


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if dataclasses.is_dataclass(one):
        return same(vars(one), vars(other))
    return one == other


# Items


def test_a_completion_item(folder):
    dataset = CompletionDataset(folder, "train", **SMALL, num_labels=2)
    item = dataset[0]
    scene, record = toy_scene(0), toy_record(toy_scene(0), 0)
    assert item["scene_id"] == "train/room_0"
    assert item["input_xyz"].shape == (200, 3)
    assert item["input_features"].shape == (2, 200, 1)
    assert item["query_xyz"].shape == (2, 300, 3)
    assert item["targets"].dtype == torch.float32
    assert set(item["names"]) < {"wall", "cabinet", "red mug"}
    row = record.labels.index(item["names"][0])
    torch.testing.assert_close(item["label_features"][0], torch.from_numpy(record.features[row]))
    stored = {tuple(p): i for p, i in zip(scene.full_xyz_pts[0], scene.full_objid_pts[0])}
    for number, name in enumerate(item["names"]):
        ids = np.array([stored[tuple(p)] for p in item["query_xyz"][number].numpy()])
        expected = ids == NAMES.index(next(n for n in NAMES if n.startswith(f"{name}[")))
        np.testing.assert_array_equal(item["targets"][number].bool().numpy(), expected)


def test_relevancy_is_centred_and_scaled(tmp_path):
    write_toy_set(tmp_path, scenes=1)
    record = toy_record(toy_scene())
    flat = np.ones_like(record.maps) * np.arange(1, 7, dtype=np.float32)[:, None, None]
    record = dataclasses.replace(record, maps=flat, mean=np.full((8, 8), 0.5, np.float32))
    write_relevancy(tmp_path / "train/room_0.hdf5", "rgb", "ours", record)
    item = CompletionDataset(tmp_path, "train", full=True, **SMALL)[0]
    for name, features in zip(item["names"], item["input_features"], strict=True):
        value = 50 * (record.labels.index(name) + 1 - 0.5)
        torch.testing.assert_close(features, torch.full((200, 1), value), rtol=1e-5, atol=0)


def test_completion_ignores_what_is_out_of_view_or_room(folder):
    item = CompletionDataset(folder, "train", full=True, **SMALL)[0]
    scene = toy_scene(0)
    points, ids = scene.full_xyz_pts[0].astype(float), scene.full_objid_pts[0]
    depth = (points[:, 0] + 1.5) / 0.6
    u = 15.5 - 32 * points[:, 1] / 0.6 / depth
    v = 11.5 - 32 * (points[:, 2] - 0.8) / 0.6 / depth
    view = (depth > 0) & (abs(u - 15.5) < 16) & (abs(v - 11.5) < 12)
    expected = ~view | (ids == OUTSIDE)
    np.testing.assert_array_equal(item["ignore"].numpy(), np.tile(expected, (3, 1)))
    assert item["names"] == ["cabinet", "red mug", "wall"]
    np.testing.assert_array_equal(item["targets"][1].numpy(), ids == RED_MUG)
    assert item["query_xyz"].shape == (3, 3000, 3)


def test_localization_ignores_what_is_out_of_the_room_alone(folder):
    item = LocalizationDataset(folder, "train", full=True, **SMALL)[0]
    outside = toy_scene(0).full_objid_pts[0] == OUTSIDE
    np.testing.assert_array_equal(item["ignore"].numpy(), np.tile(outside, (2, 1)))
    assert item["relations"] == ["in", "on"]
    assert item["names"] == [("mug", "cabinet"), ("red mug", "cabinet")]


@pytest.mark.parametrize(
    ("approach", "keys"),
    [
        ("semantic_abstraction", ["target", "reference"]),
        ("semantic_aware", ["rgb"]),
        ("clip_spatial", ["description"]),
    ],
)
def test_localization_features_are_those_of_the_approach(folder, approach, keys):
    item = LocalizationDataset(folder, "train", approach, full=True, **SMALL)[0]
    assert list(item["features"]) == keys
    record = toy_record(toy_scene(0), 0)
    words = {
        "target": ["mug", "red mug"],
        "reference": ["cabinet", "cabinet"],
        "description": ["mug in a cabinet", "red mug on a cabinet"],
    }
    for key in keys:
        if key == "rgb":
            assert item["features"]["rgb"].shape == (1, 200, 3)
            assert item["target_features"][:, 0].tolist() == [0, 1]
            assert item["reference_features"][:, 0].tolist() == [2, 2]
            continue
        maps = record.maps[[record.labels.index(word) for word in words[key]]]
        low, high = 50 * (maps.min() - record.mean.max()), 50 * (maps.max() - record.mean.min())
        assert low <= item["features"][key].min() <= item["features"][key].max() <= high


@pytest.mark.parametrize("kind", [CompletionDataset, LocalizationDataset])
def test_masks_of_relevancy_with_colours(folder, kind):
    options = {"full": True, **SMALL}
    plain = kind(folder, "train", **options)[0]
    masked = kind(
        folder,
        "train",
        network_inputs=["rgb", "patch_masks"],
        patch_mask_cutoff=0.1,
        **options,
    )[0]
    rows = (
        [(plain["input_features"], masked["input_features"])]
        if kind is CompletionDataset
        else [(plain["features"][key], masked["features"][key]) for key in plain["features"]]
    )
    for relevancy, features in rows:
        assert features.shape == (*relevancy.shape[:2], 4)
        assert torch.equal(features[..., :1], (relevancy > 50 * 0.1).float())
        assert 0 < features[..., 0].mean() < 1
        assert torch.equal(features[0, :, 1:], features[1, :, 1:])
        assert 0 <= features[..., 1:].min() < features[..., 1:].max() <= 1


@pytest.mark.parametrize(("kind", "approach"), KINDS)
def test_a_tsdf_comes_with_the_scene(folder, kind, approach):
    own = "rgb" if approach == "semantic_aware" else "saliency"
    data = kind(
        folder,
        "train",
        approach,
        network_inputs=[own, "tsdf"],
        voxel_shape=(8, 12, 16),
        augment=True,
        **SMALL,
    )
    item = data[0]
    assert item["tsdf"].shape == (8, 12, 16)
    assert item["tsdf"].dtype == torch.float32
    assert item["tsdf"].min() >= -1
    assert item["tsdf"].max() == 1
    assert (item["tsdf"] < 0).any(), "no cell behind a surface"
    data.set_epoch(1)
    assert not torch.equal(data[0]["tsdf"], item["tsdf"]), "it must be augmented with the scene"
    batch = collate([item, data[1]])
    assert batch["tsdf"].shape == (2, 8, 12, 16)


@pytest.mark.parametrize(("kind", "approach"), KINDS)
def test_items_depend_on_seed_epoch_and_index_alone(folder, kind, approach):
    options = {**SMALL, "approach": approach, "augment": True, "num_labels": 1}
    one, other = (kind(folder, "train", seed=7, **options) for _ in range(2))
    first = [one[index] for index in range(3)]
    assert all(same(first[index], other[index]) for index in (2, 0, 1))
    one.set_epoch(1)
    assert not same(one[0], first[0])
    one.set_epoch(0)
    assert same(one[0], first[0])
    assert not same(kind(folder, "train", seed=8, **options)[0], first[0])


def test_worker_processes_change_nothing(folder):
    dataset = CompletionDataset(folder, "train", augment=True, **SMALL)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=1,
        num_workers=1,
        collate_fn=collate,
        multiprocessing_context="forkserver",
    )
    for index, batch in enumerate(loader):
        assert same(batch, collate([dataset[index]]))


def test_whole_scenes_are_the_same_in_every_epoch(folder):
    dataset = CompletionDataset(folder, "train", full=True, augment=True, **SMALL)
    first = dataset[1]
    dataset.set_epoch(5)
    assert same(dataset[1], first)


def test_synonyms_split(tmp_path):
    split = "unseen_instances_synonyms"
    write_toy_set(tmp_path, scenes=1, split=split)
    (tmp_path / "synonyms.json").write_text(json.dumps({"cabinet": "cupboard"}))
    scene = toy_scene()
    record = toy_record(scene)
    labels = [label.replace("cabinet", "cupboard") for label in record.labels]
    path = tmp_path / split / "room_0.hdf5"
    write_relevancy(path, "rgb", "ours", dataclasses.replace(record, labels=labels))
    item = CompletionDataset(tmp_path, split, full=True, **SMALL)[0]
    assert item["names"] == ["cupboard", "red mug", "wall"]
    item = LocalizationDataset(tmp_path, split, "clip_spatial", full=True, **SMALL)[0]
    assert item["names"] == [("mug", "cupboard"), ("red mug", "cupboard")]


def test_random_colours(tmp_path):
    write_toy_set(tmp_path, scenes=1, randomized=True)
    path = tmp_path / "train/room_0.hdf5"
    with pytest.raises(SceneFileError, match=r"no relevancy 'domain_randomized_rgb\|ours'"):
        CompletionDataset(tmp_path, "train", source="domain_randomized_rgb", **SMALL)
    write_relevancy(path, "domain_randomized_rgb", "ours", toy_record(toy_scene(), 9))
    options = {**SMALL, "approach": "semantic_aware", "full": True}
    plain, other = (
        CompletionDataset(tmp_path, "train", source=source, **options)[0]
        for source in ("rgb", "domain_randomized_rgb")
    )
    assert torch.equal(plain["input_xyz"], other["input_xyz"])
    assert not torch.equal(plain["input_features"], other["input_features"])
    assert not torch.equal(plain["label_features"], other["label_features"])
    mixed = CompletionDataset(
        tmp_path, "train", source="random", approach="semantic_aware", **SMALL
    )
    picked = set()
    for epoch in range(10):
        mixed.set_epoch(epoch)
        features = mixed[0]["label_features"][0]
        picked.add(bool((features == plain["label_features"]).all(dim=1).any()))
    assert picked == {True, False}


# Batches


@pytest.mark.parametrize(("kind", "approach"), KINDS)
def test_networks_read_batches_and_padding_is_ignored(folder, kind, approach):
    write_splits(folder, {"train": ["train/room_0.hdf5", "train/small.hdf5"]})
    few = dataclasses.replace(toy_scene(1, points=700), descriptions=toy_scene().descriptions[1:])
    few = dataclasses.replace(few, seg=np.where(few.seg == WALL, -1, few.seg))
    write_scene(folder / "train/small.hdf5", few)
    write_relevancy(folder / "train/small.hdf5", "rgb", "ours", toy_record(toy_scene(), 1))
    dataset = kind(folder, "train", approach, full=True, **SMALL)
    items = [dataset[0], dataset[1]]
    labels = [len(item["names"]) for item in items]
    assert labels[0] == labels[1] + 1
    batch = collate(items)
    assert batch["query_xyz"].shape == (2, labels[0], 3000, 3)
    assert batch["ignore"][1, :, 700:].all()
    assert batch["ignore"][1, -1].all()
    assert not batch["targets"][1, -1].any()
    assert batch["names"][1][-1] == ("[pad]" if kind is CompletionDataset else ("[pad]", "[pad]"))
    task = "completion" if kind is CompletionDataset else "localization"
    if task == "localization":
        assert batch["relations"] == [["in", "on"], ["on", "[pad]"]]
    network = build_network(
        NetworkConfig(
            task=task, approach=approach, voxel_shape=(8, 8, 8), channels=4, f_maps=4, groups=2,
            levels=2, hidden=8, pointing_dim=8, text_dim=dataset.text_dim,
        )
    )  # fmt: skip
    left_out = ("names", "scene_id", "targets", "ignore")
    logits = network(**{k: v for k, v in batch.items() if k not in left_out})
    assert logits.shape == batch["targets"].shape
    assert torch.isfinite(logits).all()
