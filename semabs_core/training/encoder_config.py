"""What decides the training of an encoder, read from YAML and checked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from semabs_core.config import STRICT, option, validate
from semabs_core.training import run_config
from semabs_core.training.run_config import RunConfig


@dataclass(frozen=True, config=STRICT)
class EncoderShape:
    """Sizes of the model, in open_clip's terms."""

    embed_dim: int = option(64, "width of image and text features", ge=8)
    image_size: int = option(64, "edge of the input", unit="pixels", ge=16)
    patch_size: int = option(8, "edge of a patch", unit="pixels", ge=2)
    width: int = option(128, "of the image tower", ge=16)
    layers: int = option(4, "of the image tower", ge=1)
    head_width: int = option(32, "of the attention heads of both towers", ge=4)
    text_width: int = option(64, "of the text tower", ge=16)
    text_layers: int = option(2, "of the text tower", ge=1)
    context_length: int = option(32, "longest text", unit="tokens", ge=8)

    def __post_init__(self) -> None:
        for name, part in (("image_size", "patch_size"), ("width", "head_width")):
            if getattr(self, name) % getattr(self, part):
                raise ValueError(f"{name} must be a multiple of {part}")
        if self.text_width % max(1, self.text_width // self.head_width):
            raise ValueError("text_width must be a multiple of head_width")

    def model_config(self) -> dict[str, Any]:
        """The model as open_clip describes it."""
        return {
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": self.image_size,
                "patch_size": self.patch_size,
                "width": self.width,
                "layers": self.layers,
                "head_width": self.head_width,
            },
            "text_cfg": {
                "context_length": self.context_length,
                "vocab_size": 49408,
                "width": self.text_width,
                "heads": max(1, self.text_width // self.head_width),
                "layers": self.text_layers,
            },
        }


@dataclass(frozen=True, config=STRICT)
class CropConfig:
    """What is read of a data set."""

    folder: str = option("", "the data set's folder")
    split: str = option("unseen_instances", "split to train on: of rooms that show every class")
    random_colors: float = option(0.3, "share of crops in random colours", ge=0, le=1)
    recolored: float = option(
        0.5, "share of these whose things are coloured anew each time", ge=0, le=1
    )


@dataclass(frozen=True, config=STRICT)
class EncoderTrainingConfig(RunConfig):
    """Everything that decides the training of an encoder."""

    shape: EncoderShape = Field(default_factory=EncoderShape)
    data: CropConfig = Field(default_factory=CropConfig)
    start: str = option("", "folder of an encoder to start from; empty: seeded random weights")
    steps: int = option(14_000, "optimizer steps of the schedule", ge=1)
    max_steps: int | None = option(None, "stop after so many of them; unset: after all", ge=1)
    batch: int = option(64, "crops per step", ge=2)
    colored_phrases: int = option(48, "phrases with a colour per step", ge=0)
    sentences: int = option(32, "sentences per step", ge=0)
    relevancy_phrases: int = option(
        8, "phrases per crop whose relevancy counts in the loss", ge=0, multiple_of=2
    )
    learning_rate: float = option(1.2e-3, "at its peak", gt=0)
    weight_decay: float = option(0.05, "pull of the weights towards zero", ge=0)
    warmup_steps: int = option(300, "steps of linear increase; a cosine follows", ge=0)
    gradient_clip: float = option(1.0, "largest norm of the gradient", gt=0)
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "of the forward pass; auto is bf16 on a GPU that has it and fp32 elsewhere"
    )
    workers: int = option(1, "processes that cut crops; 0: none besides the trainer", ge=0)
    log_every_steps: int = option(50, "steps between entries in TensorBoard", ge=1)


CHANGEABLE = run_config.CHANGEABLE | {"max_steps"}
"""Options that may change when a run is resumed."""


def parse_encoder_config(values: Any, where: str = "encoder config") -> EncoderTrainingConfig:
    """A mapping to a config, see :func:`semabs_core.config.validate`."""
    return validate(EncoderTrainingConfig, values, where)
