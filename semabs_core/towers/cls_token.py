"""open_clip's own vision transformers with a CLS token: ViT-B-32, ViT-B-16, ViT-L-14 and others.

The relevancy is read off the last block, as Semantic Abstraction does: the only consumer of that
block's CLS row of attention is the CLS output. What is used of open_clip beyond its public face is
in this module alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from semabs_core.towers.base import LOGIT_SCALE, ImageTower, TileState


@dataclass(frozen=True)
class Attended:
    """One block's attention over T tiles of N + 1 tokens, for Q of them as queries.

    Attributes:
        attention: (T, heads, Q, N + 1) softmax attention.
        values: (T, heads, N + 1, W / heads) value vectors.
        context: (T, Q, W) attended values, all heads.
    """

    attention: Tensor
    values: Tensor
    context: Tensor


def attend(block: Any, tokens: Tensor, queries: int | None = None) -> Attended:
    """A residual attention block, up to what its attention brings together.

    Args:
        block: one of the transformer's.
        tokens: (T, N + 1, W).
        queries: how many of the tokens ask, from the first; None for all.
    """
    attn, normed = block.attn, block.ln_1(tokens)
    wq, wk, wv = attn.in_proj_weight.chunk(3)
    bq, bk, bv = attn.in_proj_bias.chunk(3) if attn.in_proj_bias is not None else (None,) * 3

    def split(part: Tensor) -> Tensor:
        return part.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)

    query = split(F.linear(normed[:, :queries], wq, bq))
    key, value = split(F.linear(normed, wk, bk)), split(F.linear(normed, wv, bv))
    scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    attention = scores.softmax(dim=-1)
    context = (attention.to(value.dtype) @ value).transpose(1, 2).flatten(2)
    return Attended(attention, value, context)


def add_attended(block: Any, context: Tensor, residual: Tensor) -> Tensor:
    """The rest of a residual attention block: attended values and tokens (..., W) to tokens."""
    token = residual + block.ls_1(block.attn.out_proj(context))
    return token + block.ls_2(block.mlp(block.ln_2(token)))


class ClsTokenTower(ImageTower):
    """A vision transformer whose image feature is that of its CLS token."""

    KIND = "ViT towers with a CLS token and without attention pooling (ViT-B-32, ViT-L-14)"

    @classmethod
    def fault(cls, visual: nn.Module | None) -> str:
        if not isinstance(visual, VisionTransformer):
            return "has no open_clip ViT image tower"
        if visual.attn_pool is not None or visual.pool_type != "tok":
            return "does not pool by a CLS token"
        if not all(type(b) is ResidualAttentionBlock for b in visual.transformer.resblocks):
            return "has custom attention blocks"
        if visual.image_size[0] != visual.image_size[1]:
            return f"reads {visual.image_size}, not a square image"
        return ""

    def __init__(self, visual: Any) -> None:
        self._visual = visual
        self._blocks = list(visual.transformer.resblocks)
        self.image_size = int(visual.image_size[0])
        self.patch_grid = (int(visual.grid_size[0]), int(visual.grid_size[1]))
        self.embed_dim = int(visual.output_dim)
        self.layers = len(self._blocks)
        preprocess = getattr(visual, "preprocess_cfg", None) or {}
        self.mean = tuple(preprocess.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std = tuple(preprocess.get("std", open_clip.OPENAI_DATASET_STD))
        self.weight = visual.conv1.weight

    def features(self, tiles: Tensor) -> Tensor:
        return self._visual(tiles)

    def embed(self, tiles: Tensor) -> TileState:
        tokens = self.tokens(tiles)
        last = attend(self._blocks[-1], tokens, queries=1)
        # What is kept owns its memory: a view would hold all tokens of the tiles.
        return TileState(
            attention=last.attention[:, :, 0, 1:].to(last.values.dtype).contiguous(),
            values=last.values[:, :, 1:].contiguous(),
            context=last.context[:, 0],
            residual=tokens[:, 0].clone(),
        )

    def tokens(self, tiles: Tensor, before: int = 1) -> Tensor:
        """The tokens (T, N + 1, W) of tiles before the last ``before`` blocks."""
        tokens = self._visual._embeds(tiles)
        batch_first = self._visual.transformer.batch_first
        tokens = tokens if batch_first else tokens.transpose(0, 1)
        for block in self._blocks[:-before]:
            tokens = block(tokens)
        return tokens if batch_first else tokens.transpose(0, 1)

    def attend(self, tiles: Tensor) -> tuple[Attended, Tensor]:
        """The last block's attention of all tokens, and the tokens that it is added to."""
        tokens = self.tokens(tiles)
        return attend(self._blocks[-1], tokens), tokens

    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        return self._project(add_attended(self._blocks[-1], context, residual))

    def _project(self, tokens: Tensor) -> Tensor:
        return self._visual.ln_post(tokens) @ self._visual.proj

    def rollout(self, tiles: Tensor, text: Tensor, layers: int) -> Tensor:
        with torch.no_grad():
            tokens = self.tokens(tiles, before=layers)
        attentions: list[Tensor] = []
        with torch.enable_grad():
            tokens.requires_grad_()
            for block in self._blocks[-layers:]:
                found = attend(block, tokens)
                attentions.append(found.attention)
                tokens = add_attended(block, found.context, tokens)
            image = F.normalize(self._project(tokens[:, 0]).float(), dim=-1)
            logits = LOGIT_SCALE * image @ text.T
        maps = []
        for label in range(len(text)):
            gradients = torch.autograd.grad(logits[:, label].sum(), attentions, retain_graph=True)
            rollout = torch.eye(tokens.shape[1], device=tokens.device).expand(len(tiles), -1, -1)
            for attention, gradient in zip(attentions, gradients, strict=True):
                weight = (attention * gradient).clamp(min=0).mean(dim=1).detach()
                rollout = rollout + weight @ rollout
            maps.append(rollout[:, 0, 1:])
        return torch.stack(maps, dim=1)
