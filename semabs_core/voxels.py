"""Points to grid, grid to points.

A *virtual grid* of (X, Y, Z) cells spans the bounds with its first and last cell on them: the index
of a point is ``(p - lower) * (n - 1) / (upper - lower)`` per axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.geometry import pixels_of_grid, projective_tsdf
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


@dataclass(frozen=True)
class Cells:
    """Which cells of a virtual grid points fall into; the same for whatever the points hold.

    Attributes:
        shape: (X, Y, Z) cells.
        occupied: (K,) int64, ascending flat indices of the cells that hold points, z runs fastest.
        place: (N,) int64, where in ``occupied`` the cell of each point is.
        count: (K,) float32, how many points are in each.
    """

    shape: tuple[int, int, int]
    occupied: Tensor
    place: Tensor
    count: Tensor

    @property
    def voxels(self) -> int:
        """How many cells there are, empty ones too."""
        return math.prod(self.shape)


def cells_of(index: Tensor, shape: tuple[int, int, int]) -> Cells:
    """The cells of points with fractional indices (N, 3), which are truncated here."""
    x, y, z = index.long().unbind(-1)
    return cells_at((x * shape[1] + y) * shape[2] + z, shape)


def cells_at(flat: Tensor, shape: tuple[int, int, int]) -> Cells:
    """The cells of points by the flat indices (N,) int64 of these, z runs fastest."""
    places = torch.zeros(math.prod(shape), dtype=torch.int32, device=flat.device)
    places[flat] = 1
    occupied = places.nonzero()[:, 0]
    places[occupied] = torch.arange(len(occupied), dtype=torch.int32, device=flat.device)
    place = places[flat].long()
    counts = torch.bincount(place, minlength=len(occupied))
    return Cells(shape, occupied, place, counts.float())


def fill(cells: Cells, values: Tensor) -> Tensor:
    """A volume (X, Y, Z, C) of what the occupied cells hold (K, C); the others are 0."""
    rows = values.new_zeros(math.prod(cells.shape), values.shape[1])
    rows.index_copy_(0, cells.occupied, values)
    return rows.view(*cells.shape, -1)


@dataclass(frozen=True)
class Corners:
    """Where M query points are between the cells of a grid; the same for every volume.

    Attributes:
        coordinates: (M, 3) float32 of :func:`sampling_coordinates`.
        index: (M, 8) int32, flat indices of the cells around each point, z runs fastest.
        weight: (M, 8) float32, the trilinear weights of these.
    """

    coordinates: Tensor
    index: Tensor
    weight: Tensor

    def join(self, other: Corners) -> Corners:
        """The corners of points of which this and the other know the shares of some axes."""
        index, weight = self.index + other.index, self.weight * other.weight
        return Corners(self.coordinates + other.coordinates, index, weight)

    def take(self, place: Tensor) -> Corners:
        """Those of the points (m,) int64 or int32."""
        parts = (self.coordinates, self.index, self.weight)
        return Corners(*(part.index_select(0, place) for part in parts))

    def put(self, place: Tensor, other: Corners, those: slice) -> None:
        """Have some points (m,) int64 where those of others are, in place."""
        self.coordinates.index_copy_(0, place, other.coordinates[those])
        self.index.index_copy_(0, place, other.index[those])
        self.weight.index_copy_(0, place, other.weight[those])


def corners_along(axis: int, along: Tensor, shape: tuple[int, int, int], sampling: str) -> Corners:
    """One axis' share in the corners of points: they are :meth:`Corners.join` of the three.

    Args:
        axis: 0, 1 or 2 for x, y or z.
        along: (M,) coordinates along it.
        shape: (X, Y, Z) of the grid.
        sampling: see :func:`sample_volume`.
    """
    coordinates = along.new_zeros(len(along), 3)
    coordinates[:, axis] = along
    across = axis if sampling == "aligned" else 2 - axis
    size, step = shape[across], math.prod(shape[across + 1 :])
    index = ((along + 1) / 2 * (size - 1)).clamp_(0, size - 1)
    lower = index.floor().clamp_max_(max(size - 2, 0))
    high = (index - lower)[:, None]
    upper = (torch.arange(8, device=along.device) >> across & 1).bool()
    cells = (lower.int() * step)[:, None] + upper.int() * (step if size > 1 else 0)
    return Corners(coordinates, cells, torch.where(upper, high, 1 - high))


def corners_of(coordinates: Tensor, shape: tuple[int, int, int], sampling: str) -> Corners:
    """The cells that :func:`sample_volume` reads at coordinates (M, 3)."""
    x, y, z = (
        corners_along(axis, along, shape, sampling)
        for axis, along in enumerate(coordinates.unbind(-1))
    )
    return x.join(y).join(z)


def sample_corners(volume: Tensor, corners: Corners) -> Tensor:
    """What :func:`sample_volume` gives, without gradients and several times as fast on a CPU.

    Args:
        volume: (C, X, Y, Z); it costs no copy if C runs fastest and it is float32.
        corners: of M points in its grid.

    Returns:
        (M, C) in the dtype of the volume.
    """
    table = volume.detach().movedim(0, -1).reshape(-1, len(volume)).float()
    return sample_table(table, corners).to(volume.dtype)


def sample_table(table: Tensor, corners: Corners) -> Tensor:
    """Trilinear samples (M, D) of a table (X * Y * Z, D) float32 of what cells hold."""
    index, weight = corners.index, corners.weight
    return F.embedding_bag(index, table, per_sample_weights=weight, mode="sum")


def sampling_coordinates(index: Tensor, shape: tuple[int, int, int], sampling: str) -> Tensor:
    """Fractional indices (..., 3) to coordinates in about [-1, 1], axes in the order x, y, z.

    ``aligned`` divides by n - 1, so the last cell is at 1; ``published`` divides by n, as the
    published implementation does.
    """
    size = torch.as_tensor(shape, device=index.device, dtype=index.dtype)
    return index / (size - 1 if sampling == "aligned" else size) * 2 - 1


def cell_coordinates(
    shape: tuple[int, int, int], sampling: str, device: torch.device
) -> list[Tensor]:
    """Where a volume's cells are read: the coordinates along x, y, z, broadcast to (X, Y, Z, 1)."""
    lines = []
    for axis, size in enumerate(shape):
        line = torch.linspace(-1, 1, size, device=device)
        lines.append(line.view([size if i == axis else 1 for i in range(4)]))
    return lines if sampling == "aligned" else lines[::-1]


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
        index: (m,) int32 or int64 flat indices in C order of (x, y, z): z runs fastest.

    Returns:
        (m, 3) float32.
    """
    edge = axes.shape[1]
    row = torch.div(index, edge, rounding_mode="floor")
    x = torch.div(row, edge, rounding_mode="floor")
    places = (x, row - edge * x, index - edge * row)
    return torch.stack([axes[i].index_select(0, place) for i, place in enumerate(places)], dim=-1)


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
    planes = pixels_of_grid(grid_axes(bounds, shape), camera, T_scene_camera)
    values = [projective_tsdf(pixel, z, depth_m, truncation_m) for pixel, z in planes]
    return np.stack(values).reshape(shape)
