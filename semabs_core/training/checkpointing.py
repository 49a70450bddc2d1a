"""The state of a run: all that carrying on needs, in one file that is there as a whole.

A run writes its state first and then the files that others read (weights and their config). One
that is killed between the two leaves files older than the state; resuming writes them anew.
"""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from semabs_core.checkpoint import CheckpointError
from semabs_core.files import write_atomic

STATE_FILE = "training_state.pt"


class TrainingError(RuntimeError):
    """A run cannot start or go on; the message says why and what to change."""


@dataclass(frozen=True)
class TrainingState:
    """A run between two steps.

    Attributes:
        step: optimizer steps done, over all epochs.
        settings: the options that decide the weights, by name; a run goes on with the same.
        skipped: steps that were left out, because loss or gradient was not finite.
        best: best validation score so far.
        validation: the latest validation; empty before the first.
        network: its weights. They are here besides the network's own files, so that weights and
            optimizer can never be of different steps.
        optimizer: its state.
        schedule: its state.
        scaler: state of the loss scaling; empty without it.
        rng: state of torch's random numbers on the CPU.
        average: the moving average of the weights; empty without one.
    """

    step: int
    settings: dict[str, Any]
    skipped: int
    best: float
    validation: dict[str, Any]
    network: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    scaler: dict[str, Any]
    rng: torch.Tensor
    average: dict[str, Any]


def save_state(state: TrainingState, folder: Path) -> None:
    """Write the state; a process that is killed meanwhile leaves the previous one."""
    write_atomic(folder / STATE_FILE, lambda part: torch.save(vars(state), part))


def state_to_resume(folder: Path, resume: bool) -> TrainingState | None:
    """The state of a folder that is to be carried on with; None if it holds no run.

    Raises:
        TrainingError: if it holds a run, but carrying on is not wanted.
        CheckpointError: if the state is damaged.
    """
    if not (folder / STATE_FILE).exists():
        return None
    if not resume:
        raise TrainingError(
            f"{folder} already holds a run; set resume to carry on with it, or choose "
            "another folder"
        )
    return load_state(folder)


def load_state(folder: Path) -> TrainingState:
    """Read the state, without running code from it.

    Raises:
        CheckpointError: if it is damaged or holds anything else.
    """
    path = folder / STATE_FILE
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is damaged or no state of a training run ({str(error).splitlines()[0]}); "
            "start again in another folder"
        ) from None
    names = {field.name for field in fields(TrainingState)}
    if not isinstance(content, dict) or set(content) != names:
        raise CheckpointError(
            f"{path} is no state of a training run of this version; start again in another folder"
        )
    return TrainingState(**content)
