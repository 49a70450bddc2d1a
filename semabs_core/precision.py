"""Number formats: their names, which one is fast on a device, and computing in it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any

import torch

from semabs_core.cores import least_pieces, side_by_side

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number formats by the names that configs and command lines use."""

BF16_CAPABILITY = (8, 0)
"""From this CUDA compute capability on (Ampere) bfloat16 is multiplied and not emulated."""


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number format that a name stands for; ``auto`` is the one that is fast on the device.

    That is bfloat16 on a GPU of compute capability 8 or more and float16 on older ones, which only
    emulate bfloat16. A CPU takes bfloat16 where it has AMX. This rule looks at what the hardware is
    and not at a clock, so that what is trained and evaluated is the same from run to run; where
    answers are wanted fast, :func:`fastest` measures instead.

    Args:
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: where it will be computed.
    """
    if precision != "auto":
        return DTYPES[precision]
    if device.type == "cuda":
        modern = torch.cuda.get_device_capability(device) >= BF16_CAPABILITY
        return torch.bfloat16 if modern else torch.float16
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    amx = device.type == "cpu" and capabilities.get("amx_bf16")
    return torch.bfloat16 if amx else torch.float32


MARGIN = 0.9
"""A format of fewer digits must take at most so much of the time of the one before it."""
ROUNDS, ENOUGH_S = 5, 1.0
"""Times that each format is measured; fewer once all have taken so many seconds."""
_fastest: dict[Hashable, torch.dtype] = {}


def formats_to_try(precision: str, device: torch.device) -> tuple[torch.dtype, ...]:
    """The number formats among which only a clock can tell; the most exact one first.

    Where a CPU multiplies bfloat16 it depends on machine, model and size: with AVX512_BF16 an
    encoder took 1.5 times as long as in float32 on one machine and 0.55 times on another, and of
    two U-Nets one gained and the other did not. All else is settled by :func:`choose_dtype`.
    """
    if precision != "auto" or device.type != "cpu":
        return (choose_dtype(precision, device),)
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    multiplies = any("bf16" in name and there for name, there in capabilities.items())
    return (torch.float32, torch.bfloat16) if multiplies else (torch.float32,)


def fastest(what: Hashable, work: Mapping[torch.dtype, Callable[[], object]]) -> torch.dtype:
    """The number format in which some work takes least time, measured once per process.

    The formats take turns, of each the shortest time counts, and a time is that of the processor in
    the calling thread: while others have the processor it stands still. It is measured as pieces of
    a frame's work run, side by side on cores of their own: here one alone.

    Args:
        what: stands for the work: the same is measured once for a number of threads.
        work: what to do, by format, the most exact one first: it stays unless another takes less
            than :data:`MARGIN` of its time.
    """
    key = (what, tuple(work), torch.get_num_threads())
    if key not in _fastest:
        pieces = [partial(_measure, work)] if len(work) > 1 else []
        _fastest[key] = next(side_by_side(pieces, least_pieces()), next(iter(work)))
    return _fastest[key]


def _measure(work: Mapping[torch.dtype, Callable[[], object]]) -> torch.dtype:
    least = dict.fromkeys(work, math.inf)
    all_s = 0.0
    for _ in range(ROUNDS):
        for dtype, step in work.items():
            start = time.thread_time()
            step()
            spent = time.thread_time() - start
            least[dtype] = min(spent, least[dtype])
            all_s += spent
        if all_s > ENOUGH_S:
            break
    best = next(iter(work))
    for dtype, spent in least.items():
        if spent < MARGIN * least[best]:
            best = dtype
    return best


def mixed_precision(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which networks compute in ``dtype``; float32 leaves everything as it is."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
