"""``semabs data``."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import typer

from semabs_core.commands.common import Folder, parse_counts, parse_options, progress_bar, say

app = typer.Typer(no_args_is_help=True, help="Data sets: synthetic rooms, stored relevancy.")


@app.command(
    epilog="Example: semabs data rooms --out data --split train=2000,validation=100 --seed 0"
)
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
    from semabs_core.config import validate
    from semabs_core.data.rooms.generate import generate_rooms
    from semabs_core.data.rooms.room import RoomOptions

    values = parse_options(option or [])
    known = {field.name for field in dataclasses.fields(RoomOptions)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise typer.BadParameter(
            f"unknown option {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    options = validate(RoomOptions, values, "the rooms' options")
    counts = generate_rooms(out, parse_counts(split), seed, workers, options)
    say(f"{out}: {counts['made']} rooms made, {counts['kept']} kept")


@app.command(
    epilog="Example: semabs data relevancy data --encoder ViT-B-32-quickgelu --pretrained openai"
)
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
    tag: Annotated[str, typer.Option(help="store as PRESET@TAG, beside other encoders'")] = "",
) -> None:
    """Store the relevancy of every word a data set needs; shares the scenes under torchrun."""
    from semabs_core.data.relevancy_store import check_request, store_relevancy
    from semabs_core.devices import choose_device
    from semabs_core.encoder import load_encoder
    from semabs_core.precision import choose_dtype
    from semabs_core.relevancy import RENDER_PROMPTS

    presets, prompts = tuple(preset or ["ours"]), tuple(prompt or RENDER_PROMPTS)
    check_request(folder, presets, prompts, source)  # before an encoder is loaded or downloaded
    chosen = choose_device(device)
    if device == "auto" and chosen.type == "cuda" and "LOCAL_RANK" in os.environ:
        chosen = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
    model = load_encoder(encoder, pretrained or None, chosen, choose_dtype(precision, chosen))
    with progress_bar("relevancy") as advance:
        counts = store_relevancy(
            folder,
            model,
            presets=presets,
            prompts=prompts,
            sources=source,
            augmentations=None if augmentations < 0 else augmentations,
            tile_batch=tile_batch or None,
            resume=not remake,
            tag=tag,
            on_scene=advance,
        )
    texts = ", ".join(f"{number} {what}" for what, number in counts.items())
    say(f"{folder}: {texts}")


@app.command(epilog="Example: semabs data join rooms easy_rooms robot_rooms")
def join(
    out: Annotated[Path, typer.Argument(help="the new data set's folder")],
    folders: Annotated[list[Path], typer.Argument(help="data sets to join")],
) -> None:
    """Make one data set of several, by links to their scenes."""
    from semabs_core.data.joining import join_data_sets

    counts = join_data_sets(out, folders)
    say(f"{out}: " + ", ".join(f"{count} of {split}" for split, count in counts.items()))
