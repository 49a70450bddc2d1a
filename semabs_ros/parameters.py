"""ROS parameters, declared from the config dataclasses, where all defaults live."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from semabs_core.config import (
    ConfigError,
    SemabsConfig,
    load_config,
    nest,
    validate,
)
from semabs_ros.node_config import READ_AT_START, NodeConfig
from semabs_ros.programs import ProgramOption

UNSET_INT = -1
"""ROS has no null: -1 for a whole number, NaN for another, an empty string and an empty list stand
for an option that is not set."""


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
        arguments = [a for a in typing.get_args(self.annotation) if a is not type(None)]
        if isinstance(self.annotation, types.UnionType) or self.optional:
            base = arguments[0]
        else:
            base = self.annotation
        origin = typing.get_origin(base)
        if origin is Literal:
            return str
        return list if origin in (list, tuple) else base

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
            return {int: UNSET_INT, float: math.nan, list: [], str: ""}[self.kind]
        return list(value) if self.kind is list else value

    def from_ros(self, value: Any) -> Any:
        """A ROS value as the config has it."""
        if self.optional and self._is_unset(value):
            return None
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return list(value) if self.kind is list and value is not None else value


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
        # Numbers may be given as 2 or 2.0; types are checked by our own validation.
        dynamic_typing=option.kind is float or option.kind is list,
    )
    inner = [option.annotation, *typing.get_args(option.annotation)]
    choices = [a for part in inner for a in typing.get_args(part) if isinstance(a, str)]
    notes = ["one of " + ", ".join(choices)] if choices else []
    if option.optional:
        unset = {int: "-1", float: "NaN"}.get(option.kind, "empty")
        notes.append(f"{unset}: not set")
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


def _flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """A config's values under dotted names."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            values |= _flatten(value, f"{prefix}{field.name}.")
        else:
            values[prefix + field.name] = value
    return values


def program_options() -> list[ProgramOption]:
    """The parameters for ``--help``, with their defaults and what is said of their values."""
    defaults = _flatten(NodeConfig()) | _flatten(SemabsConfig())
    return [
        ProgramOption(option.name, option.to_ros(defaults[option.name]), _explained(option))
        for option in OPTIONS.values()
    ]


def _explained(option: Option) -> str:
    notes = descriptor(option).additional_constraints
    return f"{option.description}; {notes}" if notes else option.description


def build_configs(values: Mapping[str, Any]) -> tuple[NodeConfig, SemabsConfig]:
    """ROS values of all parameters to the two configs.

    Raises:
        ConfigError: with every fault.
    """
    plain = {name: option.from_ros(values[name]) for name, option in OPTIONS.items()}
    sections = (
        (NodeConfig, {option.name: plain[option.name] for option in NODE_OPTIONS}),
        (SemabsConfig, nest({option.name: plain[option.name] for option in CORE_OPTIONS})),
    )
    configs: list[Any] = []
    faults: list[str] = []
    for cls, section in sections:
        try:
            configs.append(validate(cls, section, "parameters"))
        except ConfigError as error:
            faults += [line.strip() for line in str(error).splitlines()[1:]]
    if faults:
        raise ConfigError("; ".join(faults))
    return configs[0], configs[1]


class Parameters:
    """A node's parameters as configs.

    Attributes:
        node_config: the node's own options.
        core_config: the pipeline's options.
        fault: why the parameters that the node was started with are not usable; empty when they
            are.
    """

    def __init__(self, node: Node) -> None:
        self.fault = ""
        self.node_config, self.core_config = NodeConfig(), SemabsConfig()
        self._node = node
        overrides = node._parameter_overrides if hasattr(node, "_parameter_overrides") else {}
        defaults = _flatten(NodeConfig()) | _flatten(self._base(overrides.get("config_file")))
        for wanted in OPTIONS.values():
            self._declare(wanted, wanted.to_ros(defaults[wanted.name]))
        try:
            self.node_config, self.core_config = build_configs(self.values())
        except ConfigError as error:
            self._add_fault(str(error))

    def values(self) -> dict[str, Any]:
        """The current ROS values by name."""
        return {name: self._value(name) for name in OPTIONS}

    def check(self, changes: Sequence[Parameter], configured: bool) -> str:
        """Why a change is refused; empty when it is fine.

        Args:
            changes: the parameters to change.
            configured: whether models are loaded, so that only live options may change.
        """
        values = self.values()
        for change in changes:
            if change.name not in OPTIONS:
                continue
            known = OPTIONS[change.name]
            value = list(change.value) if isinstance(change.value, Sequence) and not isinstance(
                change.value, str
            ) else change.value  # fmt: skip
            if configured and not known.live and value != values[change.name]:
                return (
                    f"{change.name} takes effect when the node is configured: "
                    "deactivate and clean up the node, set it, configure again"
                )
            values[change.name] = value
        try:
            build_configs(values)
        except ConfigError as error:
            return str(error)
        return ""

    def apply(self) -> None:
        """Take over what has been set (and checked)."""
        self.node_config, self.core_config = build_configs(self.values())
        self.fault = ""

    def _base(self, override: Parameter | None) -> SemabsConfig:
        """What the model options start from: the config file, else the node's defaults."""
        path = override.value if override is not None else ""
        if not path:
            return SemabsConfig()
        try:
            return load_config(str(path))
        except ConfigError as error:
            self._add_fault(str(error))
            return SemabsConfig()

    def _declare(self, option: Option, default: Any) -> None:
        """Declare one parameter; an override of a wrong type is a fault, not the end."""
        try:
            self._node.declare_parameter(option.name, default, descriptor(option))
        except Exception as error:
            self._add_fault(f"{option.name}: {error}")
            self._node.declare_parameter(
                option.name, default, descriptor(option), ignore_override=True
            )

    def _value(self, name: str) -> Any:
        value = self._node.get_parameter(name).value
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return list(value) if is_list else value

    def _add_fault(self, text: str) -> None:
        self.fault = f"{self.fault}; {text}" if self.fault else text
