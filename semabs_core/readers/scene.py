"""Scene files (``.npz``, ``.hdf5``, ``.pkl``) among the readers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from semabs_core.data.scene_file import SCENE_SUFFIXES, Scene, load_scene
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.sequence import Reader
from semabs_core.readers.upright import upright


def matches(path: Path) -> bool:
    """Whether a path is one."""
    return path.suffix.lower() in SCENE_SUFFIXES and not path.is_dir()


def open_scene(path: Path, options: ReadOptions) -> Scene:
    """Read a file; its world has z up and the floor at 0, unless one is told otherwise.

    Raises:
        SceneError: if it cannot be used.
    """
    scene = load_scene(path)
    T, notes = upright(scene, options, up="z", floor_known=True)
    if not notes:
        return scene
    return dataclasses.replace(
        scene, T_world_camera=T @ scene.T_world_camera, notes=[*scene.notes, *notes]
    )


SCENE = Reader(
    "scene file",
    f"a file that ends in {', '.join(SCENE_SUFFIXES)}",
    "rgb, depth, cam_intr, cam_pose (arrays), also the published data set and pickles; z up, "
    "floor at 0",
    (),
    matches,
    open_scene,
)
