import dataclasses
import json
import logging

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scene_toy import (
    BOUNDS,
    CABINET,
    CABINET_BOX,
    MUG,
    NAMES,
    OUTSIDE,
    RED_MUG,
    WALL,
    inside,
    toy_record,
    toy_scene,
    write_toy_set,
)

from semabs_core.data import items as items_module
from semabs_core.data.augment import random_transform, rotation
from semabs_core.data.datasets import CompletionDataset, LocalizationDataset, collate
from semabs_core.data.hdf5 import (
    SceneDescription,
    SceneFileError,
    read_scene,
    write_relevancy,
    write_scene,
)
from semabs_core.data.items import make_cloud, unseen_points
from semabs_core.data.labels import (
    PUBLISHED_SYNONYMS,
    completion_labels,
    description_target,
    is_word,
    read_synonyms,
    rename,
    scene_words,
    usable_descriptions,
)
from semabs_core.data.sampling import (
    balanced_order,
    balanced_queries,
    fixed_size_choice,
    query_weights,
)
from semabs_core.data.splits import write_splits
from semabs_core.data.text_features import write_text_features
from semabs_core.geometry import in_bounds
from semabs_core.network_config import RELATIONS, NetworkConfig
from semabs_core.networks import build_network
from semabs_core.relevancy import maps_at, points_of_image

SMALL = {"num_input_points": 200, "num_query_points": 300}
KINDS = [
    (CompletionDataset, "semantic_abstraction"),
    (CompletionDataset, "semantic_aware"),
    (LocalizationDataset, "semantic_abstraction"),
    (LocalizationDataset, "semantic_aware"),
    (LocalizationDataset, "clip_spatial"),
]


@pytest.fixture
def folder(tmp_path):
    write_toy_set(tmp_path)
    names = ("mug", "red mug", "cabinet", "wall")
    write_text_features(tmp_path, {n: np.full(6, i, np.float32) for i, n in enumerate(names)})
    return tmp_path


@pytest.fixture
def bare():
    return rename(toy_scene(), {})


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


# Sampling


def test_a_rare_label_gives_all_its_positives():
    positive = np.zeros(10_000, bool)
    positive[[3, 500, 9_999]] = True
    drawn = balanced_queries(positive, np.zeros_like(positive), 1000, np.random.default_rng(0))
    assert len(set(drawn)) == 1000
    assert positive[drawn].sum() == 3


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_positives_and_negatives_are_equally_likely(share):
    positive = np.arange(100_000) < share * 100_000
    ignore = np.arange(100_000) % 3 == 0
    drawn = balanced_queries(positive, ignore, 2000, np.random.default_rng(0))
    # Binomial(2000, 0.5) has a standard deviation of 22; drawing without replacement from 3,333
    # positives favours negatives by the draws already made, which is allowed for.
    assert abs(positive[drawn].sum() - 1000) < 200
    assert not ignore[drawn].any()


def test_the_draw_is_that_of_successive_weighted_draws():
    """Two of {+, -, -}: the positive comes with P = 1/2 + 1/2 * (1/2) / (3/4) = 5/6."""
    positive = np.array([True, False, False])
    rng = np.random.default_rng(0)
    hits = sum(
        0 in balanced_queries(positive, np.zeros(3, bool), 2, rng).tolist() for _ in range(4000)
    )
    assert hits / 4000 == pytest.approx(5 / 6, abs=0.02)


def test_ignored_points_only_fill_up():
    ignore = np.arange(100) >= 30
    positive = np.arange(100) % 2 == 0
    drawn = balanced_queries(positive, ignore, 50, np.random.default_rng(0))
    assert set(range(30)) <= set(drawn)
    assert len(set(drawn)) == 50


@pytest.mark.parametrize("value", [True, False])
def test_one_kind_alone_is_drawn_evenly(value):
    positive = np.full(1000, value)
    drawn = balanced_queries(positive, np.zeros(1000, bool), 500, np.random.default_rng(0))
    assert len(set(drawn)) == 500
    assert abs((drawn < 500).sum() - 250) < 50


def test_weighted_queries_stand_for_all_points():
    rng = np.random.default_rng(3)
    positive, ignore = rng.random(5000) < 0.02, rng.random(5000) < 0.1
    drawn = balanced_queries(positive, ignore, 400, rng)
    weights = query_weights(positive, ignore, drawn)
    assert weights[positive[drawn]].sum() == pytest.approx((positive & ~ignore).sum(), rel=1e-5)
    assert weights[~positive[drawn]].sum() == pytest.approx((~positive & ~ignore).sum(), rel=1e-5)
    assert not weights[ignore[drawn]].any()


def test_relations_are_balanced():
    relations = ["in"] + ["behind"] * 9
    rng = np.random.default_rng(0)
    first = [relations[balanced_order(relations, rng)[0]] for _ in range(2000)]
    assert first.count("in") / 2000 == pytest.approx(0.5, abs=0.04)
    assert sorted(balanced_order(relations, rng)) == list(range(10))


@pytest.mark.parametrize(("items", "distinct"), [(5, 5), (8, 8), (100, 8)])
def test_input_points_are_repeated_only_where_there_are_too_few(items, distinct):
    drawn = fixed_size_choice(items, 8, np.random.default_rng(0))
    assert len(drawn) == 8
    assert len(set(drawn)) == distinct


# Augmentation


def test_rotation_about_z_turns_x_to_y():
    turned = rotation(np.array([0, 0, np.pi / 2])) @ [1, 0, 0]
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(("task", "spread"), [("completion", 0.1), ("localization", 0.2)])
def test_augmentation_has_the_published_spread(task, spread):
    """The extent is 2, so shifts have a standard deviation of 0.1 or 0.2."""
    rng = np.random.default_rng(0)
    transforms = np.stack([random_transform(BOUNDS, task, rng) for _ in range(2000)])
    centre = np.append(BOUNDS.mean(axis=0), 1)
    shifts = (transforms @ centre)[:, :3] - centre[:3]
    np.testing.assert_allclose(shifts.std(axis=0), spread, rtol=0.06)
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=0.02)
    scales = np.linalg.norm(transforms[:, :3, :3], axis=1)
    assert scales.min() >= 1
    assert scales.max() <= 1.1
    np.testing.assert_allclose(scales.mean(axis=0), 1.05, atol=0.003)
    tilt = transforms[:, 2, 1] / scales[:, 1]
    assert 0.14 < np.abs(tilt).max() <= np.sin(0.15) + 1e-9


def test_input_and_query_points_move_together(bare, monkeypatch):
    picture = bare.rgb[0]
    T = random_transform(BOUNDS, "completion", np.random.default_rng(3))
    monkeypatch.setattr(items_module, "random_transform", lambda *_: T)
    still = make_cloud(bare, picture, 50_000, None, np.random.default_rng(0))
    moved = make_cloud(bare, picture, 50_000, "completion", np.random.default_rng(0))

    def apply(points):
        return points @ T[:3, :3].T + T[:3, 3]

    np.testing.assert_allclose(moved.query_xyz, apply(still.query_xyz), atol=1e-5)
    inside = in_bounds(
        moved.input_xyz, BOUNDS + [[1e-6], [-1e-6]]
    )  # others are moved to the border
    assert inside.mean() > 0.9
    back = (moved.input_xyz[inside] - T[:3, 3]) @ np.linalg.inv(T[:3, :3]).T
    assert (np.isclose(back[:, 0], 0.9, atol=1e-5) | np.isclose(back[:, 0], 0, atol=1e-5)).all()
    np.testing.assert_array_equal(moved.in_view, still.in_view)
    outside = ~in_bounds(apply(still.query_xyz), BOUNDS) | (bare.full_objid_pts[0] == OUTSIDE)
    assert (moved.outside != outside).sum() == 0


def test_a_sample_that_would_lose_all_its_points_stays_as_it_is(bare, monkeypatch):
    away = np.eye(4)
    away[0, 3] = 100
    monkeypatch.setattr(items_module, "random_transform", lambda *_: away)
    cloud = make_cloud(bare, bare.rgb[0], 50, "completion", np.random.default_rng(0))
    np.testing.assert_array_equal(cloud.query_xyz, bare.full_xyz_pts[0])
    assert in_bounds(cloud.input_xyz, BOUNDS).all()


# Points and maps


def test_input_points_lie_on_what_the_camera_saw(bare):
    cloud = make_cloud(bare, bare.rgb[0], 500, None, np.random.default_rng(0))
    xyz = cloud.input_xyz
    surface = np.isclose(xyz[:, 0], 0.9, atol=1e-5) | np.isclose(xyz[:, 0], 0.0, atol=1e-5)
    assert surface.all()
    # The first pixel has no reading; it is the leftmost and topmost: y and z at their largest.
    assert not ((xyz[:, 1] > 1.15) & (xyz[:, 2] > 1.65)).any()
    column = np.rint((cloud.uv[:, 0] + 1) * 16 - 0.5).astype(int)
    row = np.rint((cloud.uv[:, 1] + 1) * 12 - 0.5).astype(int)
    np.testing.assert_array_equal(cloud.colors, bare.rgb[0][row, column] / np.float32(255))
    near = bare.depth[0][row, column] < 3
    np.testing.assert_array_equal(near, np.isclose(xyz[:, 0], 0, atol=1e-5))


def test_a_reflected_pose_is_applied_as_it_is(bare):
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    mirrored = dataclasses.replace(
        bare, cam_pose=mirror @ bare.cam_pose, full_xyz_pts=bare.full_xyz_pts * [1, -1, 1]
    )
    one = make_cloud(bare, bare.rgb[0], 300, None, np.random.default_rng(0))
    other = make_cloud(mirrored, bare.rgb[0], 300, None, np.random.default_rng(0))
    np.testing.assert_allclose(other.input_xyz, one.input_xyz * [1, -1, 1], atol=1e-6)
    np.testing.assert_array_equal(one.in_view, other.in_view)


def test_maps_are_enlarged_as_interpolate_does():
    maps = np.random.default_rng(0).random((3, 5, 4), dtype=np.float32)
    height, width = 23, 31
    large = F.interpolate(
        torch.from_numpy(maps)[None], size=(height, width), mode="bilinear", align_corners=False
    )[0]
    points = points_of_image(np.arange(height * width), (height, width))
    torch.testing.assert_close(maps_at(maps, points), large.flatten(1), atol=1e-5, rtol=0)


# Labels


def test_labels_are_visible_and_in_the_view(bare):
    everywhere = np.ones(3000, bool)
    assert completion_labels(bare, 0, everywhere) == ["cabinet", "red mug", "wall"]
    without = bare.full_objid_pts[0] != RED_MUG
    assert completion_labels(bare, 0, without) == ["cabinet", "wall"]


def test_a_word_is_no_part_of_another(bare):
    red = is_word(bare.objid_to_class, bare.full_objid_pts[0], ("red mug",))
    np.testing.assert_array_equal(red, bare.full_objid_pts[0] == RED_MUG)
    assert is_word(NAMES, np.array([-1, 0]), ("empty[0]",)).tolist() == [False, True]


def test_words_of_a_scene(bare):
    sentences = ["mug in a cabinet", "red mug on a cabinet"]
    assert scene_words(bare) == sorted(["cabinet", "mug", "red mug", "wall", *sentences])
    renamed = scene_words(rename(toy_scene(), {"cabinet": "cupboard"}))
    assert "red mug on a cupboard" in renamed
    assert "cabinet" not in renamed


def unseen(scene):
    return unseen_points(scene, make_cloud(scene, scene.rgb[0], 50, None, np.random.default_rng(0)))


def test_a_visible_target_is_its_own_points(bare):
    target = description_target(bare, 0, bare.descriptions[1], unseen(bare))
    np.testing.assert_array_equal(target, bare.full_objid_pts[0] == RED_MUG)


def test_a_hidden_target_may_be_anywhere_in_the_container(bare):
    points, ids = bare.full_xyz_pts[0], bare.full_objid_pts[0]
    target = description_target(bare, 0, bare.descriptions[0], unseen(bare))
    cavity = inside(points, CABINET_BOX) & (ids == 0)
    assert target[ids == MUG].all()
    assert target[cavity].mean() > 0.95  # the sample's bounding box is a little smaller
    assert not target[ids == CABINET].any()
    assert not target[~inside(points, CABINET_BOX)].any()


def test_a_hidden_target_behind_is_the_unseen_empty_space(bare):
    hidden = SceneDescription("mug", MUG, "cabinet", "behind")
    points, ids = bare.full_xyz_pts[0], bare.full_objid_pts[0]
    target = description_target(bare, 0, hidden, unseen(bare))
    region = target & (ids != MUG)
    assert region.sum() > 10
    assert (ids[region] == 0).all()
    # In the cabinet's shadow, within reach: at most 2 * 0.6, clamped to 1.0, from its centre.
    centre = CABINET_BOX.mean(axis=0)
    offset = points[region] - centre
    distance = np.linalg.norm(offset, axis=1)
    assert distance.max() <= 1.01
    assert (offset[:, 0] > 0.59 * distance).all()
    in_front = points[:, 0] < 0
    assert not target[in_front].any()


def test_a_hidden_target_on_a_support_is_in_the_layer_above_it(bare):
    hidden = dataclasses.replace(bare, seg=np.where(bare.seg == RED_MUG, WALL, bare.seg))
    target = description_target(hidden, 0, hidden.descriptions[1], np.ones(3000, bool))
    points, ids = hidden.full_xyz_pts[0], hidden.full_objid_pts[0]
    region = points[target & (ids != RED_MUG)]
    assert target[ids == RED_MUG].all()
    assert len(region)
    assert region[:, 2].min() > 0.79
    assert region[:, 2].max() < 0.96
    assert inside(region[:, :2], CABINET_BOX[:, :2] + [[-0.01], [0.01]]).all()
    assert set(ids[target]) == {0, RED_MUG}


def test_left_and_right_need_a_visible_target(bare):
    hidden = SceneDescription("mug", MUG, "cabinet", "on the left of")
    target = description_target(bare, 0, hidden, unseen(bare))
    np.testing.assert_array_equal(target, bare.full_objid_pts[0] == MUG)


def test_synonyms_come_from_the_folder_or_are_the_published_ones(tmp_path):
    assert read_synonyms(tmp_path) == PUBLISHED_SYNONYMS
    (tmp_path / "synonyms.json").write_text(json.dumps({"cabinet": "cupboard"}))
    assert read_synonyms(tmp_path) == {"cabinet": "cupboard"}
    (tmp_path / "synonyms.json").write_text("[1")
    with pytest.raises(SceneFileError, match=r"synonyms\.json is damaged"):
        read_synonyms(tmp_path)


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


# Faults


def test_a_truncated_file_is_reported_and_skipped(folder, caplog):
    path = folder / "train/room_1.hdf5"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        dataset = CompletionDataset(folder, "train", **SMALL)
    assert dataset.skipped == 1
    assert list(dataset.faults) == ["train/room_1.hdf5"]
    assert "left out scene 1: " in caplog.text
    assert str(path) in caplog.text
    assert [dataset[index]["scene_id"] for index in range(len(dataset))] == [
        "train/room_0",
        "train/room_2",
    ]


def break_depth(path) -> None:
    with h5py.File(path) as archive:
        offset = archive["depth"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = bytes(20)
    path.write_bytes(content)


@pytest.mark.parametrize("kind", [CompletionDataset, LocalizationDataset])
def test_damage_found_later_ends_no_run(folder, kind):
    dataset = kind(folder, "train", **SMALL)
    break_depth(folder / "train/room_1.hdf5")
    assert dataset.skipped == 0
    assert dataset[1]["scene_id"] == "train/room_2"
    assert dataset[1]["scene_id"] == "train/room_2"
    assert dataset.skipped == 1
    whole = kind(folder, "train", full=True, **SMALL)
    item = whole[1]
    assert item["scene_id"] == "train/room_1"
    assert item["names"] == []
    batch = collate([item])
    assert batch["ignore"].all()
    assert batch["query_xyz"].shape == (1, 1, 1, 3)
    assert batch["names"][0][0] in ("[pad]", ("[pad]", "[pad]"))


@pytest.mark.parametrize(
    "change",
    [
        {"cam_pose": np.zeros((4, 4))},
        {"cam_intr": np.eye(3) * [-1, 1, 1]},
        {"depth": np.zeros((1, 24, 32), np.float32)},
        {"seg": np.full((1, 24, 32), -1, np.int32)},
    ],
)
def test_a_scene_that_cannot_be_used_is_replaced(folder, change):
    path = folder / "train/room_0.hdf5"
    scene = dataclasses.replace(toy_scene(0), **change)
    write_scene(path, scene)
    write_relevancy(path, "rgb", "ours", toy_record(scene))
    dataset = CompletionDataset(folder, "train", **SMALL)
    assert dataset[0]["scene_id"] == "train/room_1"
    assert str(path) in dataset.faults["train/room_0.hdf5"]


def test_a_set_of_no_use_is_refused(folder, caplog):
    for number in range(3):
        break_depth(folder / f"train/room_{number}.hdf5")
    with pytest.raises(SceneFileError, match="no scene of split 'train'"):
        CompletionDataset(folder, "train", **SMALL)[0]
    with pytest.raises(SceneFileError, match="has no split 'test', but train"):
        CompletionDataset(folder, "test", **SMALL)
    caplog.clear()
    with pytest.raises(SceneFileError, match=r"of no use: .*no relevancy 'rgb\|fast'"):
        CompletionDataset(folder, "train", preset="fast", **SMALL)
    assert not caplog.records, "the error says it once"
    (folder / "text_features.npz").unlink()
    with pytest.raises(SceneFileError, match=r"no .*text_features\.npz; `semabs data relevancy`"):
        LocalizationDataset(folder, "train", "semantic_aware", **SMALL)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (CompletionDataset, {"approach": "clip_spatial"}, "approach must be one of"),
        (CompletionDataset, {"source": "depth"}, "source must be one of"),
        (
            CompletionDataset,
            {"network_inputs": ["depth"]},
            "network_inputs of semantic_abstraction must be saliency or patch_masks, .*; got depth",
        ),
        (
            LocalizationDataset,
            {"approach": "semantic_aware", "network_inputs": ["saliency"]},
            "network_inputs of semantic_aware must be rgb, and perhaps tsdf; got saliency",
        ),
        (LocalizationDataset, {"num_labels": 0}, "must be at least 1, got"),
    ],
)
def test_wrong_options_are_refused(folder, kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(folder, "train", **options)


def test_sentences_that_synonyms_made_the_same_are_asked_once_or_not_at_all():
    first = SceneDescription("mug", 6, "computer", "behind")
    same = SceneDescription("mug", 6, "computer", "behind")  # laptop and desktop were two
    others = [SceneDescription("computer", number, "table", "on") for number in (4, 5)]
    left, under = (SceneDescription("mug", 6, "table", name) for name in ("on", "under"))
    scene = dataclasses.replace(toy_scene(), descriptions=[first, same, *others, left, under])
    assert usable_descriptions(scene, RELATIONS) == [first, left]


def test_scenes_without_descriptions_are_not_localized(folder):
    path = folder / "train/room_2.hdf5"
    write_scene(path, dataclasses.replace(read_scene(path), descriptions=[]))
    write_relevancy(path, "rgb", "ours", toy_record(toy_scene()))
    dataset = LocalizationDataset(folder, "train", **SMALL)
    assert len(dataset) == 2
    assert dataset.skipped == 0


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
