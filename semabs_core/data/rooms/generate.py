"""A data set of rooms: many scene files, made in parallel, resumable, with its splits."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from semabs_core.data.hdf5 import SceneFileError, check_scene, write_scene
from semabs_core.data.labels import NOVEL_CLASSES_FILE, PUBLISHED_SYNONYMS, SYNONYMS_FILE
from semabs_core.data.rooms.classes import class_names, novel_labels
from semabs_core.data.rooms.room import RoomOptions, make_room
from semabs_core.data.splits import SPLITS, write_splits
from semabs_core.files import write_atomic

MANIFEST = "rooms.json"

Job = tuple[Path, int, str, RoomOptions]


def room_seed(seed: int, index: int) -> int:
    """The seed of the ``index``-th room of a split in a data set with a seed."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0])


def generate_rooms(
    out: str | os.PathLike,
    counts: Mapping[str, int],
    seed: int = 0,
    workers: int = 1,
    options: RoomOptions | None = None,
    show_progress: bool = True,
) -> dict[str, int]:
    """Make a data set of rooms, or the rest of one; complete files are kept as they are.

    A room depends on seed, split and index alone: workers and interruptions change nothing.

    Args:
        out: the data set's folder: a folder per split, the split files, ``synonyms.json``,
            ``novel_classes.json``, and ``rooms.json`` with the seed and the options.
        counts: how many rooms of each split.
        seed: of the data set.
        workers: processes; 1 works in this one.
        options: sizes and shares.
        show_progress: a bar on the terminal.

    Returns:
        How many rooms were ``made`` and how many ``kept``.

    Raises:
        ValueError: if a split is unknown, or the folder holds rooms of another seed or options.
    """
    folder, options = Path(out), options or RoomOptions()
    _check(counts, seed, workers)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, seed, options)
    wanted = [
        (folder / split / f"{index:06d}.hdf5", room_seed(seed, index), split, options)
        for split, count in counts.items()
        for index in range(count)
    ]
    jobs = [job for job in wanted if not _is_complete(job[0])]
    kept = len(wanted) - len(jobs)
    columns = (TextColumn("rooms"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not show_progress) as progress:
        task = progress.add_task("rooms", total=len(wanted), completed=kept)
        for _ in _run(jobs, workers):
            progress.advance(task)
    _write_lists(folder, counts)
    return {"made": len(jobs), "kept": kept}


def _check(counts: Mapping[str, int], seed: int, workers: int) -> None:
    unknown = [split for split in counts if split not in SPLITS]
    if unknown:
        raise ValueError(
            f"counts must name splits of {', '.join(SPLITS)}, got {', '.join(unknown)}"
        )
    if not counts or any(count < 0 for count in counts.values()) or not any(counts.values()):
        raise ValueError(
            f"counts must ask for at least one room and for no negative number, got {dict(counts)}"
        )
    if seed < 0 or workers < 1:
        raise ValueError(
            f"seed must not be negative and workers at least 1, got {seed} and {workers}"
        )


def _claim(folder: Path, seed: int, options: RoomOptions) -> None:
    """Note seed and options in the folder; refuse one that holds rooms made with others."""
    wanted = json.loads(json.dumps({"seed": seed, **asdict(options)}))
    file = folder / MANIFEST
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{file} is damaged ({error}); delete it or choose another folder"
            ) from error
        # Rooms from before an option was there are as its default makes them.
        if not isinstance(found, dict) or {**asdict(RoomOptions()), **found} != wanted:
            raise ValueError(
                f"{folder} holds rooms made with {found}, not {wanted}: to go on, use the same "
                "seed and options, or choose another folder"
            )
    _write_json(file, wanted)


def _is_complete(file: Path) -> bool:
    """Whether a room is there and whole."""
    try:
        check_scene(file)
    except SceneFileError:
        return False
    return True


def _make(job: Job) -> Path:
    file, seed, split, options = job
    file.parent.mkdir(parents=True, exist_ok=True)
    write_scene(file, make_room(seed, split, options))
    return file


def _end_with_parent() -> None:
    """End this process when the one that started it does, even if that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)  # a room that is half written has another name

    threading.Thread(target=watch, daemon=True).start()


def _run(jobs: list[Job], workers: int) -> Iterator[Path]:
    """Make all rooms, in this process or in others; each file when it is done."""
    if workers == 1:
        yield from map(_make, jobs)
        return
    context = multiprocessing.get_context("spawn")
    processes = min(workers, max(len(jobs), 1))
    with ProcessPoolExecutor(processes, context, initializer=_end_with_parent) as pool:
        waiting = iter(jobs)
        running: set[Future[Path]] = {
            pool.submit(_make, job) for job in islice(waiting, 4 * workers)
        }
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                running |= {pool.submit(_make, job) for job in islice(waiting, len(done))}
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_lists(folder: Path, counts: Mapping[str, int]) -> None:
    """Split files, synonyms and novel classes; splits made earlier stay listed."""
    splits = {}
    for split in SPLITS:
        files = sorted(
            path.relative_to(folder).as_posix() for path in (folder / split).glob("*.hdf5")
        )
        splits[split] = files[: counts.get(split, len(files))]
    write_splits(folder, {split: files for split, files in splits.items() if files})
    names = class_names()
    _write_json(folder / SYNONYMS_FILE, {k: v for k, v in PUBLISHED_SYNONYMS.items() if k in names})
    _write_json(folder / NOVEL_CLASSES_FILE, novel_labels())


def _write_json(file: Path, content: object) -> None:
    write_atomic(file, json.dumps(content, indent=1) + "\n")
