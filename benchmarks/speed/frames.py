"""A whole frame: of the default configuration, beside an older commit, and at its largest."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.clock import Clock
from benchmarks.speed.report import Table
from benchmarks.speed.workers import ROOT, Worker

WORKER = "frame_worker.py"
SHIPPED = Path("semabs_core/weights/shipped")
CONFIG, PRESET = "semabs.yaml", "ours"
"""The default configuration, and the relevancy that networks get beside an older commit."""


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A work tree of a commit, for a while."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "old"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def older_table(clock: Clock, commit: str) -> Table:
    """A frame of today beside one of an older commit; they take turns."""
    table = Table(
        f"A completed frame beside commit {commit}, 640x480, 12 classes, 64^3",
        "Everything from the frame's arrival to its labels, a new frame each time: relevancy "
        f"(preset {PRESET}), volumes, labels. Both have the encoder of the older commit and the "
        "same networks: those that it completed with by default, and those that are the default "
        "now. What is the same is counted over the voxels that the older commit calls occupied.",
        ("networks", "grid", "older [s]", "now [s]", "older / now", "same labels"),
    )
    threads = str(torch.get_num_threads())
    with checkout(commit) as place:
        localization = place / SHIPPED / "localization"
        encoder = f"local-dir:{place / SHIPPED / 'encoder'}"
        for network in (place / SHIPPED / "completion", ROOT / SHIPPED / "completion_any"):
            given = (str(network), str(localization), PRESET, encoder)
            words = (CONFIG, "640", "480", "12", threads, "64", *given)
            pair = [Worker(WORKER, place, *words), Worker(WORKER, ROOT, *words)]
            found = [[frames.ask("frame")] for frames in pair]  # warms up
            for _ in range(clock.rounds):
                for frames, kept in zip(pair, found, strict=True):
                    kept.append(frames.ask("frame"))
            for frames in pair:
                frames.close()
            before, after = (statistics.median(f[clock.name] for f in kept[1:]) for kept in found)
            old, new = (np.array(kept[-1]["labels"]) for kept in found)
            there = (old != 0) & (old != 255)
            same = float((old == new)[there].mean())
            shape = json.loads((network / "network.json").read_text())["network"]["voxel_shape"]
            table.rows.append([
                network.name, f"{shape[0]}^3", before, after, before / after, same,
            ])  # fmt: skip
    return table


def size_table(clock: Clock, sizes: Sequence[tuple[int, int, int, int]]) -> Table:
    """Seconds and peak memory of (width, height, classes, resolution)."""
    table = Table(
        f"A completed frame by size, configuration {CONFIG}",
        "Peak memory is that of the process, the libraries and models included.",
        ("image", "classes", "grid", "seconds", "peak [GiB]"),
    )
    threads = str(torch.get_num_threads())
    for width, height, classes, resolution in sizes:
        words = [str(n) for n in (width, height, classes, threads, resolution)]
        frames = Worker(WORKER, ROOT, CONFIG, *words)
        found = frames.ask("frame")
        frames.close()
        table.rows.append([
            f"{width}x{height}", classes, f"{resolution}^3", found[clock.name], found["peak_gib"],
        ])  # fmt: skip
    return table
