"""Spinning that outlives faults."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor, ExternalShutdownException

from semabs_core.text import shorten
from semabs_ros.reports import Reporter

PAUSE_S = 0.01
"""After an exception, so that one that is raised at once again does not take a whole core."""


def spin(executor: Executor, report: Callable[[str], object]) -> None:
    """Spin until the executor or its context is shut down.

    A subscription that one thread destroys while the executor is about to wait for its events
    raises InvalidHandle in rclpy, and an executor raises again what a callback raised; neither may
    end a node. What is raised again and again is said every ten seconds.

    Args:
        executor: what to spin.
        report: told of what a callback raised.
    """
    reporter = Reporter(report)
    while True:
        try:
            executor.spin()
        except InvalidHandle:
            continue
        except ExternalShutdownException:
            return
        except Exception as error:
            reporter.report(shorten(f"a callback failed: {type(error).__name__}: {error}"))
            time.sleep(PAUSE_S)
            continue
        return
