"""``semabs train``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from semabs_core.commands.common import check_folder, console, is_first, merge, parse_options

if TYPE_CHECKING:
    from semabs_core.training.encoder import EncoderResult
    from semabs_core.training.loop import TrainingResult

APPROACHES: dict[str, dict[str, Any]] = {
    "chefer": {
        "network": {"approach": "semantic_abstraction"},
        "data": {"preset": "chefer_et_al"},
    }
}
"""Names of approaches that stand for more than one option."""
EXAMPLE = (
    "Example: semabs train completion --approach semantic_abstraction --data data --out runs/ours"
)
HELPED = ("data.", "optimization.", "seed", "device", "workers", "save_every", "validate_every")
"""How the options begin that the help shows."""


class TrainCommand(TyperCommand):
    """The command whose help also shows the most used of its ``--option`` names."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        print_options("completion", HELPED)
        console.print(
            "All options: semabs train completion --list-options, semabs train encoder "
            "--list-options, docs/training.md"
        )


def print_options(task: str, beginnings: tuple[str, ...] = ("",)) -> None:
    """The options of a task as a table: name, default, meaning."""
    from rich.table import Table

    from semabs_core.training.config import TrainingConfig
    from semabs_core.training.encoder_config import EncoderTrainingConfig
    from semabs_core.training.settings import option_lines

    table = Table("--option NAME=VALUE", "default", "meaning")
    for line in option_lines(EncoderTrainingConfig if task == "encoder" else TrainingConfig):
        if line.name.startswith(beginnings):
            table.add_row(line.name, line.default, line.meaning)
    console.print(table, markup=False)


def train(
    task: Annotated[str, typer.Argument(help="completion, localization or encoder")],
    data: Annotated[Path | None, typer.Option(help="the data set's folder")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for weights and state")] = None,
    approach: Annotated[
        str, typer.Option(help="semantic_abstraction, semantic_aware, clip_spatial or chefer")
    ] = "",
    config: Annotated[Path | None, typer.Option(help="YAML of a training config")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="name=value, such as data.num_labels=4; repeatable")
    ] = None,
    resume: Annotated[bool, typer.Option(help="carry on from the state in the folder")] = False,
    list_options: Annotated[bool, typer.Option(help="print all options and end")] = False,
) -> None:
    """Train a network, alone or under torchrun on one or many machines; or a small encoder."""
    from semabs_core.config import read_yaml
    from semabs_core.network_config import TASKS

    if task not in (*TASKS, "encoder"):
        raise typer.BadParameter(f"the task must be {', '.join(TASKS)} or encoder, got {task}")
    if list_options:
        print_options(task)
        return
    values = merge(read_yaml(config) if config else {}, parse_options(option or []))
    if data is not None:
        values = merge(values, {"data": {"folder": str(data)}})
    if out is not None:
        values["out"] = str(out)
    if resume:
        values["resume"] = True
    if task == "encoder":
        if approach:
            raise typer.BadParameter("an encoder has no approach")
    else:
        meant = APPROACHES.get(approach, {"network": {"approach": approach}} if approach else {})
        values = merge(merge(values, {"network": {"task": task}}), meant)
    _run(task, values)


def _run(task: str, values: dict[str, Any]) -> None:
    """Train, and say what came of it; a run that was stopped ends with the signal's exit code."""
    from semabs_core.training.interrupts import TrainingInterruptedError

    try:
        if task == "encoder":
            _train_encoder(values)
        else:
            _train_network(values)
    except TrainingInterruptedError as error:
        if is_first():
            print(f"semabs: {error}", file=sys.stderr)
        raise typer.Exit(128 + error.signal_number) from None


def _check_folders(data: str, out: str) -> None:
    """Both are told, and the weights' can be written."""
    for name, folder in (("--data", data), ("--out", out)):
        if not folder:
            raise typer.BadParameter(f"{name} must name a folder")
    check_folder(Path(out))


def _train_network(values: dict[str, Any]) -> None:
    from semabs_core.training import train as run
    from semabs_core.training.config import parse_training_config

    config = parse_training_config(values)
    _check_folders(config.data.folder, config.out)
    result = run(config)
    if is_first():
        _tell_network(result, config.data.folder)


def _tell_network(result: TrainingResult, data: str) -> None:
    """Where the weights are, how good they are, and what to do next."""
    from semabs_core.training.loop import BEST_FOLDER

    _tell_steps(result.folder, result.steps, result.steps, result.skipped)
    found = result.validation
    if found is not None and found.labels:
        console.print(
            f"validation: IoU {found.iou:.3f} over {found.labels} labels at cutoff "
            f"{found.cutoff:g}; the best, {result.best:.3f}, is in {result.folder / BEST_FOLDER}"
        )
    else:
        console.print("validation: none (data.validation_split, validate_every_epochs)")
    rows = f"{os.path.normpath(result.folder)}.parquet"
    command = ["semabs", "eval", str(result.folder), "--data", data, "--out", rows]
    console.print(f"next: {shlex.join(command)}", soft_wrap=True)


def _train_encoder(values: dict[str, Any]) -> None:
    from semabs_core.training.encoder import train_encoder
    from semabs_core.training.encoder_config import parse_encoder_config

    config = parse_encoder_config(values)
    _check_folders(config.data.folder, config.out)
    _tell_encoder(train_encoder(config))


def _tell_encoder(result: EncoderResult) -> None:
    """Where the model is, its last losses, and what to do next."""
    from semabs_core.weights.shipped import LOCAL

    _tell_steps(result.folder, result.step, result.steps, result.skipped)
    if result.losses:
        means = ", ".join(f"{name} {value:.3g}" for name, value in result.losses.items())
        console.print(f"last losses: {means}")
    command = ["semabs", "data", "relevancy", "DATA", "--encoder", LOCAL + str(result.folder)]
    console.print(
        f"next: {shlex.join(command)}, then semabs pointing DATA, to see how well it finds things",
        soft_wrap=True,
    )


def _tell_steps(folder: Path, step: int, steps: int, skipped: int) -> None:
    left_out = f", {skipped} of them left out" if skipped else ""
    console.print(f"{step} of {steps} steps done{left_out}; the weights are in {folder}")
