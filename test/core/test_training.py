"""Training: runs on scenes in memory and in files, what they save, and their options."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from scene_toy import toy_record, toy_scene, write_toy_set
from training_toy import toy_config, toy_data

from semabs_core.checkpoint import CheckpointError, load_network
from semabs_core.config import ConfigError, save_config
from semabs_core.data.relevancy_records import write_relevancies
from semabs_core.data.relevancy_settings import RelevancySettings
from semabs_core.data.splits import write_splits
from semabs_core.data.text_features import write_text_features
from semabs_core.networks import NETWORKS
from semabs_core.training import TrainingConfig, TrainingError, load_training_config, train
from semabs_core.training.config import DataConfig, parse_training_config
from semabs_core.training.distributed import Process

WORDS = ("wall", "cabinet", "mug", "red mug")


def weights_of(folder):
    return load_network(folder).state_dict()


@pytest.mark.parametrize("pair", NETWORKS, ids=" ".join)
def test_every_network_learns_and_is_saved(pair, tmp_path):
    config = toy_config(tmp_path, *pair, epochs=25, learning_rate=0.05)
    train(config, toy_data(config, validate=True))
    network = load_network(tmp_path)
    assert (network.config.task, network.config.approach) == pair
    assert network.config.text_dim == 6
    assert network.metadata["preset"] == "masks"
    assert network.metadata["step"] == 25
    assert -2.5 <= network.metadata["cutoff"] <= 2.5
    assert (
        network.metadata["validation_iou"]
        <= load_network(tmp_path / "best").metadata["validation_iou"]
    )
    assert load_training_config(tmp_path / "training.yaml").network == network.config
    losses = scalars(tmp_path, "train/loss")
    assert len(losses) == 25
    assert losses[-1] < 0.8 * losses[0]
    assert {"train/data_time_s", "train/step_time_s", "train/waiting"} <= tags(tmp_path)


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder / "tensorboard")).Reload()


def scalars(folder, tag):
    return [entry.value for entry in events(folder).Scalars(tag)]


def tags(folder):
    return set(events(folder).Tags()["scalars"])


def trained(folder, **options):
    config = toy_config(folder, **options)
    train(config, toy_data(config, scenes=3, padding=True))
    return weights_of(folder)


def test_accumulating_over_labels_equals_the_whole(tmp_path):
    whole = trained(tmp_path / "whole")
    parts = trained(tmp_path / "parts", labels_per_pass=1)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=1e-5, rtol=1e-4)


def test_workers_change_nothing(tmp_path):
    alone = trained(tmp_path / "alone")
    helped = trained(tmp_path / "helped", workers=2)
    assert all(torch.equal(helped[name], value) for name, value in alone.items())


def test_seed_decides_the_run(tmp_path):
    first, again = trained(tmp_path / "first", seed=1), trained(tmp_path / "again", seed=1)
    other = trained(tmp_path / "other", seed=2)
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert not all(torch.equal(other[name], value) for name, value in first.items())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_is_near_float32(precision, tmp_path):
    for name in ("fp32", precision):
        trained(tmp_path / name, precision=name, labels_per_pass=2)
    exact, rounded = (scalars(tmp_path / name, "train/loss") for name in ("fp32", precision))
    assert rounded != exact
    # bfloat16 has 8 binary digits, and each processor adds up in its own way.
    assert rounded[0] == pytest.approx(exact[0], rel=0.1)


def test_kept_epochs(tmp_path):
    config = replace(toy_config(tmp_path), keep_every_epochs=1)
    train(config, toy_data(config))
    assert load_network(tmp_path / "epoch_0001").metadata["epoch"] == 1
    assert load_network(tmp_path / "epoch_0002").metadata["epoch"] == 2


def test_a_finished_run_is_not_overwritten(tmp_path):
    before = trained(tmp_path)
    with pytest.raises(TrainingError, match="already holds a run; set resume"):
        trained(tmp_path)
    after = trained(tmp_path, resume=True)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_processes_must_find_the_same_state(tmp_path, monkeypatch):
    trained(tmp_path)
    monkeypatch.setattr(Process, "sum", lambda self, values: values + 4)
    with pytest.raises(TrainingError, match="process 0 is at step 6 and others are not"):
        trained(tmp_path, resume=True)


def test_damaged_state_is_named(tmp_path):
    trained(tmp_path)
    (tmp_path / "training_state.pt").write_bytes(b"no state")
    with pytest.raises(CheckpointError, match=r"training_state.pt is damaged"):
        trained(tmp_path, resume=True)


@pytest.mark.parametrize("pair", NETWORKS, ids=" ".join)
def test_scene_files_are_trained_on(pair, tmp_path):
    folder = tmp_path / "data"
    paths = write_toy_set(folder, scenes=2)
    write_splits(folder, {"train": paths, "validation": paths[:1]})
    settings = RelevancySettings("tiny", ["a {}"], ["wall", "door"], None, 6, "f1")
    for number, path in enumerate(paths):
        record = toy_record(toy_scene(number), number)
        write_relevancies(folder / path, {("rgb", "ours"): record}, settings)
    write_text_features(folder, {name: np.ones(6, np.float32) for name in WORDS}, settings)
    config = toy_config(tmp_path / "out", *pair)
    data = DataConfig(folder=str(folder), num_input_points=80, num_query_points=200)
    config = replace(config, data=data)
    train(config)
    network = load_network(tmp_path / "out")
    assert network.config.text_dim == 6
    assert network.metadata["preset"] == "ours"
    assert network.metadata["mean_vocabulary"] == ["wall", "door"]
    assert network.metadata["prompts"] == ["a {}"]
    assert network.metadata["fingerprint"] == "f1"
    assert "validation_iou" in network.metadata
    optimization = replace(config.optimization, overlap=1.0)
    train(replace(config, optimization=optimization, out=str(tmp_path / "overlap")))
    other = load_network(tmp_path / "overlap").state_dict()
    assert all(bool(value.isfinite().all()) for value in other.values())
    assert any(not torch.equal(value, other[key]) for key, value in network.state_dict().items())


def test_no_scene_and_no_folder_are_errors(tmp_path):
    with pytest.raises(TrainingError, match="no scene to train on"):
        train(toy_config(tmp_path), toy_data(toy_config(tmp_path), scenes=0))
    with pytest.raises(TrainingError, match="out must name a folder"):
        train(toy_config(""), toy_data(toy_config("")))


def test_config_round_trip(tmp_path):
    config = toy_config(tmp_path, "localization", "clip_spatial", labels_per_pass=2, seed=5)
    save_config(config, tmp_path / "run.yaml")
    assert load_training_config(tmp_path / "run.yaml") == config
    assert yaml.safe_load((tmp_path / "run.yaml").read_text())["network"]["levels"] == 2


def test_all_faults_of_a_config_are_reported():
    values = {"seed": -1, "optimization": {"epochs": 0, "speed": 3}}
    with pytest.raises(ConfigError, match=r"(?s)3 fault.*(epochs.*speed|speed.*epochs)"):
        parse_training_config(values)
    with pytest.raises(ConfigError, match="approach must be one of"):
        parse_training_config({"network": {"approach": "clip_spatial"}})


def test_published_hyperparameters_are_the_defaults():
    config = TrainingConfig()
    optimization = config.optimization
    assert (optimization.learning_rate, optimization.weight_decay) == (1e-3, 1e-5)
    assert (optimization.warmup_steps, optimization.gradient_clip) == (1024, 2.0)
    assert (optimization.epochs, config.data.num_labels) == (200, 4)
    assert json.loads(json.dumps(config.network.to_dict()))["voxel_shape"] == [128, 128, 128]


@pytest.mark.parametrize("method", ["lamb", "adamw"])
def test_the_average_of_the_weights_is_what_is_saved(method, tmp_path):
    """It begins with the weights of the first step; here it takes half of those of the second."""
    options = {"max_steps": 2, "method": method, "learning_rate": 1e-2}
    second = trained(tmp_path / "plain", **options)
    mean = trained(tmp_path / "averaged", averaging=0.5, **options)
    first = trained(tmp_path / "kept", averaging=0.999999, **options)
    assert not all(torch.equal(second[name], first[name]) for name in second)
    for name, value in mean.items():
        torch.testing.assert_close(value, (second[name] + first[name]) / 2, rtol=1e-3, atol=1e-5)


def test_a_run_starts_from_another_network(tmp_path):
    """Of the other task it takes the volume encoder; the first step has not moved far from it."""
    trained(tmp_path / "one", learning_rate=1e-2)
    start = {"start": str(tmp_path / "one"), "learning_rate": 1e-9, "max_steps": 1}
    before = weights_of(tmp_path / "one")
    same = trained(tmp_path / "same", **start)
    for name, value in same.items():
        torch.testing.assert_close(value, before[name], atol=1e-5, rtol=1e-4)
    config = toy_config(tmp_path / "other", "localization", **start)
    train(config, toy_data(config, scenes=2))
    other = weights_of(tmp_path / "other")
    shared = [name for name in other if name.startswith("encoder.")]
    assert shared
    for name in shared:
        torch.testing.assert_close(other[name], before[name], atol=1e-5, rtol=1e-4)


def test_a_start_of_other_sizes_is_refused(tmp_path):
    trained(tmp_path / "one")
    config = toy_config(tmp_path / "two", start=str(tmp_path / "one"))
    config = replace(config, network=replace(config.network, hidden=2 * config.network.hidden))
    with pytest.raises(TrainingError, match="one is a network of other sizes than network"):
        train(config, toy_data(config))
