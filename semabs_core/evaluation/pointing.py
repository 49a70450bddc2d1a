"""The pointing game: does the maximum of an object's relevancy lie on the object?

After Zhang et al., "Top-down Neural Attention by Excitation Backprop" (arXiv 1608.00507), for the
stored relevancy of a data set, less its mean map.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semabs_core.data.hdf5 import read_relevancy, read_scene
from semabs_core.data.items import VIEW, scene_id
from semabs_core.data.labels import is_word, rename, split_synonyms
from semabs_core.data.relevancy_records import read_settings
from semabs_core.data.relevancy_settings import common_settings
from semabs_core.data.scene_data import SPECIAL_NAMES
from semabs_core.data.splits import split_paths, split_source
from semabs_core.evaluation.statistics import Resampler
from semabs_core.evaluation.tables import Figure, FigureTable
from semabs_core.relevancy import for_networks

SMALLEST_SHARE = 0.01
"""Of the image: smaller objects are not asked for."""


@dataclass(frozen=True)
class Pointing:
    """What a relevancy map says of an object.

    Attributes:
        label: the object's name.
        share: of the image that objects of the name cover.
        hit: whether the map's maximum lies on one of them.
    """

    label: str
    share: float
    hit: bool


def point(
    maps: NDArray[np.float32], labels: Sequence[str], ids: NDArray[np.int32], names: list[str]
) -> list[Pointing]:
    """Point at every object that is large enough.

    Args:
        maps: (L, h, w) relevancy less the mean map, of any size: stretched over the image.
        labels: the L words.
        ids: (H, W) object id of each pixel, or -1.
        names: name of each object id.
    """
    found = []
    rows, columns = maps.shape[1:]
    for label in dict.fromkeys(names):
        if label not in labels or label in SPECIAL_NAMES:
            continue
        mask = is_word(names, ids, (label,))
        if mask.mean() <= SMALLEST_SHARE:
            continue
        best = int(maps[list(labels).index(label)].argmax())
        row = int((best // columns + 0.5) * mask.shape[0] / rows)
        column = int((best % columns + 0.5) * mask.shape[1] / columns)
        found.append(Pointing(label, float(mask.mean()), bool(mask[row, column])))
    return found


def pointing_rows(
    folder: str | os.PathLike,
    splits: Sequence[str],
    preset: str = "ours",
    on_progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Point at every visible object of a data set that is larger than 1 % of its image.

    Args:
        folder: the data set's folder, with relevancy.
        splits: which of its splits; pictures in random colours are looked at where their name ends
            in ``_dr``.
        preset: of the relevancy.
        on_progress: called with scenes done and scenes to do.

    Returns:
        A row per object: ``split``, ``scene_id``, ``label``, ``share``, ``hit``.

    Raises:
        SceneFileError: if a split or a scene's relevancy is missing, or the scenes' relevancy was
            not made in one way.
    """
    wanted = [
        (split, path) for split in splits for path in split_paths(folder, "completion", split)
    ]
    common_settings(
        {
            f"{path}, {split_source(split)}": read_settings(
                Path(folder) / path, split_source(split), preset
            )
            for split, path in wanted
        },
        folder,
    )
    rows = []
    for done, (split, path) in enumerate(wanted, 1):
        scene = rename(read_scene(Path(folder) / path, ("seg",)), split_synonyms(folder, split))
        record = read_relevancy(Path(folder) / path, split_source(split), preset)
        rows += [
            {"split": split, "scene_id": scene_id(path), **vars(item)}
            for item in point(
                for_networks(record.maps, record.mean),
                record.labels,
                scene.seg[VIEW],
                scene.objid_to_class,
            )
        ]
        if on_progress:
            on_progress(done, len(wanted))
    return pd.DataFrame(rows, columns=["split", "scene_id", "label", "share", "hit"])


def summarize_pointing(
    rows: pd.DataFrame, novel: Collection[str], replicates: int = 1000, seed: int = 0
) -> FigureTable:
    """Accuracy x 100 of each split and of all, over all classes and over the novel ones.

    Args:
        rows: of :func:`pointing_rows`.
        novel: names of the classes that no training scene of the 3D networks holds.
        replicates: redrawings of the scenes for 95 % intervals; 0 for none.
        seed: of the redrawings.
    """
    lines = []
    for split in [*dict.fromkeys(rows["split"]), "all"]:
        chosen = rows if split == "all" else rows[rows["split"] == split]
        resampler = Resampler(chosen["scene_id"], replicates, seed)
        figures = []
        for part in (chosen, chosen[chosen["label"].isin(list(novel))]):
            mean = resampler.mean(part["scene_id"], 100 * part["hit"].to_numpy(float))
            figures.append(Figure.of(mean))
        lines.append(((split, str(len(chosen))), tuple(figures)))
    columns = ("all classes", "novel classes")
    return FigureTable("Pointing accuracy, %", ("split", "objects"), columns, tuple(lines))
