"""Work that goes side by side on a CPU: a core for each piece, not all cores for one piece."""

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
MOST_THREADS = 16
"""More threads of Python would wait for each other; each gets several cores instead."""


def least_pieces() -> int:
    """From so many pieces of work on, each gets a core of its own; 1 where there is but one."""
    cores = torch.get_num_threads()
    return ROUNDS * min(cores, MOST_THREADS) if cores > 1 else 1


def side_by_side(pieces: Iterable[Callable[[], R]], count: int) -> Iterator[R]:
    """The results of pieces of work, in their order, each made by one core.

    Small layers of a model gain little from a second core, whole models side by side all of it.
    There are as many threads as torch has for the caller. With one, or fewer pieces than
    :func:`least_pieces`, the caller works itself, with all cores for each piece.

    Args:
        pieces: taken when their turn comes, one for each thread ahead of what is asked for. They
            compute with or without gradients as the caller does, but not in its autocast.
        count: how many of them there is something to do for.

    Raises:
        Exception: what a piece raises, at its turn. No other begins then, nor when the caller stops
            asking; those that have begun end unseen.
    """
    cores = torch.get_num_threads()
    if cores == 1 or count < least_pieces():
        yield from (piece() for piece in pieces)
        return
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def run(piece: Callable[[], R]) -> R:
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):
            return piece()

    threads = min(cores, MOST_THREADS)
    pool, begun = _pool(os.getpid(), threads, cores), deque[Future[R]]()
    try:
        for piece in pieces:
            begun.append(pool.submit(run, piece))
            if len(begun) > threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


@functools.cache
def _pool(process: int, threads: int, cores: int) -> ThreadPoolExecutor:
    """So many threads of a process, among which torch's cores are shared out."""
    started = Barrier(threads + 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="semabs-core")
    try:
        for _ in range(threads):
            pool.submit(_start, started, cores // threads)
        started.wait()
    except BaseException:  # a thread too many, or an interrupt: none of them stays waiting
        started.abort()
        pool.shutdown(wait=False)
        raise
    finally:
        torch.set_num_threads(cores)  # what threads that come later begin with
    return pool


def _start(started: Barrier, cores: int) -> None:
    """Take a share of the cores for the calling thread, for good."""
    torch.get_num_threads()  # else the first operation in it asks for all cores again
    torch.set_num_threads(cores)
    started.wait()
