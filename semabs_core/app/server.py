"""Serving the page: from this machine alone, and without a network."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-ancestors 'self'",
    )
)
"""Browsers load nothing from elsewhere, whatever Gradio's files name: no fonts, no analytics."""
MAX_UPLOAD = "500mb"


class OnlyFromHere:
    """Adds the policy to every answer (ASGI middleware)."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""

        async def add(message: Any) -> None:
            if message["type"] == "http.response.start":
                header = (b"content-security-policy", POLICY.encode())
                message = {**message, "headers": [*message.get("headers", []), header]}
            await send(message)

        await self.app(scope, receive, add)


def check_gradio() -> None:
    """Make sure that Gradio is there, before models are downloaded and loaded for it.

    Raises:
        RuntimeError: with the remedy, if it is not installed.
    """
    if importlib.util.find_spec("gradio") is None:
        raise _missing("it is not installed")


def import_gradio() -> None:
    """Import Gradio so that it calls nobody: from now on the hub's client refuses to, too.

    So models are loaded before; some are downloaded by that client at their first use. It reads
    ``HF_HUB_OFFLINE`` when it is imported, which loading models does: hence its constant.

    Raises:
        RuntimeError: with the remedy, if it cannot be imported.
    """
    from huggingface_hub import constants

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    constants.HF_HUB_OFFLINE = True
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise _missing(str(error)) from error


def _missing(why: str) -> RuntimeError:
    return RuntimeError(
        f"the page needs Gradio ({why}): pip install 'semabs[app]', or in the source tree "
        "pip install '.[app]'"
    )


def serve(page: gr.Blocks, host: str, port: int, block: bool = True) -> str:
    """Serve a page until it is interrupted.

    Args:
        page: from :func:`semabs_core.app.page.build_page`.
        host: ``127.0.0.1`` for this machine, ``0.0.0.0`` for the whole network.
        port: 0 for a free one.
        block: whether to wait for the end.

    Returns:
        The address.

    Raises:
        OSError: if the host is not known or the port is taken.
    """
    import socket

    from starlette.middleware import Middleware

    from semabs_core.app.page import CSS

    try:
        socket.getaddrinfo(host, port)
    except socket.gaierror as error:
        raise OSError(f"the host {host} is not known ({error.strerror})") from None
    page.queue(default_concurrency_limit=4, max_size=64, api_open=False)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port or _free_port(host),
        app_kwargs={"middleware": [Middleware(OnlyFromHere)]},
        share=False,
        quiet=True,
        ssr_mode=False,
        prevent_thread_lock=True,
        max_file_size=MAX_UPLOAD,
        css=CSS,
        footer_links=[],
    )
    if block:
        page.block_thread()
    return address


def _free_port(host: str) -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
