"""The gradient of every label's logit by the attended value of one token, in closed form.

What is behind the last attention of a pre-norm transformer is, for the token that is read,

    x = residual + S1 (Wo context + bo)        u = W1 G2 x^        h = u + W1 b2 + b1
    y = x + S2 (W2 act(h) + b)                 f = P' (G y^ + b')  logit = s <f / |f|, t>

with ``x^`` and ``y^`` the tokens less their mean over their standard deviations ``sx`` and ``sy``,
G and S the diagonal gains of norms and layer scales. Back through the norm of ``y``, with
``c = <f / |f|, t>``, ``p = G P t`` less its mean, ``q`` the same of ``f / |f|`` in place of ``t``,
``r = q - mean(q * y^) y^``, ``v = mean(p * y^)`` and ``k = s / (|f| sy)``:

    d logit / d y = k (p - v y^ - c r)

p is the label's alone, y^ and r the tile's. So what the transposed W2 makes of this is a sum of
three vectors that are known before tile and label meet, and one product of both is left, that of

    z = act'(h) / sx * W2' S2 (p - v y^ - c r)
    d logit / d context = k (O (p - v y^ - c r) + B z - <z, u> / W * O x^)

with ``O = Wo' S1`` and ``B = O G2 W1'``, the mean over channels taken off before O; ``'`` of a
matrix is its transpose, and W the width. What B makes of the parts of z with y^ and r is needed
once for all labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semabs_core.towers.base import full

CPU_ROWS = 512
GPU_ROWS = 2**15
"""About so many pairs of tile and label are worked on together: what a core's cache and what a
GPU's memory hold."""


@dataclass(frozen=True)
class _Token:
    """What the token becomes at T tiles, float32 at least; letters as above.

    Attributes:
        x: (T, W) ``x^``.
        u: (T, hidden).
        slope: (T, hidden) ``act'(h) / sx``.
        y: (T, W) ``y^``.
        y_inverse: (T, 1) ``1 / sy``.
        feature: (T, D) ``f``.
    """

    x: Tensor
    u: Tensor
    slope: Tensor
    y: Tensor
    y_inverse: Tensor
    feature: Tensor


class ReadOut:
    """The rest of a tower behind the last attention, for the one token that is read.

    It holds products of the weights as they are: where they change, it must be made anew.

    Args:
        block: the last block: ``attn.out_proj``, ``ls_1``, ``ln_2``, ``ls_2`` and ``mlp``, which is
            a linear layer, an activation of each number by itself and a linear layer.
        norm: the layer norm behind it.
        projection: (W, D) of the normed token to features.
    """

    def __init__(self, block: Any, norm: nn.LayerNorm, projection: Tensor) -> None:
        self._out = block.attn.out_proj
        self._inner, self._activation, self._outer = block.mlp
        self._norms, self._projection = (block.ln_2, norm), projection
        ones = full(torch.ones_like(projection[:, 0]))
        self._scales = block.ls_1(ones.clone()), block.ls_2(ones.clone())
        self._gain, gain = (full(ones if n.weight is None else n.weight) for n in self._norms)
        shift = 0 * ones if block.ln_2.bias is None else block.ln_2.bias
        self._unmoved = full(self._inner(shift.to(projection.dtype)))  # h of x^ = 0
        to_normed = (gain[:, None] * full(projection)).T
        self._to_normed = to_normed - to_normed.mean(dim=1, keepdim=True)
        inner = self._gain * full(self._inner.weight)
        inner = self._scales[0] * (inner - inner.mean(dim=1, keepdim=True))
        self._from_hidden = (inner @ full(self._out.weight)).T.to(projection.dtype).contiguous()

    def gradients(
        self, context: Tensor, residual: Tensor, text: Tensor
    ) -> Iterator[tuple[slice, Tensor]]:
        """The gradients of the cosines of features and texts by what the token attended to.

        Args:
            context: (T, W) attended values, all heads.
            residual: (T, W) the token that they are added to.
            text: (L, T, D) or (L, 1, D) float32, the direction of each label at each tile.

        Yields:
            Some tiles, and their gradients (tiles, L, W), float32 at least.
        """
        tile, dtype, width = self._pass(context, residual), context.dtype, context.shape[1]
        single, words = F.normalize(tile.feature, dim=-1), text.transpose(0, 1)
        p, q = words @ self._to_normed, single @ self._to_normed
        r = q - (q * tile.y).mean(dim=1, keepdim=True) * tile.y
        v = torch.einsum("tlw,tw->tl", p, tile.y) / width
        c = torch.einsum("tld,td->tl", words, single)
        # What is the label's or the tile's alone goes through the weights together.
        rows, count = torch.cat([p.flatten(0, 1), tile.y, r, tile.x / width]), p.shape[:2].numel()
        out = full((rows * self._scales[0]).to(dtype) @ self._out.weight)
        hidden = (rows[: -len(context)] * self._scales[1]).to(dtype) @ self._outer.weight
        p_out, tile_out = out[:count].unflatten(0, p.shape[:2]), out[count:].unflatten(0, (3, -1))
        p_hidden = hidden[:count].unflatten(0, p.shape[:2])
        tile_hidden = hidden[count:].unflatten(0, (2, -1)).transpose(0, 1)

        slope_u = (tile.slope * tile.u).to(dtype)
        along = full(torch.einsum("tlh,th->tl", p_hidden, slope_u))
        along_tile = full(torch.einsum("tlh,th->tl", tile_hidden, slope_u))
        along = along - v * along_tile[:, :1] - c * along_tile[:, 1:]
        less = torch.stack([v, c, along], dim=-1)
        slope = tile.slope.to(dtype)[:, None]
        factor = (tile.y_inverse / tile.feature.norm(dim=1, keepdim=True))[:, None]
        labels, rows_at_once = len(text), GPU_ROWS if context.is_cuda else CPU_ROWS
        step = max(1, rows_at_once // (labels + 2))
        for first in range(0, len(context), step):
            some = slice(first, min(first + step, len(context)))
            own = some if len(p) > 1 else slice(None)
            z = hidden.new_empty(some.stop - first, labels + 2, hidden.shape[1])
            torch.mul(slope[some], p_hidden[own], out=z[:, :labels])
            torch.mul(slope[some], tile_hidden[some], out=z[:, labels:])
            back = F.linear(z, self._from_hidden)
            parts = tile_out[:, some].transpose(0, 1).clone()
            parts[:, :2] += back[:, labels:]
            gradient = p_out[own] + back[:, :labels]
            yield some, gradient.baddbmm_(less[some], parts, alpha=-1).mul_(factor[some])

    def _pass(self, context: Tensor, residual: Tensor) -> _Token:
        """What the token becomes, (T, ...)."""
        dtype = context.dtype
        x = full(residual) + self._scales[0] * full(self._out(context))
        x_normed, x_inverse = _normalize(x, self._norms[0])
        u = full(F.linear((self._gain * x_normed).to(dtype), self._inner.weight))
        with torch.enable_grad():
            hidden = (u + self._unmoved).requires_grad_()
            active = self._activation(hidden)
            (slope,) = torch.autograd.grad(active, hidden, torch.ones_like(active))
        y = x + self._scales[1] * full(self._outer(active.detach().to(dtype)))
        y_normed, y_inverse = _normalize(y, self._norms[1])
        feature = full(self._norms[1](y.to(dtype)) @ self._projection)
        return _Token(x_normed, u, slope * x_inverse, y_normed, y_inverse, feature)


def _normalize(tokens: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """Tokens less their mean over their standard deviation, and one over that, (T, 1)."""
    normed, _, inverse = torch.native_layer_norm(tokens, tokens.shape[-1:], None, None, norm.eps)
    return normed, inverse
