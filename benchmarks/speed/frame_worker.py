"""Completes a frame whenever a line comes in and says what it took; runs in any version's folder.

``python frame_worker.py CONFIG WIDTH HEIGHT CLASSES THREADS RESOLUTION [COMPLETION LOCALIZATION
PRESET ENCODER]``: it uses nothing of this folder, and what all versions have. With the last four,
folders of networks and the relevancy they get, versions do the same, whatever their defaults are.
Nothing is taken over from the frame before.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from semabs_core.config import load_config
from semabs_core.data.analytic import analytic_scene
from semabs_core.pipeline import SceneUnderstanding

WORDS = (
    "table", "chair", "lamp", "book", "mug", "box", "bottle", "pillow", "plant", "sofa", "bed",
    "shelf",
)  # fmt: skip


def peak_gib() -> float:
    """Of this program alone: what getrusage says may be that of the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        kib = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM")).split()[1]
        return int(kib) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    name, width, height, count, threads, resolution, *rest = sys.argv[1:]
    torch.set_num_threads(int(threads))
    config = load_config(name)
    completion = replace(config.completion, resolution=int(resolution))
    if rest:
        completion = replace(completion, checkpoint=rest[0])
        localization = replace(config.localization, checkpoint=rest[1])
        relevancy = replace(config.relevancy, preset=rest[2], augmentations=0)
        encoder = replace(config.encoder, model=rest[3])
        config = replace(config, encoder=encoder, localization=localization, relevancy=relevancy)
    if hasattr(config.relevancy, "still_tolerance"):
        config = replace(config, relevancy=replace(config.relevancy, still_tolerance=0.0))
    scene = SceneUnderstanding.from_config(replace(config, completion=completion))
    names = [word if not k else f"{word} {k}" for k in range(20) for word in WORDS][: int(count)]
    frame = analytic_scene(int(width), int(height)).frame(0)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        scene.set_frame(frame)
        labels = scene.complete(names).labels
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        peak = peak_gib()
        said = {**spent, "peak_gib": peak, "labels": labels.ravel().tolist()}
        print("ANSWER " + json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
