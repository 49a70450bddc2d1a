"""``semabs app``: the web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semabs_core.commands.common import say
from semabs_core.commands.demo import Device


def app(
    config: Annotated[Path | None, typer.Option(help="YAML file, or the name of one that ships")]
    = None,
    device: Device = "auto",
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one")] = 7860,
) -> None:  # fmt: skip
    """A web page: relevancy of pictures, completion and localization of scenes, in 3D.

    It needs no network and no GPU, but the extra semabs[app]. Example: semabs app --port 7860
    """
    from semabs_core.app.server import check_gradio, serve

    check_gradio()
    from semabs_core.app.models import Models
    from semabs_core.app.page import build_page
    from semabs_core.config import SemabsConfig, load_config

    models = Models(load_config(config) if config else SemabsConfig(), device)
    page = build_page(models)
    address = serve(page, host, port, block=False)
    say(f"semabs app: {address} (Ctrl-C ends it)")
    page.block_thread()
