"""Steps whose loss or gradient is not finite: left out, counted, and in a row too many."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from semabs_core.training.checkpointing import TrainingError

logger = logging.getLogger(__name__)


class SkippedSteps:
    """Counts the steps that a run leaves out.

    Args:
        limit: so many in a row end the run.

    Attributes:
        total: how many were left out, those before a resumption among them.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.total = limit, 0
        self._in_row = 0

    def taken(self) -> None:
        """Note a step that was taken."""
        self._in_row = 0

    def skipped(self, step: int, loss: float, norm: float, items: Any, remedy: str) -> None:
        """Note a step that is left out.

        Args:
            step: its number, from 1.
            loss: of the step.
            norm: of its gradient.
            items: what it has read, for people.
            remedy: what to change where this goes on.

        Raises:
            TrainingError: if it is one too many in a row.
        """
        self.total += 1
        self._in_row += 1
        what = f"step {step} is left out: its loss is {loss:g}, the norm of its gradient {norm:g}"
        logger.warning("%s (%s)", what, items)
        if self._in_row >= self.limit:
            raise TrainingError(
                f"{self._in_row} steps in a row had a loss or gradient that is not finite; the "
                f"last: {what} ({items}). The last saved state and weights are kept. {remedy}"
            )


def check_weights(network: nn.Module, step: int, remedy: str) -> None:
    """Refuse to save weights that are not finite.

    Raises:
        TrainingError: naming the first tensor that is not.
    """
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise TrainingError(
                f"after step {step} the weights {name} are not finite, so they were not saved; "
                f"the last saved state and weights are kept. {remedy}"
            )
