"""open_clip's own vision transformers: ViT-B-32, ViT-B-16, ViT-L-14 and others, CLIPA, CoCa.

What is used of open_clip beyond its public face is in this module alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from semabs_core.towers.base import LOGIT_SCALE, ImageTower, TileState, chain, full
from semabs_core.towers.pooling import (
    Attended,
    AverageTower,
    QueryState,
    QueryTower,
    attended,
    weigh,
)
from semabs_core.towers.read_out import ReadOut

QUICK = 1.702
"""Of QuickGELU, ``x sigmoid(1.702 x)``."""


def attend(block: Any, tokens: Tensor, queries: slice = slice(None)) -> Attended:
    """A residual attention block, up to what its attention brings together.

    Args:
        block: one of the transformer's.
        tokens: (T, M, W).
        queries: which of the tokens ask.
    """
    normed = block.ln_1(tokens)
    return attend_to(block.attn, normed[:, queries], normed)


def attend_once(block: Any, tokens: Tensor) -> Attended:
    """A residual attention block, up to what its attention brings together for the first token.

    One query asks, so it goes to the tokens in place of the tokens to keys: ``<q, K x>`` is
    ``<K' q, x>``. The bias of the keys moves all scores alike, which the softmax takes off.

    Args:
        block: one of the transformer's.
        tokens: (T, M, W).
    """
    attn, normed = block.attn, block.ln_1(tokens)
    width, heads = tokens.shape[-1], attn.num_heads
    to_query, to_key, to_value = attn.in_proj_weight.split(width)
    biases = attn.in_proj_bias
    query = F.linear(normed[:, 0], to_query, None if biases is None else biases[:width])
    query = query.unflatten(-1, (heads, -1)).transpose(0, 1)
    asked = (query @ to_key.unflatten(0, (heads, -1))).transpose(0, 1)
    scores = full(asked @ normed.transpose(1, 2)) * query.shape[-1] ** -0.5
    attention = scores.softmax(dim=-1)[:, :, None]
    value = F.linear(normed, to_value, None if biases is None else biases[2 * width :])
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    context = (attention.to(value.dtype) @ value).transpose(1, 2).flatten(2)
    return Attended(attention, value, context)


def attend_to(attn: nn.MultiheadAttention, queries: Tensor, keys: Tensor) -> Attended:
    """An attention layer of torch, up to what it brings together.

    Args:
        attn: the layer; keys may have a width of their own.
        queries: (T, Q, W).
        keys: (T, M, W'), whose values are brought together too.
    """
    if attn.in_proj_weight is not None:
        weights = attn.in_proj_weight.chunk(3)
    else:
        weights = attn.q_proj_weight, attn.k_proj_weight, attn.v_proj_weight
    biases = attn.in_proj_bias.chunk(3) if attn.in_proj_bias is not None else (None,) * 3
    parts = (
        F.linear(tokens, weight, bias).unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)
        for tokens, weight, bias in zip((queries, keys, keys), weights, biases, strict=True)
    )
    return attended(*parts)


def embed_patches(visual: VisionTransformer, tiles: Tensor) -> Tensor:
    """The tokens (T, M, W) before the blocks, without a graph.

    Patches do not overlap, so their convolution is one matrix product, which a CPU computes in less
    than half of the time in half precision.
    """
    conv, (rows, columns) = visual.conv1, visual.grid_size
    high, wide = conv.stride
    patches = tiles[:, :, : rows * high, : columns * wide]  # as a convolution, without the rest
    patches = patches.unflatten(3, (columns, wide)).unflatten(2, (rows, high))
    patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    patches = F.linear(patches, conv.weight.flatten(1), conv.bias)
    first = visual.class_embedding.to(patches.dtype).expand(len(tiles), 1, -1)
    tokens = torch.cat([first, patches], dim=1)
    return visual.ln_pre(tokens.add_(visual.positional_embedding.to(tokens.dtype)))


def attend_self(attn: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """Self-attention (T, M, W), without a graph.

    On a CPU torch's own layer takes a fifth longer, and half as long again where tokens are many
    and narrow: in inference it does not go through the fused attention.
    """
    parts = F.linear(tokens, attn.in_proj_weight, attn.in_proj_bias)
    parts = parts.unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    found = F.scaled_dot_product_attention(*parts.unbind())
    return attn.out_proj(found.transpose(1, 2).flatten(2))


def run_block(block: Any, tokens: Tensor) -> Tensor:
    """A residual attention block, without a graph, of tokens (T, M, W)."""
    tokens = tokens + block.ls_1(attend_self(block.attn, block.ln_1(tokens)))
    return tokens.add_(block.ls_2(feed_forward(block.mlp, block.ln_2(tokens))))


def feed_forward(mlp: Any, tokens: Tensor) -> Tensor:
    """The two layers of a block (T, M, W), without a graph; what is between is written once.

    QuickGELU is ``silu(1.702 x) / 1.702``: the linear layers before and behind it scale what they
    write.
    """
    first, activation, last = mlp
    if type(activation) is QuickGELU and first.bias is not None and last.bias is not None:
        hidden = tokens.flatten(0, 1)
        hidden = torch.addmm(first.bias, hidden, first.weight.T, beta=QUICK, alpha=QUICK)
        F.silu(hidden, inplace=True)
        return torch.addmm(last.bias, hidden, last.weight.T, alpha=1 / QUICK).view_as(tokens)
    hidden = first(tokens)
    if type(activation) is nn.GELU:
        return last(torch.ops.aten.gelu_(hidden, approximate=activation.approximate))
    return last(activation(hidden))


def add_attended(block: Any, context: Tensor, residual: Tensor) -> Tensor:
    """The rest of a residual attention block: attended values and tokens (..., W) to tokens."""
    token = residual + block.ls_1(block.attn.out_proj(context))
    return token + block.ls_2(block.mlp(block.ln_2(token)))


class OpenClipTower(ImageTower):
    """What open_clip's transformers share, however they pool."""

    @classmethod
    def fits(cls, visual: Any) -> bool:
        return (
            isinstance(visual, VisionTransformer)
            and all(type(b) is ResidualAttentionBlock for b in visual.transformer.resblocks)
            and visual.image_size[0] == visual.image_size[1]
        )

    def __init__(self, visual: Any, scale: float = LOGIT_SCALE) -> None:
        self._visual = visual
        self._blocks = list(visual.transformer.resblocks)
        self.image_size = int(visual.image_size[0])
        self.patch_grid = (int(visual.grid_size[0]), int(visual.grid_size[1]))
        self.embed_dim = int(visual.output_dim)
        self.layers = len(self._blocks) + self.POOLING_LAYERS
        preprocess = getattr(visual, "preprocess_cfg", None) or {}
        self.mean = tuple(preprocess.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std = tuple(preprocess.get("std", open_clip.OPENAI_DATASET_STD))
        self.scale = scale
        self.weight = visual.conv1.weight

    def features(self, tiles: Tensor) -> Tensor:
        found = self._visual(tiles)
        return found[0] if isinstance(found, tuple) else found  # CoCa's gives its tokens too

    def tokens(self, tiles: Tensor, before: int) -> Tensor:
        if not torch.is_grad_enabled():
            tokens = embed_patches(self._visual, tiles)
            for block in self._blocks[: len(self._blocks) - before]:
                tokens = run_block(block, tokens)
            return tokens
        tokens = self._visual._embeds(tiles)
        batch_first = self._visual.transformer.batch_first
        tokens = tokens if batch_first else tokens.transpose(0, 1)
        for block in self._blocks[: len(self._blocks) - before]:
            tokens = block(tokens)
        return tokens if batch_first else tokens.transpose(0, 1)

    def _watch_blocks(self, tokens: Tensor, blocks: int) -> tuple[Tensor, list[Tensor]]:
        """The tokens after the last blocks, and the attention of each."""
        attentions = []
        for block in self._blocks[len(self._blocks) - blocks :]:
            found = attend(block, tokens)
            attentions.append(found.attention)
            tokens = add_attended(block, found.context, tokens)
        return tokens, attentions


class ClsTokenTower(OpenClipTower, QueryTower):
    """A vision transformer whose image feature is that of its CLS token."""

    KIND = "open_clip ViT towers with a CLS token (ViT-B-32, ViT-L-14)"

    @classmethod
    def fits(cls, visual: Any) -> bool:
        return super().fits(visual) and visual.attn_pool is None and visual.pool_type == "tok"

    def embed(self, tiles: Tensor) -> QueryState:
        tokens = self.tokens(tiles, before=1)
        return self.keep(attend_once(self._blocks[-1], tokens), tokens[:, 0])

    @cached_property
    def _read_out(self) -> ReadOut:
        return ReadOut(self._blocks[-1], self._visual.ln_post, self._visual.proj)

    def relevancy(self, state: TileState, text: Tensor, create_graph: bool = False) -> Tensor:
        """Relevancy in closed form, see :mod:`semabs_core.towers.read_out`.

        With ``create_graph`` it is made by autograd, see :meth:`QueryTower.relevancy`.
        """
        if create_graph:
            return super().relevancy(state, text, create_graph)
        assert isinstance(state, QueryState)
        with torch.no_grad():
            found = self._read_out.gradients(state.context, state.residual, self.scale * text)
            return torch.cat(
                [
                    weigh(gradient, state.attention[some], state.values[some])
                    for some, gradient in found
                ]
            )

    def attend(self, tiles: Tensor) -> tuple[Attended, Tensor]:
        """The last block's attention of all tokens, and the tokens that it is added to."""
        tokens = self.tokens(tiles, before=1)
        return attend(self._blocks[-1], tokens), tokens

    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        return self._project(add_attended(self._blocks[-1], context, residual))

    def _project(self, tokens: Tensor) -> Tensor:
        return self._visual.ln_post(tokens) @ self._visual.proj

    def watch(self, tokens: Tensor, blocks: int) -> tuple[Tensor, list[Tensor]]:
        tokens, attentions = self._watch_blocks(tokens, blocks)
        return self._project(tokens[:, 0]), attentions

    def read_off(self, weights: Sequence[Tensor], tokens: int) -> Tensor:
        return chain(weights, tokens, weights[-1])[:, 0, 1:]


class OpenClipAverageTower(OpenClipTower, AverageTower):
    """A vision transformer whose image feature is the mean over its patch tokens."""

    KIND = "open_clip ViT towers with average pooling (ViT-L-14-CLIPA)"

    @classmethod
    def fits(cls, visual: Any) -> bool:
        return super().fits(visual) and visual.attn_pool is None and visual.pool_type == "avg"

    def attend_pooled(self, tokens: Tensor) -> Attended:
        return attend(self._blocks[-1], tokens, slice(1, None))

    def finish_mean(self, context: Tensor, tokens: Tensor) -> Tensor:
        return self._project(add_attended(self._blocks[-1], context, self.pooled(tokens)))

    def pooled(self, tokens: Tensor) -> Tensor:
        return tokens[:, 1:]

    def _project(self, tokens: Tensor) -> Tensor:
        """Tokens (T, Q, W) that are averaged to features (T, D)."""
        norm = self._visual.ln_post
        if self._visual.final_ln_after_pool:
            return norm(tokens.mean(dim=1)) @ self._visual.proj
        return norm(tokens).mean(dim=1) @ self._visual.proj

    def watch(self, tokens: Tensor, blocks: int) -> tuple[Tensor, list[Tensor]]:
        tokens, attentions = self._watch_blocks(tokens, blocks)
        return self._project(self.pooled(tokens)), attentions


class AttentionalPoolTower(OpenClipTower, QueryTower):
    """A vision transformer whose tokens are pooled by the attention of learned queries.

    The first of the queries is the image feature; the others are for captions. Nothing is added to
    what it brings together: relevancy is that of the pooling layer.
    """

    KIND = "open_clip ViT towers with attention pooling (coca_ViT-B-32)"
    POOLING_LAYERS = 1

    @classmethod
    def fits(cls, visual: Any) -> bool:
        if not super().fits(visual) or visual.attn_pool is None:
            return False
        return visual.attn_pool_contrastive is None and visual.pool_type == "tok"

    def embed(self, tiles: Tensor) -> QueryState:
        tokens = self.tokens(tiles, before=0)
        return self.keep(self._pool(tokens), tokens.new_empty(len(tokens), 0))

    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        pooled = self._visual.attn_pool.attn.out_proj(context)
        return self._visual.ln_post(pooled) @ self._visual.proj

    def _pool(self, tokens: Tensor) -> Attended:
        """The pooling layer's attention, of the first query."""
        pool = self._visual.attn_pool
        query = pool.ln_q(pool.query[:1]).expand(len(tokens), -1, -1)
        return attend_to(pool.attn, query, pool.ln_k(tokens))

    def watch(self, tokens: Tensor, blocks: int) -> tuple[Tensor, list[Tensor]]:
        tokens, attentions = self._watch_blocks(tokens, blocks)
        last = self._pool(tokens)
        return self.finish(last.context[:, 0], tokens), [*attentions, last.attention]

    def read_off(self, weights: Sequence[Tensor], tokens: int) -> Tensor:
        *blocks, pool = weights
        return (pool @ chain(blocks, tokens, pool))[:, 0, 1:]
