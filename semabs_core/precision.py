"""Number formats: their names, which one is fast on a device, and computing in it."""

from __future__ import annotations

from typing import Any

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number formats by the names that configs and command lines use."""

BF16_CAPABILITY = (8, 0)
"""From this CUDA compute capability on (Ampere) bfloat16 is multiplied and not emulated."""


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number format that a name stands for; ``auto`` is the one that is fast on the device.

    That is bfloat16 on a GPU of compute capability 8 or more and float16 on older ones, which only
    emulate bfloat16. A CPU takes bfloat16 where it has AMX. Where it has AVX512_BF16 alone it
    depends: an encoder took 1.4 to 1.5 times as long as in float32 on one such machine and half as
    long on another, so float32, which has the more exact digits, stays; ``bf16`` is worth a try.
    The rule looks at what the hardware is and not at a clock, so that answers are the same from run
    to run.

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


def mixed_precision(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which networks compute in ``dtype``; float32 leaves everything as it is."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
