"""One process or many: torchrun's environment, sums over all processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from semabs_core.training.config import training_device


@dataclass(frozen=True)
class Process:
    """This process among all of a run.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        device: where its network lives.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a small tensor over all processes."""
        if self.world == 1:
            return values
        values = values.detach().to(self.device, copy=True)
        dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until every process has come this far."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[Process]:
    """This process, joined with the others that torchrun started (NCCL on GPUs, else gloo).

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` and ``cuda`` take the GPU of the
            process's rank on its machine.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = training_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if world == 1:
        yield Process(0, 1, chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Process(dist.get_rank(), world, chosen)
    finally:
        dist.destroy_process_group()
