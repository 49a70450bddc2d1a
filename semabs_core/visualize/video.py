"""Turntable videos as MP4 (H.264), written without a display."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from semabs_core.files import write_atomic
from semabs_core.types import Completion, Localization, Region, RGBDFrame
from semabs_core.visualize import figures
from semabs_core.visualize.labels import beside, legend, titled
from semabs_core.visualize.meshes import Mesh, class_meshes
from semabs_core.visualize.render import shade
from semabs_core.visualize.views import clip_to_region, frame_mesh, turntable

TITLE_SIZE = 18
Picture = NDArray[np.uint8]
OnFrame = Callable[[int, int], None]
"""Called as ``on_frame(frames done, frames in all)``."""


@dataclass(frozen=True)
class VideoOptions:
    """How a turntable is filmed.

    Attributes:
        frames: pictures in all, once around.
        fps: pictures per second.
        size: width and height of the scene in them, pixels.
    """

    frames: int = 48
    fps: int = 12
    size: tuple[int, int] = (800, 600)


def completion_frames(completion: Completion, options: VideoOptions) -> Iterator[Picture]:
    """The completed scene once around, beside its legend."""
    solid = Mesh.join(list(class_meshes(completion).values()))
    if not len(solid.triangles):
        return
    entries = figures.legend_entries(completion)
    names = titled(legend(entries, options.size[1]), "class (voxels)")
    for view in turntable(completion.region, solid, options.size, options.frames):
        yield beside(titled(shade(solid, view, samples=1), "completed scene"), names)


def localization_frames(
    frame: RGBDFrame,
    region: Region,
    localization: Localization,
    question: str,
    options: VideoOptions,
) -> Iterator[Picture]:
    """The measured scene once around, the answer shining through it, under the question."""
    surface = clip_to_region(frame_mesh(frame), region)
    answer = figures.answer_mesh(localization, region)
    title = figures.answer_text(localization, question)
    names = legend(figures.ANSWER_LEGEND, options.size[1])
    both = Mesh.join([surface, answer])
    for view in turntable(region, both, options.size, options.frames):
        picture = figures.answer_picture(surface, answer, view, localization.position_m, 1)
        yield titled(beside(picture, names), title, TITLE_SIZE)


def write_video(
    pictures: Iterable[Picture],
    path: str | os.PathLike,
    options: VideoOptions,
    on_frame: OnFrame | None = None,
) -> bool:
    """Write pictures of one size as ``.mp4``, beside and renamed.

    Args:
        pictures: (H, W, 3) uint8 each.
        path: of the file.
        options: how fast they follow, and how many there are.
        on_frame: told before each picture; raise from it to stop, and nothing is written.

    Returns:
        Whether there was a picture.
    """
    rest = iter(pictures)
    first = next(rest, None)
    if first is None:
        return False

    def fill(part: Path) -> None:
        height, width = (edge + edge % 2 for edge in first.shape[:2])  # H.264 wants even edges
        writer = imageio_ffmpeg.write_frames(
            str(part), (width, height), fps=options.fps, codec="libx264", macro_block_size=2,
            output_params=["-f", "mp4", "-movflags", "+faststart"], ffmpeg_log_level="error",
        )  # fmt: skip
        try:
            with _interrupt_held():  # by Python's rules the fork that starts ffmpeg may swallow it
                writer.send(None)
            for number, picture in enumerate(itertools.chain([first], rest)):
                if on_frame:
                    on_frame(number, options.frames)
                canvas = np.full((height, width, 3), 255, dtype=np.uint8)
                canvas[: picture.shape[0], : picture.shape[1]] = picture
                writer.send(canvas)
        except BaseException as error:
            writer.throw(error)  # of Ctrl-C ffmpeg ends at once
            raise
        writer.close()
        if on_frame:
            on_frame(options.frames, options.frames)

    write_atomic(path, fill)
    return True


@contextlib.contextmanager
def _interrupt_held() -> Iterator[None]:
    """Ctrl-C that comes meanwhile acts afterwards; only a process's main thread gets any."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    if before is None:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
