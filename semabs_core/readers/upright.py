"""Worlds whose z axis is not up, or whose floor is not at 0, are turned and shifted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from semabs_core.data.scene_file import SceneError
from semabs_core.floor import Surface, estimate_up, find_floor, surface_of
from semabs_core.readers.options import ReadOptions
from semabs_core.readers.sequence import FrameSequence, sample_frames

SAMPLES = 8
"""Frames that up and floor are estimated from."""
SAME_AXIS_DEG = 5.0
"""An estimate so near to an axis of the files' world is that axis."""


def upright(
    sequence: FrameSequence, options: ReadOptions, up: str | None, floor_known: bool
) -> tuple[NDArray[np.float64], list[str]]:
    """What brings a sequence's world to one with z up and the floor at 0.

    Args:
        sequence: in the world of the files.
        options: ``up`` and ``floor`` count.
        up: the axis that the format documents; None where it documents none.
        floor_known: whether the format has the floor at 0.

    Returns:
        (4, 4) ``T_ours_theirs``, rigid, and what was done, for people.

    Raises:
        SceneError: if up is to be estimated and cannot.
    """
    axis = options.up if options.up != "auto" else (up or "estimate")
    seek_floor = options.floor == "estimate" or (options.floor == "auto" and not floor_known)
    surface = None
    if axis == "estimate" or seek_floor:
        surface = surface_of(sample_frames(sequence, SAMPLES))
    T, notes = np.eye(4), []
    if axis == "estimate":
        assert surface is not None
        direction, note = _estimated(surface, sequence.name)
        notes.append(note)
    else:
        direction = axis_vector(axis)
        if axis != "z":
            notes.append(f"the files' {axis} axis is up; poses are turned to z up")
    T[:3, :3] = turn_up(direction)
    if not seek_floor:
        height = 0.0 if options.floor == "auto" else float(options.floor)
        if height:
            notes.append(f"the floor at {height:g} m, as told, is moved to 0")
    else:
        assert surface is not None
        height, note = _floor_height(surface, direction)
        notes.append(note)
    T[2, 3] = -height
    return T, notes


def axis_vector(axis: str) -> NDArray[np.float64]:
    """``x``, ``-y`` and the like as a unit vector."""
    return np.eye(3)["xyz".index(axis[-1])] * (-1.0 if axis.startswith("-") else 1.0)


def turn_up(direction: NDArray) -> NDArray[np.float64]:
    """The smallest rotation (3, 3) that turns a unit vector to z."""
    z = np.array([0.0, 0, 1])
    across = np.cross(direction, z)
    sine, cosine = float(np.linalg.norm(across)), float(direction @ z)
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    turn = across / sine * np.arctan2(sine, cosine)
    return Rotation.from_rotvec(turn).as_matrix()


def _estimated(surface: Surface, name: str) -> tuple[NDArray[np.float64], str]:
    """Up by the surface, snapped to an axis where it is one."""
    found = estimate_up(surface)
    if found is None:
        raise SceneError(
            f"which way is up in {name} cannot be told from its depth (no floor, table or the "
            "like is seen): give up=z, up=y, up=-y or the like (--read)"
        )
    up, share = found
    nearest = int(np.abs(up).argmax())
    axis = ("-" if up[nearest] < 0 else "") + "xyz"[nearest]
    off = np.degrees(np.arccos(np.clip(up @ axis_vector(axis), -1, 1)))
    seen = f"{share:.0%} of the surface faces it"
    if off <= SAME_AXIS_DEG:
        return axis_vector(axis), f"up is estimated to be the files' {axis} axis ({seen})"
    vector = ", ".join(f"{value:.3f}" for value in up)
    return up, f"up is estimated to be ({vector}) in the files' world ({seen})"


def _floor_height(surface: Surface, up: NDArray) -> tuple[float, str]:
    """Height of the floor along up."""
    floor = find_floor(surface, up)
    if floor is not None:
        return floor.height_m, (
            f"the floor is estimated at {floor.height_m:.2f} m in the files' world and moved to 0 "
            "(floor= tells it)"
        )
    if not len(surface.points):
        return 0.0, "no depth tells where the floor is; it is taken at 0 (floor= tells it)"
    height = float(np.percentile(surface.points @ up, 1))
    return height, f"no floor is seen; it is taken at the lowest readings, {height:.2f} m"
