"""Scene files (``.npz``, ``.hdf5``) as RGB-D sequences with poses in real metres."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from semabs_core.files import write_atomic
from semabs_core.geometry import split_similarity
from semabs_core.types import FrameError, RGBDFrame

BUILT_IN = Path(__file__).with_name("room.npz")
REQUIRED = ("rgb", "depth", "cam_intr", "cam_pose")


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
    """

    name: str
    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    K: NDArray[np.float64]
    T_world_camera: NDArray[np.float64]
    classes: list[str] = field(default_factory=list)
    descriptions: list[tuple[str, str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rgb)

    def frame(self, index: int, stamp_s: float = 0.0) -> RGBDFrame:
        """One frame, checked."""
        return RGBDFrame(
            self.rgb[index], self.depth_m[index], self.K, self.T_world_camera[index], stamp_s
        )


def load_scene(path: str | os.PathLike) -> Scene:
    """Read a ``.npz``, ``.hdf5`` or ``.h5`` scene.

    Arrays: ``rgb`` (H, W, 3) or (n, H, W, 3) uint8, ``depth`` (H, W) or (n, H, W) metres,
    ``cam_intr`` (3, 3), ``cam_pose`` (4, 4) or (n, 4, 4) camera to scene, optionally ``classes``
    and ``descriptions`` (n, 3). An HDF5 file may hold them at its root or, as the published data
    set does, as region references in the group ``data``. A pose may hold a scale or a reflection;
    both are taken out.

    Raises:
        SceneError: if the file is missing, damaged or incomplete.
    """
    file = Path(path)
    if not file.is_file():
        raise SceneError(f"there is no scene file {file}")
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                return _scene(file, {name: archive[name] for name in archive.files})
        if file.suffix in (".hdf5", ".h5"):
            with h5py.File(file, "r") as archive:
                return _scene(file, _read_hdf5(archive))
    except SceneError:
        raise
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise SceneError(f"{file} is damaged or no scene file: {error}") from error
    raise SceneError(f"a scene file must end in .npz, .hdf5 or .h5, got {file.name}")


def built_in_scene() -> Scene:
    """The demo's scene: a synthetic room that no encoder and no network was trained on.

    Made by ``semabs data rooms --split unseen_instances=24 --seed 77``, room 22. It shows a basket
    ball and a pot, and hides a wine bottle in the fridge; the 3D networks that ship have never
    been trained on any of the three.
    """
    return load_scene(BUILT_IN)


def save_scene(scene: Scene, path: str | os.PathLike) -> None:
    """Write a ``.npz`` scene, beside and renamed."""

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(
                stream,
                rgb=scene.rgb,
                depth=scene.depth_m,
                cam_intr=scene.K,
                cam_pose=scene.T_world_camera,
                classes=np.array(scene.classes),
                descriptions=np.array(scene.descriptions).reshape(-1, 3),
            )

    write_atomic(path, write)


def _read_hdf5(archive: h5py.File) -> dict[str, Any]:
    """The arrays of a file, region references followed."""
    group = archive.get("data", archive)
    values: dict[str, Any] = {}
    for name in (*REQUIRED, "classes", "scene_bounds"):
        if name not in group:
            continue
        value = group[name][()]
        if getattr(value, "dtype", None) == h5py.regionref_dtype:
            stack = archive[name]
            regions = [stack[region] for region in value.ravel()]
            value = np.concatenate([r.reshape(-1, *stack.shape[1:]) for r in regions])
        values[name] = value
    return values


def _scene(file: Path, values: Mapping[str, Any]) -> Scene:
    """Arrays to a scene, each checked."""
    missing = [name for name in REQUIRED if name not in values]
    if missing:
        raise SceneError(f"{file} lacks {', '.join(missing)}")
    rgb = np.asarray(values["rgb"])
    rgb = rgb[None] if rgb.ndim == 3 else rgb
    depth = np.asarray(values["depth"], dtype=np.float32)
    depth = depth[None] if depth.ndim == 2 else depth
    stored = np.asarray(values["cam_pose"], dtype=np.float64).reshape(-1, 4, 4)
    poses = np.stack([split_similarity(pose)[0] for pose in stored])
    if "scene_bounds" in values:  # the lower bound is the region's: z = 0 of our world
        bottom = float(np.asarray(values["scene_bounds"]).reshape(2, 3)[0, 2])
        poses[:, 2, 3] -= bottom / split_similarity(stored[0])[1]
    if len(poses) == 1:
        poses = np.repeat(poses, len(rgb), axis=0)
    if not len(rgb) == len(depth) == len(poses) > 0:
        raise SceneError(
            f"{file} has {len(rgb)} colour images, {len(depth)} depth images, {len(poses)} poses"
        )
    descriptions = np.asarray(values.get("descriptions", np.zeros((0, 3)))).reshape(-1, 3)
    scene = Scene(
        name=file.stem,
        rgb=rgb,
        depth_m=depth,
        K=np.asarray(values["cam_intr"], dtype=np.float64),
        T_world_camera=poses,
        classes=[_text(name) for name in np.asarray(values.get("classes", [])).ravel()],
        descriptions=[(_text(t), _text(r), _text(f)) for t, r, f in descriptions],
    )
    try:
        scene.frame(0)
    except FrameError as error:
        raise SceneError(f"{file}: {error}") from error
    return scene


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
