"""Answers as ``.npz`` and JSON, and back."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from semabs_core.files import write_atomic
from semabs_core.types import Completion, Localization, Region
from semabs_core.visualize.colors import class_colors


class StoreError(ValueError):
    """A file is no stored answer; the message names it and the remedy."""


def save_arrays(path: str | os.PathLike, **arrays: Any) -> None:
    """Write a ``.npz``, beside and renamed."""

    def fill(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    write_atomic(path, fill)


def save_completion(completion: Completion, path: str | os.PathLike) -> None:
    """Write a completion as ``.npz``: the fields of :class:`Completion`, but for the timings."""
    save_arrays(
        path,
        classes=np.array(completion.classes),
        labels=completion.labels,
        scores=completion.scores,
        voxel_size_m=completion.voxel_size_m,
        T_world_grid=completion.T_world_grid,
        stamp_s=completion.stamp_s,
    )


def load_completion(path: str | os.PathLike) -> Completion:
    """Read what :func:`save_completion` wrote.

    Raises:
        StoreError: if it is something else.
    """
    values = _read(path)
    try:
        return Completion(
            classes=[str(name) for name in values["classes"]],
            labels=values["labels"],
            scores=values["scores"],
            voxel_size_m=float(values["voxel_size_m"]),
            T_world_grid=values["T_world_grid"],
            timings_s={},
            stamp_s=float(values["stamp_s"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _no_answer(path, error) from None


def save_localization(
    localization: Localization, region: Region, question: str, path: str | os.PathLike
) -> None:
    """Write a localization as ``.npz``: its fields, the region, the question."""
    save_arrays(
        path,
        question=question,
        position_m=localization.position_m,
        extent_m=localization.extent_m,
        score=localization.score,
        points_m=localization.points_m,
        scores=localization.scores,
        voxel_size_m=localization.voxel_size_m,
        stamp_s=localization.stamp_s,
        found=localization.found,
        probability=localization.probability,
        T_world_region=region.T_world_region,
        region_size_m=region.size_m,
    )


def load_localization(path: str | os.PathLike) -> tuple[Localization, Region, str]:
    """Read what :func:`save_localization` wrote.

    Raises:
        StoreError: if it is something else.
    """
    values = _read(path)
    try:
        answer = Localization(
            position_m=values["position_m"],
            extent_m=values["extent_m"],
            score=float(values["score"]),
            points_m=values["points_m"],
            scores=values["scores"],
            timings_s={},
            voxel_size_m=float(values["voxel_size_m"]),
            stamp_s=float(values["stamp_s"]),
            found=bool(values["found"]),
            probability=float(values["probability"]),
        )
        region = Region(values["T_world_region"], float(values["region_size_m"]))
        return answer, region, str(values["question"])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_answer(path, error) from None


def completion_report(completion: Completion) -> dict[str, Any]:
    """A completion in words and numbers, for JSON."""
    volume = completion.voxel_size_m**3
    colors = class_colors(completion.classes)
    return {
        "classes": [
            {"name": name, "voxels": count, "volume_m3": count * volume, "color": color.tolist()}
            for (name, count), color in zip(completion.voxels_per_class().items(), colors)
        ],
        "voxel_size_m": completion.voxel_size_m,
        "shape": list(completion.labels.shape),
        "T_world_grid": completion.T_world_grid.tolist(),
        "stamp_s": completion.stamp_s,
        "timings_s": completion.timings_s,
    }


def localization_report(localization: Localization, question: str) -> dict[str, Any]:
    """A localization in words and numbers, for JSON."""
    unknown = math.isnan(localization.probability)
    return {
        "question": question,
        "found": localization.found,
        "probability": None if unknown else localization.probability,
        "score": localization.score,
        "position_m": localization.position_m.tolist(),
        "extent_m": localization.extent_m.tolist(),
        "points": len(localization.points_m),
        "verdict": localization.verdict,
        "stamp_s": localization.stamp_s,
        "timings_s": localization.timings_s,
    }


def write_json(content: Any, path: str | os.PathLike) -> None:
    """Write JSON that people can read, beside and renamed."""
    write_atomic(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _read(path: str | os.PathLike) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy and zipfile raise errors of many kinds
        raise _no_answer(path, error) from None


def _no_answer(path: str | os.PathLike, error: Exception) -> StoreError:
    text = " ".join(str(error).split())
    return StoreError(f"{path} is no stored answer ({text}); make it again")
