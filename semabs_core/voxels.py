"""Points to grid, grid to points.

A *virtual grid* of (X, Y, Z) cells spans the bounds with its first and last cell on them: the index
of a point is ``(p - lower) * (n - 1) / (upper - lower)`` per axis.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.geometry import projective_tsdf
from semabs_core.types import Camera

SAMPLINGS = ("aligned", "published")


def grid_index(points: Tensor, lower: Tensor, upper: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Fractional grid index of points, clamped to the grid.

    Args:
        points: (..., 3) float, scene frame.
        lower: (3,) lower corner of the bounds.
        upper: (3,) upper corner.
        shape: (X, Y, Z) cells.

    Returns:
        (..., 3) float in ``[0, n - 1]`` per axis.
    """
    last = torch.as_tensor(shape, device=points.device, dtype=points.dtype) - 1
    index = (points - lower) * last / (upper - lower)
    return torch.minimum(index.clamp_min(0), last)


def scatter_mean(features: Tensor, index: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Average point features per cell; empty cells are 0.

    Args:
        features: (B, N, C) float.
        index: (B, N, 3) fractional indices, truncated here.
        shape: (X, Y, Z) cells.

    Returns:
        (B, C, X, Y, Z) in the dtype of ``features``, summed in float32.
    """
    batch, _, channels = features.shape
    x, y, z = index.long().unbind(-1)
    flat = (x * shape[1] + y) * shape[2] + z
    cells = shape[0] * shape[1] * shape[2]
    flat = flat + torch.arange(batch, device=flat.device)[:, None] * cells
    flat = flat.reshape(-1)
    total = torch.zeros(batch * cells, channels, device=features.device)
    total = total.index_add(0, flat, features.reshape(-1, channels).float())
    count = torch.zeros(batch * cells, device=features.device)
    count = count.index_add(0, flat, torch.ones_like(flat, dtype=torch.float32))
    mean = total / count.clamp_min(1)[:, None]
    return mean.to(features.dtype).view(batch, *shape, channels).permute(0, 4, 1, 2, 3)


def sampling_coordinates(index: Tensor, shape: tuple[int, int, int], sampling: str) -> Tensor:
    """Fractional indices (..., 3) to coordinates in about [-1, 1], axes in the order x, y, z.

    ``aligned`` divides by n - 1, so the last cell is at 1; ``published`` divides by n, as the
    published implementation does.
    """
    size = torch.as_tensor(shape, device=index.device, dtype=index.dtype)
    return index / (size - 1 if sampling == "aligned" else size) * 2 - 1


def sample_volume(volume: Tensor, coordinates: Tensor, sampling: str) -> Tensor:
    """Trilinear samples of a volume, border values outside.

    Args:
        volume: (B, C, X, Y, Z).
        coordinates: (B, M, 3) from :func:`sampling_coordinates`, in the order x, y, z.
        sampling: ``aligned`` reads the right place; ``published`` hands x to the volume's last axis
            and z to its first, as the published implementation does.

    Returns:
        (B, M, C).
    """
    if sampling == "aligned":
        coordinates = coordinates.flip(-1)
    # In half precision a coordinate near 1 would be off by up to an eighth of a voxel of 128.
    with torch.autocast(volume.device.type, enabled=False):
        samples = F.grid_sample(
            volume.float(),
            coordinates[:, None, None].float(),
            mode="bilinear",
            padding_mode="border",
            align_corners=True,
        )
    return samples[:, :, 0, 0].transpose(1, 2).to(volume.dtype)


def grid_axes(bounds: NDArray, resolution: int | tuple[int, int, int]) -> list[NDArray[np.float32]]:
    """Coordinates along x, y and z of a regular grid over the bounds, both ends included.

    Args:
        bounds: (2, 3) lower and upper corner, scene frame.
        resolution: points per axis, for all or for each.

    Returns:
        Three arrays (n,) float32.
    """
    shape = (resolution,) * 3 if isinstance(resolution, int) else resolution
    return [np.linspace(bounds[0][i], bounds[1][i], shape[i]).astype(np.float32) for i in range(3)]


def grid_points(axes: Tensor, index: Tensor) -> Tensor:
    """Some points of a cubic grid.

    Args:
        axes: (3, R) float32 coordinates along x, y and z.
        index: (m,) int64 flat indices in C order of (x, y, z): z runs fastest.

    Returns:
        (m, 3) float32, the rows ``index`` of :func:`dense_grid`.
    """
    edge = axes.shape[1]
    row = torch.div(index, edge, rounding_mode="floor")
    x = torch.div(row, edge, rounding_mode="floor")
    return torch.stack([axes[0][x], axes[1][row - edge * x], axes[2][index - edge * row]], dim=-1)


def dense_grid(bounds: NDArray, resolution: int | tuple[int, int, int]) -> NDArray[np.float32]:
    """Points of a regular grid over the bounds, both ends included.

    Args:
        bounds: (2, 3) lower and upper corner, scene frame.
        resolution: points per axis, for all or for each.

    Returns:
        (X * Y * Z, 3) float32 in C order of (x, y, z): z runs fastest.
    """
    grid = np.meshgrid(*grid_axes(bounds, resolution), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 3)


def tsdf_grid(
    bounds: NDArray,
    shape: tuple[int, int, int],
    depth_m: NDArray[np.float32],
    camera: Camera,
    T_scene_camera: NDArray[np.float64],
) -> NDArray[np.float32]:
    """The truncated signed distance at the cells of a virtual grid, reaching 5 cells as published.

    Args:
        bounds: (2, 3) lower and upper corner, scene units.
        shape: (X, Y, Z) cells.
        depth_m: (H, W) float32, metres.
        camera: intrinsics and image size.
        T_scene_camera: (4, 4) affine, camera metres to scene units.

    Returns:
        (X, Y, Z) float32, see :func:`semabs_core.geometry.projective_tsdf`.
    """
    size = np.asarray(bounds[1], dtype=np.float64) - np.asarray(bounds[0], dtype=np.float64)
    unit = float(np.cbrt(abs(np.linalg.det(T_scene_camera[:3, :3]))))
    truncation_m = 5 * float((size / np.array(shape)).min()) / unit
    points = dense_grid(bounds, shape).astype(np.float64)
    values = projective_tsdf(points, depth_m, camera, T_scene_camera, truncation_m)
    return values.reshape(shape)
