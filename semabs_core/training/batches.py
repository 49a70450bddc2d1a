"""Scenes in order, item by item: which ones a step reads, and the labels of a step in passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from semabs_core.training.interrupts import ignore_stop_signals

NETWORK_ARGUMENTS = (
    "input_xyz",
    "input_features",
    "features",
    "query_xyz",
    "label_features",
    "relations",
    "target_features",
    "reference_features",
    "tsdf",
)
"""Entries of a batch that networks read, by the names of their ``forward``."""


class StepBatches(Sampler[list[tuple[int, int]]]):
    """What this process reads at each step of a run: lists of (epoch, index).

    The order depends on the seed and the epoch alone, and a step's scenes are the same however many
    processes share them. The last step of an epoch is filled up from the epoch's beginning.

    Args:
        items: scenes in the data set.
        batch_size: scenes per process and step.
        rank: number of this process.
        world: number of processes.
        seed: of the order.
    """

    def __init__(self, items: int, batch_size: int, rank: int, world: int, seed: int) -> None:
        self.items = items
        self.batch_size = batch_size
        self.rank = rank
        self.global_batch = batch_size * world
        self.seed = seed
        self.steps = range(0)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.items // self.global_batch)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """The steps in ``steps``, counted from the beginning of the run, across epochs."""
        current, order = -1, np.zeros(0, dtype=np.int64)
        for step in self.steps:
            epoch, within = divmod(step, self.epoch_steps)
            if epoch != current:
                current, order = epoch, self._order(epoch)
            first = within * self.global_batch + self.rank * self.batch_size
            yield [(epoch, int(index)) for index in order[first : first + self.batch_size]]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The scenes of all steps of an epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.items)
        return np.resize(order, self.epoch_steps * self.global_batch)


class EpochItems(Dataset):
    """A data set with (epoch, index) as key: workers read ahead, across the ends of epochs."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, index = key
        self.dataset.set_epoch(epoch)
        return self.dataset[index]


def make_loader(
    dataset: Any,
    collate: Callable[[list], Any] | None,
    workers: int,
    pin_memory: bool,
    **options: Any,
) -> DataLoader:
    """A loader whose workers live as long as it does.

    Workers start from a clean server process: a fork of this one would inherit the locks of its
    threads (progress bar, gloo, CUDA).

    Args:
        dataset: what to read.
        collate: items to a batch; None for what the loader does.
        workers: processes that read; 0 for this one.
        pin_memory: whether batches go to a GPU.
        options: further ones of the loader.
    """
    return DataLoader(
        dataset,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="forkserver" if workers else None,
        pin_memory=pin_memory,
        worker_init_fn=ignore_stop_signals,
        generator=torch.Generator(),
        **options,
    )


def to_device(value: Any, device: torch.device) -> Any:
    """Tensors of a batch to a device, inside mappings too; everything else as it is."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: to_device(part, device) for key, part in value.items()}
    return value


def label_passes(ignore: Tensor, labels_per_pass: int) -> list[list[int]]:
    """The label rows of a step in passes; rows without a point that counts are left out.

    Args:
        ignore: (B, P, M) bool, on the CPU.
        labels_per_pass: rows per pass; 0 for all.

    Returns:
        Lists of row numbers, at least one.
    """
    rows = [row for row in range(ignore.shape[1]) if not bool(ignore[:, row].all())] or [0]
    size = labels_per_pass or len(rows)
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def take_labels(batch: Mapping[str, Any], rows: list[int]) -> dict[str, Any]:
    """A batch with some of its label rows; what all labels share (one cloud, one row) stays."""
    labels = batch["query_xyz"].shape[1]
    if len(rows) == labels:
        return dict(batch)

    def take(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value[:, rows] if value.shape[1] == labels else value
        if isinstance(value, Mapping):
            return {key: take(part) for key, part in value.items()}
        return [[row[number] for number in rows] for row in value]

    shared = {name: batch[name] for name in ("input_xyz", "tsdf") if name in batch}
    names = [name for name in (*NETWORK_ARGUMENTS, "targets", "ignore", "weights") if name in batch]
    return {name: take(batch[name]) for name in names} | shared


def network_arguments(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a batch that a network's ``forward`` reads."""
    return {name: batch[name] for name in NETWORK_ARGUMENTS if name in batch}
