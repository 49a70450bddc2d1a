"""What networks are made of: the encoder of volumes, the decoder of samples, the pointer.

Letters as in :mod:`semabs_core.networks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semabs_core.network_config import NetworkConfig
from semabs_core.precision import mixed_precision
from semabs_core.sparse_volume import SparseVolume
from semabs_core.unet3d import make_unet
from semabs_core.voxels import Cells

TEMPERATURE = 0.07
"""The published divisor of the cosine similarity."""
POINTS_AT_ONCE = 4096
"""Points whose hidden layers stay in a core's cache."""


class VolumeEncoder(nn.Module):
    """Point features to a completed volume: point MLP, mean per cell, U-Net.

    The last layer of the MLP has no activation, so that it is the same whether it comes before the
    mean or after it, where there are fewer rows.

    Attributes:
        dtype: what the U-Net computes in, unless a caller's autocast says otherwise.
    """

    dtype = torch.float32

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width, self.hidden = 3 + config.point_width, config.hidden
        self.points = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.LeakyReLU(inplace=True),
            nn.Linear(config.hidden, config.hidden),
            nn.LeakyReLU(inplace=True),
            nn.Linear(config.hidden, config.channels - config.reads_tsdf),
        )
        self.unet = make_unet(
            config.channels, config.fine_maps, config.f_maps, config.levels, config.groups
        )

    def forward(
        self, xyz: Tensor, features: Tensor, cells: Sequence[Cells], tsdf: Tensor | None
    ) -> Tensor:
        """Points of B scenes to P volumes each.

        Args:
            xyz: (B, N, 3), scene frame.
            features: (B, P, N, F).
            cells: of each scene's points.
            tsdf: (B, X, Y, Z), for networks that read it.

        Returns:
            (B, P, C, X, Y, Z) in :attr:`dtype`, or in that of a caller's autocast.
        """
        volumes = []
        for scene, there in enumerate(cells):
            for label in features[scene]:
                rows = self.points[-1](self._mean(xyz[scene], label, there))
                if self.dtype != torch.float32:  # without the caller's autocast
                    rows = rows.to(self.dtype)
                volumes.append(SparseVolume(there, rows, None if tsdf is None else tsdf[scene]))
        if all(volume.worth_it for volume in volumes):
            parts = [self.complete(volume)[0].movedim(0, -1) for volume in volumes]
            made = _stack(parts).movedim(-1, 1)
        else:
            # Channels run fastest, which all that follows then reads without a copy.
            made = self.complete(_stack([volume.dense() for volume in volumes]).movedim(-1, 1))
        return made.unflatten(0, features.shape[:2])

    def complete(self, volume: Tensor | SparseVolume, dtype: torch.dtype | None = None) -> Tensor:
        """Volumes (P, C, X, Y, Z) through the U-Net, in :attr:`dtype` or another.

        A sparse one counts as P = 1, and is computed in its own format.
        """
        dtype = self.dtype if dtype is None else dtype
        if dtype == torch.float32 or isinstance(volume, SparseVolume):
            return self.unet(volume)
        with mixed_precision(volume.device, dtype):
            return self.unet(volume)

    def _mean(self, xyz: Tensor, features: Tensor, cells: Cells) -> Tensor:
        """(K, H): what the hidden layers say of points (N, 3) with (N, F), averaged per cell."""
        step = POINTS_AT_ONCE if xyz.device.type == "cpu" else max(1, len(xyz))
        total = torch.zeros(len(cells.occupied), self.hidden, device=xyz.device)
        for start in range(0, len(xyz), step):
            part = slice(start, start + step)
            hidden = torch.cat([xyz[part], features[part]], dim=-1)
            for layer in self.points[:-1]:
                hidden = layer(hidden)
            total.index_add_(0, cells.place[part], hidden.float())
        return (total / cells.count[:, None]).to(xyz.dtype)


class ImplicitDecoder(nn.Module):
    """Maps samples of volumes through an MLP: (..., M, C) to (..., M, out).

    Attributes:
        folded: whether the samples' part of the first layer is done before, see :meth:`fold`.
    """

    folded = False

    def __init__(self, channels: int, out: int, concat_xyz: bool) -> None:
        super().__init__()
        self.concat_xyz = concat_xyz
        self.mlp = nn.Sequential(
            nn.Linear(channels + 3 * concat_xyz, channels),
            nn.LeakyReLU(inplace=True),
            nn.Linear(channels, out),
        )

    def forward(self, samples: Sequence[Tensor], coordinates: Tensor) -> Tensor:
        """Samples of one or two volumes (..., M, C each) at coordinates (..., M, 3)."""
        coordinates = coordinates.to(samples[0].dtype)
        if not self.folded:
            parts = [*samples, coordinates] if self.concat_xyz else list(samples)
            return self.mlp(torch.cat(parts, dim=-1))
        first = self._first
        if self.concat_xyz:
            hidden = F.linear(coordinates, first.weight[:, -3:], first.bias).add_(samples[0])
        else:
            hidden = samples[0] + first.bias
        return self.finish(hidden)

    def of_volume(self, cells: Tensor) -> Tensor:
        """What the first layer makes of one volume's cells (..., C), but for :meth:`of_places`."""
        if self.folded:
            return cells
        return F.linear(cells.float(), self._first.weight[:, : cells.shape[-1]])

    def of_places(self, coordinates: Sequence[Tensor]) -> Tensor:
        """What the first layer makes of coordinates alone: (..., C), its bias added.

        Args:
            coordinates: along x, y and z, which broadcast to (..., 1).
        """
        made = self._first.bias
        if self.concat_xyz:
            for along, weight in zip(coordinates, self._first.weight[:, -3:].T, strict=True):
                made = made + along * weight
        return made

    def finish(self, hidden: Tensor) -> Tensor:
        """From what the first layer gives (..., C), which is changed, to (..., out)."""
        return self.mlp[2](self.mlp[1](hidden))

    @torch.no_grad()
    def fold(self, last: nn.Conv3d) -> None:
        """Have the layer that a volume comes from do what the first one here does to its samples.

        Sampling is linear, so that answers stay the same, but for rounding, and query points are
        many. What remains here is the identity, which :meth:`forward` leaves out.

        Args:
            last: the layer, a 1x1x1 convolution, whose output is sampled; changed in place.
        """
        if self.folded:
            return
        assert last.bias is not None
        part = self._first.weight[:, : last.out_channels]
        last.weight.copy_((part @ last.weight.flatten(1)).view_as(last.weight))
        last.bias.copy_(part @ last.bias)
        part.copy_(torch.eye(len(part)))
        self.folded = True

    @property
    def _first(self) -> nn.Linear:
        layer = self.mlp[0]
        assert isinstance(layer, nn.Linear)
        return layer


class Pointer(nn.Module):
    """How well point features (..., M, d) answer a query vector (..., d): logits (..., M)."""

    def __init__(self, method: str, width: int) -> None:
        super().__init__()
        self.method = method
        if method == "additive":
            self.v = nn.Linear(width, 1, bias=False)

    def forward(self, features: Tensor, query: Tensor) -> Tensor:
        if self.method == "cosine_sim":
            features, query = F.normalize(features, dim=-1), F.normalize(query, dim=-1)
            return (features @ query[..., None])[..., 0] / TEMPERATURE
        if self.method == "dot_product":
            return (features @ query[..., None])[..., 0] / math.sqrt(features.shape[-1])
        return self.v(torch.tanh(features + query[..., None, :]))[..., 0]


def _stack(parts: list[Tensor]) -> Tensor:
    """Tensors beside each other; a single one is not copied."""
    return parts[0][None] if len(parts) == 1 else torch.stack(parts)


def expect(name: str, value: Tensor | None, shape: Sequence[int | None]) -> Tensor:
    """``value``, whose shape must agree with ``shape`` (None: any size)."""
    if value is None:
        raise ValueError(f"{name} is missing")
    fits = value.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, value.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(value.shape)}")
    return value
