"""Training as processes: two equal one with the doubled batch; a killed one can be resumed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_toy import toy_data

from semabs_core.checkpoint import load_network
from semabs_core.config import save_config
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import NETWORKS
from semabs_core.training import TrainingConfig, train
from semabs_core.training.config import DataConfig, OptimizationConfig

PROGRAM = Path(__file__).with_name("training_toy.py")
DEADLINE_S = 120


def toy_config(task, approach, **options):
    """Three epochs over five scenes."""
    network = NetworkConfig(
        task=task,
        approach=approach,
        voxel_shape=(8, 8, 8),
        channels=4,
        f_maps=4,
        levels=2,
        hidden=16,
        pointing_dim=8,
    )
    return TrainingConfig(
        network=network,
        data=DataConfig(num_input_points=100, num_query_points=60),
        optimization=OptimizationConfig(epochs=3, learning_rate=0.01, **options),
        device="cpu",
        workers=0,
        log_every_steps=1,
        save_every_steps=2,
    )


def run(config, out, *launcher, resume=False, **environment):
    """Train in a process of its own; its exit status."""
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.with_suffix(".yaml")
    save_config(replace(config, out=str(out), resume=resume), file)
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, *launcher, str(PROGRAM), str(file)]
    done = subprocess.run(
        command, env=variables, timeout=DEADLINE_S, capture_output=True, text=True
    )
    return done.returncode, done.stderr


def run_here(config, out):
    """The same in this process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    config = replace(config, out=str(out))
    train(config, toy_data(config, validate=True, scenes=5, padding=True))
    torch.set_num_threads(before)


def losses(out):
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    return {entry.step: entry.value for entry in events.Scalars("train/loss")}


@pytest.mark.parametrize(
    ("pair", "labels_per_pass"),
    [(("completion", "semantic_abstraction"), 3), (("localization", "semantic_aware"), 0)],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else f"{value} per pass",
)
def test_two_processes_equal_one_with_the_doubled_batch(pair, labels_per_pass, tmp_path):
    assert pair in NETWORKS
    options = {"labels_per_pass": labels_per_pass}
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    status, message = run(toy_config(*pair, **options), tmp_path / "two", *torchrun)
    assert status == 0, message
    run_here(toy_config(*pair, batch_size=2), tmp_path / "one")
    alone, shared = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert list(shared) == list(alone) == list(range(1, 10))
    assert list(shared.values()) == pytest.approx(list(alone.values()), rel=1e-5)
    one, two = load_network(tmp_path / "one"), load_network(tmp_path / "two")
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value, atol=1e-4, rtol=1e-3)
    assert two.metadata["validation_iou"] == pytest.approx(one.metadata["validation_iou"], abs=1e-2)


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    config = toy_config("localization", "semantic_abstraction")
    run_here(config, tmp_path / "whole")
    # It dies reading the last of the second epoch's five scenes: nine steps are done, eight saved.
    status, _ = run(config, tmp_path / "cut", TOY_KILL="1,5")
    assert status == -9
    state = torch.load(tmp_path / "cut/training_state.pt", weights_only=True)
    assert state["step"] == 8
    status, message = run(config, tmp_path / "cut", resume=True)
    assert status == 0, message
    whole, resumed = load_network(tmp_path / "whole"), load_network(tmp_path / "cut")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    assert resumed.metadata == whole.metadata
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
