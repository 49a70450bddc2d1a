import dataclasses
import json
import logging
import shutil

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from scene_toy import toy_scene
from support import ENCODER

from semabs_core.data.datasets import CompletionDataset, LocalizationDataset
from semabs_core.data.hdf5 import (
    SceneFileError,
    read_relevancy,
    read_scene,
    relevancy_keys,
    write_scene,
)
from semabs_core.data.relevancy_settings import RelevancySettings, unlike_training
from semabs_core.data.relevancy_store import (
    STORED_SIZE,
    reduce_maps,
    scene_splits,
    store_relevancy,
)
from semabs_core.data.splits import write_splits
from semabs_core.data.text_features import read_text_features
from semabs_core.encoder import MODEL_WEIGHTS, load_encoder
from semabs_core.evaluation.pointing import pointing_rows
from semabs_core.relevancy import RelevancyExtractor
from semabs_core.tiling import PRESETS, Preset, tile_weights

VOCABULARY = ["door", "plant"]
PROMPTS = ["a {}."]
WORDS = ["cabinet", "mug", "mug in a cabinet", "red mug", "red mug on a cabinet", "wall"]


@pytest.fixture
def folder(tmp_path):
    for number in range(2):
        write_scene(tmp_path / f"room_{number}.hdf5", toy_scene(number, points=700))
    write_splits(tmp_path, {"train": ["room_0.hdf5", "room_1.hdf5"]})
    return tmp_path


def store(folder, encoder, **options):
    options = {"presets": ["chefer_et_al"], "prompts": PROMPTS} | options
    return dict(store_relevancy(folder, encoder, mean_vocabulary=VOCABULARY, **options))


def stored_bytes(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.hdf5"))}


def test_every_word_of_a_scene_is_stored(folder, encoder):
    assert store(folder, encoder) == {"written": 2, "kept": 0, "skipped": 0}
    record = read_relevancy(folder / "room_1.hdf5", "rgb", "chefer_et_al")
    assert record.labels == list(dict.fromkeys([*WORDS, *VOCABULARY]))
    assert record.maps.shape == (len(record.labels), STORED_SIZE, STORED_SIZE)
    extractor = RelevancyExtractor(encoder, "chefer_et_al")
    maps = extractor(toy_scene(1, points=700).rgb[0], [*WORDS, *VOCABULARY], PROMPTS)
    expected = reduce_maps(maps)
    # Stored with the digits of half precision.
    np.testing.assert_allclose(record.maps[:6], expected[:6], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(record.mean, expected[6:].mean(axis=0), rtol=1e-3, atol=1e-6)
    features = F.normalize(encoder.label_features(WORDS, PROMPTS), dim=-1)
    torch.testing.assert_close(torch.from_numpy(record.features[:6]), features)
    np.testing.assert_array_equal(read_scene(folder / "room_1.hdf5").rgb, toy_scene(1, 700).rgb)


def test_a_scene_is_stored_without_tiles_that_show_too_little(folder, encoder):
    scene = toy_scene(1, points=700)
    near = dataclasses.replace(scene, depth=scene.depth * 0.35 / scene.depth.max())
    write_scene(folder / "room_1.hdf5", near)
    assert store(folder, encoder, presets=["mosaic"])["written"] == 2
    extractor = RelevancyExtractor(encoder, "mosaic")
    weights = tile_weights(near.depth[0], near.cam_intr, PRESETS["mosaic"])
    assert not weights.all(), "else nothing is left out"
    stored = read_relevancy(folder / "room_1.hdf5", "rgb", "mosaic").maps[: len(WORDS)]
    few = reduce_maps(extractor(near.rgb[0], WORDS, PROMPTS, tile_weights=weights))
    np.testing.assert_allclose(stored, few, rtol=1e-3, atol=1e-6)
    assert np.abs(stored - reduce_maps(extractor(near.rgb[0], WORDS, PROMPTS))).max() > 1e-3


def test_the_stored_labels_end_with_the_mean(folder, encoder):
    store(folder, encoder)
    with h5py.File(folder / "room_0.hdf5") as archive:
        group = archive["data/saliencies"]
        assert group["rgb|chefer_et_al|saliency_text_labels"][-1] == b"mean"
        features = group["rgb|chefer_et_al|saliency_text_label_features"][()]
        labels = set(WORDS) | set(VOCABULARY)
        assert features.shape == (len(labels) + 1, encoder.embed_dim)
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)


def test_data_sets_can_be_read_afterwards(folder, encoder):
    store(folder, encoder)
    options = {"preset": "chefer_et_al", "num_input_points": 50, "num_query_points": 50}
    item = CompletionDataset(folder, "train", **options)[0]
    assert item["label_features"].shape[1] == encoder.embed_dim
    for approach in ("semantic_abstraction", "semantic_aware", "clip_spatial"):
        dataset = LocalizationDataset(folder, "train", approach, full=True, **options)
        assert dataset[0]["names"] == [("mug", "cabinet"), ("red mug", "cabinet")]
    assert dataset.skipped == 0


def test_raw_text_features_have_no_prompt(folder, encoder):
    store(folder, encoder)
    features = read_text_features(folder)
    assert sorted(features) == ["cabinet", "mug", "red mug", "wall"]
    raw = encoder.encode_text(["red mug"])[0].numpy()
    np.testing.assert_allclose(features["red mug"], raw, rtol=1e-4, atol=1e-5)


def test_what_is_there_is_kept(folder, encoder):
    assert store(folder, encoder, rank=0, world=2)["written"] == 1
    before = stored_bytes(folder)
    assert store(folder, encoder) == {"written": 1, "kept": 1, "skipped": 0}
    assert stored_bytes(folder)["room_0.hdf5"] == before["room_0.hdf5"]
    assert store(folder, encoder)["kept"] == 2
    assert store(folder, encoder, resume=False)["written"] == 2


def test_other_settings_or_words_make_it_anew(folder, encoder):
    store(folder, encoder)
    assert store(folder, encoder, prompts=["one {}."])["written"] == 2
    assert store(folder, encoder, prompts=["one {}."])["kept"] == 2
    path = folder / "room_0.hdf5"
    with h5py.File(path, "a") as archive:
        archive["data/descriptions/reference_obj_name"][:] = b"wall"
    assert store(folder, encoder, prompts=["one {}."])["written"] == 1
    labels = read_relevancy(path, "rgb", "chefer_et_al").labels
    assert "mug in a wall" in labels


def test_another_preset_is_added(folder, encoder, monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", Preset(((2, 3),), 0, False))
    store(folder, encoder)
    first = read_relevancy(folder / "room_0.hdf5", "rgb", "chefer_et_al")
    assert store(folder, encoder, presets=["chefer_et_al", "fast"])["written"] == 2
    keys = relevancy_keys(folder / "room_0.hdf5")
    assert sorted(keys) == [("rgb", "chefer_et_al"), ("rgb", "fast")]
    again = read_relevancy(folder / "room_0.hdf5", "rgb", "chefer_et_al")
    np.testing.assert_array_equal(first.maps, again.maps)


def test_processes_share_the_scenes(folder, encoder, monkeypatch):
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert store(folder, encoder) == {"written": 1, "kept": 0, "skipped": 0}
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert store(folder, encoder)["kept"] == 2


def test_random_colours_get_their_own(tmp_path, encoder):
    path = tmp_path / "room.hdf5"
    write_scene(path, toy_scene(0, points=700, randomized=True))
    write_splits(tmp_path, {"train": ["room.hdf5"]})
    store(tmp_path, encoder)
    assert relevancy_keys(path) == [("rgb", "chefer_et_al")]
    with pytest.raises(SceneFileError, match=r"--preset chefer_et_al --source domain_random"):
        read_relevancy(path, "domain_randomized_rgb", "chefer_et_al")
    write_splits(tmp_path, {"unseen_instances_dr": ["room.hdf5"]})
    assert store(tmp_path, encoder)["written"] == 1
    sources = ("rgb", "domain_randomized_rgb")
    assert store(tmp_path, encoder, sources=sources)["kept"] == 1
    with pytest.raises(ValueError, match=r"sources must be among rgb, .*, got \['depth'\]"):
        store(tmp_path, encoder, sources=["depth"])
    records = [read_relevancy(path, source, "chefer_et_al") for source in sources]
    assert records[0].labels == records[1].labels
    assert not np.array_equal(records[0].maps, records[1].maps)


def test_synonyms_are_words_of_their_split(folder, encoder):
    (folder / "synonyms.json").write_text(json.dumps({"cabinet": "cupboard"}))
    write_splits(folder, {"train": ["room_0.hdf5"], "unseen_instances_synonyms": ["room_1.hdf5"]})
    store(folder, encoder)
    plain, renamed = (
        read_relevancy(folder / f"room_{n}.hdf5", "rgb", "chefer_et_al").labels for n in (0, 1)
    )
    assert plain == [*WORDS, *VOCABULARY]
    assert "mug in a cupboard" in renamed
    assert not any("cabinet" in label for label in renamed)
    assert {"cabinet", "cupboard"} <= set(read_text_features(folder))
    write_splits(folder, {"unseen_instances": ["room_1.hdf5"]}, task="localization")
    assert scene_splits(folder)["room_1.hdf5"] == {"unseen_instances", "unseen_instances_synonyms"}
    store(folder, encoder)
    both = read_relevancy(folder / "room_1.hdf5", "rgb", "chefer_et_al").labels
    assert {"mug in a cabinet", "mug in a cupboard"} <= set(both)


def test_a_damaged_scene_is_named_and_skipped(folder, encoder, caplog):
    path = folder / "room_0.hdf5"
    path.write_bytes(path.read_bytes()[:5000])
    seen = []
    with caplog.at_level(logging.WARNING):
        counts = store(folder, encoder, on_scene=lambda *done: seen.append(done))
    assert counts == {"written": 1, "kept": 0, "skipped": 1}
    assert str(path) in caplog.text
    assert seen == [(1, 2), (2, 2)]


def opened(folder, dataset=CompletionDataset, split="train", **options):
    return dataset(folder, split, preset="chefer_et_al", num_input_points=50, **options)


def test_settings_say_how_it_was_made(folder, encoder):
    store(folder, encoder)
    for dataset in (opened(folder), opened(folder, LocalizationDataset, approach="semantic_aware")):
        assert dataclasses.asdict(dataset.settings) == {
            "encoder": encoder.name,
            "prompts": PROMPTS,
            "mean_vocabulary": VOCABULARY,
            "augmentations": None,
            "text_dim": encoder.embed_dim,
            "fingerprint": encoder.fingerprint,
        }
    with h5py.File(folder / "room_0.hdf5", "a") as archive:
        archive["data/saliencies/rgb|chefer_et_al"].attrs["settings"] = "{}"
    with pytest.raises(SceneFileError, match=r"room_0\.hdf5: the settings of its relevancy"):
        opened(folder)


def test_every_preset_has_settings_of_its_own(folder, encoder, monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", Preset(((2, 3),), 0, False))
    store(folder, encoder)
    store(folder, encoder, presets=["fast"], prompts=["one {}."])
    assert opened(folder).settings.prompts == PROMPTS
    fast = CompletionDataset(folder, "train", preset="fast", num_input_points=50)
    assert fast.settings.prompts == ["one {}."]


class Killed(BaseException):
    """Ends a process in the middle of its work."""


def killed(*progress):
    raise Killed


def test_an_interrupted_remake_is_noticed_and_carried_on_with(folder, encoder):
    store(folder, encoder)
    with pytest.raises(Killed):
        store(folder, encoder, prompts=["one {}."], on_scene=killed)
    message = r"mixture: .*room_1.hdf5, rgb \(1 such\) was made with other prompts than .*room_0"
    with pytest.raises(SceneFileError, match=message):
        opened(folder)
    with pytest.raises(SceneFileError, match="is a mixture"):
        pointing_rows(folder, ["train"], "chefer_et_al")
    assert store(folder, encoder, prompts=["one {}."]) == {"written": 1, "kept": 1, "skipped": 0}
    assert opened(folder).settings.prompts == ["one {}."]


def test_an_encoder_trained_again_in_its_folder_is_another(folder, encoder, tmp_path):
    copy = tmp_path / "encoder"
    shutil.copytree(ENCODER.removeprefix("local-dir:"), copy)
    first = load_encoder(f"local-dir:{copy}")
    store(folder, first)
    assert store(folder, load_encoder(f"local-dir:{copy}"))["kept"] == 2
    weights = safetensors.torch.load_file(copy / MODEL_WEIGHTS)
    weights["visual.proj"] *= 1.1
    safetensors.torch.save_file(weights, copy / MODEL_WEIGHTS)
    trained = load_encoder(f"local-dir:{copy}")
    assert trained.name == first.name
    with pytest.raises(Killed):
        store(folder, trained, on_scene=killed)
    with pytest.raises(SceneFileError, match="made with other fingerprint than"):
        opened(folder)
    assert store(folder, trained)["written"] == 1
    assert opened(folder).settings.fingerprint == trained.fingerprint


def test_relevancy_unlike_that_of_the_training_is_told():
    settings = RelevancySettings("e", ["a {}"], ["wall"], None, 6, "f1")
    same = {"encoder": "copy", "fingerprint": "f1", "prompts": ["a {}"], "preset": "ours"}
    assert unlike_training(same, settings) == []
    assert unlike_training({}, settings) == []
    assert unlike_training(same, None) == []
    other = {"encoder": "e", "fingerprint": "f2", "prompts": ["one {}"], "augmentations": 3}
    assert unlike_training(other, settings) == ["encoder", "prompts", "augmentations"]


def test_wrong_arguments_are_refused(folder, encoder):
    with pytest.raises(ValueError, match=r"presets must be among .*got \['best'\]"):
        store(folder, encoder, presets=["best"])
    with pytest.raises(ValueError, match="mean_vocabulary must not be empty"):
        store_relevancy(folder, encoder, mean_vocabulary=[])


def test_maps_are_reduced_by_nearest_exact():
    """256 to 128: the sample of cell i is at 2 i + 1."""
    ramp = np.tile(np.arange(256, dtype=np.float32), (1, 256, 1))
    np.testing.assert_array_equal(reduce_maps(ramp)[0, 0], np.arange(128) * 2 + 1)


def test_relevancy_of_several_encoders_lies_side_by_side(folder, encoder):
    store(folder, encoder)
    before = read_relevancy(folder / "room_0.hdf5", "rgb", "chefer_et_al")
    text = folder / "text_features.npz"
    text.write_bytes(b"of the encoder without a tag")
    assert store(folder, encoder, tag="other")["written"] == 2
    assert text.read_bytes() == b"of the encoder without a tag"
    text.unlink()
    assert store(folder, encoder, tag="other")["kept"] == 2
    other = read_relevancy(folder / "room_0.hdf5", "rgb", "chefer_et_al@other")
    np.testing.assert_array_equal(other.maps, before.maps)
    assert read_text_features(folder), "where there are none, they are made"
    with pytest.raises(ValueError, match="tag must be of letters"):
        store(folder, encoder, tag="a|b")
