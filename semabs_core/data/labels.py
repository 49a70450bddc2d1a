"""What a scene can be asked, and which points are the right answer."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_data import (
    SPECIAL_NAMES,
    SceneData,
    SceneDescription,
    SceneFileError,
    class_name,
)
from semabs_core.geometry import in_bounds

SYNONYMS_FILE = "synonyms.json"
PUBLISHED_SYNONYMS = {
    "television": "tv",
    "sofa": "couch",
    "house plant": "plant in a pot",
    "bookcase": "bookshelf",
    "baseball bat": "rawlings big stick maple bat",
    "pillow": "cushion",
    "arm chair": "recliner",
    "bread": "loaf of sourdough",
    "cell phone": "mobile phone",
    "desktop": "computer",
    "dresser": "wardrobe",
    "dumbbell": "gym weights",
    "fridge": "refridgerator",
    "garbage can": "trash can",
    "laptop": "computer",
    "outlet": "eletric plug",
    "stairs": "staircase",
}
"""The published novel vocabulary, spelled as published."""
NOVEL_CLASSES_FILE = "novel_classes.json"
"""Optional, in a data set's folder: list of the class names that no training scene has."""
MAX_REACH = 1.0
MIN_REACH = 0.1
"""Scene units: how far "behind" reaches from the reference, after the published generator."""
BEHIND_COSINE = 0.6


def read_synonyms(folder: str | os.PathLike) -> dict[str, str]:
    """Class to synonym: the data set's own ``synonyms.json``, else the published ones."""
    file = Path(folder) / SYNONYMS_FILE
    if not file.is_file():
        return dict(PUBLISHED_SYNONYMS)
    try:
        synonyms = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SceneFileError(f"{file} is damaged ({error}); copy it again") from error
    if not isinstance(synonyms, dict) or not all(isinstance(v, str) for v in synonyms.values()):
        raise SceneFileError(f"{file} must map class names to synonyms")
    return synonyms


def split_synonyms(folder: str | os.PathLike, split: str) -> dict[str, str]:
    """The renamings under which a split's scenes are read: none but in a synonyms split."""
    return read_synonyms(folder) if split.endswith("_synonyms") else {}


def rename(scene: SceneData, synonyms: Mapping[str, str]) -> SceneData:
    """A scene whose objects and sentences use bare class names, or their synonyms."""

    def word(entry: str) -> str:
        name = class_name(entry)
        return synonyms.get(name, name)

    return replace(
        scene,
        objid_to_class=[word(entry) for entry in scene.objid_to_class],
        descriptions=[
            replace(
                description,
                target_obj_name=word(description.target_obj_name),
                reference_obj_name=word(description.reference_obj_name),
            )
            for description in scene.descriptions
        ],
    )


def words_of(names: list[str], object_ids: NDArray[np.int32]) -> set[str]:
    """The classes of all objects among ``object_ids``, without the special names.

    Args:
        names: bare class name of each object id.
        object_ids: any shape; negative is no object.
    """
    ids = np.unique(object_ids)
    return {names[i] for i in ids if 0 <= i < len(names)} - set(SPECIAL_NAMES)


def is_word(
    names: list[str], object_ids: NDArray[np.int32], words: Collection[str]
) -> NDArray[np.bool_]:
    """Which points belong to an object with one of these class names; negative ids never do."""
    table = np.array([name in words for name in names] + [False])
    return table[np.where(object_ids < 0, len(names), object_ids)]


def completion_labels(scene: SceneData, view: int, in_view: NDArray[np.bool_]) -> list[str]:
    """The classes both visible in the image and present in the volume inside the frustum, sorted.

    Args:
        scene: a scene with bare names.
        view: which of its views.
        in_view: (K,) bool, which of the points the frustum holds.
    """
    visible = words_of(scene.objid_to_class, scene.seg[view])
    present = words_of(scene.objid_to_class, scene.full_objid_pts[view][in_view])
    return sorted(visible & present)


def scene_words(scene: SceneData, view: int = 0) -> list[str]:
    """Every word and sentence that may be asked of a scene with bare names, sorted."""
    words = words_of(scene.objid_to_class, scene.seg[view])
    for description in scene.descriptions:
        words |= {description.target_obj_name, description.reference_obj_name}
        words.add(description.sentence)
    return sorted(words)


def usable_descriptions(scene: SceneData, relations: Collection[str]) -> list[SceneDescription]:
    """The sentences whose relation is one of a network's, each once.

    Where two classes have one synonym, sentences about them may have become the same; those that
    then mean different targets mean neither and are left out.
    """
    same: dict[str, list[SceneDescription]] = {}
    for item in scene.descriptions:
        if item.spatial_relation_name in relations:
            same.setdefault(item.sentence, []).append(item)
    return [items[0] for items in same.values() if len({i.target_obj_id for i in items}) == 1]


def description_target(
    scene: SceneData,
    view: int,
    description: SceneDescription,
    unseen: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which points answer a description.

    A target in the image is its own points. A hidden one may be anywhere that the viewer cannot
    rule out: for ``in`` in the unseen space inside the container, for ``on`` in the unseen part of
    the layer above the support in which it stands, for ``behind`` in the unseen empty space behind
    the reference; and where it is.

    Args:
        scene: a scene with bare names.
        view: which of its views.
        description: one of its sentences.
        unseen: (K,) bool, points that the camera looks towards but did not see to be free.

    Returns:
        (K,) bool over the points of the view.
    """
    ids, points = scene.full_objid_pts[view], scene.full_xyz_pts[view]
    target = ids == description.target_obj_id
    relation = description.spatial_relation_name
    hidden = not (scene.seg[view] == description.target_obj_id).any()
    if not hidden or relation not in ("in", "on", "behind"):
        return target
    region = np.zeros_like(target)
    for number, name in enumerate(scene.objid_to_class):
        reference = ids == number
        if name != description.reference_obj_name or not reference.any():
            continue
        box = np.stack([points[reference].min(axis=0), points[reference].max(axis=0)])
        if relation == "behind":
            region |= _behind(points, box)
        elif relation == "in":
            region |= in_bounds(points, box)
        elif target.any():
            box[:, 2] = points[target, 2].min(), points[target, 2].max()
            region |= in_bounds(points, box)
    empty = is_word(scene.objid_to_class, ids, ("empty",))
    return target | (region & unseen & empty)


def _behind(points: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Points behind a box (2, 3), seen along +x, within the reach of the relation."""
    size = box[1] - box[0]
    reach = np.clip(2 * size[:2].max(), MIN_REACH, MAX_REACH)
    offset = box.mean(axis=0) - points
    distance = np.linalg.norm(offset, axis=-1)
    return (offset[:, 0] < -BEHIND_COSINE * distance) & (distance <= reach)
