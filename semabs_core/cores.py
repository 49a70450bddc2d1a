"""Work that goes side by side on a CPU: one core for each piece, not all cores for one piece."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

R = TypeVar("R")

ROUNDS = 2
"""With fewer pieces for each core, too many cores would wait for the last ones."""


def least_pieces() -> int:
    """From so many pieces of work on, each gets one core; 1 where there is but one."""
    cores = torch.get_num_threads()
    return ROUNDS * cores if cores > 1 else 1


def side_by_side(pieces: Iterable[Callable[[], R]], count: int) -> Iterator[R]:
    """The results of pieces of work, in their order, each made by one core.

    Small layers of a model gain little from a second core, whole models side by side all of it.
    There are as many threads as torch has for the caller. With one, or fewer pieces than
    :func:`least_pieces`, the caller works itself, with all cores for each piece.

    Args:
        pieces: taken when their turn comes, at most two for each thread ahead of what is asked for.
        count: how many there are.

    Raises:
        Exception: what a piece raises, at its turn. The others that have begun are waited for then,
            and when the caller stops asking.
    """
    cores = torch.get_num_threads()
    if cores == 1 or count < least_pieces():
        yield from (piece() for piece in pieces)
        return
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def run(piece: Callable[[], R]) -> R:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):
            return piece()

    pool, begun = _pool(os.getpid(), cores), deque[Future[R]]()
    try:
        for piece in pieces:
            begun.append(pool.submit(run, piece))
            if len(begun) > 2 * cores:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
        for future in begun:
            if not future.cancelled():
                future.exception()


@functools.cache
def _pool(process: int, cores: int) -> ThreadPoolExecutor:
    """So many threads of a process, in each of which torch uses one core."""
    started = Barrier(cores + 1)
    pool = ThreadPoolExecutor(cores, thread_name_prefix="semabs-core")
    for _ in range(cores):
        pool.submit(_start, started)
    started.wait()
    torch.set_num_threads(cores)  # what threads that come later begin with
    return pool


def _start(started: Barrier) -> None:
    """Take one core for the calling thread, for good."""
    torch.get_num_threads()  # else the first operation in it asks for all cores again
    torch.set_num_threads(1)
    started.wait()
