"""Answers for people: tables on the console, pictures and meshes in a folder."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from semabs_core.data.scene_file import Scene, load_scene, save_scene
from semabs_core.types import Completion, Localization, Region, RGBDFrame
from semabs_core.visualize import figures, mesh_files
from semabs_core.visualize.meshes import Mesh, class_meshes
from semabs_core.visualize.png import UNSEEN, write_png
from semabs_core.visualize.video import (
    OnFrame,
    VideoOptions,
    completion_frames,
    localization_frames,
    write_video,
)
from semabs_core.visualize.views import frame_mesh


def completion_table(voxels_per_class: Mapping[str, int], title: str) -> Table:
    """How many voxels each class has."""
    table = Table("class", "voxels", title=escape(title))
    for name, count in voxels_per_class.items():
        table.add_row(escape(name), f"{count:,}")
    return table


def localization_table(localization: Localization, question: str, title: str) -> Table:
    """Where the best point of an answer is, and whether there is such a thing at all."""
    axes = (escape(f"{axis} [m]") for axis in "xyz")  # Rich takes words in brackets for styles
    table = Table("question", *axes, "score", "probability", title=escape(title))
    position = [f"{value:.2f}" for value in localization.position_m]
    known = not math.isnan(localization.probability)
    probability = f"{localization.probability:.2f}" if known else "not calibrated"
    table.add_row(escape(question), *position, f"{localization.score:.2f}", probability)
    return table


SCENE_FILE = "scene.npz"
"""The frame that a folder's answers are of, as a scene file."""
ENDINGS = (".json", ".npz", ".png", ".ply", ".obj", ".mtl", ".mp4")


@dataclass(frozen=True)
class Asked:
    """A question and its answer.

    Attributes:
        question: for people.
        answer: of the frame.
        region: the cube that was looked at.
    """

    question: str
    answer: Localization
    region: Region


def file_stem(number: int) -> str:
    """The name, without ending, of all files of a folder's localization, counted from 0."""
    return f"localization_{number + 1}" if number else "localization"


def stored_localizations(folder: Path) -> list[Path]:
    """The stored localizations of a folder, in their order."""
    return sorted(
        (file for file in folder.glob("localization*.npz") if _number_of(file.stem) is not None),
        key=lambda file: _number_of(file.stem) or 0,
    )


def _number_of(stem: str) -> int | None:
    """The opposite of :func:`file_stem`; None for another name."""
    found = re.fullmatch(r"localization(?:_(\d+))?", stem)
    return int(found[1] or 1) - 1 if found else None


def save_frame(frame: RGBDFrame, name: str, path: str | os.PathLike) -> None:
    """Write a frame as a scene file of its own."""
    parts = frame.rgb[None], frame.depth_m[None], frame.K, frame.T_world_camera[None]
    save_scene(Scene(name, *parts), path)


def make_room(folder: Path, frame: RGBDFrame, completion: bool, localization: bool) -> None:
    """Delete the answers that new ones of a frame take the place of; other files stay.

    Args:
        folder: of the answers.
        frame: that is asked now; answers of another one go too.
        completion: whether there will be a new completion.
        localization: whether there will be new localizations.
    """
    other = not _holds(folder / SCENE_FILE, frame)
    for file in folder.iterdir():
        ours = (
            (completion or other) and file.stem == "completion",
            (localization or other) and _number_of(file.stem) is not None,
        )
        if any(ours) and file.suffix in ENDINGS:
            file.unlink()


def _holds(file: Path, frame: RGBDFrame) -> bool:
    """Whether a stored frame is this one."""
    try:
        stored = load_scene(file).frame(0)
    except ValueError:
        return False
    moved = stored.T_world_camera - frame.T_world_camera
    return np.array_equal(stored.rgb, frame.rgb) and float(np.abs(moved).max()) < 1e-9


def write_answers(
    folder: str | os.PathLike,
    frame: RGBDFrame,
    completion: Completion | None = None,
    asked: Sequence[Asked] = (),
    relevancy: NDArray[np.uint8] | None = None,
    video: VideoOptions | None = None,
    on_frame: OnFrame | None = None,
) -> list[Path]:
    """Write pictures, meshes and videos of answers for people.

    Args:
        folder: made where it is missing.
        frame: what the camera measured.
        completion: of the frame.
        asked: localizations of the frame.
        relevancy: (H, W, 3) uint8, :func:`semabs_core.visualize.figures.relevancy_mosaic`.
        video: how turntables are filmed; None for none.
        on_frame: told how many frames of the videos are done; raise from it to stop.

    Returns:
        The files. A mesh without a face is left out, and a video without anything to show.
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    files = []
    if relevancy is not None:
        files.append(out / "relevancy.png")
        write_png(relevancy, files[-1], UNSEEN)
    surface = frame_mesh(frame)
    if len(surface.triangles):
        files.append(out / "measured.ply")
        mesh_files.write_ply(surface, files[-1])
    if completion is not None:
        files += _write_completion(out, frame, completion)
    for number, one in enumerate(asked):
        files += _write_localization(out / file_stem(number), frame, one)
    films = _films(frame, completion, asked, video) if video else {}
    for number, (name, pictures) in enumerate(films.items()):
        follow = on_frame and functools.partial(_follow, on_frame, number, len(films))
        if write_video(pictures, out / name, video or VideoOptions(), follow):
            files.append(out / name)
    return files


def _write_completion(out: Path, frame: RGBDFrame, completion: Completion) -> list[Path]:
    picture = out / "completion.png"
    write_png(figures.completion_figure(frame, completion), picture, UNSEEN)
    meshes = class_meshes(completion)
    if not meshes:
        return [picture]
    cloud = out / "completion.ply"
    mesh_files.write_ply(Mesh.join(list(meshes.values())), cloud)
    return [picture, cloud, *mesh_files.write_obj(meshes, out / "completion.obj")]


def _write_localization(stem: Path, frame: RGBDFrame, one: Asked) -> list[Path]:
    picture, cloud = stem.with_suffix(".png"), stem.with_suffix(".ply")
    shown = figures.localization_figure(frame, one.region, one.answer, one.question)
    write_png(shown, picture, UNSEEN)
    mesh_files.write_points(one.answer.points_m, figures.answer_heat(one.answer), cloud)
    return [picture, cloud]


def _films(
    frame: RGBDFrame, completion: Completion | None, asked: Sequence[Asked], video: VideoOptions
) -> dict[str, Iterator[NDArray[np.uint8]]]:
    """The videos by their files' names; no picture is made yet."""
    films = {}
    if completion is not None:
        films["completion.mp4"] = completion_frames(completion, video)
    for number, one in enumerate(asked):
        shown = localization_frames(frame, one.region, one.answer, one.question, video)
        films[f"{file_stem(number)}.mp4"] = shown
    return films


def _follow(on_frame: OnFrame, film: int, films: int, done: int, total: int) -> None:
    on_frame(film * total + done, films * total)
