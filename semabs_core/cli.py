"""The ``semabs`` command: parses, calls, prints; nothing reusable."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Open-world 3D understanding: Semantic Abstraction.",
)
data_app = typer.Typer(no_args_is_help=True, help="Data sets: synthetic rooms, stored relevancy.")
app.add_typer(data_app, name="data")
weights_app = typer.Typer(no_args_is_help=True, help="Weights: list, download, convert, verify.")
app.add_typer(weights_app, name="weights")
console = Console(width=None if sys.stdout.isatty() else 140)

Folder = Annotated[Path, typer.Argument(help="the data set's folder")]


def is_first() -> bool:
    """Whether this is torchrun's first process, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def progress_bar(what: str) -> Any:
    """A bar; yields a function that takes (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), disable=not is_first()) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


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
        values[name.strip()] = yaml.safe_load(value)
    return nest(values)


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``changes`` over ``base``, mapping by mapping."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


@app.command()
def ask(
    scene: Annotated[Path, typer.Argument(help="a .npz or .hdf5 scene")],
    sentence: Annotated[str, typer.Argument(help="'the mug behind the lamp'; empty: only complete")]
    = "",
    classes: Annotated[str, typer.Option(help="names, separated by commas")] = "",
    config: Annotated[Path | None, typer.Option(help="YAML config")] = None,
    out: Annotated[Path, typer.Option(help="folder for pictures and meshes")] = Path("out"),
    device: Annotated[str, typer.Option()] = "auto",
) -> None:  # fmt: skip
    """Complete a scene file and localize what a sentence describes; without ROS."""
    from semabs_core.config import SemabsConfig
    from semabs_core.data.scene_file import load_scene
    from semabs_core.description import parse_description
    from semabs_core.pipeline import SceneUnderstanding
    from semabs_core.visualize import figures, meshes

    loaded = load_scene(scene)
    names = [name.strip() for name in classes.split(",") if name.strip()] or loaded.classes
    pipeline = SceneUnderstanding.from_config(config or SemabsConfig(), device=device)
    if pipeline.untrained:
        console.print(f"NOTE: {', '.join(pipeline.untrained)} untrained: answers mean nothing")
    if pipeline.foreign:
        console.print(f"NOTE: the encoder is not that of {', '.join(pipeline.foreign)}")
    frame = loaded.frame(0)
    pipeline.set_frame(frame)
    completion = pipeline.complete(names)
    out.mkdir(parents=True, exist_ok=True)
    maps = pipeline.relevancy(completion.classes)
    mosaic = figures.relevancy_mosaic(frame.rgb, maps, completion.classes)
    figures.write_png(mosaic, out / "relevancy.png")
    figures.write_png(figures.completion_figure(frame, completion), out / "completion.png")
    solid = meshes.completion_mesh(completion)
    if len(solid.triangles):
        meshes.write_mesh(solid, out / "completion.ply")
    table = Table("class", "voxels")
    for name, count in completion.voxels_per_class().items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    if sentence:
        wanted = parse_description(sentence)
        answer = pipeline.localize(wanted.target, wanted.relation, wanted.reference)
        picture = figures.localization_figure(frame, completion, answer, sentence)
        figures.write_png(picture, out / "localization.png")
        x, y, z = answer.position_m
        console.print(f"{sentence}: x {x:.2f}, y {y:.2f}, z {z:.2f} m, score {answer.score:.2f}")
    console.print(f"pictures are in {out}")


@weights_app.command("list")
def list_weights() -> None:
    """The weights in this package, and the published ones."""
    from semabs_core.weights.download import PUBLISHED_URL, checkpoint_folders, default_folder
    from semabs_core.weights.shipped import PREFIX, shipped_names, size_of

    table = Table("name", "MB", "what")
    for name, entry in shipped_names().items():
        table.add_row(PREFIX + name, f"{size_of(name) / 1e6:.1f}", str(entry["about"]))
    there = checkpoint_folders(default_folder() / "published")
    for checkpoint in there:
        table.add_row(str(checkpoint), "", "published")
    console.print(table)
    if not there:
        console.print(
            f"published: not here; `semabs weights download` brings them ({PUBLISHED_URL})"
        )


@weights_app.command("path")
def path_of_weights(
    name: Annotated[str, typer.Argument(help="as in `semabs weights list`")],
) -> None:
    """Print the folder of weights in this package."""
    from semabs_core.weights.shipped import PREFIX, shipped_path

    print(shipped_path(name.removeprefix(PREFIX)))


@weights_app.command("download")
def download_weights(
    out: Annotated[Path | None, typer.Option(help="SEMABS_HOME, or ~/.cache/semabs")] = None,
    url: Annotated[str, typer.Option(help="address of a .tar.lz4; default the published")] = "",
    sha256: Annotated[str, typer.Option(help="its checksum, where you know it")] = "",
) -> None:
    """Download the published weights (3.5 GB); carries on where it was cut off."""
    from semabs_core.weights.download import PUBLISHED_URL, default_folder, download, unpack

    folder, address = out or default_folder(), url or PUBLISHED_URL
    name = PurePosixPath(urlsplit(address).path).name
    if not name:
        raise typer.BadParameter(f"the address must end in the name of a file, got {address}")
    archive = folder / name
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task(archive.name, total=None)
        download(
            address, archive, sha256 or None,
            lambda done, total: progress.update(task, completed=done, total=total or None),
        )  # fmt: skip
    for checkpoint in unpack(archive, folder / "published"):
        console.print(str(checkpoint))


@weights_app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="names or folders; default: all")
    ] = None,
) -> None:
    """Check that weights are whole: checksums of those in this package, and that they load."""
    from semabs_core.weights.check import check_weights

    results = check_weights(names or [])
    for name, fault in results.items():
        console.print(f"{name}: {fault or 'whole'}")
    if any(results.values()):
        raise typer.Exit(1)


@weights_app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="a checkpoint folder, published or ours")],
    target: Annotated[Path, typer.Argument(help="folder to write")],
    half: Annotated[bool, typer.Option(help="store half precision")] = False,
) -> None:
    """Convert a published checkpoint, or one of ours, to our format (safetensors and JSON)."""
    import torch

    from semabs_core.weights.check import convert_weights

    what = convert_weights(source, target, torch.float16 if half else torch.float32)
    console.print(f"{what} written to {target}")


@weights_app.command()
def pack(
    source: Annotated[Path, typer.Argument(help="folder of a training run")],
    name: Annotated[str, typer.Argument(help="what it is called in the package")],
    about: Annotated[str, typer.Argument(help="a line for people")],
) -> None:
    """Put weights into this package, in half precision, and note their checksums."""
    from semabs_core.weights.check import pack_weights

    console.print(f"{pack_weights(source, name, about)} packed as shipped:{name}")


@data_app.command()
def rooms(
    out: Annotated[Path, typer.Option(help="the data set's folder")],
    split: Annotated[str, typer.Option(help="how many rooms of each split")] = (
        "train=2000,validation=100,unseen_instances=100,unseen_instances_dr=100,"
        "unseen_instances_synonyms=100"
    ),
    seed: Annotated[int, typer.Option(help="of the data set")] = 0,
    workers: Annotated[int, typer.Option(help="processes")] = os.cpu_count() or 1,
    option: Annotated[list[str] | None, typer.Option(help="name=value of RoomOptions")] = None,
) -> None:
    """Make synthetic rooms, or the rest of an interrupted run."""
    from semabs_core.data.rooms.generate import generate_rooms
    from semabs_core.data.rooms.room import RoomOptions

    values = parse_options(option or [])
    known = {field.name for field in dataclasses.fields(RoomOptions)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise typer.BadParameter(
            f"unknown option {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    counts = generate_rooms(out, parse_counts(split), seed, workers, RoomOptions(**values))
    console.print(f"{out}: {counts['made']} rooms made, {counts['kept']} kept")


@data_app.command()
def relevancy(
    folder: Folder,
    encoder: Annotated[str, typer.Option(help="open_clip model, local-dir: or shipped:")],
    pretrained: Annotated[str, typer.Option(help="open_clip tag or checkpoint file")] = "",
    preset: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="with one {}; may be repeated")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="pictures, may be repeated; rgb, but random colours in _dr splits"),
    ] = None,
    augmentations: Annotated[int, typer.Option(help="jittered copies; -1: the preset's")] = -1,
    device: Annotated[str, typer.Option()] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16")] = "auto",
    tile_batch: Annotated[int, typer.Option(help="tiles per pass; 0: the device's default")] = 0,
    remake: Annotated[bool, typer.Option(help="make again what is there")] = False,
) -> None:
    """Store the relevancy of every word a data set needs; shares the scenes under torchrun."""
    from semabs_core.config import choose_device, choose_dtype
    from semabs_core.data.relevancy_store import store_relevancy
    from semabs_core.encoder import load_encoder
    from semabs_core.relevancy import RENDER_PROMPTS

    chosen = choose_device(device)
    if device == "auto" and chosen.type == "cuda" and "LOCAL_RANK" in os.environ:
        chosen = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
    model = load_encoder(encoder, pretrained or None, chosen, choose_dtype(precision, chosen))
    with progress_bar("relevancy") as advance:
        counts = store_relevancy(
            folder,
            model,
            presets=tuple(preset or ["ours"]),
            prompts=tuple(prompt or RENDER_PROMPTS),
            sources=source,
            augmentations=None if augmentations < 0 else augmentations,
            tile_batch=tile_batch or None,
            resume=not remake,
            on_scene=advance,
        )
    texts = ", ".join(f"{number} {what}" for what, number in counts.items())
    console.print(f"{folder}: {texts}")


@app.command()
def train(
    task: Annotated[str, typer.Argument(help="completion, localization or encoder")],
    data: Annotated[Path | None, typer.Option(help="the data set's folder")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for weights and state")] = None,
    approach: Annotated[str, typer.Option(help="or semantic_aware, clip_spatial")] = "",
    config: Annotated[Path | None, typer.Option(help="YAML of a training config")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="name=value, such as data.num_labels=4; repeatable")
    ] = None,
    resume: Annotated[bool, typer.Option(help="carry on from the state in the folder")] = False,
) -> None:
    """Train a network, alone or under torchrun on one or many machines; or a small encoder."""
    from semabs_core.config import read_yaml

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
        from semabs_core.training.encoder import train_encoder
        from semabs_core.training.encoder_config import parse_encoder_config

        train_encoder(parse_encoder_config(values))
        return
    from semabs_core.training import train as run
    from semabs_core.training.config import parse_training_config

    values = merge(values, {"network": {"task": task}})
    if approach:
        values = merge(values, {"network": {"approach": approach}})
    run(parse_training_config(values))


@app.command("eval")
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="folder of a network, or shipped:NAME")],
    data: Annotated[Path, typer.Option(help="the data set's folder")],
    out: Annotated[Path, typer.Option(help="Parquet file for the rows")],
    split: Annotated[list[str] | None, typer.Option(help="repeatable; all but train")] = None,
    preset: Annotated[str, typer.Option(help="relevancy preset; empty: the checkpoint's")] = "",
    limit: Annotated[int, typer.Option(help="scenes per split; 0: all")] = 0,
    device: Annotated[str, typer.Option()] = "auto",
    workers: Annotated[int, typer.Option(help="processes that read scenes")] = 2,
    grid: Annotated[
        list[int] | None, typer.Option(help="voxels per axis, repeatable; NYU's is 60")
    ] = None,
) -> None:
    """Evaluate a checkpoint at all cutoffs; shares the scenes under torchrun."""
    from semabs_core.evaluation.evaluate import evaluate as run
    from semabs_core.evaluation.scene import EvaluationOptions

    with progress_bar("evaluation") as advance:
        rows = run(
            checkpoint, data, split or None, out=out, preset=preset or None, limit=limit or None,
            device=device, workers=workers,
            options=EvaluationOptions(grids=tuple(grid)) if grid else None,
            on_progress=lambda name, done, total: advance(done, total),
        )  # fmt: skip
    if rows is not None:
        console.print(f"{len(rows):,} rows written to {out}")


@app.command()
def pointing(
    folder: Folder,
    split: Annotated[list[str] | None, typer.Option(help="repeatable; all but train")] = None,
    preset: Annotated[str, typer.Option(help="of the stored relevancy")] = "ours",
    intervals: Annotated[int, typer.Option(help="bootstrap replicates for 95 % intervals")] = 1000,
    out: Annotated[Path | None, typer.Option(help="also write .md or .csv")] = None,
) -> None:
    """How often the maximum of an object's stored relevancy lies on the object."""
    from semabs_core.evaluation.evaluate import evaluated_splits, novel_classes
    from semabs_core.evaluation.pointing import pointing_rows, summarize_pointing

    with progress_bar("pointing") as advance:
        splits = split or evaluated_splits(folder, "completion")
        rows = pointing_rows(folder, splits, preset, advance)
    result = summarize_pointing(rows, novel_classes(folder) or (), intervals)
    console.print(result.to_rich())
    if out is not None:
        result.save(out)
        console.print(f"written to {out}")


@app.command()
def summarize(
    rows: Annotated[
        list[str],
        typer.Argument(help="NAME=FILE (.parquet, published .pkl); a repeated NAME: seeds"),
    ],
    cutoff: Annotated[str, typer.Option(help="validation, stored, test or a logit")] = "validation",
    published: Annotated[bool, typer.Option(help="published figures beside ours")] = False,
    intervals: Annotated[int, typer.Option(help="bootstrap replicates for 95 % intervals")] = 0,
    against: Annotated[str, typer.Option(help="NAME whose lead over each other is shown")] = "",
    nyu: Annotated[bool, typer.Option(help="NYU's table with its eleven classes")] = False,
    out: Annotated[Path | None, typer.Option(help="also write .md or .csv")] = None,
) -> None:
    """Print the tables of completion or localization by approach and column."""
    from semabs_core.evaluation.rows import read_rows
    from semabs_core.evaluation.summary import SummaryOptions, summarize_nyu
    from semabs_core.evaluation.summary import summarize as tabulate

    tables: dict[str, list[Any]] = {}
    for item in rows:
        name, separator, path = item.partition("=")
        table = read_rows(path if separator else name)
        key = name if separator else str(table.attrs.get("approach") or Path(name).stem)
        tables.setdefault(key, []).append(table)
    try:
        number: str | float = float(cutoff)
    except ValueError:
        number = cutoff
    metric = "voxel60x60x60_iou" if nyu else "voxel32x32x32_iou"
    options = SummaryOptions(
        metric, number, published=published, replicates=intervals, against=against
    )
    result = (summarize_nyu if nyu else tabulate)(tables, options)
    console.print(result.to_rich())
    if out is not None:
        result.save(out)
        console.print(f"written to {out}")


def run_clearly(command: Callable[[], Any]) -> int:
    """Run a command; an error that users can mend is one line, not a traceback."""
    try:
        command()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("SEMABS_DEBUG"):
            raise
        print(f"semabs: {error}", file=sys.stderr)
        return 1
    return 0


def main() -> None:
    """Entry point. SEMABS_DEBUG=1 shows the traceback of an error."""
    sys.exit(run_clearly(app))


if __name__ == "__main__":
    main()
