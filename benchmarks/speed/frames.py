"""A whole frame: of the default configuration, beside an older commit, and at its largest."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from benchmarks.speed.clock import Clock, Spent
from benchmarks.speed.frame_worker import WORDS, peak_gib
from benchmarks.speed.report import Table
from benchmarks.speed.workers import ROOT, Worker
from semabs_core.config import load_config
from semabs_core.data.analytic import analytic_scene
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import RGBDFrame

WORKER = "frame_worker.py"
SHIPPED = Path("semabs_core/weights/shipped")
CONFIG, PRESET, DEFAULT_PRESET = "semabs.yaml", "ours", "mosaic"
"""The default configuration, the most exact relevancy, and that of the configuration."""
NOISE = 3.0
"""Of a still camera's pictures, gray levels."""
PICTURES = (
    ("still", False, 0.0),
    ("still, noise over 1 px", False, 1.0),
    ("a thing moves", True, 0.0),
)
"""Name, whether a thing moves, and how wide the noise is [pixels]."""


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


def for_older(weights: Path, folder: Path, preset: str) -> Path:
    """A copy of a network or an encoder without what older versions do not know.

    A network's calibrations have no ceiling there, and an encoder's are of the preset alone.
    """
    copy = Path(shutil.copytree(weights, folder / weights.name, dirs_exist_ok=True))
    network, presence = copy / "network.json", copy / "presence.json"
    if network.exists():
        noted = json.loads(network.read_text())
        for fitted in noted["metadata"].values():
            if isinstance(fitted, dict):
                fitted.pop("ceiling", None)
        network.write_text(json.dumps(noted))
    if presence.exists():
        noted = json.loads(presence.read_text())
        noted["presets"] = {preset: noted["presets"][preset]}
        presence.write_text(json.dumps(noted))
    return copy


def older_table(clock: Clock, commit: str) -> Table:
    """A frame of today beside one of an older commit; they take turns."""
    table = Table(
        f"A completed frame beside commit {commit}, 640x480, 12 classes, 64^3",
        "Everything from the frame's arrival to its labels, a new frame each time: relevancy, "
        "volumes, labels. Both have the same encoder and networks: those of the older commit's "
        "default, with the network of today's beside its own, and those of today's default. The "
        "older commit may not know its preset; in the last line it has one that it knows. What is "
        "the same is counted over the voxels that the older commit calls occupied.",
        (
            "encoder", "older preset", "preset now", "network", "grid", "older [s]", "now [s]",
            "older / now", "same labels",
        ),
    )  # fmt: skip
    threads = str(torch.get_num_threads())
    with checkout(commit) as place:
        localization = place / SHIPPED / "localization"
        before, now = place / SHIPPED, ROOT / SHIPPED
        for encoder, older_preset, preset, shipped in (
            (before / "encoder", PRESET, PRESET, before / "completion"),
            (before / "encoder", PRESET, PRESET, now / "completion_any"),
            (now / "encoder_fine", "fast", "fast", now / "completion_any"),
            (now / "encoder_fine", "fast", DEFAULT_PRESET, now / "completion_any"),
        ):
            network = for_older(shipped, place.parent, older_preset)
            older_encoder = for_older(encoder, place.parent, older_preset)
            size = (CONFIG, "640", "480", "12", threads, "64", str(network), str(localization))
            pair = [
                Worker(WORKER, place, *size, older_preset, f"local-dir:{older_encoder}"),
                Worker(WORKER, ROOT, *size, preset, f"local-dir:{encoder}"),
            ]
            found = [[frames.ask("frame")] for frames in pair]  # warms up
            for _ in range(clock.rounds):
                for frames, kept in zip(pair, found, strict=True):
                    kept.append(frames.ask("frame"))
            for frames in pair:
                frames.close()
            each = ([frame[clock.name] for frame in kept[1:]] for kept in found)
            spent = Spent(dict(zip(("older", "now"), each, strict=True)))
            old, new = (np.array(kept[-1]["labels"]) for kept in found)
            there = (old != 0) & (old != 255)
            same = float((old == new)[there].mean())
            shape = json.loads((network / "network.json").read_text())["network"]["voxel_shape"]
            table.rows.append([
                encoder.name, older_preset, preset, network.name, f"{shape[0]}^3", spent["older"],
                spent["now"], spent.ratio("older", "now"), same,
            ])  # fmt: skip
    return table


def stage_table(clock: Clock, resolution: int, frames: int) -> Table:
    """Where a frame's time goes in the default configuration, and how much that varies."""
    table = Table(
        f"A completed frame by stage, configuration {CONFIG}, 640x480, 10 classes, {resolution}^3",
        f"Of {frames} frames, all new; what is in no stage is in the whole alone. On a GPU a stage "
        "ends when its work is handed over, the whole when it is done; memory is that of the GPU, "
        "else the peak of the process with libraries and models.",
        ("preset", "stage", "mean [s]", "P50 [s]", "P95 [s]", "peak [GiB]"),
    )
    frame = analytic_scene(640, 480).frame(0)
    config = load_config(CONFIG)
    completion = replace(config.completion, resolution=resolution)
    for preset in (DEFAULT_PRESET, PRESET):
        relevancy = replace(config.relevancy, preset=preset, augmentations=0, still_tolerance=0.0)
        scene = SceneUnderstanding.from_config(
            replace(config, completion=completion, relevancy=relevancy)
        )
        found: dict[str, list[float]] = {}

        def complete(scene=scene, found=found) -> None:
            scene.set_frame(frame)
            for stage, seconds in scene.complete(WORDS[:10]).timings_s.items():
                found.setdefault(stage, []).append(seconds)

        complete()
        found.clear()
        whole = [clock.seconds(complete) for _ in range(frames)]
        for stage, spent in {**found, "whole": whole}.items():
            p50, p95 = np.percentile(spent, (50, 95))
            peak = gpu_peak_gib() or peak_gib() if stage == "whole" else ""
            row = [float(value) for value in (np.mean(spent), p50, p95)]
            table.rows.append([preset, stage, *row, peak])
    return table


def still_table(clock: Clock) -> Table:
    """What a camera that does not move spares, and one before which a thing moves."""
    table = Table(
        f"A completed frame of a still camera, configuration {CONFIG}, 640x480, 10 classes, 64^3",
        f"Every picture has noise of its own, of {NOISE:g} gray levels; beside, every tile is "
        "embedded anew. A square of an eighth of the picture's height is elsewhere in each.",
        ("preset", "picture", "all tiles [s]", "changed tiles [s]", "all / changed"),
    )
    frame = analytic_scene(640, 480).frame(0)
    config, rng = load_config(CONFIG), np.random.default_rng(0)
    for preset in (DEFAULT_PRESET, PRESET):
        relevancy = replace(config.relevancy, preset=preset, augmentations=0)
        given = (replace(relevancy, still_tolerance=0.0), relevancy)
        scenes = [SceneUnderstanding.from_config(replace(config, relevancy=r)) for r in given]
        for name, moving, width in PICTURES:
            spent: list[list[float]] = [[], []]
            for _ in range(clock.rounds + 1):
                noise = gaussian_filter(rng.normal(0, 1, frame.rgb.shape), (width, width, 0))
                picture = frame.rgb + NOISE / noise.std() * noise
                if moving:
                    row, column = rng.integers(0, (420, 580))
                    picture[row : row + 60, column : column + 60] = (200, 30, 30)
                seen = replace(frame, rgb=picture.clip(0, 255).astype(np.uint8))
                for scene, kept in zip(scenes, spent, strict=True):
                    kept.append(clock.seconds(lambda s=scene, f=seen: _complete(s, f)))  # type: ignore[misc]
            every, changed = (statistics.median(kept[1:]) for kept in spent)
            table.rows.append([preset, name, every, changed, every / changed])
    return table


def _complete(scene: SceneUnderstanding, frame: RGBDFrame) -> None:
    scene.set_frame(frame)
    scene.complete(WORDS[:10])


def gpu_peak_gib() -> float:
    """The most of a GPU's memory that torch has held; 0 without one."""
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0


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
