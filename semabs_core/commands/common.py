"""What commands share: the console, a progress bar, options as text."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

console = Console(width=None if sys.stdout.isatty() else 140)
waiting = Console(stderr=True)
"""Where progress goes: what a command prints can be piped without it."""

Folder = Annotated[Path, typer.Argument(help="the data set's folder")]


def say(text: object) -> None:
    """Print a text or a table; words in brackets are names here, not styles."""
    console.print(text, markup=False, highlight=False)


def check_folder(folder: Path) -> None:
    """Make a folder, and make sure that files can be written there.

    Raises:
        typer.BadParameter: if they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise typer.BadParameter(f"nothing can be written to {folder}: {reason}") from None


def is_first() -> bool:
    """Whether this is torchrun's first process, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def progress_bar(what: str) -> Any:
    """A bar, gone after an error; yields a function that takes (done, total)."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=waiting, disable=not is_first()
    ) as progress:
        task = progress.add_task(what, total=None)
        try:
            yield lambda done, total: progress.update(task, completed=done, total=total)
        except BaseException:
            progress.live.transient = True
            raise


@contextmanager
def progress_of_stages(first: str) -> Any:
    """A bar that is gone afterwards; yields a function that takes (stage, fraction)."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(),
        TaskProgressColumn(),
    )  # fmt: skip
    with Progress(*columns, console=waiting, transient=True, disable=not is_first()) as progress:
        task = progress.add_task(first, total=None)
        yield lambda stage, done: progress.update(task, description=stage, completed=done, total=1)


def parse_counts(text: str) -> dict[str, int]:
    """``train=2000,validation=100`` to a mapping."""
    counts = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        if not number.strip().isdigit():
            raise typer.BadParameter(f"expected name=number,..., got {part!r}")
        counts[name.strip()] = int(number)
    return counts


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """``data.num_labels=4`` and the like to nested mappings; values are YAML."""
    from semabs_core.config import nest

    values: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise typer.BadParameter(f"expected name=value, got {pair!r}")
        try:
            values[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise typer.BadParameter(
                f"{name} must be a YAML value, got {value!r}: {' '.join(str(error).split())}"
            ) from None
    return nest(values)


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``changes`` over ``base``, mapping by mapping."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
