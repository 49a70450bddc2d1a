"""What the data sets of both tasks share: files to items, reproducibly, whatever some files are."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from semabs_core.config import MEAN_VOCABULARY
from semabs_core.data.hdf5 import (
    check_scene,
    image_sources,
    read_relevancy,
    read_scene,
    relevancy_labels,
)
from semabs_core.data.items import (
    VIEW,
    Cloud,
    Item,
    Row,
    all_queries,
    empty_cloud,
    fill_cells,
    make_cloud,
    scene_id,
    some_queries,
)
from semabs_core.data.labels import (
    rename,
    scene_words,
    split_synonyms,
    usable_descriptions,
)
from semabs_core.data.relevancy_records import read_settings
from semabs_core.data.relevancy_settings import RelevancySettings, common_settings
from semabs_core.data.scene_data import SOURCES, SPECIAL_NAMES, SceneData, SceneFileError
from semabs_core.data.splits import split_paths
from semabs_core.data.text_features import read_text_settings
from semabs_core.data.words import (
    SIMULATED,
    Lookup,
    WordOptions,
    absent_words,
    draw_context,
    read_words,
    simulated_record,
)
from semabs_core.network_config import (
    APPROACHES,
    NetworkConfig,
    choose_inputs,
)

ARRAYS = ("depth", "seg", "full_xyz_pts", "full_objid_pts")
logger = logging.getLogger(__name__)


class SceneDataset(Dataset[Item], ABC):
    """What both tasks share. An item depends on (seed, epoch, index) alone.

    Files that are damaged, incomplete or without the relevancy are named in a warning and left out.
    A file that turns out damaged later is replaced by the next good one, with ``full`` by an item
    without labels whose ``fault`` says what is wrong; it never ends a run.

    Args:
        folder: the data set's folder.
        split: name of a split; in a synonyms split, objects go by their synonyms.
        approach: ``semantic_abstraction``, ``semantic_aware`` or (localization) ``clip_spatial``.
        preset: name of the relevancy, as stored; or ``simulated`` or ``masks``, which is made.
        num_input_points: N, depth readings per item.
        num_query_points: M, at most so many query points per label.
        num_labels: P, at most so many labels or descriptions.
        augment: whether to shift, turn and stretch scenes at random.
        seed: of everything random.
        source: ``rgb``, ``domain_randomized_rgb``, or ``random`` for either by chance. A scene that
            has no pictures in random colours is read as it was rendered.
        full: for evaluation: all labels, all stored points, no augmentation.
        network_inputs: what the network reads, as in
            :class:`semabs_core.network_config.NetworkConfig`.
        patch_mask_cutoff: as there.
        normalization: as there.
        refine: as there.
        voxel_shape: as there; cells of the TSDF, for networks that read one.
        relations: as there; descriptions by others are left out.
        records: names of relevancy to draw from, item by item, as for ``preset``; none for
            ``preset`` alone. With ``full``, it is ``preset`` all the same.
        absent_share: share of the labels of completion that name nothing in the scene.
        outside_is_empty: whether points outside the room count, as points where nothing is; with
            ``full`` they never do.
        whole_cells: whether a point is whatever lies in its cell, see
            :func:`semabs_core.data.items.fill_cells`; with ``full`` it never is.

    Attributes:
        paths: the usable files, relative to the folder.
        faults: what was wrong with the files left out, by path; later faults are noted in the
            process that met them.
        settings: how the relevancy of all of its scenes was made, or its text features; None where
            they do not say.
    """

    task: str

    def __init__(
        self,
        folder: str | os.PathLike,
        split: str,
        approach: str = "semantic_abstraction",
        preset: str = "ours",
        num_input_points: int = 80_000,
        num_query_points: int = 400_000,
        num_labels: int = 4,
        augment: bool = False,
        seed: int = 0,
        source: str = "rgb",
        full: bool = False,
        network_inputs: Sequence[str] = (),
        patch_mask_cutoff: float = NetworkConfig.patch_mask_cutoff,
        voxel_shape: tuple[int, int, int] = NetworkConfig.voxel_shape,
        relations: Sequence[str] = NetworkConfig.relations,
        normalization: str = NetworkConfig.normalization,
        refine: bool = NetworkConfig.refine,
        records: Sequence[str] = (),
        absent_share: float = 0.0,
        outside_is_empty: bool = False,
        whole_cells: bool = False,
    ) -> None:
        _require_choice("approach", approach, APPROACHES[: 3 if self.task == "localization" else 2])
        _require_choice("source", source, (*SOURCES, "random"))
        if min(num_input_points, num_query_points, num_labels) < 1:
            raise ValueError(
                "num_input_points, num_query_points and num_labels must be at least 1, got "
                f"{num_input_points}, {num_query_points}, {num_labels}"
            )
        self.folder, self.split = Path(folder), split
        self.approach, self.preset, self.source = approach, preset, source
        self.num_input_points, self.num_query_points = num_input_points, num_query_points
        self.num_labels, self.seed, self.full = num_labels, seed, full
        self.augment = augment and not full
        self.network_inputs = choose_inputs(approach, network_inputs)
        self.reads = WordOptions(self.network_inputs, patch_mask_cutoff, normalization, refine)
        self.voxel_shape = voxel_shape
        self.relations = tuple(relations)
        self.records = tuple(records) if records and not full else (preset,)
        self.absent_share, self.outside_is_empty = absent_share, outside_is_empty and not full
        self.whole_cells = whole_cells and not full
        self.class_names: set[str] = set()
        self.epoch = 0
        self.faults: dict[str, str] = {}
        self.synonyms = split_synonyms(folder, split)
        self._text = self._read_text()
        self._sources: dict[str, list[str]] = {}
        self.settings = self._find_scenes()
        self.paths = list(self._sources)

    @property
    def skipped(self) -> int:
        """How many files were left out."""
        return len(self.faults)

    @cached_property
    def text_dim(self) -> int:
        """Width D of the text features."""
        if self._text:
            return len(next(iter(self._text.values())))
        stored = [name for name in self.records if name not in SIMULATED]
        if not stored:
            return NetworkConfig.text_dim
        for path, sources in self._sources.items():
            try:
                record = read_relevancy(self.folder / path, sources[0], stored[0], ())
                return record.features.shape[1]
            except SceneFileError as error:
                self._skip(path, error)
        raise SceneFileError(f"no scene of split {self.split!r} in {self.folder} can be used")

    def set_epoch(self, epoch: int) -> None:
        """Items of this epoch next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} scenes")
        rng = np.random.default_rng([self.seed, 0 if self.full else self.epoch, index])
        for step in range(1 if self.full else len(self)):
            path = self.paths[(index + step) % len(self)]
            try:
                return self._item(path, rng)
            except SceneFileError as error:
                self._skip(path, error)
        if self.full:
            path, cloud = self.paths[index], empty_cloud(self.num_input_points)
            item = self._assemble(path, cloud, [], Lookup({}, {}), rng)
            return item | {"fault": self.faults[path]}
        raise SceneFileError(f"no scene of split {self.split!r} in {self.folder} can be used")

    def _read_text(self) -> dict[str, NDArray[np.float32]]:
        """Raw text encodings by name, where the approach reads them instead of relevancy."""
        return {}

    def _find_scenes(self) -> RelevancySettings | None:
        """Note the usable files of the split, and what is wrong with the others.

        Raises:
            SceneFileError: if there is no such split, nothing in it is of use, or its scenes'
                relevancy was not made in one way.
        """
        for path in split_paths(self.folder, self.task, self.split):
            try:
                scene = check_scene(self.folder / path)
                if self.task == "completion" or usable_descriptions(scene, self.relations):
                    self._sources[path] = self._find_pictures(self.folder / path)
                    self.class_names |= set(rename(scene, self.synonyms).objid_to_class)
            except SceneFileError as error:
                self.faults[path] = str(error)
        if not self._sources:
            first = next(iter(self.faults.values()), "no scene has anything to ask for")
            raise SceneFileError(f"split {self.split!r} of {self.folder} is of no use: {first}")
        for number, fault in enumerate(self.faults.values(), 1):
            logger.warning("left out scene %d: %s", number, fault)
        if self._text:
            return read_text_settings(self.folder)
        self.class_names -= set(SPECIAL_NAMES)
        settings = [self._common_settings(name) for name in self.records if name not in SIMULATED]
        return settings[0] if settings else None

    def _common_settings(self, record: str) -> RelevancySettings | None:
        """How the relevancy of a name was made in all scenes."""
        found = {
            f"{path}, {source}": read_settings(self.folder / path, source, record)
            for path, sources in self._sources.items()
            for source in sources
        }
        return common_settings(found, f"split {self.split!r} of {self.folder}")

    @property
    def mean_vocabulary(self) -> Sequence[str]:
        """The words of the mean map."""
        return self.settings.mean_vocabulary if self.settings else MEAN_VOCABULARY

    def _find_pictures(self, file: Path) -> list[str]:
        """Which pictures of a scene to choose from; their relevancy must be there."""
        there = image_sources(file)
        wanted = [source for source in there if self.source in (source, "random")] or there[:1]
        for source in () if self._text else wanted:
            for record in self.records:
                if record not in SIMULATED:
                    relevancy_labels(file, source, record)
        return wanted

    def _skip(self, path: str, error: SceneFileError) -> None:
        if path not in self.faults:
            self.faults[path] = str(error)
            logger.warning("left out scene %d: %s", self.skipped, error)

    def _item(self, path: str, rng: np.random.Generator) -> Item:
        """The item of a scene file."""
        file, sources = self.folder / path, self._sources[path]
        source = sources[rng.integers(len(sources))]
        scene = rename(read_scene(file, (*ARRAYS, source)), self.synonyms)
        pictures = scene.rgb if source == SOURCES[0] else scene.domain_randomized_rgb
        if pictures is None:
            raise SceneFileError(f"{file} has lost its domain_randomized_rgb")
        picture, augment_for = pictures[VIEW], self.task if self.augment else None
        try:
            cloud = make_cloud(
                scene, picture, self.num_input_points, augment_for, rng, self.outside_is_empty
            )
        except ValueError as error:  # of the depth, the intrinsics or the pose
            raise SceneFileError(f"{file}: {error}") from error
        record = self.records[rng.integers(len(self.records))]
        rows = self._rows(scene, cloud, self._known(scene, file, source, record), rng)
        chosen = list(islice(rows, None if self.full else self.num_labels))
        if not chosen and not self.full:
            raise SceneFileError(f"{file} shows nothing that its relevancy has a map for")
        words = {word for row in chosen for word in row.words}
        if self._text:
            lookup = Lookup({}, {word: torch.from_numpy(self._text[word]) for word in words})
            return self._assemble(path, cloud, chosen, lookup, rng)
        names = set(scene.objid_to_class)
        wanted = words | set(self.mean_vocabulary) | names
        if record in SIMULATED:
            wanted -= set(SPECIAL_NAMES)
            found = simulated_record(scene, wanted, self.text_dim, rng, record)
        else:
            read = wanted if self.reads.normalization == "evidence" else words
            found = read_relevancy(file, source, record, read)
        asked = (None, words if self.task == "completion" else ()) if self.full else (rng, ())
        context = draw_context(found, self.mean_vocabulary, names, *asked)
        frame = (picture, scene.depth[VIEW])
        lookup = read_words(self.reads, found, context, words, cloud, frame)
        return self._assemble(path, cloud, chosen, lookup, rng)

    def _known(self, scene: SceneData, file: Path, source: str, record: str) -> set[str]:
        """The words that may be asked for in a scene."""
        if self._text:
            return set(self._text)
        if record not in SIMULATED:
            return set(relevancy_labels(file, source, record))
        return self.class_names | set(self.mean_vocabulary) | set(scene_words(scene, VIEW))

    def absent(self, known: set[str], names: Collection[str]) -> list[str]:
        """Words among the known that name nothing in a scene with these names, sorted."""
        words = known & (self.class_names | set(self.mean_vocabulary))
        return absent_words(words, set(names) - set(SPECIAL_NAMES))

    def _assemble(
        self, path: str, cloud: Cloud, rows: list[Row], lookup: Lookup, rng: np.random.Generator
    ) -> Item:
        """Points, answers and features of the chosen rows."""
        item: Item = {
            "scene_id": scene_id(path),
            "input_xyz": torch.from_numpy(cloud.input_xyz),
        }
        if "tsdf" in self.network_inputs:
            item["tsdf"] = torch.from_numpy(cloud.tsdf(self.voxel_shape))
        rows = fill_cells(cloud, rows, self.voxel_shape) if self.whole_cells else rows
        item |= (
            all_queries(cloud, rows) | {"view": cloud.view}
            if self.full
            else some_queries(cloud, rows, self.num_query_points, rng)
        )
        return item | self._features(cloud, rows, lookup)

    @abstractmethod
    def _rows(
        self, scene: SceneData, cloud: Cloud, known: set[str], rng: np.random.Generator
    ) -> Iterator[Row]:
        """What a scene can be asked with the known words, in the order of the draw."""

    @abstractmethod
    def _features(self, cloud: Cloud, rows: list[Row], lookup: Lookup) -> Item:
        """Names, and what the networks read besides points."""


def _require_choice(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
