"""Options that commands share, under one name everywhere: that of the node's parameter.

``--device`` is the parameter ``device``, ``--preset`` is ``relevancy.preset`` and so on; ``--option
NAME=VALUE`` sets any other parameter of the models by its whole name.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from semabs_core.commands.common import merge, parse_options

if TYPE_CHECKING:
    from semabs_core.config import SemabsConfig

MODELS = "Models"
Config = Annotated[
    str | None,
    typer.Option(help="YAML of the models, or the name of one that ships", rich_help_panel=MODELS),
]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda or cuda:N", rich_help_panel=MODELS)
]
Encoder = Annotated[
    str | None,
    typer.Option(help="open_clip model, local-dir:FOLDER or shipped:NAME", rich_help_panel=MODELS),
]
Pretrained = Annotated[
    str | None, typer.Option(help="open_clip tag or checkpoint file", rich_help_panel=MODELS)
]
Precision = Annotated[
    str | None, typer.Option(help="auto, fp32, bf16 or fp16", rich_help_panel=MODELS)
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="ours (exact), fast, sparse, mosaic, or chefer_et_al (whole image)",
        rich_help_panel=MODELS,
    ),
]
Prompt = Annotated[
    list[str] | None,
    typer.Option(help="sentence with one {} for the name; repeatable", rich_help_panel=MODELS),
]
Resolution = Annotated[int | None, typer.Option(help="voxels per axis", rich_help_panel=MODELS)]
AnyOption = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME=VALUE of any other parameter, such as region.floor_z_m=0.1; repeatable",
        rich_help_panel=MODELS,
    ),
]
Read = Annotated[
    str,
    typer.Option(
        help="what the files do not say: 'up=y depth_scale=5000 intrinsics=\"f f cx cy\"'"
    ),
]
PARAMETERS = {
    "device": "device",
    "encoder": "encoder.model",
    "pretrained": "encoder.pretrained",
    "precision": "encoder.precision",
    "preset": "relevancy.preset",
    "prompt": "relevancy.prompts",
    "cutoff": "completion.cutoff",
}
"""Short options and the parameters that they are."""


def make_config(context: typer.Context) -> SemabsConfig:
    """The config file of a command line, changed by its other options.

    Args:
        context: of a command with any of the options ``config``, ``option`` (``NAME=VALUE`` of any
            parameter), ``resolution`` (of both volumes) and those of :data:`PARAMETERS`; they are
            taken from here, so that a command only declares them.

    Raises:
        ConfigError: with every unknown name, wrong type and value out of range.
    """
    from semabs_core.config import SemabsConfig, load_config, nest, parse_config

    told = {
        name: value for name, value in context.params.items() if value not in (None, "", (), [])
    }
    config = told.get("config")
    base = load_config(config) if config else SemabsConfig()
    named = {PARAMETERS[name]: value for name, value in told.items() if name in PARAMETERS}
    if "prompt" in told:
        named[PARAMETERS["prompt"]] = list(told["prompt"])
    if "resolution" in told:
        tasks = ("completion", "localization")
        named |= {f"{task}.resolution": told["resolution"] for task in tasks}
    changes = merge(nest(named), parse_options(list(told.get("option", ()))))
    where = f"{config} with the options" if config else "the options"
    return parse_config(merge(asdict(base), changes), where)
