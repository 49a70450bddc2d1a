"""Options of a training run; YAML in and out. Defaults are the published hyperparameters."""

from __future__ import annotations

import os
from typing import Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from semabs_core.config import STRICT, option, read_yaml, validate
from semabs_core.devices import choose_device
from semabs_core.network_config import NetworkConfig
from semabs_core.precision import choose_dtype
from semabs_core.training import run_config
from semabs_core.training.run_config import RunConfig


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """What is read of a data set."""

    folder: str = option("", "folder with the scene files and their splits")
    split: str = option("train", "split to train on")
    validation_split: str = option("validation", "split to validate on, where the data has it")
    source: Literal["rgb", "domain_randomized_rgb", "random"] = option(
        "rgb", "pictures to read: as rendered, with random colours, or either by chance"
    )
    preset: str = option("ours", "relevancy, by the name under which the data holds it")
    records: list[str] = option(
        list,
        "names of relevancy to draw from, scene by scene, such as that of several encoders, and "
        "simulated or masks, which are no encoder's; none: the preset's alone",
    )
    absent_share: float = option(
        0.0, "share of the labels of completion that name nothing in the scene", ge=0, lt=1
    )
    outside_is_empty: bool = option(
        False,
        "supervise points outside the room, behind its walls, as empty; the published code leaves "
        "them out",
    )
    whole_cells: bool = option(
        False,
        "supervise a point as whatever lies in its cell of the network's grid, as voxels are "
        "answered; else by what it lies in itself, as the published code does",
    )
    num_input_points: int = option(80_000, "depth readings per scene", ge=1)
    num_query_points: int = option(400_000, "query points per label", ge=1)
    num_labels: int = option(4, "labels or descriptions per scene and step", ge=1)
    augment: bool = option(True, "shift, turn and stretch the scenes at random")


@dataclass(frozen=True, config=STRICT)
class OptimizationConfig:
    """How weights follow from gradients."""

    epochs: int = option(200, "passes over the data", ge=1)
    max_steps: int | None = option(None, "stop after so many steps; unset: after the epochs", ge=1)
    batch_size: int = option(1, "scenes per process and step", ge=1)
    method: Literal["lamb", "adamw"] = option("lamb", "LAMB as published, or AdamW")
    learning_rate: float = option(1e-3, "at its peak", gt=0)
    weight_decay: float = option(1e-5, "pull of the weights towards zero", ge=0)
    averaging: float = option(
        0.0,
        "share that the moving average of the weights keeps of itself in a step; the average is "
        "what is validated and saved; 0: no average",
        ge=0,
        lt=1,
    )
    warmup_steps: int = option(
        1024, "steps of linear increase, but at most a tenth of the run; a cosine follows", ge=0
    )
    overlap: float = option(
        0.0,
        "weight of one minus the soft IoU of each label, beside the cross-entropy; for completion",
        ge=0,
    )
    gradient_clip: float = option(2.0, "largest norm of the gradient", gt=0)
    labels_per_pass: int = option(
        0, "labels that go through the network at once, bounds the memory; 0: all of a step", ge=0
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "auto", "of a step's forward pass; auto is bf16 or fp16 on a GPU and fp32 on a CPU"
    )


@dataclass(frozen=True, config=STRICT)
class TrainingConfig(RunConfig):
    """Everything that decides a training run."""

    network: NetworkConfig = Field(default_factory=NetworkConfig)
    data: DataConfig = Field(default_factory=DataConfig)
    optimization: OptimizationConfig = Field(default_factory=OptimizationConfig)
    start: str = option(
        "",
        "folder of a network to start from, or shipped:NAME; of one of the other task the volume "
        "encoder; empty: seeded random weights",
    )
    keep_every_epochs: int = option(
        0, "epochs between weights kept for good; 0: only the last", ge=0
    )
    validate_every_epochs: int = option(1, "epochs between validations; 0: never", ge=0)
    validation_scenes: int = option(64, "scenes of the validation split to use at most", ge=1)


CHANGEABLE = run_config.CHANGEABLE | {
    "keep_every_epochs",
    "validate_every_epochs",
    "optimization.batch_size",
    "optimization.epochs",
    "optimization.labels_per_pass",
    "optimization.max_steps",
}
"""Options that may change when a run is resumed. What the last few of them lead to may not: the
number of steps, and of scenes per step over all processes."""


def parse_training_config(values: Any, where: str = "training config") -> TrainingConfig:
    """A mapping to a config, see :func:`semabs_core.config.validate`."""
    return validate(TrainingConfig, values, where)


def load_training_config(path: str | os.PathLike) -> TrainingConfig:
    """Read a YAML file such as a run leaves beside its weights."""
    return parse_training_config(read_yaml(path), str(path))


def forward_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The number format of the forward pass; mixed precision is off by default on a CPU."""
    if precision == "auto" and device.type == "cpu":
        return torch.float32
    return choose_dtype(precision, device)


def training_device(device: str, local_rank: int) -> torch.device:
    """The device of a process: ``auto`` and ``cuda`` are the GPU of its rank on the machine."""
    chosen = choose_device(device)
    if chosen.type == "cuda" and chosen.index is None:
        return choose_device(f"cuda:{local_rank}")
    return chosen
