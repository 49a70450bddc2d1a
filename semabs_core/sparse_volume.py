"""Volumes that come from points: few cells hold anything, so that the first layers are cheap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semabs_core.voxels import Cells, cells_at, fill

WORTH_IT = 1 / 20
"""Share of cells that hold something up to which a CPU is faster with them alone, measured."""
ROOM_CELLS = 61
"""One of so many cells holds points in the built-in room."""
CELLS_AT_ONCE = 512
"""Cells whose 27 parts stay in a core's cache."""


@dataclass(frozen=True)
class SparseVolume:
    """A volume of C channels of which few cells hold anything.

    Attributes:
        cells: which of them.
        rows: (K, C) float, what these hold; the others hold 0. With ``last``, (K, C - 1).
        last: (X, Y, Z), the last channel, which is everywhere; None for none.
    """

    cells: Cells
    rows: Tensor
    last: Tensor | None

    def dense(self) -> Tensor:
        """All of it, channels last: (X, Y, Z, C)."""
        if self.last is None:
            return fill(self.cells, self.rows)
        volume = fill(self.cells, F.pad(self.rows, (0, 1)))
        volume[..., -1] = self.last
        return volume

    @property
    def worth_it(self) -> bool:
        """Whether :func:`norm_conv` is faster than what it stands for."""
        few = len(self.cells.occupied) <= WORTH_IT * self.cells.voxels
        plain = self.rows.device.type == "cpu" and self.rows.dtype == torch.float32
        able = torch.backends.mkldnn.is_available() and min(self.cells.shape) > 1
        return few and plain and able and not torch.is_grad_enabled()


def example_volume(
    shape: tuple[int, int, int], channels: int, device: torch.device
) -> SparseVolume:
    """A volume as a room fills it, to measure with: 1.6 % of the cells, evenly."""
    cells = cells_at(torch.arange(0, math.prod(shape), ROOM_CELLS, device=device), shape)
    last = torch.ones(shape, device=device)
    return SparseVolume(cells, torch.ones(len(cells.occupied), channels - 1, device=device), last)


def norm_conv(volume: SparseVolume, norm: nn.GroupNorm, conv: nn.Conv3d) -> Tensor:
    """A group norm and a 3x3x3 convolution without bias: (1, out, X, Y, Z), channels fastest.

    The norm makes the same of all cells that hold nothing. So the result is the sum of what the
    convolution makes of that constant, which is another at the border alone, of the last channel
    and of the cells that hold something, each of which reaches 27.
    """
    scale, shift = _affine(volume, norm)
    weight, shape, sparse = conv.weight, volume.cells.shape, volume.rows.shape[1]
    constant = shift[None, :, None, None, None].expand(-1, -1, 3, 3, 3)
    places = F.conv3d(constant, weight, padding=1)[0].movedim(0, -1)
    middle = places[1, 1, 1].contiguous()
    if volume.last is None:
        result = middle.expand(*shape, -1).contiguous()
    else:
        of_last = (weight[:, sparse:] * scale[sparse]).contiguous()
        around = [1, 1, 1]
        result = torch.mkldnn_convolution(
            volume.last[None, None], of_last, middle, around, around, around, 1
        )
        result = result[0].movedim(0, -1).contiguous()
    for side in product(range(3), repeat=3):
        at = (slice(1), slice(1, -1), slice(-1, None))
        edge = result[at[side[0]], at[side[1]], at[side[2]]]
        if side != (1, 1, 1):
            edge += places[side] - middle
    per_tap = (weight[:, :sparse] * scale[:sparse, None, None, None]).permute(1, 2, 3, 4, 0)
    reached, inside = _reached(volume.cells)
    sums, border = result.flatten(0, 2), ~inside.all(dim=1)
    for start in range(0, len(reached), CELLS_AT_ONCE):
        part = slice(start, start + CELLS_AT_ONCE)
        made = (volume.rows[part] @ per_tap.flatten(1)).unflatten(1, (27, -1))
        made[border[part]] *= inside[part][border[part]][..., None]
        sums.index_add_(0, reached[part].flatten(), made.flatten(0, 1))
    return result[None].movedim(-1, 1)


def _affine(volume: SparseVolume, norm: nn.GroupNorm) -> tuple[Tensor, Tensor]:
    """By what the norm multiplies each channel, and what it adds: (C,) float32 each."""
    rows = volume.rows.double()
    sums, squares = rows.sum(dim=0), rows.square().sum(dim=0)
    if volume.last is not None:
        last = volume.last.double()
        sums = torch.cat([sums, last.sum()[None]])
        squares = torch.cat([squares, last.square().sum()[None]])
    groups, per_group = norm.num_groups, norm.num_channels // norm.num_groups
    count = volume.cells.voxels * per_group
    mean = sums.view(groups, -1).sum(dim=1) / count
    variance = squares.view(groups, -1).sum(dim=1) / count - mean.square()
    inverse = (variance.clamp_min(0) + norm.eps).rsqrt()
    scale = norm.weight.double() * inverse.repeat_interleave(per_group)
    shift = norm.bias.double() - mean.repeat_interleave(per_group) * scale
    return scale.float(), shift.float()


def _reached(cells: Cells) -> tuple[Tensor, Tensor]:
    """The cells (K, 27) that each occupied one reaches by tap, flat, 0 where there is none; if any.

    Tap ``d`` of a convolution reads at ``p + d - 1``, so what is at ``q`` goes to ``q + 1 - d``.
    """
    sizes = cells.shape
    at = torch.unravel_index(cells.occupied, sizes)
    steps = torch.tensor([1, 0, -1])
    along = [where[:, None] + steps for where in at]
    there = [(where >= 0) & (where < size) for where, size in zip(along, sizes, strict=True)]
    x, y, z = along
    flat = ((x * sizes[1])[:, :, None] + y[:, None])[..., None] * sizes[2] + z[:, None, None]
    inside = there[0][:, :, None, None] & there[1][:, None, :, None] & there[2][:, None, None]
    return flat.masked_fill(~inside, 0).flatten(1), inside.flatten(1)
