"""Runs that are killed between the files of a save, and go on to the weights of an undisturbed one.

``benchmarks/kill_training.py`` kills at random moments instead.
"""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from encoder_toy import configure, write_colored_rooms
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_toy import toy_config

from semabs_core.config import save_config

DEADLINE_S = 600


@pytest.fixture(scope="module")
def start():
    """Runs a config, to the end or to a kill, in a new process; returns its exit code."""
    command = [sys.executable, str(Path(__file__).with_name("training_forks.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as server:

        def start(kind, config, target="", count=0):
            file = f"{config.out}.yaml"
            save_config(config, file)
            server.stdin.write(json.dumps([kind, file, target, count]) + "\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        yield start
        server.stdin.close()
        server.wait(DEADLINE_S)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return write_colored_rooms(tmp_path_factory.mktemp("rooms"))


def network_config(out, rooms):
    return toy_config(out, "localization", save_every_steps=2)


def encoder_config(out, rooms):
    return configure(rooms, out, steps=4, save_every_steps=2)


CONFIGS = {"network": network_config, "encoder": encoder_config}
FILES = {
    "network": ("network.safetensors", "network.json", "best/network.safetensors"),
    "encoder": ("open_clip_model.safetensors", "open_clip_config.json"),
}


@pytest.fixture(scope="module")
def undisturbed(start, rooms, tmp_path_factory):
    """The files of runs that nobody kills, by kind and name."""
    found = {}
    for kind, names in FILES.items():
        out = tmp_path_factory.mktemp("whole") / "run"
        assert start(kind, CONFIGS[kind](out, rooms)) == 0
        found[kind] = {name: (out / name).read_bytes() for name in names}
        found[kind]["losses"] = losses(out)
    return found


def losses(out):
    """The losses in TensorBoard, by step: those after a kill take the place of those before."""
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    return {entry.step: entry.value for entry in events.Scalars("train/loss")}


@pytest.mark.parametrize(
    ("kind", "name", "count"),
    [
        ("network", "training_state.pt", 1),
        ("network", "best/network.json", 1),
        ("network", "training_state.pt", 3),
        ("network", "network.safetensors", 3),
        ("network", "network.json", 3),
        ("encoder", "training_state.pt", 2),
        ("encoder", "open_clip_model.safetensors", 2),
    ],
)
def test_killed_between_the_files_of_a_save(kind, name, count, start, undisturbed, rooms, tmp_path):
    config = CONFIGS[kind](tmp_path / "run", rooms)
    assert start(kind, config, str(tmp_path / "run" / name), count) == -signal.SIGKILL
    assert start(kind, dataclasses.replace(config, resume=True)) == 0
    for file in FILES[kind]:
        assert (tmp_path / "run" / file).read_bytes() == undisturbed[kind][file], file
    assert losses(tmp_path / "run") == undisturbed[kind]["losses"]
    assert not list(tmp_path.rglob("*.part"))
