"""Relevancy in scene files: a stack of maps, and per source and preset references into it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import h5py
import numpy as np

from semabs_core.data.regions import (
    append_items,
    as_bytes,
    open_scene,
    read_rows,
    read_strings,
    write_archive,
)
from semabs_core.data.relevancy_settings import RelevancySettings, parse_settings
from semabs_core.data.scene_data import MEAN_LABEL, RelevancyRecord, SceneFileError, check_record

SETTINGS = "settings"


def relevancy_keys(path: str | os.PathLike) -> list[tuple[str, str]]:
    """The (source, preset) pairs whose relevancy a scene file holds."""
    with open_scene(path) as archive:
        keys = [key.split("|") for key in archive["data"].get("saliencies", {})]
    return [(parts[0], parts[1]) for parts in keys if len(parts) == 2]


def relevancy_labels(path: str | os.PathLike, source: str, preset: str) -> list[str]:
    """The labels that :func:`read_relevancy` has maps of."""
    with open_scene(path) as archive:
        key = _relevancy_key(archive, source, preset)
        names = read_strings(archive["data/saliencies"][f"{key}|saliency_text_labels"])
    return [name for name in names if name != MEAN_LABEL]


def read_relevancy(
    path: str | os.PathLike, source: str, preset: str, labels: Collection[str] | None = None
) -> RelevancyRecord:
    """Read the relevancy of a scene.

    Args:
        path: a scene file.
        source: ``rgb`` or ``domain_randomized_rgb``.
        preset: the preset of the maps.
        labels: read these alone, where stored; None for all.

    Raises:
        SceneFileError: if the file is damaged or holds no such relevancy.
    """
    with open_scene(path) as archive:
        key, group = _relevancy_key(archive, source, preset), archive["data/saliencies"]
        names = read_strings(group[f"{key}|saliency_text_labels"])
        features = np.asarray(group[f"{key}|saliency_text_label_features"], dtype=np.float32)
        if names.count(MEAN_LABEL) == 0 or len(features) != len(names):
            raise SceneFileError(
                f"{path}: {key!r} must list {MEAN_LABEL!r} and have one feature per label, got "
                f"{len(names)} labels and {len(features)} features"
            )
        mean_row = len(names) - 1 - names[::-1].index(MEAN_LABEL)
        rows = [
            row
            for row, name in enumerate(names)
            if row != mean_row and (labels is None or name in labels)
        ]
        maps = read_rows(archive, group[key], [*rows, mean_row], len(names)).astype(np.float32)
    return RelevancyRecord([names[row] for row in rows], maps[:-1], maps[-1], features[rows])


def write_relevancy(
    path: str | os.PathLike, source: str, preset: str, record: RelevancyRecord
) -> None:
    """Add the relevancy of one source and preset to a scene file; see :func:`write_relevancies`."""
    write_relevancies(path, {(source, preset): record})


def read_settings(path: str | os.PathLike, source: str, preset: str) -> RelevancySettings | None:
    """How a stored relevancy was made; None if it does not say, as the published one.

    Raises:
        SceneFileError: if the file is damaged or holds no such relevancy.
    """
    with open_scene(path) as archive:
        key = _relevancy_key(archive, source, preset)
        text = str(archive["data/saliencies"][key].attrs.get(SETTINGS, ""))
    return parse_settings(text, path)


def write_relevancies(
    path: str | os.PathLike,
    records: Mapping[tuple[str, str], RelevancyRecord],
    settings: RelevancySettings | None = None,
) -> None:
    """Add relevancy by (source, preset) to a scene file; a copy is filled and renamed.

    A record that was there is replaced; its maps stay in the stack without a reference to them.

    Args:
        path: a scene file.
        records: what to add.
        settings: how the maps were made, kept with them for :func:`read_settings`.
    """
    for (source, preset), record in records.items():
        check_record(source, preset, record)

    def fill(archive: h5py.File) -> None:
        group = archive["data"].require_group("saliencies")
        for (source, preset), record in records.items():
            key = f"{source}|{preset}"
            center = record.features.mean(axis=0)
            center = center / max(float(np.linalg.norm(center)), 1e-12)
            values = {
                key: append_items(archive, "saliencies", np.stack([*record.maps, record.mean])),
                f"{key}|saliency_text_labels": as_bytes([*record.labels, MEAN_LABEL]),
                f"{key}|saliency_text_label_features": np.stack([*record.features, center]),
            }
            for name, value in values.items():
                if name in group:
                    del group[name]
                group[name] = value
            group[key].attrs[SETTINGS] = settings.to_text() if settings else ""

    with open_scene(path):
        pass  # a damaged file is not copied
    write_archive(Path(path), fill, keep=True)


def _relevancy_key(archive: h5py.File, source: str, preset: str) -> str:
    """The key of a stored relevancy, or an error that names those there are."""
    key, group = f"{source}|{preset}", archive["data"].get("saliencies", {})
    if key not in group:
        there = ", ".join(name for name in group if name.count("|") == 1) or "none"
        name, _, tag = preset.partition("@")
        options = f"--preset {name}{f' --tag {tag}' if tag else ''} --source {source}"
        raise SceneFileError(
            f"{archive.filename} holds no relevancy {key!r}, but {there}: make it with "
            f"`semabs data relevancy FOLDER --encoder ENCODER {options}`, where FOLDER is the data "
            "set's"
        )
    return key
