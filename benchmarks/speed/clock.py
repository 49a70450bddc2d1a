"""Measuring side by side, and what was measured on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu``: processor seconds of this process, for a machine that others use; with one thread."""
PACKAGES = ("torch", "open-clip-torch", "timm", "numpy", "scipy")


@dataclass(frozen=True)
class Spent:
    """What was measured in turns.

    Attributes:
        seconds: of each work, one per round.
    """

    seconds: Mapping[str, list[float]]

    def __getitem__(self, name: str) -> float:
        """The median seconds of a work."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, *others: str) -> float:
        """The median over rounds of a work's share of the others together.

        Within a round a machine changes little, from round to round by more than what is asked.
        """
        together = map(sum, zip(*(self.seconds[other] for other in others), strict=True))
        rounds = zip(self.seconds[name], together, strict=True)
        return statistics.median(spent / beside for spent, beside in rounds)


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

    def compare(self, works: Mapping[str, Callable[[], object]]) -> Spent:
        """Each once per round, after a call to warm up; every other round backwards."""
        for work in works.values():
            work()
        spent: dict[str, list[float]] = {name: [] for name in works}
        for number in range(self.rounds):
            for name in list(works)[:: -1 if number % 2 else 1]:
                spent[name].append(self.seconds(works[name]))
        return Spent(spent)


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
