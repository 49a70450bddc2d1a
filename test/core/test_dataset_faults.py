"""Data sets with damaged or useless scenes, and options that are wrong."""

import dataclasses
import logging

import h5py
import numpy as np
import pytest
from scene_toy import SMALL, toy_record, toy_scene, write_toy_data

from semabs_core.data.datasets import CompletionDataset, LocalizationDataset, collate
from semabs_core.data.hdf5 import SceneFileError, read_scene, write_relevancy, write_scene


@pytest.fixture
def folder(tmp_path):
    return write_toy_data(tmp_path)


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


def test_scenes_without_descriptions_are_not_localized(folder):
    path = folder / "train/room_2.hdf5"
    write_scene(path, dataclasses.replace(read_scene(path), descriptions=[]))
    write_relevancy(path, "rgb", "ours", toy_record(toy_scene()))
    dataset = LocalizationDataset(folder, "train", **SMALL)
    assert len(dataset) == 2
    assert dataset.skipped == 0
