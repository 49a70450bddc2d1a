"""ROS parameters, declared from the config dataclasses, where all defaults live."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

from semabs_core.config import ConfigError, SemabsConfig, load_config, nest, validate
from semabs_core.description import check_classes
from semabs_core.text import shorten
from semabs_ros.node_config import NodeConfig
from semabs_ros.options import CORE_OPTIONS, NODE_OPTIONS, OPTIONS, Option, descriptor, plain
from semabs_ros.programs import ProgramOption, hinted, unknown_names


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
    wrong = [option.wrong_type(values[name]) for name, option in OPTIONS.items()]
    if any(wrong):
        raise ConfigError("; ".join(filter(None, wrong)))
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
    """

    def __init__(self, node: Node) -> None:
        self.node_config, self.core_config = NodeConfig(), SemabsConfig()
        self._node = node
        self._faults: dict[str, str] = {}
        defaults = _flatten(NodeConfig())
        for name in [option.name for option in NODE_OPTIONS]:
            self._declare(name, defaults[name])
        base = _flatten(self._base(self._value("config_file")))
        for name in [option.name for option in CORE_OPTIONS]:
            self._declare(name, base[name])
        try:
            self.node_config, self.core_config = build_configs(self.values())
        except ConfigError as error:
            self._faults["values"] = str(error)

    @property
    def fault(self) -> str:
        """Why the parameters that the node was started with are not usable; empty when they are.

        What is wrong with a parameter is forgotten when it is set to something that is right.
        """
        return "; ".join(self._faults.values())

    @property
    def unknown(self) -> str:
        """What was given, in a file for instance, and looks like a parameter but is none; or empty.

        It is no fault: a file may hold parameters for several nodes.
        """
        given = getattr(self._node, "_parameter_overrides", {})  # rclpy shows them nowhere else
        unknown = unknown_names(given, list(OPTIONS)).items()
        names = [hinted(name, near) for name, near in unknown if near]
        return f"no parameter of this node: {shorten('; '.join(names), 500)}" if names else ""

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
            wrong = known.wrong_type(change.value)
            if wrong:
                return wrong
            value = plain(change.value)
            if configured and not known.live and value != values[change.name]:
                return (
                    f"{change.name} takes effect when the node is configured: "
                    "deactivate and clean up the node, set it, configure again"
                )
            values[change.name] = value
        try:
            node_config, _ = build_configs(values)
            if any(change.name == "classes" for change in changes):
                check_classes(node_config.classes)
        except ValueError as error:
            return str(error)
        return ""

    def apply(self, changes: Sequence[Parameter]) -> None:
        """Take over what has been set (and checked)."""
        self.node_config, self.core_config = build_configs(self.values())
        for name in ("values", *(change.name for change in changes)):
            self._faults.pop(name, None)

    def _base(self, path: str) -> SemabsConfig:
        """What the model options start from: the config file, else the node's defaults."""
        if not path:
            return SemabsConfig()
        try:
            return load_config(path)
        except ConfigError as error:
            self._faults["config_file"] = str(error)
            return SemabsConfig()

    def _declare(self, name: str, value: Any) -> None:
        """Declare one parameter; an override of a wrong type or range is a fault, not the end."""
        known = OPTIONS[name]
        default, described = known.to_ros(value), descriptor(known)
        try:
            given = self._node.declare_parameter(name, default, described).value
            fault = known.wrong_type(given)
            if fault:
                self._node.undeclare_parameter(name)
        except Exception as error:  # rclpy raises errors of many kinds for a wrong override
            fault = f"{name}: {shorten(error)}"
        if fault:
            self._faults[name] = fault
            self._node.declare_parameter(name, default, described, ignore_override=True)

    def _value(self, name: str) -> Any:
        return plain(self._node.get_parameter(name).value)
