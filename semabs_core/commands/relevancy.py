"""``semabs relevancy``: where a picture supports words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semabs_core.commands.common import check_folder, progress_of_stages, say
from semabs_core.commands.options import (
    AnyOption,
    Config,
    Device,
    Encoder,
    Precision,
    Preset,
    Pretrained,
    Prompt,
    make_config,
)

EXAMPLE = (
    'Example: semabs relevancy photo.jpg --label "nintendo switch" --label vase --label carpet '
    "--out relevancy"
)


def relevancy(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="a photograph: PNG, JPEG, ..., of any size")],
    label: Annotated[list[str], typer.Option(help="what to look for; repeatable")],
    out: Annotated[Path, typer.Option(help="folder for relevancy.png and relevancy.npz")]
    = Path("out"),
    longest_edge: Annotated[
        int, typer.Option(help="a larger picture is made smaller to this many pixels", min=16)
    ] = 1024,
    config: Config = None,
    device: Device = None,
    encoder: Encoder = None,
    pretrained: Pretrained = None,
    precision: Precision = None,
    preset: Preset = None,
    prompt: Prompt = None,
    option: AnyOption = None,
) -> None:  # fmt: skip
    """Show where a picture supports each label: a figure, and the maps as .npz.

    The maps are measured against the mean map of everyday words, so a label's map does not depend
    on what else is asked. relevancy.npz holds labels, maps (L, H, W) and mean (H, W).
    """
    import numpy as np

    from semabs_core.description import check_classes
    from semabs_core.picture import PictureReader, read_picture
    from semabs_core.visualize.figures import relevancy_mosaic
    from semabs_core.visualize.png import UNSEEN, write_png
    from semabs_core.visualize.store import save_arrays
    from semabs_core.vocabulary import never_shown

    options = make_config(context)
    names = check_classes(label)
    picture = read_picture(image, longest_edge)
    check_folder(out)
    with progress_of_stages("loading the encoder") as advance:
        reader = PictureReader(options)
        found = reader(picture, names, advance)
        advance("drawing", 0.9)
        figure = relevancy_mosaic(picture, found.above_mean, names)
        write_png(figure, out / "relevancy.png", UNSEEN)
        save_arrays(out / "relevancy.npz", labels=np.array(names), maps=found.maps, mean=found.mean)
    if reader.known and (unknown := never_shown(reader.known.unknown_words(names))):
        say(f"NOTE: {unknown}")
    say(f"written: {out / 'relevancy.png'}, {out / 'relevancy.npz'}")
