"""Completion beside its bare networks, and beside encoding anew for every chunk of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmarks.speed.clock import Clock
from benchmarks.speed.relevancy import KINDS
from benchmarks.speed.report import Table
from semabs_core.answering import logits_at
from semabs_core.checkpoint import load_network
from semabs_core.config import load_config
from semabs_core.data.analytic import analytic_scene
from semabs_core.frame_state import Stopwatch
from semabs_core.grid_answers import GridCorners
from semabs_core.network_config import point_features
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.weights.shipped import resolve_weights

CHUNK = 2**20
CLASSES = list(KINDS)


def load(checkpoint: str, resolution: int) -> SceneUnderstanding:
    """The pipeline with a shipped network that reads given relevancy, on a grid."""
    config = load_config("semabs.yaml")
    kind = checkpoint.removeprefix("shipped:completion")
    config = replace(
        config,
        completion=replace(config.completion, checkpoint=checkpoint, resolution=resolution),
        localization=replace(config.localization, checkpoint=f"shipped:localization{kind}"),
        relevancy=replace(config.relevancy, preset="fast"),
    )
    return SceneUnderstanding.from_config(config)


def completion_table(clock: Clock, checkpoint: str, resolutions: Sequence[int]) -> Table:
    """Ten classes whose relevancy is there; from the frame's arrival to its labels."""
    table = Table(
        f"Completion of {len(CLASSES)} classes, {checkpoint}, 640x480",
        "The relevancy is given. The least that there is to do is a pass of the bare U-Net per "
        "class, and one over the queries that are needed: those that may be occupied. The "
        f"straightforward way encodes anew for every {CHUNK} queries, in float32, and asks at all "
        "voxels; one chunk of one class is measured and counted for all.",
        (
            "grid", "queries", "of all", "U-Nets [s]", "one pass [s]", "completion [s]",
            "completion / (U-Nets + pass)", "anew per chunk / completion",
        ),
    )  # fmt: skip
    frame = analytic_scene(640, 480).frame(0)
    rng = np.random.default_rng(0)
    maps = {name: rng.random((60, 80), dtype=np.float32) for name in CLASSES}
    for resolution in resolutions:
        scene = load(checkpoint, resolution)
        network, batch = scene.completion, scene.portions.queries

        def complete(scene=scene) -> None:
            scene.set_frame(frame)
            scene.set_relevancy(maps)
            scene.complete(CLASSES)

        complete()
        state = scene._current()
        grid = state.grid(scene.config.completion)
        kept = list(state.volumes._kept.values())
        filled = torch.zeros_like(kept[0][0])
        volumes = [volume.float() for volume in kept]

        def bare(network=network, filled=filled) -> None:
            with torch.inference_mode():
                for _ in CLASSES:
                    network.encoder.complete(filled)

        watch = Stopwatch(None)

        def one_pass(network=network, grid=grid, batch=batch, volumes=volumes, watch=watch) -> None:
            with torch.inference_mode():
                corners = [part for _, part in GridCorners(network, grid).batches(batch, watch)]
                for volume in volumes:
                    logits_at(network, corners, [volume])

        found = clock.compare({"bare": bare, "pass": one_pass, "ours": complete})
        chunk = _chunk_seconds(clock, scene, min(CHUNK, resolution**3))
        chunks = max(1.0, resolution**3 / CHUNK)
        ours, ratio = found["ours"], found.ratio("ours", "bare", "pass")
        table.rows.append([
            f"{resolution}^3", len(grid.open), len(grid.open) / resolution**3, found["bare"],
            found["pass"], ours, ratio, chunk * chunks * len(CLASSES) / ours,
        ])  # fmt: skip
    return table


def _chunk_seconds(clock: Clock, scene: SceneUnderstanding, size: int) -> float:
    """The whole network as it is stored, in float32, for one class and a chunk of queries."""
    network = load_network(resolve_weights(scene.config.completion.checkpoint))
    config, state = network.config, scene._current()
    device = state.input_xyz.device
    network.to(device)
    values = torch.rand(len(state.pixels))
    rgb = torch.rand(len(state.pixels), 3) if "rgb" in config.network_inputs else None
    features = point_features(config.network_inputs, values, rgb, 0.0, values).to(device)
    tsdf = state.tsdf(config.voxel_shape)[None] if config.reads_tsdf else None
    lower, upper = torch.tensor(config.bounds, device=device)
    queries = lower + torch.rand(1, 1, size, 3, device=device) * (upper - lower)
    scene_of = state.input_xyz[None], features[None, None]
    with torch.inference_mode():
        return clock.seconds(lambda: network(*scene_of, queries, None, tsdf))


def descriptions_table() -> Table:
    """A count: it is the same on every machine."""
    table = Table(
        "Volumes that ten descriptions over six names cost",
        "Counted. A volume is kept under its name, whether it is a target or a reference.",
        ("descriptions", "names", "volumes"),
    )
    scene = load("shipped:completion_any", 32)
    scene.set_frame(analytic_scene(640, 480).frame(0))
    names, calls = CLASSES[:6], []
    scene.set_relevancy({name: np.random.rand(60, 80).astype(np.float32) for name in names})
    encode = scene.localization.encode_volume
    scene.localization.encode_volume = lambda *a: calls.append(1) or encode(*a)  # type: ignore[method-assign]
    pairs = [(i, j) for i in range(6) for j in range(i)][5:15]
    for i, j in pairs:
        scene.localize(names[i], scene.relations[(i + j) % len(scene.relations)], names[j])
    used = {name for pair in pairs for name in pair}
    table.rows.append([len(pairs), len(used), len(calls)])
    return table
