"""Where to compute."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from semabs_core.config import ConfigError

if TYPE_CHECKING:
    import torch


CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says how much memory a container may have, by the version of its control groups."""


def choose_device(device: str) -> torch.device:
    """``auto`` to the first GPU or the CPU; a GPU that is not there is an error."""
    import torch  # only here: what reads options need not wait for it

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {device!r} is not there: torch sees {torch.cuda.device_count()} GPU(s); "
            "check nvidia-smi and that torch is a CUDA build, or use device auto"
        )
    return chosen


def host_memory() -> int:
    """Bytes of memory that this process may have: the machine's, or its container's."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit.read_text().strip() for limit in CONTAINER_LIMITS if limit.is_file()]
    return min([total, *(int(limit) for limit in limits if limit.isdecimal())])


def large_empty(size: Sequence[int], device: torch.device) -> torch.Tensor:
    """A float32 tensor of any content, for much that is written once.

    On a CPU it is numpy's, which asks for huge pages where torch does not: to touch small ones for
    the first time takes as long as to fill them.
    """
    import numpy as np
    import torch

    if device.type == "cpu":
        return torch.from_numpy(np.empty(size, np.float32))
    return torch.empty(tuple(size), device=device)
