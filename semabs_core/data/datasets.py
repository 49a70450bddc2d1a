"""Scene files as training and evaluation items of the two tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.data.items import VIEW, Cloud, Item, Row, collate, unseen_points
from semabs_core.data.labels import (
    completion_labels,
    description_target,
    is_word,
    usable_descriptions,
)
from semabs_core.data.sampling import balanced_order
from semabs_core.data.scene_data import SceneData, SceneDescription
from semabs_core.data.scene_dataset import SceneDataset
from semabs_core.data.text_features import read_text_features
from semabs_core.data.words import Lookup
from semabs_core.network_config import NetworkConfig, point_width

__all__ = [
    "DATASETS",
    "CompletionDataset",
    "LocalizationDataset",
    "SceneDataset",
    "collate",
    "input_options",
]


class CompletionDataset(SceneDataset):
    """Scenes with class names: where is each of them.

    Items: ``input_xyz`` (N, 3), ``input_features`` (P, N, F) or, where all labels share it, (1, N,
    F) of :func:`semabs_core.network_config.point_features`, ``tsdf`` (X, Y, Z) where it is read,
    ``query_xyz`` (P, M, 3), ``targets`` (P, M) float32 0 or 1, ``ignore`` (P, M) bool,
    ``label_features`` (P, D) normalised, ``names``, ``scene_id``.
    """

    task = "completion"

    def _rows(
        self, scene: SceneData, cloud: Cloud, known: set[str], rng: np.random.Generator
    ) -> Iterator[Row]:
        labels = [name for name in completion_labels(scene, VIEW, cloud.in_view) if name in known]
        ignore = cloud.outside | ~cloud.in_view
        absent = []
        if self.absent_share and not self.full:
            absent = rng.permutation(self.absent(known, scene.objid_to_class)).tolist()
        for number in range(len(labels)) if self.full else rng.permutation(len(labels)):
            if absent and rng.random() < self.absent_share:
                yield Row((absent.pop(),), np.zeros_like(ignore), ignore)
            target = is_word(scene.objid_to_class, scene.full_objid_pts[VIEW], (labels[number],))
            yield Row((labels[number],), target, ignore)

    def _features(self, cloud: Cloud, rows: list[Row], lookup: Lookup) -> Item:
        names = [row.words[0] for row in rows]
        shape = (self.num_input_points, point_width(self.network_inputs))
        aware = self.approach == "semantic_aware"
        return {
            "names": names,
            "input_features": colors_of(cloud)[None]
            if aware
            else _stack([lookup.maps[name] for name in names], shape),
            "label_features": _stack([lookup.features[n] for n in names], (self.text_dim,)),
        }


class LocalizationDataset(SceneDataset):
    """Scenes with descriptions: where is "the target in such a relation to the reference".

    Items: as for completion, but ``features`` by the network's names: ``target`` and ``reference``,
    or ``description`` (P, N, F), or ``rgb`` (1, N, F); ``relations``, ``names`` (target,
    reference); for ``semantic_aware``, ``target_features`` and ``reference_features`` (P, D) raw
    text encodings.
    """

    task = "localization"

    def _read_text(self) -> dict[str, NDArray[np.float32]]:
        return read_text_features(self.folder) if self.approach == "semantic_aware" else {}

    def _rows(
        self, scene: SceneData, cloud: Cloud, known: set[str], rng: np.random.Generator
    ) -> Iterator[Row]:
        everything = [
            (self._words(item), item) for item in usable_descriptions(scene, self.relations)
        ]
        asked = [(words, item) for words, item in everything if known.issuperset(words)]
        unseen = unseen_points(scene, cloud)
        relations = [item.spatial_relation_name for _, item in asked]
        for number in range(len(asked)) if self.full else balanced_order(relations, rng):
            words, item = asked[number]
            target = description_target(scene, VIEW, item, unseen)
            if self.full or (target & ~cloud.outside).any():
                yield Row(words, target, cloud.outside, item)

    def _words(self, item: SceneDescription) -> tuple[str, ...]:
        """What is looked up for a description."""
        if self.approach == "clip_spatial":
            return (item.sentence,)
        return (item.target_obj_name, item.reference_obj_name)

    def _features(self, cloud: Cloud, rows: list[Row], lookup: Lookup) -> Item:
        items = [row.description for row in rows if row.description is not None]
        keys = {"semantic_aware": (), "clip_spatial": ("description",)}.get(
            self.approach, ("target", "reference")
        )
        shape = (self.num_input_points, point_width(self.network_inputs))
        features = {
            key: _stack([lookup.maps[row.words[place]] for row in rows], shape)
            for place, key in enumerate(keys)
        } or {"rgb": colors_of(cloud)[None]}
        text = {
            f"{key}_features": _stack(
                [lookup.features[row.words[place]] for row in rows], (self.text_dim,)
            )
            for place, key in enumerate(("target", "reference"))
            if self.approach == "semantic_aware"
        }
        return {
            "names": [(item.target_obj_name, item.reference_obj_name) for item in items],
            "relations": [item.spatial_relation_name for item in items],
            "features": features,
            **text,
        }


DATASETS: dict[str, type[SceneDataset]] = {
    "completion": CompletionDataset,
    "localization": LocalizationDataset,
}


def input_options(network: NetworkConfig) -> dict[str, Any]:
    """The options of a data set that follow from what a network reads."""
    names = (
        "network_inputs", "patch_mask_cutoff", "voxel_shape", "relations", "normalization", "refine"
    )  # fmt: skip
    return {name: getattr(network, name) for name in names}


def colors_of(cloud: Cloud) -> Tensor:
    """What ``semantic_aware`` networks read per input point: (N, 3)."""
    return torch.from_numpy(cloud.colors)


def _stack(values: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """(P, *shape) float32, also of no values."""
    return torch.stack(values) if values else torch.zeros(0, *shape)
