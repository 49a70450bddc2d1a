"""The ``semabs`` command: parses, calls, prints; nothing reusable."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from semabs_core.commands import app as app_command
from semabs_core.commands import calibration, data, demo, doctor, evaluation, train, weights

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Open-world 3D understanding: Semantic Abstraction.",
)


app.command()(demo.demo)
app.command()(demo.ask)
app.command()(app_command.app)
app.command()(doctor.doctor)
app.command(cls=train.TrainCommand)(train.train)
app.command("eval")(evaluation.evaluate)
app.command()(calibration.calibrate)
app.command()(evaluation.pointing)
app.command()(evaluation.presence)
app.command()(evaluation.summarize)
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")


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
