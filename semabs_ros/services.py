"""Services that answer whatever comes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node

from semabs_core.text import shorten

REASONS = ("reason", "message", "failure_reason")
"""Fields of responses that can carry why something was refused."""


def guard_services(node: Node) -> None:
    """Make an exception in any service of a node a refusal, so that no caller waits for ever.

    rclpy sends no response when a callback raises, its own parameter services included: a value of
    an unknown type is enough. Call it when all services are there.
    """
    for service in node.services:
        service.callback = functools.partial(_answer, node, service.srv_type, service.callback)


def _answer(node: Node, kind: type, callback: Callable, request: Any, response: Any) -> Any:
    if kind is SetParameters:
        response.results = [_set_one(node, callback, value) for value in request.parameters]
        return response
    try:
        return callback(request, response)
    except Exception as error:
        reason = _explain(node, kind, error)
    refusal = kind.Response()  # type: ignore[attr-defined]
    if kind is SetParametersAtomically:
        refusal.result = SetParametersResult(successful=False, reason=reason)
    for field in REASONS:
        if hasattr(refusal, field):
            setattr(refusal, field, reason)
    return refusal


def _set_one(node: Node, callback: Callable, parameter: Any) -> SetParametersResult:
    """Set one of several parameters: one that fails takes no other with it."""
    if not node.has_parameter(parameter.name):
        reason = f"there is no parameter '{shorten(parameter.name)}'"
        return SetParametersResult(successful=False, reason=reason)
    try:
        request = SetParameters.Request(parameters=[parameter])
        return callback(request, SetParameters.Response()).results[0]
    except Exception as error:
        reason = _explain(node, SetParameters, error)
        return SetParametersResult(successful=False, reason=f"{parameter.name}: {reason}")


def _explain(node: Node, kind: type, error: Exception) -> str:
    reason = shorten(f"{type(error).__name__}: {error}")
    node.get_logger().error(f"a request of {kind.__name__} failed: {reason}")
    return reason
