"""Scene files for training and evaluation: the published HDF5 layout to memory and back.

Big arrays lie in stacks at a file's root (``rgb``, ``depth``, ``saliencies``, ...); the group
``data`` holds HDF5 region references into them, and small arrays. References are always followed,
never replaced by positions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from semabs_core.data.regions import (
    append_items,
    as_bytes,
    follow,
    open_scene,
    read_strings,
    write_archive,
)
from semabs_core.data.relevancy_records import (
    read_relevancy,
    relevancy_keys,
    relevancy_labels,
    write_relevancies,
    write_relevancy,
)
from semabs_core.data.scene_data import (
    DEFAULT_SCENE_SCALE,
    DESCRIPTION_FIELDS,
    MEAN_LABEL,
    OPTIONAL,
    SOURCES,
    SPECIAL_NAMES,
    STACKS,
    TSDF,
    RelevancyRecord,
    SceneData,
    SceneDescription,
    SceneFileError,
    check_scene_data,
    class_name,
)

__all__ = [
    "DEFAULT_SCENE_SCALE",
    "MEAN_LABEL",
    "SOURCES",
    "SPECIAL_NAMES",
    "RelevancyRecord",
    "SceneData",
    "SceneDescription",
    "SceneFileError",
    "check_scene",
    "class_name",
    "image_sources",
    "open_scene",
    "read_relevancy",
    "read_scene",
    "relevancy_keys",
    "relevancy_labels",
    "write_relevancies",
    "write_relevancy",
    "write_scene",
]


def check_scene(path: str | os.PathLike) -> SceneData:
    """Make sure that a file is whole; returns the scene without its big arrays.

    Raises:
        SceneFileError: if the file is missing, truncated or lacks a part.
    """
    with open_scene(path) as archive:
        missing = [name for name in STACKS if name not in archive["data"]]
    if missing:
        raise SceneFileError(f"{path} lacks data/{', data/'.join(missing)}")
    return read_scene(path, need=())


def image_sources(path: str | os.PathLike) -> list[str]:
    """Which of ``rgb`` and ``domain_randomized_rgb`` a scene file holds pictures of."""
    with open_scene(path) as archive:
        randomized = archive["data"].get("domain_randomized_rgb")
        return list(SOURCES[: 2 if getattr(randomized, "ndim", 0) == 4 else 1])


def read_scene(path: str | os.PathLike, need: Collection[str] | None = None) -> SceneData:
    """Read a scene.

    Args:
        path: an HDF5 file in the published layout.
        need: names of the big arrays to read; None for all. The others come back empty (or None).

    Raises:
        SceneFileError: if the file is missing, damaged or incomplete.
    """
    wanted = {*STACKS, *OPTIONAL} if need is None else set(need)
    if unknown := wanted - {*STACKS, *OPTIONAL}:
        raise ValueError(
            f"need has unknown arrays {sorted(unknown)}; known: {[*STACKS, *OPTIONAL]}"
        )
    with open_scene(path) as archive:
        data = archive["data"]
        big: dict[str, Any] = {
            name: follow(archive, data[name]).astype(dtype, copy=False)
            if name in wanted
            else np.zeros(empty, dtype)
            for name, (dtype, empty) in STACKS.items()
        }
        big |= {name: _tsdf(archive, name) for name in TSDF if name in wanted}
        if "domain_randomized_rgb" in wanted:
            big["domain_randomized_rgb"] = _randomized(data)
        scene = SceneData(
            **big,
            cam_intr=np.asarray(data["cam_intr"], dtype=np.float64),
            cam_pose=np.asarray(data["cam_pose"], dtype=np.float64),
            scene_bounds=np.asarray(data["scene_bounds"], dtype=np.float64),
            objid_to_class=read_strings(data["objid_to_class"]),
            descriptions=_descriptions(data),
            scene_scale=float(archive.attrs.get("scene_scale", DEFAULT_SCENE_SCALE)),
            view_info=_view_info(data, path),
        )
    check_scene_data(scene, wanted, str(path))
    return scene


def write_scene(path: str | os.PathLike, scene: SceneData) -> None:
    """Write a scene in the published layout, beside and renamed.

    Raises:
        SceneFileError: if the scene's arrays do not fit together.
    """
    check_scene_data(scene, {*STACKS, *OPTIONAL}, str(path))

    def fill(archive: h5py.File) -> None:
        archive.attrs["scene_scale"] = scene.scene_scale
        data = archive.create_group("data")
        if scene.view_info:
            data.attrs["view_info"] = json.dumps(scene.view_info)
        for name in (*STACKS, *TSDF):
            value = getattr(scene, name)
            if value is not None:
                dtype = STACKS[name][0] if name in STACKS else np.float32
                data[name] = append_items(archive, name, np.asarray(value, dtype=dtype))
        for name in ("cam_intr", "cam_pose", "scene_bounds"):
            data[name] = np.asarray(getattr(scene, name), dtype=np.float64)
        data["objid_to_class"] = as_bytes(scene.objid_to_class)
        randomized = scene.domain_randomized_rgb
        if randomized is None:
            data["domain_randomized_rgb"] = np.zeros((1, 1), np.uint8)
        else:
            data.create_dataset(
                "domain_randomized_rgb", data=randomized, chunks=True, compression="gzip"
            )
        for name in DESCRIPTION_FIELDS:
            column = [getattr(description, name) for description in scene.descriptions]
            is_id = name == "target_obj_id"
            data[f"descriptions/{name}"] = (
                np.asarray(column, np.int64) if is_id else as_bytes(column)
            )

    write_archive(Path(path), fill)


def _view_info(data: h5py.Group, path: str | os.PathLike) -> dict[str, float | str]:
    """Notes about the view; none in published files."""
    try:
        info = json.loads(data.attrs.get("view_info", "{}"))
    except (TypeError, ValueError) as error:
        raise SceneFileError(f"{path}: the attribute view_info is no JSON ({error})") from error
    if not isinstance(info, dict) or not all(
        isinstance(v, (int, float, str)) for v in info.values()
    ):
        raise SceneFileError(f"{path}: the attribute view_info must map names to numbers or words")
    return info


def _tsdf(archive: h5py.File, name: str) -> NDArray | None:
    """A TSDF stack: through its references where there are some, else as it lies at the root."""
    if name in archive["data"]:
        return follow(archive, archive["data"][name]).astype(np.float32, copy=False)
    if name in archive and len(archive[name]):
        return np.asarray(archive[name], dtype=np.float32)
    return None


def _randomized(data: h5py.Group) -> NDArray[np.uint8] | None:
    """Domain-randomised images; a (1, 1) placeholder says that there are none."""
    if "domain_randomized_rgb" not in data or data["domain_randomized_rgb"].ndim != 4:
        return None
    return np.asarray(data["domain_randomized_rgb"], dtype=np.uint8)


def _descriptions(data: h5py.Group) -> list[SceneDescription]:
    if "descriptions" not in data:
        return []
    group = data["descriptions"]
    target, reference, relation = (
        read_strings(group[name])
        for name in ("target_obj_name", "reference_obj_name", "spatial_relation_name")
    )
    ids = [int(value) for value in group["target_obj_id"][()].ravel()]
    columns = zip(target, ids, reference, relation, strict=True)
    return [SceneDescription(class_name(t), i, class_name(r), s) for t, i, r, s in columns]
