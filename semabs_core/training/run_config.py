"""Options that every training run has, whatever it trains."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from semabs_core.config import STRICT, option


@dataclass(frozen=True, config=STRICT)
class RunConfig:
    """How a run is carried out and kept; it does not say what is trained."""

    out: str = option("", "folder for weights, state, this config and TensorBoard's events")
    seed: int = option(0, "of the first weights, the order of the data and the sampling", ge=0)
    device: str = option("auto", "torch device; auto is the process's GPU, else the CPU")
    workers: int = option(4, "processes that prepare data; 0: none besides the trainer", ge=0)
    resume: bool = option(False, "carry on from the state in the folder, if there is one")
    save_every_steps: int = option(500, "steps between saved states", ge=1)
    log_every_steps: int = option(10, "steps between entries in TensorBoard", ge=1)
    max_skipped_steps: int = option(
        20,
        "steps in a row with a loss or gradient that is not finite, which are left out, before "
        "the run ends",
        ge=1,
    )


CHANGEABLE = frozenset(
    {
        "out",
        "data.folder",
        "device",
        "workers",
        "resume",
        "save_every_steps",
        "log_every_steps",
        "max_skipped_steps",
    }
)
"""Options of any run that may change when it is resumed: they decide no number."""
