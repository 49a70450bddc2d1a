"""Measure and write the tables: a few minutes by default, the sweeps with ``--full``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.speed import completion, frames, relevancy
from benchmarks.speed.clock import Clock, machine
from benchmarks.speed.report import Table, write
from semabs_core.devices import choose_device

RESULTS = Path(__file__).resolve().parents[1] / "results"
PARTS = (
    "relevancy", "images", "completion", "descriptions", "older", "stages", "still", "sizes",
    "node", "messages",
)  # fmt: skip
ANY, OWN = "shipped:completion_any", "shipped:completion"


def main(
    full: Annotated[bool, typer.Option(help="the sweeps too: an hour on two cores")] = False,
    part: Annotated[list[str] | None, typer.Option(help=f"only {', '.join(PARTS)}")] = None,
    clock: Annotated[str, typer.Option(help="wall; or cpu, on a machine that is busy")] = "wall",
    threads: Annotated[int, typer.Option(help="of torch; 0: as many as cores")] = 0,
    rounds: Annotated[int, typer.Option(help="how often each is measured")] = 3,
    older: Annotated[str, typer.Option(help="commit to compare a whole frame with")] = "",
    model: Annotated[str, typer.Option(help="open_clip model of the relevancy")]
    = "ViT-B-32-quickgelu",
    out: Annotated[Path, typer.Option(help="written with .md and with .json")] = RESULTS / "speed",
) -> None:  # fmt: skip
    """Ratios that were measured side by side."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    watch, device = Clock(clock, rounds), choose_device("auto")
    labels = (1, 8, 40, 50, 100, 200) if full else (1, 8, 40, 50, 100)
    images = ((320, 240), (640, 480), (1280, 720), (1920, 1080))
    grids = (64, 128, 240) if full else (64, 240)

    def node_tables() -> Sequence[Table]:
        from benchmarks.speed.node import node_tables  # needs ROS

        return node_tables(20 if full else 10)

    def message_table() -> Table:
        from benchmarks.speed.node import message_table

        return message_table(watch)

    makers: dict[str, list[Callable[[], Table | Sequence[Table]]]] = {
        "relevancy": [
            lambda: relevancy.relevancy_table(watch, model, labels, 16 if full else 8, device)
        ],
        "images": [lambda: relevancy.image_table(watch, images if full else images[:2], device)],
        "completion": [
            lambda: completion.completion_table(watch, OWN, grids),
            lambda: completion.completion_table(watch, ANY, grids),
        ],
        "descriptions": [completion.descriptions_table],
        "older": [lambda: frames.older_table(watch, older)] if older else [],
        "stages": [
            lambda: frames.stage_table(watch, 128 if device.type == "cuda" else 64, 5 * rounds)
        ],
        "still": [lambda: frames.still_table(watch)],
        "sizes": [
            lambda: frames.size_table(
                watch,
                [
                    *([(w, h, 12, 64) for w, h in images] if full else []),
                    (640, 480, 12, 240),
                    (1920, 1080, 100, 240),
                ],
            )
        ],
        "messages": [message_table],
        "node": [node_tables],
    }
    tables: list[Table] = []
    for name in part or makers:
        for make in makers[name]:
            made = make()
            for table in [made] if isinstance(made, Table) else made:
                tables.append(table)
                print(table.markdown(), flush=True)
            write(tables, {**machine(), "clock": clock, "rounds": rounds}, out)


if __name__ == "__main__":
    typer.run(main)
