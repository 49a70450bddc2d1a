"""The ``semabs`` command: parses, calls, prints; nothing reusable."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from semabs_core.commands import (
    answer,
    calibration,
    data,
    doctor,
    evaluation,
    relevancy,
    train,
    weights,
)
from semabs_core.commands import app as app_command


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C, by a name that typer lets through: some of its versions end without a word."""


class Commands(TyperGroup):
    """The commands; Ctrl-C in one of them is said."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Of typer's own click or of the other one, by typer's version."""
app = typer.Typer(
    name="semabs",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Open-world 3D understanding: Semantic Abstraction.",
    epilog="Example: semabs demo",
)


@app.callback()
def common(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="show the traceback of an error; anywhere")
    ] = False,
) -> None:
    """Open-world 3D understanding: Semantic Abstraction. COMMAND --help has an example."""


ASK, RESEARCH = "See and ask", "Research"
app.command(rich_help_panel=ASK, epilog=answer.EXAMPLES["demo"])(answer.demo)
app.command(rich_help_panel=ASK, epilog=relevancy.EXAMPLE)(relevancy.relevancy)
app.command(rich_help_panel=ASK, epilog=answer.EXAMPLES["complete"])(answer.complete)
app.command(rich_help_panel=ASK, epilog=answer.EXAMPLES["localize"])(answer.localize)
app.command(rich_help_panel=ASK, epilog=answer.EXAMPLES["visualize"])(answer.visualize)
app.command(rich_help_panel=ASK, epilog=doctor.EXAMPLE)(doctor.doctor)
app.command(rich_help_panel=ASK, epilog=app_command.EXAMPLE)(app_command.app)
app.command(cls=train.TrainCommand, rich_help_panel=RESEARCH, epilog=train.EXAMPLE)(train.train)
app.command("eval", rich_help_panel=RESEARCH, epilog=evaluation.EXAMPLES["eval"])(
    evaluation.evaluate
)
app.command(rich_help_panel=RESEARCH, epilog=calibration.EXAMPLE)(calibration.calibrate)
for command in (evaluation.pointing, evaluation.presence, evaluation.summarize):
    example = evaluation.EXAMPLES[command.__name__]
    app.command(rich_help_panel=RESEARCH, epilog=example)(command)
app.add_typer(data.app, name="data", rich_help_panel=RESEARCH)
app.add_typer(weights.app, name="weights")


def run_clearly(command: Callable[[], Any], verbose: bool = False) -> int:
    """Run a command; an error is one line that says what to do, not a traceback.

    Args:
        command: returns an exit code, or None for 0.
        verbose: let errors pass.

    Returns:
        The exit code: 2 for a command line that cannot be understood, 130 for Ctrl-C, 1 for any
        other error.
    """
    try:
        code = command()
    except UsageError as error:
        if verbose:
            raise
        if not error.format_message():  # type: ignore[attr-defined]
            return 2  # a bare name of commands: its help is printed already
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "semabs"
        return _complain(f"{error.format_message()} (see {path} --help)", 2)  # type: ignore[attr-defined]
    except (KeyboardInterrupt, Interrupted, typer.Abort):
        return _complain("interrupted", 130)
    except (ValueError, OSError, RuntimeError) as error:
        if verbose:
            raise
        return _complain(_text(error), 1)
    return code if isinstance(code, int) else 0


def _text(error: Exception) -> str:
    """What an error says; of a file without the number that only C knows."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        name = os.fsdecode(error.filename)
        made = isinstance(error, FileExistsError) and os.path.isfile(name)  # instead of a folder
        return f"{name}: {'it is a file, not a folder' if made else error.strerror}"
    return str(error) or type(error).__name__


def _complain(text: str, code: int) -> int:
    line = "; ".join(filter(None, (part.strip() for part in text.splitlines())))
    print(f"semabs: {line.replace(':; ', ': ')}", file=sys.stderr)
    return code


def main() -> None:
    """Entry point; ``-v`` anywhere on the line shows the traceback of an error."""
    arguments = [word for word in sys.argv[1:] if word not in ("-v", "--verbose")]
    verbose = len(arguments) < len(sys.argv) - 1
    sys.exit(
        run_clearly(lambda: app(arguments, prog_name="semabs", standalone_mode=False), verbose)
    )


if __name__ == "__main__":
    main()
