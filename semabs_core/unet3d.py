"""The residual 3D U-Net that turns a volume of scattered point features into a complete one.

The architecture is that of Semantic Abstraction (arXiv 2207.11514), which follows Lee et al.,
"Superhuman Accuracy on the SNEMI3D Connectomics Challenge" (arXiv 1706.00120).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semabs_core.sparse_volume import SparseVolume, norm_conv

CELLS_AT_ONCE = 4096
"""Cells whose channels stay in a core's cache."""
NARROW = 16
"""With fewer channels a CPU normalises bfloat16 ten times as slowly as float32."""


class NormConv(nn.Module):
    """Group norm, then a 3x3x3 convolution without bias. (B, in, X, Y, Z) to (B, out, X, Y, Z)."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups if in_channels >= groups else 1, in_channels)
        self.conv = nn.Conv3d(in_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor | SparseVolume) -> Tensor:
        norm = self.norm
        if isinstance(x, SparseVolume):
            return norm_conv(x, norm, self.conv)
        if x.device.type == "cpu":
            x = x.float() if norm.num_channels < NARROW else x
            if x.dtype == torch.bfloat16 and torch.is_grad_enabled():
                return convolve(self.conv, _TrainedNorm.apply(x, norm, norm.weight, norm.bias))
        return convolve(self.conv, norm(x))


class _TrainedNorm(torch.autograd.Function):
    """A group norm on a CPU in bfloat16, whose gradient is taken from contiguous volumes.

    Where channels run fastest, torch's kernel for the gradient takes 15 to 40 times as long, which
    was half of a training step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: nn.GroupNorm, weight: Tensor, bias: Tensor) -> Tensor:
        sizes = (*x.shape[:2], x[0, 0].numel(), norm.num_groups)
        result, mean, scale = torch.ops.aten.native_group_norm(x, weight, bias, *sizes, norm.eps)
        ctx.save_for_backward(x, mean, scale, weight)
        ctx.sizes = sizes
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, scale, weight = ctx.saved_tensors
        found = torch.ops.aten.native_group_norm_backward(
            gradient.contiguous(), x.contiguous(), mean, scale, weight, *ctx.sizes, [True] * 3
        )
        last = x.is_contiguous(memory_format=torch.channels_last_3d)
        layout = torch.channels_last_3d if last else torch.contiguous_format
        return found[0].contiguous(memory_format=layout), None, *found[1:]


def convolve(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """A convolution; without gradients, on a CPU, always by oneDNN.

    For a single small volume in float32, torch chooses a plain loop, which takes 20 to 30 times as
    long (16 channels of 32^3: 130 ms, not 4.5). Training keeps torch's choice, whose sums agree
    more closely between batches of one and of more.
    """
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and len(x) == 1
    if (
        not plain
        or torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu")
        or not torch.backends.mkldnn.is_available()
    ):
        return conv(x)
    padding, stride, dilation = (
        [int(n) for n in setting] for setting in (conv.padding, conv.stride, conv.dilation)
    )
    return torch.mkldnn_convolution(
        x, conv.weight, conv.bias, padding, stride, dilation, conv.groups
    )


def pointwise(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """A 1x1x1 convolution (B, in, X, Y, Z) to (B, out, X, Y, Z), as the matrix product it is.

    Where channels run fastest, on a CPU, that takes a third of the convolution's time.
    """
    return F.linear(x.movedim(1, -1), conv.weight.flatten(1), conv.bias).movedim(-1, 1)


def add_doubled(x: Tensor, up: nn.ConvTranspose3d, coarse: Tensor) -> Tensor:
    """Adds a transposed convolution of 2x2x2 and stride 2, in which each voxel becomes eight.

    It is one matrix product. On a CPU, torch has a plain loop for it, which needs channels to run
    slowest, as nothing around it does.

    Args:
        x: (B, out, 2X, 2Y, 2Z), which is changed where no gradient needs it.
        up: the convolution.
        coarse: (B, in, X, Y, Z), what it is of.
    """
    assert up.bias is not None
    weight, bias = up.weight.permute(2, 3, 4, 1, 0).flatten(0, 3), up.bias.repeat(8)

    def eight(cells: Tensor) -> Tensor:
        rows = F.linear(cells.movedim(1, -1), weight, bias)
        return rows.unflatten(-1, (2, 2, 2, -1)).permute(0, 1, 4, 2, 5, 3, 6, 7)

    if torch.is_grad_enabled():
        return x + eight(coarse).reshape(len(x), *x.shape[2:], -1).movedim(-1, 1)
    parts = x.movedim(1, -1).unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    layer = coarse[0, 0, 0].numel()
    layers = max(1, CELLS_AT_ONCE // layer) if x.device.type == "cpu" else coarse.shape[2]
    for some, slab in zip(parts.split(layers, dim=1), coarse.split(layers, dim=2), strict=True):
        some.add_(eight(slab))
    return x


class ResidualBlock(nn.Module):
    """Three normalised convolutions; the first one's output is the residual."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.conv1 = NormConv(in_channels, out_channels, groups)
        self.conv2 = NormConv(out_channels, out_channels, groups)
        self.conv3 = NormConv(out_channels, out_channels, groups)

    def forward(self, x: Tensor | SparseVolume) -> Tensor:
        residual = self.conv1(x).relu_()
        return self.conv3(self.conv2(residual).relu_()).add_(residual).relu_()


class UpBlock(nn.Module):
    """Upsamples to the size of the skip connection, adds it, refines."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose3d(in_channels, out_channels, 3, stride=2, padding=1)
        self.block = ResidualBlock(out_channels, out_channels, groups)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.block(self.upsample(x, output_size=skip.shape[2:]).add_(skip))


class ResidualUNet3D(nn.Module):
    """(B, in_channels, X, Y, Z) to (B, out_channels, X, Y, Z).

    Args:
        in_channels: channels of the input volume.
        out_channels: channels of the result.
        f_maps: channels of the finest level; level ``k`` has ``f_maps * 2 ** k``.
        levels: number of resolutions; each axis must be a multiple of ``2 ** (levels - 1)``.
        groups: groups of the group norm (1 where there are fewer channels).
    """

    def __init__(
        self, in_channels: int, out_channels: int, f_maps: int, levels: int, groups: int
    ) -> None:
        super().__init__()
        widths = [f_maps * 2**k for k in range(levels)]
        self.encoders = nn.ModuleList(
            ResidualBlock(before, after, groups)
            for before, after in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.decoders = nn.ModuleList(
            UpBlock(widths[k], widths[k - 1], groups) for k in range(levels - 1, 0, -1)
        )
        self.final = nn.Conv3d(f_maps, out_channels, 1)

    def forward(self, x: Tensor | SparseVolume) -> Tensor:
        made: list[Tensor] = []
        for encoder in self.encoders:
            made.append(encoder(F.max_pool3d(made[-1], 2) if made else x))
        found = made.pop()
        for decoder, skip in zip(self.decoders, reversed(made), strict=True):
            found = decoder(found, skip)
        return pointwise(self.final, found)


class FineUNet3D(nn.Module):
    """A residual U-Net at half the resolution, with one convolution each way at the full one.

    Nearly all of the work of :class:`ResidualUNet3D` is at its finest level, where little has to be
    decided. (B, in_channels, X, Y, Z) to (B, out_channels, X, Y, Z).

    Args:
        in_channels: channels of the input volume.
        out_channels: channels of the result.
        fine_maps: channels at the full resolution.
        f_maps: channels at half of it, see :class:`ResidualUNet3D`.
        levels: number of resolutions, the full one among them.
        groups: groups of the group norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        fine_maps: int,
        f_maps: int,
        levels: int,
        groups: int,
    ) -> None:
        super().__init__()
        self.before = NormConv(in_channels, fine_maps, groups)
        self.down = nn.Conv3d(fine_maps, f_maps, 2, stride=2, bias=False)
        self.coarse = ResidualUNet3D(f_maps, f_maps, f_maps, levels - 1, groups)
        self.up = nn.ConvTranspose3d(f_maps, fine_maps, 2, stride=2)
        self.after = NormConv(fine_maps, fine_maps, groups)
        self.final = nn.Conv3d(fine_maps, out_channels, 1)

    def forward(self, x: Tensor | SparseVolume) -> Tensor:
        fine = self.before(x).relu_()
        fine = add_doubled(fine, self.up, self.coarse(convolve(self.down, fine)))
        refined = self.after(fine).relu_()
        fine = fine + refined if torch.is_grad_enabled() else fine.add_(refined)
        return pointwise(self.final, fine)


def make_unet(channels: int, fine_maps: int, f_maps: int, levels: int, groups: int) -> nn.Module:
    """The U-Net from and to so many channels; without ``fine_maps`` the published one."""
    if not fine_maps:
        return ResidualUNet3D(channels, channels, f_maps, levels, groups)
    return FineUNet3D(channels, channels, fine_maps, f_maps, levels, groups)
