"""``semabs weights``."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from semabs_core.commands.common import check_folder, progress_bar, say

app = typer.Typer(no_args_is_help=True, help="Weights: list, download, convert, verify.")


@app.command("list", epilog="Example: semabs weights list")
def list_weights() -> None:
    """The weights in this package, and the published ones."""
    from semabs_core.weights.download import PUBLISHED_URL
    from semabs_core.weights.published import published_checkpoints
    from semabs_core.weights.shipped import PREFIX, shipped_names, size_of

    table = Table("name", "MB", "what")
    for name, entry in shipped_names().items():
        table.add_row(PREFIX + name, f"{size_of(name) / 1e6:.1f}", Text(str(entry["about"])))
    there = published_checkpoints()
    for name, folder in there.items():
        table.add_row(Text(name), "", Text(str(folder)))
    say(table)
    if not there:
        say(f"published: not here; `semabs weights download` brings them ({PUBLISHED_URL})")


@app.command("path", epilog="Example: semabs weights path shipped:encoder")
def path_of_weights(
    name: Annotated[str, typer.Argument(help="as in `semabs weights list`")],
) -> None:
    """Print the folder of weights in this package."""
    from semabs_core.weights.shipped import PREFIX, shipped_path

    print(shipped_path(name.removeprefix(PREFIX)))


@app.command("words", epilog="Example: semabs weights words shipped:encoder")
def words_of_weights(
    name: Annotated[
        str, typer.Argument(help="an encoder: shipped:NAME or local-dir:FOLDER")
    ] = "shipped:encoder_fine",
) -> None:
    """Print the words that an encoder was trained on, where they are known."""
    from semabs_core.vocabulary import read_vocabulary

    known = read_vocabulary(name)
    if known is None:
        raise ValueError(f"the words of {name} are not known: it has no words.json beside it")
    synonyms = [f"{word} ({kind})" for kind, word in sorted(known.synonyms.items())]
    for title, words in (
        ("things", known.classes),
        ("other words for things", synonyms),
        ("colours, before a thing", known.colors),
    ):
        text = f"{title} ({len(words)}): {', '.join(words)}"
        say(text)


@app.command(epilog="Example: semabs weights calibrate local-dir:my_encoder --data data")
def calibrate(
    encoder: Annotated[str, typer.Argument(help="shipped:NAME or local-dir:FOLDER")],
    data: Annotated[Path, typer.Option(help="folder of rooms, other than it was trained on")],
    preset: Annotated[str, typer.Option(help="of the relevancy that is asked")] = "mosaic",
    prompt: Annotated[list[str] | None, typer.Option(help="with one {}; may be repeated")] = None,
    fit: Annotated[str, typer.Option(help="split that the models are fitted on")] = "train",
    choose: Annotated[str, typer.Option(help="split for the threshold")] = "validation",
    device: Annotated[str, typer.Option()] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16")] = "auto",
) -> None:
    """Teach an encoder to say "not found": writes presence.json beside its weights."""
    from semabs_core.data.relevancy_store import check_request
    from semabs_core.data.splits import split_paths
    from semabs_core.devices import choose_device
    from semabs_core.encoder import load_encoder
    from semabs_core.precision import choose_dtype
    from semabs_core.presence import PresenceError, save_presence
    from semabs_core.relevancy import RENDER_PROMPTS, RelevancyExtractor
    from semabs_core.training.presence import calibrate_presence
    from semabs_core.vocabulary import encoder_folder
    from semabs_core.weights.shipped import PREFIX, renew_manifest

    folder = encoder_folder(encoder)
    if folder is None:
        raise PresenceError(f"{encoder} has no folder of its own; save it and give local-dir:")
    prompts = tuple(prompt or RENDER_PROMPTS)
    check_request(data, [preset], prompts)  # all that can be is checked before the work
    for split in (fit, choose):
        split_paths(data, "localization", split)
    chosen = choose_device(device)
    model = load_encoder(encoder, None, chosen, choose_dtype(precision, chosen))
    check_folder(folder)
    extractor = RelevancyExtractor(model, preset, augmentations=0)
    with progress_bar("rooms") as advance:
        result = calibrate_presence(data, extractor, prompts, fit, choose, advance)
    save_presence(result, preset, folder)
    if encoder.startswith(PREFIX):
        renew_manifest()
    say(f"{folder}: found from a probability of {result.threshold:.3f} on")


@app.command("download", epilog="Example: semabs weights download")
def download_weights(
    out: Annotated[Path | None, typer.Option(help="SEMABS_HOME, or ~/.cache/semabs")] = None,
    url: Annotated[str, typer.Option(help="address of a .tar.lz4; default the published")] = "",
    sha256: Annotated[str, typer.Option(help="its checksum, where you know it")] = "",
) -> None:
    """Download the published weights (3.5 GB); carries on where it was cut off."""
    from semabs_core.weights.download import PUBLISHED_URL, download, unpack
    from semabs_core.weights.published import default_folder, published_checkpoints

    folder, address = out or default_folder(), url or PUBLISHED_URL
    name = PurePosixPath(urlsplit(address).path).name
    if not name:
        raise typer.BadParameter(f"the address must end in the name of a file, got {address}")
    check_folder(folder)
    archive = folder / name
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task(archive.name, total=None)
        download(
            address, archive, sha256 or None,
            lambda done, total: progress.update(task, completed=done, total=total or None),
        )  # fmt: skip
    checkpoints = unpack(archive, folder / "published")
    names = {place: name for name, place in published_checkpoints().items()}
    for checkpoint in checkpoints:
        say(names.get(checkpoint, str(checkpoint)))


@app.command(epilog="Example: semabs weights verify shipped:encoder")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="names or folders; default: all")
    ] = None,
) -> None:
    """Check that weights are whole: checksums of those in this package, and that they load."""
    from semabs_core.weights.check import check_weights

    results = check_weights(names or [])
    for name, fault in results.items():
        say(f"{name}: {fault or 'whole'}")
    if any(results.values()):
        raise typer.Exit(1)


@app.command(epilog="Example: semabs weights convert published_folder my_folder")
def convert(
    source: Annotated[Path, typer.Argument(help="a checkpoint folder, published or ours")],
    target: Annotated[Path, typer.Argument(help="folder to write")],
    half: Annotated[bool, typer.Option(help="store half precision")] = False,
) -> None:
    """Convert a published checkpoint, or one of ours, to our format (safetensors and JSON)."""
    import torch

    from semabs_core.weights.check import convert_weights

    what = convert_weights(source, target, torch.float16 if half else torch.float32)
    say(f"{what} written to {target}")


@app.command(epilog="Example: semabs weights average runs/first runs/second runs/mean")
def average(
    sources: Annotated[
        list[str], typer.Argument(help="networks trained one from the other, the last one last")
    ],
    target: Annotated[Path, typer.Argument(help="folder to write")],
) -> None:
    """Write the mean of networks; then `semabs calibrate` it."""
    from semabs_core.weights.average import average_networks

    count = average_networks(sources, target)
    say(f"the mean of {len(sources)} networks, {count:,} weights, written to {target}")


@app.command(epilog="Example: semabs weights pack runs/ours completion 'completion by ours'")
def pack(
    source: Annotated[Path, typer.Argument(help="folder of a training run")],
    name: Annotated[str, typer.Argument(help="what it is called in the package")],
    about: Annotated[str, typer.Argument(help="a line for people")],
    preset: Annotated[
        str | None,
        typer.Option(help="that a network for any relevancy gets if a config has none"),
    ] = None,
) -> None:
    """Put weights into this package, in half precision, and note their checksums."""
    from semabs_core.weights.check import pack_weights

    what = pack_weights(source, name, about, preset=preset)
    say(f"{what} packed as shipped:{name}")
