"""A whole frame: of the default configuration, beside an older commit, and at its largest."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.clock import Clock
from benchmarks.speed.report import Table

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("frame_worker.py")
SHIPPED = Path("semabs_core/weights/shipped")
CONFIG, PRESET = "semabs.yaml", "ours"
"""The default configuration, and the relevancy that its networks get."""


class Frames:
    """The pipeline in a process of its own, in the code of some folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        paths = [path for path in paths if path and (path == str(folder) or path != str(ROOT))]
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def one(self) -> dict:
        """Complete a frame: ``wall`` and ``cpu`` seconds, ``peak_gib`` and the ``labels``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("FRAME "):
                return json.loads(line.removeprefix("FRAME "))
        raise RuntimeError(f"the pipeline ended with {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


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
        f"(preset {PRESET}), volumes, labels. Both have the same networks: those that the older "
        "commit completed with by default, and those that are the default now. What is the same "
        "is counted over the voxels that the older commit calls occupied.",
        ("networks", "grid", "older [s]", "now [s]", "older / now", "same labels"),
    )
    threads = str(torch.get_num_threads())
    with checkout(commit) as place:
        localization = place / SHIPPED / "localization"
        for network in (place / SHIPPED / "completion", ROOT / SHIPPED / "completion_any"):
            given = (str(network), str(localization), PRESET)
            words = (CONFIG, "640", "480", "12", threads, "64", *given)
            pair = [Frames(place, *words), Frames(ROOT, *words)]
            found = [[frames.one()] for frames in pair]  # warms up
            for _ in range(clock.rounds):
                for frames, kept in zip(pair, found, strict=True):
                    kept.append(frames.one())
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
        frames = Frames(ROOT, CONFIG, *words)
        found = frames.one()
        frames.close()
        table.rows.append([
            f"{width}x{height}", classes, f"{resolution}^3", found[clock.name], found["peak_gib"],
        ])  # fmt: skip
    return table
