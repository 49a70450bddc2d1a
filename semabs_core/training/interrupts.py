"""Ctrl-C and a polite kill: a run ends after its step, with its state saved."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

from semabs_core.training.checkpointing import TrainingError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
T = TypeVar("T")
logger = logging.getLogger(__name__)


class TrainingInterruptedError(TrainingError):
    """A run was asked to stop, and its state is saved.

    Attributes:
        signal_number: the signal that asked for it.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class StopRequest:
    """Notes SIGINT and SIGTERM while a run is on, instead of ending the process at once.

    The second signal acts as it would without this. Only a process's main thread gets signals; in
    another one this notes nothing.

    Attributes:
        signal_number: the signal that came; 0 for none.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()
        logger.warning(
            "%s: the run ends after this step and saves its state; the next signal ends it at once",
            signal.Signals(number).name,
        )

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def until_stopped(batches: Iterable[T], stop: StopRequest) -> Iterator[T]:
    """The batches; they end where a signal came that ended the processes which read them too.

    Args:
        batches: of a loader, whose error then is no fault of the run.
        stop: of the run.
    """
    try:
        yield from batches
    except RuntimeError:
        if not stop.signal_number:
            raise


def ignore_stop_signals(worker: int) -> None:
    """For processes that read data: a terminal sends Ctrl-C to them too, but the trainer decides.

    Args:
        worker: number of the process, which the loader gives.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupted(signal_number: int, step: int, total_steps: int) -> TrainingInterruptedError:
    """What a run ends with that was asked to stop.

    Args:
        signal_number: the signal; 0 where another process of the run got it.
        step: steps done.
        total_steps: of the run.
    """
    signal_number = signal_number or signal.SIGTERM
    name = signal.Signals(signal_number).name
    return TrainingInterruptedError(
        f"stopped by {name} after step {step} of {total_steps}; the state is saved: give the same "
        "command with --resume to carry on",
        signal_number,
    )
