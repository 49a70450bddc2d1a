"""Parts of a training item: the points of a scene, its queries, batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.config import RegionConfig
from semabs_core.data.augment import random_transform
from semabs_core.data.labels import is_word
from semabs_core.data.sampling import balanced_queries, fixed_size_choice, query_weights
from semabs_core.data.scene_data import SceneData, SceneDescription, SceneFileError
from semabs_core.geometry import (
    back_project,
    in_bounds,
    in_frustum,
    seen_free,
    transform_points,
    valid_depth,
)
from semabs_core.image_points import points_of_image
from semabs_core.network_config import PAD_RELATION
from semabs_core.types import Camera
from semabs_core.voxels import cells_of, grid_index, tsdf_grid

PAD = "[pad]"
VIEW = 0
"""Relevancy is stored for the first view, which is the one that items are made of."""
INPUT_MARGIN_M = RegionConfig.input_margin_m
"""Readings so far outside the bounds count, as they do on a robot by default."""
PER_LABEL = ("input_features", "label_features", "target_features", "reference_features")

Item = dict[str, Any]


@dataclass(frozen=True)
class View:
    """What a camera measured of a scene.

    Attributes:
        depth: (H, W) float32, metres.
        camera: intrinsics and image size.
        T_scene_camera: (4, 4), camera metres to augmented scene units.
        bounds: (2, 3) lower and upper corner, scene units.
    """

    depth: NDArray[np.float32]
    camera: Camera
    T_scene_camera: NDArray[np.float64]
    bounds: NDArray[np.float64]

    def tsdf(self, shape: tuple[int, int, int]) -> NDArray[np.float32]:
        """The truncated signed distance (X, Y, Z) at the cells of a virtual grid."""
        return tsdf_grid(self.bounds, shape, self.depth, self.camera, self.T_scene_camera)


@dataclass(frozen=True)
class Cloud:
    """A scene's points as an item reads them: N input points, K query points.

    Attributes:
        uv: (N, 2) float32, where each input point is in the image, see :func:`points_of_image`.
        colors: (N, 3) float32, RGB of the input points in 0..1.
        input_xyz: (N, 3) float32, scene frame, augmented.
        query_xyz: (K, 3) float32, scene frame, augmented.
        outside: (K,) bool, out of the bounds, or of the room where that does not count as empty.
        in_view: (K,) bool, inside the camera's frustum.
        view: what the camera measured; None for a scene that cannot be read.
    """

    uv: NDArray[np.float32]
    colors: NDArray[np.float32]
    input_xyz: NDArray[np.float32]
    query_xyz: NDArray[np.float32]
    outside: NDArray[np.bool_]
    in_view: NDArray[np.bool_]
    view: View | None = None

    def tsdf(self, shape: tuple[int, int, int]) -> NDArray[np.float32]:
        """The truncated signed distance (X, Y, Z) at the cells of a virtual grid."""
        return np.ones(shape, np.float32) if self.view is None else self.view.tsdf(shape)


@dataclass(frozen=True)
class Row:
    """One label or description of an item.

    Attributes:
        words: what is looked up for it: the label; target and reference; or the whole sentence.
        target: (K,) bool, the right answer.
        ignore: (K,) bool, points that are not supervised.
        description: of localization.
    """

    words: tuple[str, ...]
    target: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    description: SceneDescription | None = None


def scene_id(path: str) -> str:
    """What a scene file goes by in tables: its path in the data set, without the suffix."""
    return str(PurePosixPath(path).with_suffix(""))


def scene_camera(scene: SceneData) -> Camera:
    """The camera of a scene."""
    height, width = scene.depth.shape[1:3]
    return Camera(scene.cam_intr, width=width, height=height)


def empty_cloud(num_input_points: int) -> Cloud:
    """Stands for a scene that cannot be read: input points at the origin, one ignored query."""
    xyz = np.zeros((num_input_points, 3), np.float32)
    flag = np.ones(1, dtype=np.bool_)
    return Cloud(xyz[:, :2], xyz, xyz, xyz[:1], flag, ~flag)


def make_cloud(
    scene: SceneData,
    picture: NDArray[np.uint8],
    num_input_points: int,
    augment_for: str | None,
    rng: np.random.Generator,
    outside_is_empty: bool = False,
) -> Cloud:
    """Back-project, augment, leave out what is out of bounds, draw the input points.

    The camera's pose is applied as it is stored: it holds the scale and perhaps a reflection. If
    augmentation leaves no input point, the scene goes in as it is. Readings within a margin of the
    bounds count, moved to the border, as on a robot (``RegionConfig.input_margin_m``): a floor that
    lies on the lower bound would otherwise be cut in half by rounding alone.

    Args:
        scene: a scene with bare names.
        picture: (H, W, 3) uint8, its view in the colours to read.
        num_input_points: N.
        augment_for: task whose augmentation is applied; None for none.
        rng: random numbers.
        outside_is_empty: whether points outside the room count, as points where nothing is.

    Raises:
        SceneFileError: if no depth reading lies in the scene's bounds.
    """
    depth, bounds = scene.depth[VIEW], scene.scene_bounds
    valid = np.flatnonzero(valid_depth(depth))
    seen = back_project(depth, scene.cam_intr).reshape(-1, 3)[valid]
    seen = transform_points(scene.cam_pose, seen)
    stored = scene.full_xyz_pts[VIEW]
    T = np.eye(4) if augment_for is None else random_transform(bounds, augment_for, rng)
    margin = INPUT_MARGIN_M * scene.scene_scale
    near = bounds + margin * np.array([[-1.0], [1.0]])
    inside = np.flatnonzero(in_bounds(transform_points(T, seen), near))
    if not len(inside):
        T = np.eye(4)
        inside = np.flatnonzero(in_bounds(seen, near))
    if not len(inside):
        raise SceneFileError("no depth reading lies in the scene's bounds")
    chosen = inside[fixed_size_choice(len(inside), num_input_points, rng)]
    queries = transform_points(T, stored)
    unknown = () if outside_is_empty else ("out of bounds",)
    no_room = is_word(scene.objid_to_class, scene.full_objid_pts[VIEW], unknown)
    colors = picture.reshape(-1, 3)[valid[chosen]]
    return Cloud(
        uv=points_of_image(valid[chosen], depth.shape),
        colors=colors.astype(np.float32) / np.float32(255),
        view=View(depth, scene_camera(scene), T @ scene.cam_pose, bounds),
        input_xyz=transform_points(T, seen[chosen]).clip(*bounds).astype(np.float32),
        query_xyz=queries.astype(np.float32),
        outside=no_room | ~in_bounds(queries, bounds),
        in_view=in_frustum(stored, scene_camera(scene), scene.cam_pose),
    )


def looked_through(scene: SceneData) -> NDArray[np.bool_]:
    """(K,) bool: points that the camera saw to be free."""
    points, depth = scene.full_xyz_pts[VIEW], scene.depth[VIEW]
    return seen_free(points, depth, scene_camera(scene), scene.cam_pose)


def unseen_points(scene: SceneData, cloud: Cloud) -> NDArray[np.bool_]:
    """(K,) bool: points in the view that the camera did not see to be free."""
    return cloud.in_view & ~looked_through(scene)


def all_queries(cloud: Cloud, rows: list[Row]) -> Item:
    """All stored points for each row; the rows share their memory."""
    xyz = torch.from_numpy(cloud.query_xyz)
    shape = (len(rows), len(xyz))
    return {
        "query_xyz": xyz.expand(len(rows), -1, -1),
        "targets": _mask_tensor([row.target for row in rows], shape, torch.float32),
        "ignore": _mask_tensor([row.ignore for row in rows], shape, torch.bool),
    }


def fill_cells(cloud: Cloud, rows: list[Row], shape: tuple[int, int, int]) -> list[Row]:
    """Rows whose answer is right in all of a cell if it is right anywhere in it.

    What is thinner than a cell, as a floor or a picture on a wall, fills a part of it by points;
    by cells it is answered as voxels are, which hold a thing or do not.

    Args:
        cloud: the points.
        rows: what is asked.
        shape: cells of the network's grid, per axis.
    """
    assert cloud.view is not None
    lower, upper = torch.from_numpy(cloud.view.bounds).float()
    cells = cells_of(grid_index(torch.from_numpy(cloud.query_xyz), lower, upper, shape), shape)
    place, filled = cells.place.numpy(), []
    for row in rows:
        held = np.zeros(len(cells.occupied), dtype=np.bool_)
        held[place[row.target & ~row.ignore]] = True
        filled.append(replace(row, target=held[place]))
    return filled


def some_queries(cloud: Cloud, rows: list[Row], count: int, rng: np.random.Generator) -> Item:
    """At most ``count`` balanced query points of each of at least one row.

    ``weights`` (P, M) float32 says for how many of the stored points each stands.
    """
    count = min(count, len(cloud.query_xyz))
    drawn = [balanced_queries(row.target, row.ignore, count, rng) for row in rows]
    target = [row.target[index] for row, index in zip(rows, drawn, strict=True)]
    ignore = [row.ignore[index] for row, index in zip(rows, drawn, strict=True)]
    weights = [
        query_weights(row.target, row.ignore, index) for row, index in zip(rows, drawn, strict=True)
    ]
    shape = (len(rows), count)
    return {
        "query_xyz": torch.from_numpy(cloud.query_xyz[np.stack(drawn)]),
        "targets": _mask_tensor(target, shape, torch.float32),
        "ignore": _mask_tensor(ignore, shape, torch.bool),
        "weights": torch.from_numpy(np.stack(weights)),
    }


def _mask_tensor(
    masks: list[NDArray[np.bool_]], shape: tuple[int, int], dtype: torch.dtype
) -> Tensor:
    """Masks of a common length to a tensor (P, M), also of no masks."""
    return torch.from_numpy(np.array(masks, dtype=np.bool_).reshape(shape)).to(dtype)


def collate(items: Sequence[Item]) -> dict[str, Any]:
    """Items to a batch with leading B; lacking labels and queries become ignored padding.

    Args:
        items: from one of the datasets, all with the same number of input points.

    Returns:
        Tensors (B, ...), ``names`` and ``relations`` as B lists of P, ``scene_id`` as B strings.
        Padding rows are named ``[pad]``, as is their relation, and all their points are ignored.
    """
    labels = max(1, *(len(item["names"]) for item in items))
    queries = max(item["query_xyz"].shape[1] for item in items)
    batch: dict[str, Any] = {"scene_id": [item["scene_id"] for item in items]}
    for key in items[0]:
        values = [item[key] for item in items]
        if key == "features":
            batch[key] = {
                part: _stack([value[part] for value in values], labels if part != "rgb" else 1)
                for part in values[0]
            }
        elif key in ("names", "relations"):
            filler = PAD_RELATION if key == "relations" else _pad_name(items)
            batch[key] = [[*value, *[filler] * (labels - len(value))] for value in values]
        elif key in ("query_xyz", "targets", "ignore", "weights"):
            batch[key] = _stack(values, labels, queries)
        elif key in PER_LABEL:
            shared = any(
                len(value) != len(item["names"]) for value, item in zip(values, items, strict=True)
            )
            batch[key] = _stack(values, 1 if shared else labels)
        elif key in ("input_xyz", "tsdf"):
            batch[key] = torch.stack(values)
    return batch


def _pad_name(items: Sequence[Item]) -> str | tuple[str, str]:
    return (PAD, PAD) if "relations" in items[0] else PAD


def _stack(values: list[Tensor], rows: int, columns: int | None = None) -> Tensor:
    """Tensors with first axes up to (rows, columns) to one, filled with 0 or (bool) True."""
    columns = values[0].shape[1] if columns is None else columns
    if all(value.shape[:2] == (rows, columns) for value in values):
        return values[0][None] if len(values) == 1 else torch.stack(values)
    shape = (len(values), rows, columns, *values[0].shape[2:])
    stacked = torch.full(shape, values[0].dtype == torch.bool, dtype=values[0].dtype)
    for row, value in enumerate(values):
        stacked[row, : value.shape[0], : value.shape[1]] = value
    return stacked
