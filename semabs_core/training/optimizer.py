"""Optimizers, their schedule, and the moving average of the weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

from timm.optim import Lamb
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from semabs_core.training.config import OptimizationConfig


def make_optimizer(parameters: Iterable[nn.Parameter], config: OptimizationConfig) -> Optimizer:
    """AdamW; or LAMB as published: eps 1e-6, no bias correction, one trust ratio per tensor.

    One thing differs from the published LAMB: its trust ratio clamps the norm of the weights to 10,
    for which the library has no option. That limits the step of the few tensors whose norm is above
    10 (about 13 at first in the coarsest level of the full-size U-Net); here their steps stay in
    proportion.
    The gradient is clipped by the loop, which also reports its norm, so the library's own clipping
    is off.
    """
    if config.method == "adamw":
        return AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    return Lamb(
        parameters,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        eps=1e-6,
        bias_correction=False,
        max_grad_norm=None,
        always_adapt=True,
    )


def rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """The learning rate of a step (from 0), a fraction of its peak: linear up, then a cosine to 0.

    The warm-up takes at most a tenth of the run, so that a short run reaches its peak too.
    """
    warmup = min(warmup_steps, total_steps // 10)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total_steps - warmup)
    return (1 + math.cos(math.pi * min(1.0, progress))) / 2


def make_schedule(optimizer: Optimizer, config: OptimizationConfig, total_steps: int) -> LambdaLR:
    """The schedule over the real number of steps; :func:`advance` it once per step."""
    return LambdaLR(optimizer, lambda step: rate_factor(step, config.warmup_steps, total_steps))


def advance(schedule: LambdaLR) -> None:
    """The learning rate of the next step; also after a first step that was left out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        schedule.step()


def make_average(network: nn.Module, config: OptimizationConfig) -> AveragedModel | None:
    """The moving average of a network's weights, where one is wanted."""
    if not config.averaging:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
