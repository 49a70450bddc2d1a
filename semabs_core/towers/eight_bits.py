"""The blocks of an image tower with linear layers in eight bits, for CPUs that have nothing better.

Weights are rounded once, per output channel, and what goes into a layer each time, as a whole
(dynamic quantization); sums, norms and attention stay float32. The products are FBGEMM's, which
torch calls deprecated and has no other for a CPU without VNNI: where they are gone, eight bits are
refused.
"""

from __future__ import annotations

import copy
import warnings

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from semabs_core.towers.base import EncoderError

ENGINES = ("x86", "fbgemm", "onednn")
"""Of torch's, those that have these products."""
QUICK = 1.702
"""Of QuickGELU, ``x sigmoid(1.702 x)``."""


def check_eight_bits(device: torch.device) -> None:
    """Raise ``EncoderError`` unless a device multiplies eight bits here."""
    there = hasattr(torch, "quantize_per_channel") and hasattr(
        torch.ops.quantized, "linear_dynamic"
    )
    if device.type != "cpu" or torch.backends.quantized.engine not in ENGINES or not there:
        raise EncoderError(
            f"precision int8 is for x86 CPUs whose torch multiplies eight bits, not for {device} "
            f"with torch {torch.__version__} and its {torch.backends.quantized.engine!r}: use auto"
        )


class Linear8(nn.Module):
    """A linear layer in eight bits, (..., in) to (..., out) float32, without gradients.

    Args:
        weight: (out, in) float32.
        bias: (out,) float32, or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        scales = (weight.abs().amax(dim=1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated
            rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
            self._packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, x: Tensor) -> Tensor:
        # Seven bits of what goes in: products of eight by eight overflow where there is no VNNI.
        return torch.ops.quantized.linear_dynamic(x, self._packed, True)


class Attention8(nn.Module):
    """Self-attention of torch with its projections in eight bits."""

    def __init__(self, attn: nn.MultiheadAttention) -> None:
        super().__init__()
        self._heads = attn.num_heads
        self._project = Linear8(attn.in_proj_weight, attn.in_proj_bias)
        self._out = Linear8(attn.out_proj.weight, attn.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """(T, M, W) to (T, M, W)."""
        parts = self._project(tokens).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(*parts.unbind())
        return self._out(found.transpose(1, 2).flatten(2))


def in_eight_bits(block: nn.Module) -> nn.Module:
    """A copy of a transformer's block that computes in eight bits, without gradients.

    Attention layers whose projection is called by its weight, not as a layer, keep it.
    """
    block = copy.deepcopy(block)
    for layer in list(block.modules()):
        kinds = [type(part) for part in layer.children()]
        if type(layer) is nn.Sequential and kinds == [nn.Linear, QuickGELU, nn.Linear]:
            _silence(layer)
    for layer in list(block.modules()):
        apart = getattr(layer, "q_bias", None) is not None
        for name, part in list(layer.named_children()):
            if isinstance(part, nn.MultiheadAttention):
                setattr(layer, name, Attention8(part))
            elif type(part) is nn.Linear and not (apart and name == "qkv"):
                setattr(layer, name, Linear8(part.weight, part.bias))
    return block


def _silence(mlp: nn.Sequential) -> None:
    """QuickGELU as SiLU, in place: ``silu(1.702 x) / 1.702``, the factors in the layers around."""
    first, _, last = mlp
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    for values, factor in ((first.weight, QUICK), (first.bias, QUICK), (last.weight, 1 / QUICK)):
        if values is not None:
            values.data.mul_(factor)
    names = list(dict(mlp.named_children()))
    setattr(mlp, names[1], nn.SiLU(inplace=True))
