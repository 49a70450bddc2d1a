"""Contact sheets: many rooms at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_data import SceneData

COLUMNS = 4


def contact_sheet(
    rooms: Sequence[SceneData], columns: int = COLUMNS, every_image: bool = False
) -> NDArray[np.uint8]:
    """The first view of each room as one picture (H, W, 3) uint8.

    Args:
        rooms: at least one, all of one image size.
        columns: rooms side by side.
        every_image: next to a room's picture its depth, its objects and its randomised picture.
    """
    if not rooms:
        raise ValueError("rooms must hold at least one room, got none")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    tiles = [
        np.concatenate(_views(room) if every_image else [room.rgb[0]], axis=1) for room in rooms
    ]
    columns = min(columns, len(tiles))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows, axis=0)


def _views(room: SceneData) -> list[NDArray[np.uint8]]:
    """Picture, depth from white (near) to dark, object ids as colours, randomised picture."""
    depth = room.depth[0]
    far = max(float(depth.max()), 1e-6)
    gray = np.where(depth > 0, 255 - 215 * depth / far, 0).astype(np.uint8)
    ids = room.seg[0].astype(np.int64) + 1
    table = np.random.default_rng(0).integers(40, 256, (int(ids.max()) + 1, 3)).astype(np.uint8)
    views = [room.rgb[0], np.repeat(gray[..., None], 3, axis=2), table[ids]]
    if room.domain_randomized_rgb is not None:
        views.append(room.domain_randomized_rgb[0])
    return views
