"""The options of a run as a flat table: compared on resuming, listed for people."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from semabs_core.training.checkpointing import TrainingError


@dataclass(frozen=True)
class OptionLine:
    """An option for people.

    Attributes:
        name: as ``--option NAME=VALUE`` takes it.
        default: as YAML has it.
        meaning: what it is.
    """

    name: str
    default: str
    meaning: str


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings to dotted names, the opposite of :func:`semabs_core.config.nest`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def settings_of(config: Any, changeable: Collection[str]) -> dict[str, Any]:
    """The options that decide the weights, by dotted name, as JSON values.

    Args:
        config: a config dataclass.
        changeable: options that do not.
    """
    flat = flatten(TypeAdapter(type(config)).dump_python(config, mode="json"))
    return {name: value for name, value in flat.items() if name not in changeable}


def require_equal_settings(
    found: Mapping[str, Any], wanted: Mapping[str, Any], folder: Any, changeable: Collection[str]
) -> None:
    """Refuse to carry on with other options than a run was started with.

    Args:
        found: settings of the run in the folder.
        wanted: those asked for now.
        folder: of the run.
        changeable: options that may change, for the message.

    Raises:
        TrainingError: with every difference.
    """
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if not names:
        return
    lines = [
        f"  {name}: {found.get(name, 'not set')} there, {wanted.get(name, 'not set')} now"
        for name in names
    ]
    raise TrainingError(
        f"the run in {folder} was started with other options:\n"
        + "\n".join(lines)
        + "\nresume with those of the run, or choose another folder; these alone may change: "
        + ", ".join(sorted(changeable))
    )


def option_lines(cls: Any, prefix: str = "") -> list[OptionLine]:
    """The options of a config dataclass, nested ones by their dotted names, in its order."""
    fields: Mapping[str, FieldInfo] = getattr(cls, "__pydantic_fields__", {})
    described, types, lines = _attributes(cls), get_type_hints(cls), []
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(types[field.name]):
            lines += option_lines(types[field.name], f"{prefix}{field.name}.")
            continue
        known = fields.get(field.name)
        default = known.get_default(call_default_factory=True) if known else field.default
        meaning = (known.description if known else None) or described[field.name]
        lines.append(OptionLine(prefix + field.name, _as_text(default), meaning))
    return lines


def _attributes(cls: Any) -> dict[str, str]:
    """What the ``Attributes:`` of a class's docstring say, by name, without markup."""
    section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {6,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()).replace("``", "").rstrip(".") for name, text in entries}


def _as_text(value: Any) -> str:
    """A default as it is written in YAML; an empty one and None as nothing."""
    if value is None or value == "" or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_as_text(part) for part in value) + "]"
    return f"{value}"


def markdown_table(cls: Any) -> str:
    """The options of a config dataclass as a Markdown table."""
    rows = [
        f"| `{line.name}` | {f'`{line.default}`' if line.default else ''} | {line.meaning} |"
        for line in option_lines(cls)
    ]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows]) + "\n"
