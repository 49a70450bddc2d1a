"""Relevancy of every scene of a data set, stored in its files; resumable, in many processes."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from semabs_core.config import MEAN_VOCABULARY
from semabs_core.data.hdf5 import check_scene, image_sources, read_scene
from semabs_core.data.items import VIEW
from semabs_core.data.labels import read_synonyms, rename, scene_words
from semabs_core.data.relevancy_records import read_settings, relevancy_labels, write_relevancies
from semabs_core.data.relevancy_settings import RelevancySettings
from semabs_core.data.scene_data import (
    SOURCES,
    SPECIAL_NAMES,
    RelevancyRecord,
    SceneData,
    SceneFileError,
)
from semabs_core.data.splits import SPLIT_FILES, read_splits, split_source
from semabs_core.data.text_features import TEXT_FEATURES_FILE, write_text_features
from semabs_core.encoder import ImageTextEncoder
from semabs_core.relevancy import RENDER_PROMPTS, RelevancyExtractor, check_prompts
from semabs_core.tiling import PRESETS

STORED_SIZE = 128
"""Edge of stored maps, as published."""
logger = logging.getLogger(__name__)
OnScene = Callable[[int, int], None]
"""Called as ``on_scene(done, total)`` after each scene of this process."""


def store_relevancy(
    folder: str | os.PathLike,
    encoder: ImageTextEncoder,
    presets: Sequence[str] = ("ours",),
    mean_vocabulary: Sequence[str] = MEAN_VOCABULARY,
    prompts: Sequence[str] = RENDER_PROMPTS,
    *,
    sources: Sequence[str] | None = None,
    augmentations: int | None = None,
    tile_batch: int | None = None,
    resume: bool = True,
    tag: str = "",
    rank: int | None = None,
    world: int | None = None,
    on_scene: OnScene | None = None,
) -> Counter[str]:
    """Store the relevancy of every word that a data set's scenes can be asked.

    The words of a scene are its visible classes, targets, references and whole sentences; by their
    synonyms where it is in a synonyms split. Each process takes its share of the scenes.

    Args:
        folder: the data set's folder, with its split files.
        encoder: the vision-language model.
        presets: names out of :data:`semabs_core.tiling.PRESETS`.
        mean_vocabulary: words whose mean map is stored as ``mean``.
        prompts: templates with one ``{}``.
        sources: which pictures, where a scene has them; None for what evaluation looks at: ``rgb``,
            but the random colours in splits whose name ends in ``_dr``.
        augmentations: colour-jittered copies; None for the preset's number.
        tile_batch: tiles per forward pass; None for the device's default.
        resume: keep relevancy that is there, complete and made with the same settings.
        tag: stored under ``PRESET@TAG``, so that a scene can hold that of several encoders; text
            features that are there stay, which are of the encoder without a tag.
        rank: number of this process; None for torchrun's, or 0.
        world: number of processes; None for torchrun's, or 1.
        on_scene: told about progress.

    Returns:
        How many scenes were ``written``, ``kept`` (all was there) and ``skipped`` (damaged).
    """
    check_request(folder, presets, prompts, sources)
    rank = int(os.environ.get("RANK", 0)) if rank is None else rank
    world = int(os.environ.get("WORLD_SIZE", 1)) if world is None else world
    settings = RelevancySettings(
        encoder.name,
        list(prompts),
        list(mean_vocabulary),
        augmentations,
        encoder.embed_dim,
        encoder.fingerprint,
    )
    if not re.fullmatch(r"[\w.-]*", tag):
        raise ValueError(f"tag must be of letters, digits, '.', '-' and '_', got {tag!r}")
    made = _make_extractors(encoder, presets, settings, tile_batch)
    extractors = {f"{preset}@{tag}" if tag else preset: kept for preset, kept in made.items()}
    splits = scene_splits(folder)
    if rank == 0 and not (tag and (Path(folder) / TEXT_FEATURES_FILE).is_file()):
        _store_text(Path(folder), splits, encoder, settings)
    writer = _Writer(Path(folder), extractors, settings, sources, resume)
    own, counts = list(splits)[rank::world], Counter(written=0, kept=0, skipped=0)
    for done, path in enumerate(own, start=1):
        try:
            counts[writer.store(path, splits[path])] += 1
        except SceneFileError as error:
            counts["skipped"] += 1
            logger.warning("left out scene %d: %s", counts["skipped"], error)
        if on_scene:
            on_scene(done, len(own))
    return counts


def check_request(
    folder: str | os.PathLike,
    presets: Sequence[str],
    prompts: Sequence[str],
    sources: Sequence[str] | None = None,
) -> None:
    """What :func:`store_relevancy` can check without an encoder.

    Raises:
        SceneFileError: if there is no data set in the folder.
        ValueError: if an argument is wrong.
    """
    if unknown := set(presets) - set(PRESETS):
        raise ValueError(f"presets must be among {', '.join(PRESETS)}, got {sorted(unknown)}")
    if unknown := set(sources or ()) - set(SOURCES):
        raise ValueError(f"sources must be among {', '.join(SOURCES)}, got {sorted(unknown)}")
    check_prompts(prompts)
    scene_splits(folder)


def _make_extractors(
    encoder: ImageTextEncoder,
    presets: Sequence[str],
    settings: RelevancySettings,
    tile_batch: int | None,
) -> dict[str, RelevancyExtractor]:
    """An extractor per preset."""
    if not settings.mean_vocabulary:
        raise ValueError(
            "mean_vocabulary must not be empty: its mean map is what networks subtract"
        )
    return {
        preset: RelevancyExtractor(
            encoder, preset, augmentations=settings.augmentations, tile_batch=tile_batch
        )
        for preset in presets
    }


def scene_splits(folder: str | os.PathLike) -> dict[str, set[str]]:
    """Scene file to the splits it is in, of both tasks, in the order of the split files."""
    found: dict[str, set[str]] = {}
    tasks = [task for task, name in SPLIT_FILES.items() if (Path(folder) / name).is_file()]
    for task in tasks or SPLIT_FILES:
        for split, paths in read_splits(folder, task).items():
            for path in paths:
                found.setdefault(path, set()).add(split)
    return found


def _vocabularies(folder: Path, splits: Iterable[str]) -> list[dict[str, str]]:
    """The renamings under which a scene in these splits is read."""
    renamed = {split.endswith("_synonyms") for split in splits}
    return [read_synonyms(folder) if synonyms else {} for synonyms in sorted(renamed)]


@dataclass(frozen=True)
class _Writer:
    """Stores the relevancy of one scene after the other."""

    folder: Path
    extractors: dict[str, RelevancyExtractor]
    settings: RelevancySettings
    sources: Sequence[str] | None
    resume: bool

    def store(self, path: str, splits: set[str]) -> str:
        """Store what a scene lacks; says whether that was anything: ``written`` or ``kept``."""
        file = self.folder / path
        check_scene(file)
        scene = read_scene(file, ("seg",))
        words: list[str] = []
        for synonyms in _vocabularies(self.folder, splits):
            words += scene_words(rename(scene, synonyms), VIEW)
        words = sorted(set(words))
        wanted = self.sources or {split_source(split) for split in splits}
        sources = [source for source in image_sources(file) if source in wanted]
        lacking = [
            (source, preset)
            for source in sources
            for preset in self.extractors
            if not (self.resume and self._is_there(file, source, preset, words))
        ]
        if not words or not lacking:
            return "kept"
        scene = read_scene(file, {"depth", *(source for source, _ in lacking)})
        records = {
            (source, preset): self._record(preset, scene, source, words)
            for source, preset in lacking
        }
        write_relevancies(file, records, self.settings)
        return "written"

    def _is_there(self, file: Path, source: str, preset: str, words: list[str]) -> bool:
        """Whether a scene has relevancy of all words, made with these settings."""
        try:
            stored = relevancy_labels(file, source, preset)
            settings = read_settings(file, source, preset)
        except SceneFileError:
            return False
        wanted = {*words, *self.settings.mean_vocabulary}
        return wanted <= set(stored) and settings == self.settings

    def _record(
        self, preset: str, scene: SceneData, source: str, words: list[str]
    ) -> RelevancyRecord:
        """Relevancy of a scene's picture, reduced for storage."""
        extractor, prompts = self.extractors[preset], self.settings.prompts
        picture = getattr(scene, source)[VIEW]
        weights = extractor.tile_weights(scene.depth[VIEW], scene.cam_intr)
        vocabulary = self.settings.mean_vocabulary
        labels = list(dict.fromkeys([*words, *vocabulary]))
        maps = reduce_maps(extractor(picture, labels, prompts, tile_weights=weights))
        features = F.normalize(extractor.label_features(labels, prompts), dim=-1)
        mean = maps[[labels.index(word) for word in vocabulary]].mean(axis=0)
        return RelevancyRecord(labels, maps, mean, features.cpu().numpy())


def reduce_maps(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps (L, H, W) to (L, 128, 128) by nearest-exact, as published.

    Values keep the digits of half precision: an error far below that of an encoder in bf16, and
    compressed they take half the space.
    """
    size = (STORED_SIZE, STORED_SIZE)
    reduced = F.interpolate(torch.from_numpy(maps)[None], size=size, mode="nearest-exact")
    return reduced[0].half().float().numpy()


def _store_text(
    folder: Path,
    splits: dict[str, set[str]],
    encoder: ImageTextEncoder,
    settings: RelevancySettings,
) -> None:
    """Raw encodings of all names of the data set, which semantic-aware localization reads."""
    names: set[str] = set()
    for path, where in splits.items():
        try:
            scene = check_scene(folder / path)
        except SceneFileError:
            continue  # counted and named when its turn comes
        for synonyms in _vocabularies(folder, where):
            renamed = rename(scene, synonyms)
            names |= set(renamed.objid_to_class) - set(SPECIAL_NAMES)
            for item in renamed.descriptions:
                names |= {item.target_obj_name, item.reference_obj_name}
    if names:
        ordered = sorted(names)
        encoded = encoder.encode_text(ordered).cpu().numpy()
        write_text_features(folder, dict(zip(ordered, encoded, strict=True)), settings)
