"""Spinning that outlives faults."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor, ExternalShutdownException


def spin(executor: Executor, report: Callable[[str], object]) -> None:
    """Spin until the executor or its context is shut down.

    A subscription that one thread destroys while the executor is about to wait for its events
    raises InvalidHandle in rclpy, and an executor raises again what a callback raised; neither may
    end a node.

    Args:
        executor: what to spin.
        report: told of what a callback raised.
    """
    while True:
        try:
            executor.spin()
        except InvalidHandle:
            continue
        except ExternalShutdownException:
            return
        except Exception as error:
            report(f"a callback failed: {type(error).__name__}: {error}")
            continue
        return
