"""Measuring side by side, and what was measured on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu``: processor seconds of this process, for a machine that others use; with one thread."""
PACKAGES = ("torch", "open-clip-torch", "timm", "numpy", "scipy")


class Clock:
    """Takes turns between the things that are compared, so that what else runs meets them all.

    Args:
        name: one of :data:`CLOCKS`.
        rounds: how often each is measured; medians count.
    """

    def __init__(self, name: str = "wall", rounds: int = 3) -> None:
        self.name, self.rounds = name, rounds
        self._now = CLOCKS[name]

    def seconds(self, work: Callable[[], object]) -> float:
        """Of one call."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = self._now()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return self._now() - start

    def compare(self, works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
        """The median seconds of each, after a call to warm up."""
        for work in works.values():
            work()
        spent: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(self.rounds):
            for name, work in works.items():
                spent[name].append(self.seconds(work))
        return {name: statistics.median(values) for name, values in spent.items()}


def machine() -> dict[str, Any]:
    """The machine and the versions, without its name or any path of it."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bf16": ", ".join(k for k, there in capabilities.items() if "bf16" in k and there) or "no",
        "gpu": gpu,
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", "none"),
        **{name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
