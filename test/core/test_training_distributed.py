"""Training as processes: two equal one with the doubled batch."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_toy import toy_config, toy_data

from semabs_core.checkpoint import load_network
from semabs_core.config import save_config
from semabs_core.networks import NETWORKS
from semabs_core.training import train

PROGRAM = Path(__file__).with_name("training_toy.py")
DEADLINE_S = 600


def three_epochs(task, approach, **options):
    """Three epochs over five scenes."""
    return toy_config("", task, approach, epochs=3, learning_rate=0.01, **options)


def run(config, out, *launcher, **environment):
    """Train in a process of its own; its exit status."""
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.with_suffix(".yaml")
    save_config(replace(config, out=str(out)), file)
    variables = {**os.environ, **environment}
    command = [sys.executable, *launcher, str(PROGRAM), str(file)]
    done = subprocess.run(
        command, env=variables, timeout=DEADLINE_S, capture_output=True, text=True
    )
    return done.returncode, done.stderr


def run_here(config, out):
    """The same in this process."""
    config = replace(config, out=str(out))
    return train(config, toy_data(config, validate=True, scenes=5, padding=True))


def losses(out):
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    return {entry.step: entry.value for entry in events.Scalars("train/loss")}


def run_two(config, out, **environment):
    """Train in two processes, which find each other on a port that was free just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1")
    return run(config, out, *torchrun, f"--master-port={port}", **environment)


@pytest.mark.parametrize(
    ("pair", "labels_per_pass", "poisoned"),
    [
        (("completion", "semantic_abstraction"), 3, False),
        (("localization", "semantic_aware"), 0, True),
    ],
    ids=["completion, labels in passes", "localization, a step that all leave out"],
)
def test_two_processes_equal_one_with_the_doubled_batch(
    pair, labels_per_pass, poisoned, tmp_path, monkeypatch
):
    assert pair in NETWORKS
    poison = {"TOY_POISON": "1,2"} if poisoned else {}  # one process's scene in one step
    config = three_epochs(*pair, labels_per_pass=labels_per_pass)
    status, message = run_two(config, tmp_path / "two", **poison)
    assert status == 0, message
    for name, value in poison.items():
        monkeypatch.setenv(name, value)
    done = run_here(three_epochs(*pair, batch_size=2), tmp_path / "one")
    assert done.skipped == poisoned
    alone, shared = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert list(shared) == list(alone)
    assert len(alone) == 9 - poisoned
    # Processes add gradients up in another order, and the optimizer divides by their size: what
    # rounding leaves of a gradient near 0 can make a step of a learning rate, on some processors.
    assert list(shared.values()) == pytest.approx(list(alone.values()), rel=1e-2)
    first = next(iter(alone))
    assert shared[first] == pytest.approx(alone[first], rel=1e-5)
    one, two = load_network(tmp_path / "one"), load_network(tmp_path / "two")
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value, atol=1e-2, rtol=1e-2)
    assert two.metadata["validation_iou"] == pytest.approx(one.metadata["validation_iou"], abs=5e-2)
