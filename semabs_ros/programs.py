"""What every program of the package does before it works: command line, parameters, a node."""

from __future__ import annotations

import difflib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from semabs_core.text import shorten

N = TypeVar("N", bound=Node)
USAGE_ERROR = 2
"""Exit code of a program that was started wrongly."""
INTERRUPTED = 130
"""Exit code of a program that was interrupted before it worked."""
_OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides")
"""Parameters that rclpy declares for every node."""
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text",
         list: "a list of texts"}  # fmt: skip
"""What a parameter must be, by Python type."""


class OptionError(ValueError):
    """A parameter that a program was started with has the wrong type."""


@dataclass(frozen=True)
class ProgramOption:
    """A parameter of a program.

    Attributes:
        name: as in ``-p name:=value``.
        default: its value when it is not given; of the type that a value must have.
        description: for ``--help``.
    """

    name: str
    default: bool | int | float | str | list
    description: str


def start(program: str, purpose: str, options: Sequence[ProgramOption], make: Callable[[], N]) -> N:
    """Check the command line, initialise rclpy and make the program's node.

    ``--help`` prints the usage and ends the program with exit code 0; a command line that cannot
    be understood, and a node that cannot be made, end it with one line and exit code 2.

    Args:
        program: its name, which begins every line of error.
        purpose: what it does, one sentence.
        options: its parameters, for the usage.
        make: makes its node.
    """
    _check_command_line(program, purpose, options, sys.argv)
    try:
        rclpy.init()
        return make()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # rclpy raises errors of many kinds for a wrong start parameter
        rclpy.try_shutdown()
        refuse(program, str(error) or type(error).__name__)


def refuse(program: str, reason: str) -> NoReturn:
    """End a program that cannot work with one line and exit code 2."""
    print(f"{program}: {shorten(reason, 1000)}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def read_options(node: Node, options: Sequence[ProgramOption]) -> dict[str, Any]:
    """Declare parameters and return their values by name.

    Raises:
        OptionError: if a value is not of the type of its default; 10 is as good as 10.0.
    """
    values = {}
    for option in options:
        any_type = ParameterDescriptor(description=option.description, dynamic_typing=True)
        value = node.declare_parameter(option.name, option.default, any_type).value
        values[option.name] = _checked(option, value)
    return values


def usage(program: str, purpose: str, options: Sequence[ProgramOption]) -> str:
    """The text that ``--help`` prints."""
    lines = [
        f"usage: {program} [--help] [--ros-args [-p NAME:=VALUE] [-r FROM:=TO] "
        "[--params-file FILE] ...]",
        "",
        *textwrap.wrap(purpose, 100),
        "",
        "parameters:",
    ]
    for option in options:
        lines.append(f"  {option.name} (default: {_shown(option.default)})")
        lines += textwrap.wrap(option.description, 94, initial_indent=" " * 6,
                               subsequent_indent=" " * 6)  # fmt: skip
    return "\n".join(lines)


def _check_command_line(
    program: str, purpose: str, options: Sequence[ProgramOption], arguments: list[str]
) -> None:
    if {"-h", "--help"} & set(arguments[1:]):
        print(usage(program, purpose, options))
        sys.exit(0)
    try:
        unknown = remove_ros_args(arguments)[1:]
    except RuntimeError as error:
        refuse(program, f"{error} (see {program} --help)")
    if unknown:
        refuse(program, f"unknown argument {' '.join(unknown)!r} (see {program} --help)")
    known = [option.name for option in options]
    for name, near in unknown_names(_given_parameters(arguments), known).items():
        refuse(program, f"unknown parameter {hinted(name, near)} (see {program} --help)")


def unknown_names(given: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Which of the names that are given to parameters are none: the nearest known one of each.

    It is empty where nothing known is near.
    """
    unknown = [n for n in given if n not in known and n.split(".")[0] not in _OF_RCLPY]
    return {name: next(iter(difflib.get_close_matches(name, known, 1)), "") for name in unknown}


def hinted(name: str, near: str) -> str:
    """An unknown name with what may be meant."""
    return repr(name) + (f", did you mean {near!r}?" if near else "")


def _given_parameters(arguments: list[str]) -> list[str]:
    """Names of the parameters given as ``-p name:=value``, those for a named node left out."""
    pairs = itertools.pairwise(arguments)
    rules = [rule for flag, rule in pairs if flag in ("-p", "--param")]
    names = [rule.split(":=")[0] for rule in rules]
    return [name for name in names if ":" not in name]


def _checked(option: ProgramOption, value: Any) -> Any:
    kind = type(option.default)
    if kind is list and not isinstance(value, str) and isinstance(value, Sequence):
        if all(isinstance(item, str) for item in value):
            return list(value)
    elif type(value) is kind:
        return value
    elif kind is float and type(value) is int:
        return float(value)
    raise OptionError(
        f"{option.name} must be {KINDS[kind]}, got {shorten(value)!r}"
        + (f" (quote it: -p {option.name}:=\"'...'\")" if kind is str else "")
    )


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return "[" + ", ".join(map(str, default)) + "]"
    return str(default) if default != "" else "empty"
