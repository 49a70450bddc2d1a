"""timm's vision transformers as open_clip wraps them: SigLIP, PE-Core, EVA02, MobileCLIP2.

What is used of timm beyond its public face is in this module alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import open_clip
import torch
from open_clip.timm_model import TimmModel
from timm.layers import AttentionPoolLatent
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from semabs_core.towers.attention import open_attention, pass_attention, reach_attention
from semabs_core.towers.base import LOGIT_SCALE, ImageTower, chain
from semabs_core.towers.pooling import Attended, AverageTower, QueryState, QueryTower, attended


class TimmTower(ImageTower):
    """What timm's transformers share, however they pool."""

    POOL: ClassVar[str]
    """What timm calls the pooling."""

    @classmethod
    def fits(cls, visual: Any) -> bool:
        # Not isinstance: subclasses read more than one token or attend with a bias.
        return (
            isinstance(visual, TimmModel)
            and type(visual.trunk) in (VisionTransformer, Eva)
            and not getattr(visual.trunk, "rope_mixed", False)
            and visual.trunk.global_pool == cls.POOL
            and visual.image_size[0] == visual.image_size[1]
        )

    def __init__(self, visual: Any, scale: float = LOGIT_SCALE) -> None:
        self._visual, self._trunk = visual, visual.trunk
        self._blocks = list(visual.trunk.blocks)
        self.image_size = int(visual.image_size[0])
        rows, columns = visual.trunk.patch_embed.grid_size
        self.patch_grid = (int(rows), int(columns))
        self.layers = len(self._blocks) + self.POOLING_LAYERS
        preprocess = getattr(visual, "preprocess_cfg", None) or {}
        self.mean = tuple(preprocess.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std = tuple(preprocess.get("std", open_clip.OPENAI_DATASET_STD))
        self.scale = scale
        self.weight = next(visual.trunk.blocks.parameters())
        with torch.no_grad():
            probe = self.weight.new_zeros(1, visual.trunk.embed_dim)
            self.embed_dim = int(self._project(probe).shape[-1])

    def features(self, tiles: Tensor) -> Tensor:
        return self._visual(tiles)

    def tokens(self, tiles: Tensor, before: int) -> Tensor:
        trunk = self._trunk
        tokens = trunk._pos_embed(trunk.patch_embed(tiles))
        tokens = trunk.norm_pre(tokens[0] if isinstance(tokens, tuple) else tokens)
        return self._run(tokens, 0, len(self._blocks) - before)

    def watch(self, tokens: Tensor, blocks: int) -> tuple[Tensor, list[Tensor]]:
        def rest() -> Tensor:
            last = self._run(tokens, len(self._blocks) - blocks, len(self._blocks))
            return self._project(self._trunk.fc_norm(self._trunk.pool(self._trunk.norm(last))))

        features, seen = open_attention(rest, blocks + self.POOLING_LAYERS)
        return features, [one.attention for one in seen]

    def _run(self, tokens: Tensor, first: int, end: int) -> Tensor:
        """Blocks ``first`` to ``end - 1``, with rotary positions where the trunk has them."""
        rope = getattr(self._trunk, "rope", None)
        options = {}
        if rope is not None:
            grid = self.patch_grid if self._trunk.dynamic_img_size else None
            options["rope"] = rope.get_embed(shape=grid)
        for block in self._blocks[first:end]:
            tokens = block(tokens, **options)
        return tokens

    def _read_last(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values of the last block."""
        count = len(self._blocks)
        return reach_attention(lambda: self._run(tokens, count - 1, count))

    def _finish_last(self, context: Tensor, residual: Tensor) -> Tensor:
        """The rest of the last block and the norm: (T, Q, W) attended and tokens to tokens."""
        block = self._blocks[-1]
        heads = getattr(block, "attn", block).num_heads
        context = context.unflatten(-1, (heads, -1)).transpose(1, 2)
        return self._trunk.norm(pass_attention(block, residual, context))

    def _project(self, pooled: Tensor) -> Tensor:
        return self._visual.head(self._trunk.head(pooled))


class TimmClsTower(TimmTower, QueryTower):
    """A transformer of timm whose image feature is that of its CLS token."""

    KIND = "timm ViT towers with a CLS token (EVA02-B-16, MobileCLIP-B)"
    POOL = "token"

    def embed(self, tiles: Tensor) -> QueryState:
        tokens = self.tokens(tiles, before=1)
        query, key, value = self._read_last(tokens)
        return self.keep(attended(query[:, :, :1], key, value), tokens[:, 0])

    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        flat = context.reshape(-1, 1, context.shape[-1])
        token = self._finish_last(flat, residual.reshape(-1, 1, residual.shape[-1]))[:, 0]
        return self._project(self._trunk.fc_norm(token)).unflatten(0, context.shape[:-1])

    def read_off(self, weights: Sequence[Tensor], tokens: int) -> Tensor:
        patches = self.patch_grid[0] * self.patch_grid[1]
        return chain(weights, tokens, weights[-1])[:, 0, -patches:]


class TimmPoolTower(TimmTower, QueryTower):
    """A transformer of timm whose patches are pooled by the attention of a learned query.

    Nothing is added to what the query brings together, so that is all that the image feature is
    made of: relevancy is that of the pooling layer.
    """

    KIND = "timm ViT towers with attention pooling (ViT-B-16-SigLIP2, PE-Core-B-16)"
    POOL = "map"
    POOLING_LAYERS = 1

    @classmethod
    def fits(cls, visual: Any) -> bool:
        if not super().fits(visual):
            return False
        pool = visual.trunk.attn_pool
        return isinstance(pool, AttentionPoolLatent) and pool.latent_len == 1

    def embed(self, tiles: Tensor) -> QueryState:
        tokens = self._trunk.norm(self.tokens(tiles, before=0))
        parts = reach_attention(lambda: self._trunk.pool(tokens))
        return self.keep(attended(*parts), tokens.new_empty(len(tokens), 0))

    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        pool = self._trunk.attn_pool
        flat = context.reshape(-1, 1, context.shape[-1])
        heads = flat.unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)
        pooled = pass_attention(pool, torch.zeros_like(flat), heads)
        return self._project(self._trunk.fc_norm(pooled)).unflatten(0, context.shape[:-1])

    def read_off(self, weights: Sequence[Tensor], tokens: int) -> Tensor:
        patches = self.patch_grid[0] * self.patch_grid[1]
        *blocks, pool = weights
        keys = chain(blocks, tokens, pool)[:, -pool.shape[-1] :]
        return (pool @ keys)[:, 0, -patches:]


class TimmAverageTower(TimmTower, AverageTower):
    """A transformer of timm whose image feature is a mean over its tokens."""

    KIND = "timm ViT towers with average pooling (ViTamin-B)"
    POOL = "avg"

    def attend_pooled(self, tokens: Tensor) -> Attended:
        query, key, value = self._read_last(tokens)
        return attended(query[:, :, self._first :], key, value)

    def finish_mean(self, context: Tensor, tokens: Tensor) -> Tensor:
        last = self._finish_last(context, self.pooled(tokens))
        return self._project(self._trunk.fc_norm(last.mean(dim=1)))

    def pooled(self, tokens: Tensor) -> Tensor:
        return tokens[:, self._first :]

    @property
    def _first(self) -> int:
        """The first token that counts in the mean."""
        every = getattr(self._trunk, "pool_include_prefix", False)
        return 0 if every else self._trunk.num_prefix_tokens
