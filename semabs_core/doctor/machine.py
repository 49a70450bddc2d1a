"""Checks of the machine: socket buffers, torch, CUDA and its driver, the models."""

from __future__ import annotations

from pathlib import Path

import torch

from semabs_core.config import UNTRAINED, SemabsConfig
from semabs_core.doctor.findings import Finding, ok, warning
from semabs_core.weights.check import check_weights
from semabs_core.weights.published import resolve_checkpoint
from semabs_core.weights.shipped import LOCAL, PREFIX, WeightsError

RMEM = Path("/proc/sys/net/core/rmem_max")
ENOUGH_BYTES = 4_000_000
"""Some frames of 640x480: a large best-effort image that does not fit is lost as a whole."""
DRIVER = Path("/proc/driver/nvidia/version")


def check_sockets(live: bool) -> list[Finding]:
    """Are the kernel's socket buffers large enough for images over DDS?"""
    subject = "socket buffers"
    try:
        size = int(RMEM.read_text())
    except (OSError, ValueError):
        return [ok(subject, f"{RMEM} cannot be read here")]
    text = f"net.core.rmem_max is {size} bytes"
    if size >= ENOUGH_BYTES:
        return [ok(subject, text)]
    remedy = "sudo sysctl -w net.core.rmem_max=33554432 (best-effort images are lost otherwise)"
    return [warning(subject, text, remedy) if live else ok(subject, f"{text}; live: {remedy}")]


def check_torch() -> list[Finding]:
    """Is the GPU that is there also used?"""
    text = f"torch {torch.__version__}, {torch.get_num_threads()} CPU thread(s)"
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        return [ok("torch", f"{text}, CUDA {torch.version.cuda} on {', '.join(sorted(names))}")]
    if DRIVER.is_file():
        built = torch.version.cuda or "no CUDA"
        return [
            warning(
                "torch",
                f"{text}; there is an NVIDIA driver, but torch (built for {built}) does not see it",
                "install the torch build for CUDA, or a driver that is new enough for it",
            )
        ]
    return [ok("torch", f"{text}, no GPU: frames take seconds")]


def check_models(config: SemabsConfig) -> list[Finding]:
    """Are the models there?"""
    names = {
        "encoder": config.encoder.model,
        "completion": config.completion.checkpoint,
        "localization": config.localization.checkpoint,
    }
    return [_model(role, name) for role, name in names.items()]


def _model(role: str, name: str) -> Finding:
    subject = f"{role} model"
    if name == UNTRAINED:
        text = f"{role}.checkpoint is {UNTRAINED}: answers mean nothing"
        return warning(subject, text, f"set {role}.checkpoint (semabs weights list)")
    if role == "encoder" and not name.startswith((PREFIX, LOCAL)):
        return ok(subject, f"{name} of open_clip; it is downloaded at first use")
    if fault := _fault(name):
        return warning(subject, f"{name}: {fault}", "semabs weights list, semabs weights download")
    return ok(subject, f"{name} is there and whole")


def _fault(name: str) -> str:
    """Why weights cannot be used; empty if they can."""
    try:
        stored = name if name.startswith(PREFIX) else resolve_checkpoint(name.removeprefix(LOCAL))
    except WeightsError as error:
        return str(error)
    return next(iter(check_weights([stored]).values()))
