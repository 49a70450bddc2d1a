"""Scene files (``.npz``, ``.hdf5``, ``.pkl``) as RGB-D sequences with poses in real metres."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from semabs_core.data.regions import follow, read_strings
from semabs_core.data.scene_arrays import (
    REQUIRED,
    check_present,
    is_turned,
    numbers,
    read_colors,
    read_depth,
    read_descriptions,
    read_intrinsics,
    read_names,
    read_poses,
    read_relevancy_maps,
)
from semabs_core.data.scene_data import SPECIAL_NAMES, class_name
from semabs_core.data.scene_pickle import read_pickle
from semabs_core.files import write_atomic
from semabs_core.inert_pickle import PickleError
from semabs_core.types import BroughtRelevancy, RGBDFrame

BUILT_IN = Path(__file__).with_name("room.npz")
ARRAYS = (*REQUIRED, "scene_bounds")
WORDS = ("classes", "descriptions")
RELEVANCY = ("relevancy", "relevancy_labels", "relevancy_centred")
DESCRIPTION_COLUMNS = ("target_obj_name", "spatial_relation_name", "reference_obj_name")


class SceneError(ValueError):
    """A scene file cannot be used; the message names the file and what is wrong."""


@dataclass(frozen=True)
class Scene:
    """An RGB-D sequence.

    Attributes:
        name: for people.
        rgb: (n, H, W, 3) uint8.
        depth_m: (n, H, W) float32, metres; not finite or <= 0 is no reading.
        K: (3, 3) intrinsics, pixels.
        T_world_camera: (n, 4, 4) rigid, world with z up, metres.
        classes: names that the scene suggests for completion.
        descriptions: (target, relation, reference) that it suggests for localization.
        notes: what was done to the file's world, for people.
        relevancy: maps (n, L, h, w) that the file brings, in the place of an encoder's; None for
            none.
        relevancy_labels: the L names of them.
        relevancy_centred: whether a mean map is taken off them already.
    """

    name: str
    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    K: NDArray[np.float64]
    T_world_camera: NDArray[np.float64]
    classes: list[str] = field(default_factory=list)
    descriptions: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    relevancy: NDArray[np.float32] | None = None
    relevancy_labels: list[str] = field(default_factory=list)
    relevancy_centred: bool = False

    @property
    def stamps_s(self) -> NDArray[np.float64]:
        """(n,) seconds; scene files tell no time."""
        return np.zeros(len(self.rgb))

    def __len__(self) -> int:
        return len(self.rgb)

    def frame(self, index: int, stamp_s: float = 0.0) -> RGBDFrame:
        """One frame, checked."""
        return RGBDFrame(
            self.rgb[index], self.depth_m[index], self.K, self.T_world_camera[index], stamp_s
        )

    def brought(self, index: int) -> BroughtRelevancy:
        """The relevancy that the file brings for a frame."""
        if self.relevancy is None:
            return BroughtRelevancy()
        maps = dict(zip(self.relevancy_labels, self.relevancy[index], strict=True))
        return BroughtRelevancy(maps, self.relevancy_centred)


def load_scene(path: str | os.PathLike) -> Scene:
    """Read a scene file.

    Arrays: ``rgb``, ``depth``, ``cam_intr`` and ``cam_pose`` as
    :mod:`semabs_core.data.scene_arrays` takes them, optionally ``classes`` and ``descriptions``
    (n, 3): target, relation, reference. An HDF5 file may hold them at its root or, as the
    published data set does, as region references in the group ``data``; its classes are then
    those of the objects that are visible. A pickle is one of the published demo. ``relevancy``
    (L, h, w) or (n, L, h, w), with ``relevancy_labels`` and perhaps ``relevancy_centred``, are maps
    that stand for an encoder's. What else a file holds is not read.

    Args:
        path: a file that ends in one of ``SCENE_SUFFIXES``.

    Raises:
        SceneError: if the file is missing, damaged, incomplete, or cannot mean what it says.
    """
    file = Path(path)
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        *most, last = SCENE_SUFFIXES
        raise SceneError(f"a scene file must end in {', '.join(most)} or {last}, got {file.name}")
    if not file.is_file():
        raise SceneError(f"there is no scene file {file}")
    try:
        values = reader(file)
    except PermissionError as error:
        raise SceneError(f"{file} cannot be read: {error.strerror}") from error
    except PickleError as error:
        raise SceneError(f"{file}: {error}") from None
    except Exception as error:  # the formats' readers raise errors of many kinds
        text = _one_line(error) or type(error).__name__
        raise SceneError(f"{file} is damaged or no scene file: {text}") from error
    try:
        return _scene(file.stem, values)
    except ValueError as error:
        raise SceneError(f"{file}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def built_in_scene() -> Scene:
    """The demo's scene: a synthetic room that no encoder and no network was trained on.

    Made by ``semabs data rooms --split unseen_instances=24 --seed 77``, room 22. It shows a basket
    ball and a pot, and hides a wine bottle in the fridge; the 3D networks that ship have never
    been trained on any of the three.
    """
    return load_scene(BUILT_IN)


def save_scene(scene: Scene, path: str | os.PathLike) -> None:
    """Write a ``.npz`` scene, as a whole or not at all."""
    brought: dict[str, Any] = {}
    if scene.relevancy is not None:
        brought = {name: np.asarray(getattr(scene, name)) for name in RELEVANCY}

    def fill(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(
                stream,
                rgb=scene.rgb,
                depth=scene.depth_m,
                cam_intr=scene.K,
                cam_pose=scene.T_world_camera,
                classes=np.array(scene.classes),
                descriptions=np.array(scene.descriptions).reshape(-1, 3),
                **brought,
            )

    write_atomic(path, fill)


def _read_npz(file: Path) -> dict[str, Any]:
    """The arrays of a ``.npz`` that belong to a scene."""
    if not zipfile.is_zipfile(file):
        raise ValueError("it is no NumPy archive (np.savez writes one), or cut off")
    with np.load(file, allow_pickle=False) as archive:
        wanted = WORDS + ARRAYS + RELEVANCY
        return {name: archive[name] for name in wanted if name in archive.files}


def _read_hdf5(file: Path) -> dict[str, Any]:
    """The arrays of a file that belong to a scene, region references followed."""
    with h5py.File(file, "r") as archive:
        data = archive.get("data")
        group = data if isinstance(data, h5py.Group) else archive
        values: dict[str, Any] = {
            name: _array(archive, group[name])
            for name in (*ARRAYS, "relevancy", "relevancy_centred")
            if name in group
        }
        if "relevancy_labels" in group:
            values["relevancy_labels"] = read_strings(group["relevancy_labels"])
        if "classes" in group:
            values["classes"] = read_strings(group["classes"])
        elif "objid_to_class" in group and "seg" in group:
            values["classes"] = _visible(
                read_strings(group["objid_to_class"]), _array(archive, group["seg"])
            )
        if "descriptions" in group:
            values["descriptions"] = _hdf5_descriptions(group["descriptions"])
        return values


def _array(archive: h5py.File, dataset: h5py.Dataset) -> NDArray:
    """A dataset's values, or what its region references point at."""
    if dataset.dtype == h5py.regionref_dtype:
        return follow(archive, dataset)
    return np.asarray(dataset[()])


def _visible(names: list[str], seg: NDArray) -> list[str]:
    """The classes of the objects in a segmentation, sorted, without the special names."""
    classes = {class_name(names[i]) for i in np.unique(seg) if 0 <= i < len(names)}
    return sorted(classes - set(SPECIAL_NAMES))


def _hdf5_descriptions(stored: h5py.Group | h5py.Dataset) -> list[tuple[str, ...]]:
    """Targets, relations and references: the published group of columns, or rows of three."""
    if isinstance(stored, h5py.Dataset):
        return np.reshape(read_strings(stored), stored.shape).tolist()
    columns = [read_strings(stored[name]) for name in DESCRIPTION_COLUMNS]
    rows = zip(*columns, strict=True)
    return [(class_name(target), relation, class_name(other)) for target, relation, other in rows]


def _scene(name: str, values: Mapping[str, Any]) -> Scene:
    """Arrays to a scene, each checked."""
    check_present(values)
    depth = read_depth(numbers(values, "depth"))
    count, height, width = depth.shape
    rgb = read_colors(numbers(values, "rgb"), count, height, width)
    bounds = numbers(values, "scene_bounds") if "scene_bounds" in values else None
    poses = read_poses(numbers(values, "cam_pose"), len(rgb), bounds)
    if not len(rgb) == len(depth) == len(poses):
        raise ValueError(
            f"it has {len(rgb)} colour images, {len(depth)} depth images, {len(poses)} poses"
        )
    K = read_intrinsics(numbers(values, "cam_intr"), rgb.shape[2], rgb.shape[1])
    if is_turned(K, rgb.shape[2], rgb.shape[1]):
        raise ValueError(
            f"cam_intr's principal point ({K[0, 2]:g}, {K[1, 2]:g}) is that of the image turned by "
            f"90 degrees, but it is {rgb.shape[2]}x{rgb.shape[1]}: turn the intrinsics as well"
        )
    labels = read_names(values.get("relevancy_labels", []))
    scene = Scene(
        name=name,
        rgb=rgb,
        depth_m=depth,
        K=K,
        T_world_camera=poses,
        classes=read_names(values.get("classes", [])),
        descriptions=read_descriptions(values.get("descriptions", [])),
        relevancy=read_relevancy_maps(values, labels, len(rgb)),
        relevancy_labels=labels,
        relevancy_centred=bool(np.any(values.get("relevancy_centred", False))),
    )
    scene.frame(0)
    return scene


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _read_npz,
    ".hdf5": _read_hdf5,
    ".h5": _read_hdf5,
    ".pkl": read_pickle,
    ".pickle": read_pickle,
}
SCENE_SUFFIXES = tuple(READERS)
