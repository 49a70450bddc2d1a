"""The config dataclasses' fields as ROS parameters: types, values that are not set, descriptors."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from semabs_core.config import SemabsConfig
from semabs_core.text import shorten
from semabs_ros.node_config import READ_AT_START, NodeConfig
from semabs_ros.programs import KINDS

UNSET_INT = -1
"""ROS has no null: -1 for a whole number, NaN for another, an empty list, and an empty text (for a
truth value too) stand for an option that is not set."""


@dataclasses.dataclass(frozen=True)
class Option:
    """One parameter: its dotted name, dataclass field and Python type."""

    name: str
    annotation: Any
    description: str
    live: bool
    limits: dict[str, float]

    @property
    def kind(self) -> type:
        """str, int, float, bool or list; None and Literal taken off."""
        origin = typing.get_origin(self._base)
        if origin is Literal:
            return str
        return list if origin in (list, tuple) else self._base

    @property
    def _base(self) -> Any:
        """The annotation without None."""
        if isinstance(self.annotation, types.UnionType) or self.optional:
            return next(a for a in typing.get_args(self.annotation) if a is not type(None))
        return self.annotation

    @property
    def optional(self) -> bool:
        """Whether the option may be unset."""
        return type(None) in typing.get_args(self.annotation)

    def _is_unset(self, value: Any) -> bool:
        if self.kind is float:
            return isinstance(value, float) and math.isnan(value)
        return value in (UNSET_INT, "", [])

    def to_ros(self, value: Any) -> Any:
        """A config value as ROS has it."""
        if value is None:
            return {int: UNSET_INT, float: math.nan, list: []}.get(self.kind, "")
        return list(value) if self.kind is list else value

    def from_ros(self, value: Any) -> Any:
        """A ROS value as the config has it."""
        if self.optional and self._is_unset(value):
            return None
        if self.kind is float and isinstance(value, int):
            return float(value)
        return list(value) if self.kind is list else value

    def wrong_type(self, value: Any) -> str:
        """Why a ROS value cannot be one of this option; empty when it can.

        ROS checks types only of parameters that are declared with a fixed one; numbers may be given
        as 2 or 2.0, and lists as whatever an empty list or ``[1, 2]`` is read as, so theirs is not.
        """
        if self.kind is list:
            (item, *_) = typing.get_args(self._base)
            fits = isinstance(value, Sequence) and not isinstance(value, str | bytes)
            fits = fits and all(_is_a(item, part) for part in value)
            what = KINDS[list] if item is str else "a list of numbers"
        else:
            fits, what = _is_a(self.kind, value), KINDS[self.kind]
            fits = fits or (self.optional and self.kind is bool and value == "")
        shown = "nothing" if value is None else f"{shorten(plain(value))!r}"
        hint = f" (to unset it, give {self.unset})" if value is None and self.optional else ""
        return "" if fits else f"{self.name} must be {what}, got {shown}{hint}"

    @property
    def unset(self) -> str:
        """How an optional option is given as not set."""
        return {int: str(UNSET_INT), float: "NaN", list: "an empty list"}.get(
            self.kind, "an empty text"
        )


def plain(value: Any) -> Any:
    """A ROS value that can be compared: arrays as lists."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return list(value) if is_list else value


def _is_a(kind: type, value: Any) -> bool:
    """Whether a ROS value is of a Python type; a whole number is a number, a truth value is not."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def options_of(cls: type, prefix: str = "") -> list[Option]:
    """All options of a config dataclass, nested ones with dotted names."""
    hints = typing.get_type_hints(cls)
    found: list[Option] = []
    for name, info in cls.__pydantic_fields__.items():
        if dataclasses.is_dataclass(hints[name]):
            found += options_of(hints[name], f"{prefix}{name}.")
            continue
        limits = {
            key: getattr(rule, key)
            for rule in info.metadata
            for key in ("ge", "gt", "le", "lt")
            if getattr(rule, key, None) is not None
        }
        extra = info.json_schema_extra or {}
        live = bool(extra.get("live"))
        found.append(Option(prefix + name, hints[name], info.description or "", live, limits))
    return found


NODE_OPTIONS = options_of(NodeConfig)
CORE_OPTIONS = options_of(SemabsConfig)
OPTIONS = {option.name: option for option in (*NODE_OPTIONS, *CORE_OPTIONS)}


def descriptor(option: Option) -> ParameterDescriptor:
    """The descriptor that ``ros2 param describe`` shows."""
    result = ParameterDescriptor(
        name=option.name,
        description=option.description,
        read_only=option.name in READ_AT_START,
        # Types are checked by our own validation: it takes 2 for 2.0 and says what is wrong.
        dynamic_typing=option.name not in READ_AT_START,
    )
    inner = [option.annotation, *typing.get_args(option.annotation)]
    choices = [a for part in inner for a in typing.get_args(part) if isinstance(a, str)]
    notes = ["one of " + ", ".join(choices)] if choices else []
    if option.optional:
        notes.append(f"{option.unset}: not set")
    if not option.live and option.name not in READ_AT_START:
        notes.append("takes effect when the node is configured")
    low, high = option.limits.get("ge", option.limits.get("gt")), option.limits.get("le")
    if option.optional and option.kind is float:
        notes.append(f"between {low} and {high}")
    result.additional_constraints = "; ".join(notes)
    if low is not None and high is not None and option.kind is int:
        lowest = UNSET_INT if option.optional else int(low)
        result.integer_range = [IntegerRange(from_value=lowest, to_value=int(high), step=0)]
    elif low is not None and high is not None and option.kind is float and not option.optional:
        bounds = FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
        result.floating_point_range = [bounds]
    return result
