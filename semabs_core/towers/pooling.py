"""The two ways in which towers make one image feature of tokens, and the relevancy of each.

Either one query token attends to the patches: a CLS token in the last block, or the learned query
of a pooling layer. Or the last block's tokens are averaged, and each of them attends. In both,
``r_lj = mean over heads of max(0, A_hj * d logit_l / d A_hj)`` (arXiv 2103.15679), for an average
summed over the tokens that ask: the gradient of each holds its share 1/Q of the mean, so tokens
that are all alike answer as one of them would.

Nothing but its query's output reads a row of the last attention. So no gradient needs to pass
through it: ``d logit_l / d A_hj = <d logit_l / d context_h, v_hj>``. What is behind the
attention is left to autograd here; :mod:`semabs_core.towers.read_out` has a closed form of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from semabs_core.towers.base import ImageTower, TileState, chain, full


@dataclass(frozen=True)
class QueryState(TileState):
    """The attention of one query over the N patches of each of T tiles.

    Attributes:
        attention: (T, heads, N) softmax attention of the query, patch tokens only.
        values: (T, heads, N, W / heads) value vectors of the patch tokens.
        context: (T, W) the query's attended value, all heads and tokens.
        residual: (T, W) the token that the attended value is added to; (T, 0) where there is none.
    """

    attention: Tensor
    values: Tensor
    context: Tensor
    residual: Tensor


@dataclass(frozen=True)
class TokenState(TileState):
    """The tokens (T, M, W) before the last block.

    The attention of all tokens would be several times as large, so the block is run when a label is
    asked.
    """

    tokens: Tensor


@dataclass(frozen=True)
class Attended:
    """One layer's attention over T tiles of M tokens, for Q of them as queries.

    Attributes:
        attention: (T, heads, Q, M) softmax attention, float32 at least.
        values: (T, heads, M, W / heads) value vectors.
        context: (T, Q, W) attended values, all heads.
    """

    attention: Tensor
    values: Tensor
    context: Tensor


def attended(query: Tensor, key: Tensor, value: Tensor) -> Attended:
    """Attention of queries (T, heads, Q, w), keys and values (T, heads, M, w), in the open."""
    scores = full(query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
    attention = scores.softmax(dim=-1)
    context = (attention.to(value.dtype) @ value).transpose(1, 2).flatten(2)
    return Attended(attention, value, context)


def weigh(gradient: Tensor, attention: Tensor, values: Tensor) -> Tensor:
    """Relevancy (T, L, N) float32 of patches whose values a query brought together.

    Args:
        gradient: (T, L, W) float32, of each label's logit by what was brought together.
        attention: (T, heads, N) softmax attention; not negative, so it may weigh the values.
        values: (T, heads, N, W / heads).
    """
    heads = values.shape[1]
    weighed = full(values) * (full(attention) / heads)[..., None]
    gradient = gradient.unflatten(-1, (heads, -1)).transpose(1, 2)
    return (gradient @ weighed.transpose(-1, -2)).clamp_min(0).sum(dim=1)


class QueryTower(ImageTower):
    """A tower whose image feature is what one query brings together."""

    @abstractmethod
    def embed(self, tiles: Tensor) -> QueryState: ...

    @abstractmethod
    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        """What is left of the tower: attended values (..., W) to features (..., D).

        Args:
            context: (..., W) attended values, all heads.
            residual: (..., W) the token that they are added to; (..., 0) where there is none.
        """

    def keep(self, last: Attended, residual: Tensor) -> QueryState:
        """The state of the first query of a layer; what is kept owns its memory.

        Args:
            last: the layer's attention.
            residual: (T, W) the token that the attended value is added to, or (T, 0).
        """
        patches = self.patch_grid[0] * self.patch_grid[1]
        return QueryState(
            attention=last.attention[:, :, 0, -patches:].to(last.values.dtype).contiguous(),
            values=last.values[:, :, -patches:].contiguous(),
            context=last.context[:, 0].clone(),
            residual=residual.clone(),
        )

    def recall(self, state: TileState) -> Tensor:
        assert isinstance(state, QueryState)
        return self.finish(state.context, state.residual)

    def relevancy(self, state: TileState, text: Tensor, create_graph: bool = False) -> Tensor:
        """Relevancy by a batched backward pass of a single token, see :class:`ImageTower`.

        Args:
            state: T tiles from :meth:`embed`.
            text: (L, T, D) or (L, 1, D) float32, the direction of each label's logit at each tile.
            create_graph: whether the result is differentiable, for training.

        Returns:
            (T, L, N) float32, not negative.
        """
        assert isinstance(state, QueryState)
        with torch.enable_grad():
            context = state.context if create_graph else state.context.detach().requires_grad_()
            image = F.normalize(full(self.finish(context, state.residual)), dim=-1)
            if create_graph:
                slopes = [
                    torch.autograd.grad(image, context, self.scale * one, create_graph=True)[0]
                    for one in text
                ]
                gradient = torch.stack(slopes)
            else:
                directions = (self.scale * text).expand(-1, len(image), -1)
                (gradient,) = torch.autograd.grad(image, context, directions, is_grads_batched=True)
        return weigh(full(gradient).transpose(0, 1), state.attention, state.values)


class AverageTower(ImageTower):
    """A tower whose image feature is a mean over the tokens of its last block."""

    @abstractmethod
    def attend_pooled(self, tokens: Tensor) -> Attended:
        """The last block's attention, with the Q tokens that are averaged as queries."""

    @abstractmethod
    def finish_mean(self, context: Tensor, tokens: Tensor) -> Tensor:
        """What is left of the tower: attended values (T, Q, W) to features (T, D).

        Args:
            context: (T, Q, W) attended values, all heads.
            tokens: (T, M, W) before the last block.
        """

    def embed(self, tiles: Tensor) -> TokenState:
        return TokenState(self.tokens(tiles, before=1).contiguous())

    def recall(self, state: TileState) -> Tensor:
        assert isinstance(state, TokenState)
        return self.finish_mean(self.attend_pooled(state.tokens).context, state.tokens)

    def relevancy(self, state: TileState, text: Tensor) -> Tensor:
        assert isinstance(state, TokenState)
        patches = self.patch_grid[0] * self.patch_grid[1]
        with torch.no_grad():
            last = self.attend_pooled(state.tokens)
            attention = last.attention[..., -patches:]
            values = full(last.values[:, :, -patches:]).transpose(-1, -2)
        with torch.enable_grad():
            context = last.context.detach().requires_grad_()
            image = F.normalize(full(self.finish_mean(context, state.tokens)), dim=-1)
        maps = []
        for one in text:  # one by one: a batch of labels would hold the hidden layer of all tokens
            direction = (self.scale * one).expand_as(image)
            (gradient,) = torch.autograd.grad(image, context, direction, retain_graph=True)
            gradient = full(gradient).unflatten(-1, (attention.shape[1], -1)).transpose(1, 2)
            weight = (attention * (gradient @ values)).clamp_min(0)
            maps.append(weight.mean(dim=1).sum(dim=1))
        return torch.stack(maps, dim=1)

    def read_off(self, weights: Sequence[Tensor], tokens: int) -> Tensor:
        patches = self.patch_grid[0] * self.patch_grid[1]
        rollout = chain(weights, tokens, weights[-1]) - torch.eye(tokens, device=weights[-1].device)
        return self.pooled(rollout).sum(dim=1)[:, -patches:]

    @abstractmethod
    def pooled(self, tokens: Tensor) -> Tensor:
        """Of tokens (T, M, ...), the Q that are averaged."""
