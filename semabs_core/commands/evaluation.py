"""``semabs eval``, ``pointing`` and ``summarize``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semabs_core.commands.common import Folder, check_folder, progress_bar, say

if TYPE_CHECKING:
    import pandas as pd

    from semabs_core.evaluation.tables import FigureTable

EXAMPLES = {
    "eval": "Example: semabs eval shipped:completion --data data --out ours.parquet",
    "pointing": "Example: semabs pointing data --split validation --out pointing.md",
    "presence": "Example: semabs presence data --encoder shipped:encoder_fine",
    "summarize": "Example: semabs summarize ours=ours.parquet --published --intervals 1000",
}
Intervals = Annotated[int, typer.Option(help="bootstrap replicates for 95 % intervals", min=0)]


def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="folder of a network, or shipped:NAME")],
    data: Annotated[Path, typer.Option(help="the data set's folder")],
    out: Annotated[Path, typer.Option(help="file for the rows: .parquet, .csv or .pkl")],
    split: Annotated[list[str] | None, typer.Option(help="repeatable; all but train")] = None,
    preset: Annotated[str, typer.Option(help="relevancy preset; empty: the checkpoint's")] = "",
    limit: Annotated[int, typer.Option(help="scenes per split; 0: all", min=0)] = 0,
    device: Annotated[str, typer.Option()] = "auto",
    workers: Annotated[int, typer.Option(help="processes that read scenes", min=0)] = 2,
    grid: Annotated[
        list[int] | None, typer.Option(help="voxels per axis, repeatable; NYU's is 60", min=2)
    ] = None,
) -> None:
    """Evaluate a checkpoint at all cutoffs; shares the scenes under torchrun.

    A run that was cut off goes on with the same command.
    """
    from semabs_core.evaluation.evaluate import evaluate as run
    from semabs_core.evaluation.scene import EvaluationOptions

    check_folder(out.parent)
    with progress_bar("evaluation") as advance:
        rows = run(
            checkpoint, data, split or None, out=out, preset=preset or None, limit=limit or None,
            device=device, workers=workers,
            options=EvaluationOptions(grids=tuple(grid)) if grid else None,
            on_progress=lambda name, done, total: advance(done, total),
        )  # fmt: skip
    if rows is not None:
        say(f"{len(rows):,} rows written to {out}")
        for name, skipped in rows.attrs["skipped"].items():
            if skipped:
                say(f"NOTE: {skipped} damaged scene(s) of {name} left out; the log names them")


def pointing(
    folder: Folder,
    split: Annotated[list[str] | None, typer.Option(help="repeatable; all but train")] = None,
    preset: Annotated[str, typer.Option(help="of the stored relevancy")] = "ours",
    intervals: Intervals = 1000,
    out: Annotated[Path | None, typer.Option(help="also write .md or .csv")] = None,
) -> None:
    """How often the maximum of an object's stored relevancy lies on the object."""
    from semabs_core.evaluation.evaluate import evaluated_splits, novel_classes
    from semabs_core.evaluation.pointing import pointing_rows, summarize_pointing
    from semabs_core.evaluation.tables import check_table_path

    if out is not None:
        check_folder(check_table_path(out).parent)
    with progress_bar("pointing") as advance:
        splits = split or evaluated_splits(folder, "completion")
        rows = pointing_rows(folder, splits, preset, advance)
    result = summarize_pointing(rows, novel_classes(folder) or (), intervals)
    say(result.to_rich())
    if out is not None:
        result.save(out)
        say(f"written to {out}")


def presence(
    folder: Folder,
    encoder: Annotated[str, typer.Option(help="shipped:NAME or local-dir:FOLDER")]
    = "shipped:encoder_fine",
    split: Annotated[list[str] | None, typer.Option(help="repeatable; all but train")] = None,
    preset: Annotated[str, typer.Option(help="of the relevancy")] = "mosaic",
    prompt: Annotated[list[str] | None, typer.Option(help="with one {}; may be repeated")] = None,
    out: Annotated[Path | None, typer.Option(help="also write the rows: .parquet, .csv")] = None,
    device: Annotated[str, typer.Option()] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16")] = "auto",
) -> None:  # fmt: skip
    """How often absent things are "not found", and present ones are."""
    from semabs_core.data.relevancy_store import check_request
    from semabs_core.data.splits import split_paths
    from semabs_core.devices import choose_device
    from semabs_core.encoder import load_encoder
    from semabs_core.evaluation.evaluate import evaluated_splits
    from semabs_core.evaluation.presence import presence_rows, summarize_presence
    from semabs_core.evaluation.rows import check_rows_path, save_rows
    from semabs_core.precision import choose_dtype
    from semabs_core.relevancy import RENDER_PROMPTS, RelevancyExtractor

    if out is not None:
        check_rows_path(out)
        check_folder(out.parent)
    prompts = tuple(prompt or RENDER_PROMPTS)
    check_request(folder, [preset], prompts)  # all that can be is checked before the work
    splits = split or evaluated_splits(folder, "localization")
    for name in splits:
        split_paths(folder, "localization", name)
    chosen = choose_device(device)
    model = load_encoder(encoder, None, chosen, choose_dtype(precision, chosen))
    extractor = RelevancyExtractor(model, preset, augmentations=0)
    with progress_bar("rooms") as advance:
        rows = presence_rows(folder, splits, extractor, preset, prompts, advance)
    for table in summarize_presence(rows):
        say(table.to_rich())
    if out is not None:
        save_rows(rows, out)
        say(f"written to {out}")


def summarize(
    rows: Annotated[
        list[str] | None,
        typer.Argument(help="NAME=FILE (.parquet, published .pkl); a repeated NAME: seeds"),
    ] = None,
    cutoff: Annotated[
        str,
        typer.Option(help="validation, stored, test or a logit; unset: validation, or stored"),
    ] = "",
    published: Annotated[
        bool, typer.Option(help="published figures beside ours; without rows, those alone")
    ] = False,
    intervals: Intervals = 0,
    against: Annotated[str, typer.Option(help="NAME whose lead over each other is shown")] = "",
    answered: Annotated[
        bool,
        typer.Option(help="as a robot is answered: labels compete; the cutoff is the stored one"),
    ] = False,
    nyu: Annotated[bool, typer.Option(help="NYU's table with its eleven classes")] = False,
    grid: Annotated[
        int | None, typer.Option(help="voxels per axis; unset: 32, or NYU's 60", min=2)
    ] = None,
    views: Annotated[
        Path | None, typer.Option(help="data set of the rows: also by camera and sensor")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="also write .md or .csv")] = None,
) -> None:
    """Print the tables of completion or localization by approach and column."""
    from semabs_core.evaluation.answered import ANSWERED
    from semabs_core.evaluation.metrics import grid_name
    from semabs_core.evaluation.summary import SummaryOptions, published_tables, summarize_nyu
    from semabs_core.evaluation.summary import summarize as tabulate
    from semabs_core.evaluation.tables import check_table_path
    from semabs_core.evaluation.views import summarize_views

    if out is not None:
        check_folder(check_table_path(out).parent)
    if grid is not None and published:
        raise typer.BadParameter("--published figures are at one grid: leave out --grid")
    if not rows:
        if not published:
            raise typer.BadParameter("name files of rows, or ask for the --published figures alone")
        _show(published_tables(), out)
        return
    if answered and published:
        raise typer.BadParameter(
            "--published figures are of each label alone: leave out --answered"
        )
    tables = _tables(rows)
    rule = cutoff or ("stored" if answered else "validation")
    try:
        number: str | float = float(rule)
    except ValueError:
        number = rule
    metric = (ANSWERED if answered else "") + f"{grid_name(grid or (60 if nyu else 32))}_iou"
    options = SummaryOptions(
        metric, number, published=published, replicates=intervals, against=against
    )
    found = [(summarize_nyu if nyu else tabulate)(tables, options)]
    if views is not None:
        found.append(summarize_views(tables, views, options))
    _show(found, out)


def _tables(rows: Sequence[str]) -> dict[str, list[pd.DataFrame]]:
    """The files of rows by the names of their approaches."""
    from semabs_core.evaluation.rows import read_rows

    tables: dict[str, list[pd.DataFrame]] = {}
    for item in rows:
        name, separator, path = item.partition("=")
        table = read_rows(path if separator else name)
        key = name if separator else str(table.attrs.get("approach") or Path(name).stem)
        if key in tables and not separator:
            raise typer.BadParameter(f"{path or name} is of {key} too: name each, NAME=FILE")
        tables.setdefault(key, []).append(table)
        if left_out := sum(table.attrs.get("skipped", {}).values()):
            say(f"NOTE: {key} was evaluated without {left_out} damaged scene(s)")
    return tables


def _show(tables: Sequence[FigureTable], out: Path | None) -> None:
    """Print tables, and write them into one file."""
    from semabs_core.evaluation.tables import save_tables

    for table in tables:
        say(table.to_rich())
    if out is not None:
        save_tables(tables, out)
        say(f"written to {out}")
