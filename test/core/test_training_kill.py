"""Runs that are killed between the files of a save, and go on to the weights of an undisturbed one.

``benchmarks/kill_training.py`` kills at random moments instead.
"""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scene_toy import CABINET, RED_MUG, WALL, toy_scene
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_toy import toy_config

from semabs_core.config import save_config
from semabs_core.data.hdf5 import write_scene
from semabs_core.data.splits import write_splits
from semabs_core.training.encoder_config import parse_encoder_config

DEADLINE_S = 600
COLORS = {WALL: (200, 200, 190), CABINET: (120, 70, 30), RED_MUG: (220, 20, 20)}
SHAPE = {
    "embed_dim": 16, "image_size": 32, "width": 32, "layers": 2, "head_width": 16,
    "text_width": 16, "text_layers": 1,
}  # fmt: skip


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
    """Two rooms whose objects have colours of their own."""
    folder = tmp_path_factory.mktemp("rooms")
    for number in range(2):
        scene = toy_scene(number, points=700, randomized=True)
        rgb = np.zeros_like(scene.rgb)
        for name, color in COLORS.items():
            rgb[scene.seg == name] = color
        write_scene(folder / f"room_{number}.hdf5", dataclasses.replace(scene, rgb=rgb))
    write_splits(folder, {"unseen_instances": ["room_0.hdf5", "room_1.hdf5"]})
    return folder


def network_config(out, rooms):
    return toy_config(out, "localization", save_every_steps=2)


def encoder_config(out, rooms):
    values = {
        "out": str(out), "shape": SHAPE, "data": {"folder": str(rooms)}, "batch": 8, "workers": 0,
        "device": "cpu", "warmup_steps": 2, "sentences": 4, "steps": 4, "save_every_steps": 2,
        "log_every_steps": 1,
    }  # fmt: skip
    return parse_encoder_config(values)


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
