"""Training killed with ``kill -9`` at random moments and resumed: are the final weights the same?

A network and an encoder are trained on one small scene, once undisturbed and then again and again
in runs that are killed at random moments (also while they start or save) and resumed until they
end. The files of every run must be those of the undisturbed one, byte by byte.

``python -m benchmarks.kill_training --help``
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.overfit import SCENE, write_data
from semabs_core.data.splits import write_splits
from semabs_core.training.config import parse_training_config
from semabs_core.training.encoder import train_encoder
from semabs_core.training.encoder_config import parse_encoder_config
from semabs_core.training.loop import train

KINDS = {
    "network": ("network.safetensors", "network.json", "best/network.safetensors"),
    "encoder": ("open_clip_model.safetensors", "open_clip_config.json"),
}
"""The files that are compared, by what is trained."""
MAX_TRIES = 100
"""Kills of one run, after which it may end undisturbed."""


def prepare(folder: Path) -> None:
    """A scene for the network, and the same one as a split for the encoder."""
    folder.mkdir()
    write_data(folder)
    write_splits(folder, {name: [SCENE] for name in ("train", "validation", "unseen_instances")})


def run(kind: str, data: Path, out: Path, steps: int) -> None:
    """Train, from the state in the folder where there is one."""
    common = {"out": str(out), "device": "cpu", "workers": 0, "resume": True, "save_every_steps": 2}
    if kind == "encoder":
        shape = {
            "embed_dim": 16, "image_size": 32, "width": 32, "layers": 2, "head_width": 16,
            "text_width": 16, "text_layers": 1,
        }  # fmt: skip
        options = {"shape": shape, "steps": steps, "batch": 8, "sentences": 4, "asked": 2}
        train_encoder(parse_encoder_config(
            {**common, **options, "data": {"folder": str(data)}, "warmup_steps": 2}
        ))  # fmt: skip
        return
    network = {
        "task": "localization", "voxel_shape": [8, 8, 8], "channels": 4, "f_maps": 4, "levels": 2,
        "hidden": 16, "pointing_dim": 8,
    }  # fmt: skip
    reading = {"num_input_points": 500, "num_query_points": 200, "num_labels": 2}
    train(parse_training_config({
        **common, "network": network, "data": {"folder": str(data), **reading},
        "optimization": {"epochs": steps, "learning_rate": 0.02}, "validate_every_epochs": 4,
    }))  # fmt: skip


def fork(work: Callable[[], object]) -> int:
    """Start work in a child of this process, which has loaded torch; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        log = os.open(os.devnull, os.O_WRONLY)
        os.dup2(log, sys.stdout.fileno())
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(child: int, within_s: float | None = None) -> int | None:
    """The exit code of a child; None if it has not ended within so many seconds."""
    deadline = None if within_s is None else time.monotonic() + within_s
    while True:
        found, status = os.waitpid(child, 0 if deadline is None else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() > deadline:
            return None
        time.sleep(0.001)


def kill_until_done(work: Callable[[], None], whole_s: float, chance: random.Random) -> list[float]:
    """Run, kill at a random moment, resume, until a run ends by itself; when it was killed."""
    killed: list[float] = []
    while True:
        moment = chance.uniform(0, whole_s)
        child = fork(work)
        code = ended(child, moment if len(killed) < MAX_TRIES else None)
        if code is None:
            os.kill(child, signal.SIGKILL)
            code = ended(child)
        if code == 0:
            return killed
        if code != -signal.SIGKILL:
            raise SystemExit(f"a run ended with {code}")
        killed.append(moment)


def campaign(kind: str, folder: Path, kills: int, steps: int, seed: int, table: Table) -> bool:
    """Kill runs of a kind at least so often; whether all came to the same files."""
    data, chance, done, same = folder / "data", random.Random(seed), 0, True

    def files(out: Path) -> list[bytes]:
        return [(out / name).read_bytes() for name in KINDS[kind]]

    whole = folder / f"{kind}_whole"
    start = time.monotonic()
    if ended(fork(lambda: run(kind, data, whole, steps))) != 0:
        raise SystemExit("the undisturbed run failed")
    whole_s = time.monotonic() - start
    number = 0
    while done < kills:
        out = folder / f"{kind}_{number}"
        moments = kill_until_done(lambda: run(kind, data, out, steps), whole_s, chance)  # noqa: B023
        equal = files(out) == files(whole)
        same, done, number = same and equal, done + len(moments), number + 1
        times = ", ".join(f"{moment:.2f}" for moment in moments)
        table.add_row(kind, str(number), str(len(moments)), times, "same" if equal else "OTHER")
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="at least so many of each kind")
    parser.add_argument("--steps", type=int, default=12, help="training steps of a run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("trained", "run", "kills", "seconds after the start", "final files")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if ended(fork(lambda: prepare(folder / "data"))) != 0:
            raise SystemExit("the scene could not be made")
        same = [
            campaign(kind, folder, options.kills, options.steps, options.seed, table)
            for kind in KINDS
        ]
    Console().print(table)
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
