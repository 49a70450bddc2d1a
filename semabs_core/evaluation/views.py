"""The same figures by how the scenes were seen: camera height, pitch, field of view, depth noise.

Rooms that are made with ``views=robot`` say how (``view_info`` in their files).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semabs_core.data.hdf5 import read_scene
from semabs_core.data.items import scene_id
from semabs_core.data.scene_data import SceneFileError
from semabs_core.data.splits import read_splits
from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.summary import Approach, SummaryOptions
from semabs_core.evaluation.tables import Figure, FigureTable

RANGES: tuple[tuple[str, str, str, tuple[float, ...]], ...] = (
    ("camera height", "camera_height_m", "m", (0.7, 1.2)),
    ("pitch", "pitch_deg", "deg", (-40.0, -15.0)),
    ("field of view", "fov_deg", "deg", (60.0, 75.0)),
    ("depth error", "depth_error_mm", "mm", (1.0, 10.0)),
    ("holes", "holes", "of the picture", (0.05, 0.2)),
)
"""Name, key of ``view_info``, unit, and where one range ends and the next begins."""
KINDS = (("sensor", "sensor"), ("orientation", "orientation"), ("view", "view"))
"""Name and key of what is one of a few words."""


def view_groups(infos: Sequence[Mapping[str, float | str]]) -> dict[tuple[str, str], list[int]]:
    """Which scenes were seen alike: (property, range or kind) to indices of the scenes.

    Args:
        infos: ``view_info`` of every scene; properties that one of them lacks are left out.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for name, key, unit, edges in RANGES:
        if not all(key in info for info in infos):
            continue
        values = np.array([float(info[key]) for info in infos])
        bins = np.searchsorted(edges, values, side="right")
        names = [
            f"below {edges[0]:g} {unit}",
            *(f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)),
            f"from {edges[-1]:g} {unit}",
        ]
        for number, text in enumerate(names):
            groups[name, text] = np.flatnonzero(bins == number).tolist()
    for name, key in KINDS:
        if all(key in info for info in infos):
            words = np.array([str(info[key]) for info in infos])
            groups |= {(name, word): np.flatnonzero(words == word).tolist() for word in set(words)}
    return {key: groups[key] for key in sorted(groups, key=_place) if groups[key]}


def _place(group: tuple[str, str]) -> tuple[int, str]:
    """Properties in their order; ranges as they were made, kinds by name."""
    names = [entry[0] for entry in (*RANGES, *KINDS)]
    return names.index(group[0]), group[1] if group[0] in names[len(RANGES) :] else ""


def summarize_views(
    rows: Mapping[str, Sequence[pd.DataFrame]],
    data: str | os.PathLike,
    options: SummaryOptions | None = None,
) -> FigureTable:
    """Mean IoU over rooms of each approach, by how the rooms were seen.

    Args:
        rows: approach to the rows of its networks, all of the same scenes.
        data: folder of the data set that they were evaluated on.
        options: None for the defaults.

    Raises:
        SceneFileError: if a scene is not there or does not say how it was seen.
        RowsError: if rows are missing, or of other scenes.
    """
    options = options or SummaryOptions()
    approaches = {name: Approach(list(tables), name, options) for name, tables in rows.items()}
    seen = {name: sorted(set(one.rows["scene_id"])) for name, one in approaches.items()}
    first, scenes = next(iter(seen.items()))
    for name, others in seen.items():
        if others != scenes:
            raise RowsError(f"{name} and {first} must be evaluated on the same scenes")
    infos = _view_infos(Path(data), scenes, next(iter(approaches.values())).task)
    everything = {("all", ""): list(range(len(scenes)))}
    lines = []
    for (name, text), members in (everything | view_groups(infos)).items():
        wanted = {scenes[index] for index in members}
        figures = [_figure(one, one.rows["scene_id"].isin(wanted)) for one in approaches.values()]
        lines.append(((name, text, str(len(members))), tuple(figures)))
    title = f"By view, {options.metric} x 100, mean over rooms"
    return FigureTable(title, ("view", "range", "rooms"), tuple(approaches), tuple(lines))


def _figure(approach: Approach, chosen: pd.Series | NDArray[np.bool_]) -> Figure:
    return Figure.of(approach.mean(np.asarray(chosen), "rooms"))


def _view_infos(folder: Path, scenes: Sequence[str], task: str) -> list[dict[str, float | str]]:
    """``view_info`` of each scene."""
    splits = read_splits(folder, task).values()
    files = {scene_id(path): folder / path for paths in splits for path in paths}
    if missing := [scene for scene in scenes if scene not in files]:
        raise SceneFileError(
            f"{folder} has no scene {missing[0]}: name the data set that the rows are of"
        )
    infos = [read_scene(files[scene], ()).view_info for scene in scenes]
    for scene, info in zip(scenes, infos, strict=True):
        if not info:
            raise SceneFileError(
                f"{files[scene]} does not say how it was seen; rooms that are made with "
                "'semabs data rooms --option views=robot' do"
            )
    return infos
