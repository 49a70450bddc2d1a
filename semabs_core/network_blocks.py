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
from semabs_core.unet3d import make_unet
from semabs_core.voxels import scatter_mean

TEMPERATURE = 0.07
"""The published divisor of the cosine similarity."""


class VolumeEncoder(nn.Module):
    """Point features to a completed volume: point MLP, scatter by mean, U-Net."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = 3 + config.point_width
        self.points = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.LeakyReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.LeakyReLU(),
            nn.Linear(config.hidden, config.channels - config.reads_tsdf),
        )
        self.unet = make_unet(
            config.channels, config.fine_maps, config.f_maps, config.levels, config.groups
        )

    def forward(
        self, xyz: Tensor, features: Tensor, index: Tensor, shape: tuple, tsdf: Tensor | None
    ) -> Tensor:
        """Xyz (B, N, 3), features (B, N, F), grid index (B, N, 3) to (B, C, X, Y, Z)."""
        encoded = self.points(torch.cat([xyz, features], dim=-1))
        volume = scatter_mean(encoded, index, shape)
        if tsdf is not None:
            volume = torch.cat([volume, tsdf[:, None].to(volume.dtype)], dim=1)
        return self.unet(volume)


class ImplicitDecoder(nn.Module):
    """Maps samples of volumes through an MLP: (..., M, C) to (..., M, out)."""

    def __init__(self, channels: int, out: int, concat_xyz: bool) -> None:
        super().__init__()
        self.concat_xyz = concat_xyz
        self.mlp = nn.Sequential(
            nn.Linear(channels + 3 * concat_xyz, channels),
            nn.LeakyReLU(),
            nn.Linear(channels, out),
        )

    def forward(self, samples: Sequence[Tensor], coordinates: Tensor) -> Tensor:
        """Samples of one or two volumes (..., M, C each) at coordinates (..., M, 3)."""
        dtype = samples[0].dtype
        parts = [*samples, coordinates.to(dtype)] if self.concat_xyz else samples
        return self.mlp(torch.cat(list(parts), dim=-1))


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
