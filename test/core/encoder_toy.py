"""Rooms to learn words from, and the config of a small encoder."""

import dataclasses

import numpy as np
from scene_toy import CABINET, RED_MUG, WALL, toy_scene

from semabs_core.data.hdf5 import write_scene
from semabs_core.data.splits import write_splits
from semabs_core.training.encoder_config import parse_encoder_config

SMALL = {
    "shape": {
        "embed_dim": 16,
        "image_size": 32,
        "width": 32,
        "layers": 2,
        "head_width": 16,
        "text_width": 16,
        "text_layers": 1,
    },
    "batch": 8,
    "workers": 0,
    "device": "cpu",
    "warmup_steps": 2,
    "sentences": 4,
    "log_every_steps": 1,
}
COLORS = {WALL: (200, 200, 190), CABINET: (120, 70, 30), RED_MUG: (220, 20, 20)}


def write_colored_rooms(folder):
    """Two rooms whose objects have colours of their own."""
    for number in range(2):
        scene = toy_scene(number, points=700, randomized=True)
        rgb = np.zeros_like(scene.rgb)
        for name, color in COLORS.items():
            rgb[scene.seg == name] = color
        write_scene(folder / f"room_{number}.hdf5", dataclasses.replace(scene, rgb=rgb))
    write_splits(folder, {"unseen_instances": ["room_0.hdf5", "room_1.hdf5"]})
    return folder


def configure(folder, out, **changes):
    values = {**SMALL, "out": str(out), "data": {"folder": str(folder)}, **changes}
    return parse_encoder_config(values)
