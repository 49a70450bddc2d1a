"""``semabs train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semabs_core.commands.common import merge, parse_options


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
