"""``semabs app``: the web page."""

from __future__ import annotations

from typing import Annotated

import typer

from semabs_core.commands.common import say
from semabs_core.commands.options import Config, Device, make_config

EXAMPLE = "Example: semabs app --port 7860"


def app(
    context: typer.Context,
    config: Config = None,
    device: Device = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one")] = 7860,
) -> None:
    """A web page: relevancy of pictures, completion and localization of scenes, in 3D.

    It needs the extra semabs[app], no GPU, and no network but to download models at their first
    use.
    """
    from semabs_core.app.server import check_gradio, import_gradio, serve

    check_gradio()
    from semabs_core.app.models import Models

    options = make_config(context)
    models = Models(options, options.device)
    import_gradio()
    from semabs_core.app.page import build_page

    page = build_page(models)
    address = serve(page, host, port, block=False)
    say(f"semabs app: {address} (Ctrl-C ends it)")
    page.block_thread()
