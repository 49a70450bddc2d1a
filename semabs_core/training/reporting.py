"""What a run tells: a progress bar in the terminal and scalars for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from semabs_core.training.losses import point_iou

EVENTS_FOLDER = "tensorboard"
SHOWN = {
    "train": {
        "loss": "loss",
        "IoU": "point_iou",
        "lr": "learning_rate",
        "data s": "data_time_s",
        "step s": "step_time_s",
    },
    "validation": {"validation IoU": "iou", "best": "best"},
}
"""What stands behind the progress bar: by group, short names and metrics."""


@dataclass
class Interval:
    """Sums over the steps since the last entry in the log.

    Attributes:
        loss: mean loss of each step that was taken.
        counts: (3,) true positives, false positives, false negatives at logit 0.
        learning_rate: of the latest step.
        gradient_norm: before clipping.
        data_time_s: waiting for a batch.
        step_time_s: everything else.
        steps: how many were taken.
        skipped: how many were left out.
    """

    loss: float = 0.0
    counts: Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))
    learning_rate: float = 0.0
    gradient_norm: float = 0.0
    data_time_s: float = 0.0
    step_time_s: float = 0.0
    steps: int = 0
    skipped: int = 0

    def add(self, loss: float, counts: Tensor, gradient_norm: float) -> None:
        """Note a step that was taken."""
        self.loss += loss
        self.counts += counts
        self.gradient_norm += gradient_norm
        self.steps += 1

    def metrics(self) -> dict[str, float]:
        """Means; ``waiting`` is the share of the time in which the network starved for data.

        Those of the loss and the gradient are missing where no step was taken.
        """
        steps = self.steps + self.skipped
        means = {
            "learning_rate": self.learning_rate,
            "skipped": float(self.skipped),
            "data_time_s": self.data_time_s / steps,
            "step_time_s": self.step_time_s / steps,
            "waiting": self.data_time_s / (self.data_time_s + self.step_time_s),
        }
        if not self.steps:
            return means
        return means | {
            "loss": self.loss / self.steps,
            "point_iou": point_iou(self.counts),
            "gradient_norm": self.gradient_norm / self.steps,
        }


class Reporter:
    """The progress bar and the event file of a run; silent in all processes but the first.

    Args:
        folder: where the events go.
        enabled: whether to report at all.
        step: steps done before this start; later events, of a run that was cut off, are superseded.
        total_steps: steps of the whole run.
    """

    def __init__(self, folder: Path, enabled: bool, step: int, total_steps: int) -> None:
        self._writer: SummaryWriter | None = None
        self._texts = dict.fromkeys(SHOWN, "")
        if enabled:
            purge = {"purge_step": step + 1} if step else {}
            self._writer = SummaryWriter(str(folder / EVENTS_FOLDER), flush_secs=10, **purge)
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            disable=not enabled,
        )
        self._task = self._progress.add_task(
            "", total=total_steps, completed=step, epoch=0, metrics=""
        )

    def __enter__(self) -> Reporter:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        if self._writer:
            self._writer.close()

    def flush(self) -> None:
        """Bring what was written so far to disk."""
        if self._writer:
            self._writer.flush()

    def advance(self, step: int, epoch: int) -> None:
        """Move the bar to this number of steps done."""
        self._progress.update(self._task, completed=step, epoch=epoch)

    def write(self, group: str, metrics: Mapping[str, float], step: int) -> None:
        """Scalars of a step to TensorBoard, and the most important behind the bar."""
        if self._writer:
            for name, value in metrics.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)
        self._texts[group] = "  ".join(
            f"{short} {metrics[name]:.3g}"
            for short, name in SHOWN[group].items()
            if name in metrics
        )
        self._progress.update(self._task, metrics="  ".join(filter(None, self._texts.values())))
