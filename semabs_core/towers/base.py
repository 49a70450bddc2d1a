"""What every kind of image tower must answer, and the closed form of relevancy they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOGIT_SCALE = 100.0


class EncoderError(ValueError):
    """A vision-language model cannot be loaded or used; the message names it and the remedy."""


@dataclass(frozen=True)
class TileState:
    """What the relevancy of any label needs to know of a batch of T tiles; it can be kept.

    It describes the attention of one query token over the N patches of its tile: that of the CLS
    token in the last block, say. No tensor shares memory with anything larger than itself.

    Attributes:
        attention: (T, heads, N) softmax attention of the query, patch tokens only.
        values: (T, heads, N, W / heads) value vectors of the patch tokens.
        context: (T, W) the query's attended value, all heads.
        residual: (T, W) the token that the attended value is added to.
    """

    attention: Tensor
    values: Tensor
    context: Tensor
    residual: Tensor


class ImageTower(ABC):
    """The image half of a vision-language model, as relevancy needs it.

    A new kind of tower is a subclass in a module of its own and an entry in
    :data:`semabs_core.towers.TOWERS`.

    Attributes:
        KIND: what it is called in messages.
        image_size: edge of the square input, pixels.
        patch_grid: (rows, columns) of patches.
        embed_dim: width D of image features.
        layers: number of transformer blocks.
        mean: (3,) channel means of the input normalisation, 0..1.
        std: (3,) its standard deviations.
        weight: any parameter, for its device and dtype.
    """

    KIND: ClassVar[str]
    image_size: int
    patch_grid: tuple[int, int]
    embed_dim: int
    layers: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weight: Tensor

    @classmethod
    @abstractmethod
    def fault(cls, visual: nn.Module | None) -> str:
        """Why a model's image half is not of this kind, as "has ..." or "does ..."; empty if so."""

    @abstractmethod
    def __init__(self, visual: nn.Module) -> None: ...

    @abstractmethod
    def features(self, tiles: Tensor) -> Tensor:
        """Plain image features (T, D) of normalised tiles (T, 3, S, S), not normalised."""

    @abstractmethod
    def embed(self, tiles: Tensor) -> TileState:
        """Run the tower over tiles (T, 3, S, S), up to its last attention."""

    @abstractmethod
    def finish(self, context: Tensor, residual: Tensor) -> Tensor:
        """What is left of the tower: attended values (..., W) to features (..., D).

        Args:
            context: (..., W) attended values, all heads.
            residual: (..., W) the token that they are added to.
        """

    @abstractmethod
    def rollout(self, tiles: Tensor, text: Tensor, layers: int) -> Tensor:
        """Relevancy rolled out over several blocks, see ``ImageTextEncoder``.

        Args:
            tiles: (T, 3, S, S) normalised.
            text: (L, D) float32 label features.
            layers: how many blocks, from the last.

        Returns:
            (T, L, N) float32.
        """

    def relevancy(self, state: TileState, text: Tensor, create_graph: bool = False) -> Tensor:
        """Relevancy of every patch for L texts (arXiv 2103.15679; spec in the method's paper).

        ``r_lj = mean over heads of max(0, A_hj * d logit_l / d A_hj)`` with
        ``d logit_l / d A_hj = <d logit_l / d context_h, v_hj>``: nothing but the query's output
        reads its attention, so the gradient for all labels is a batched backward pass of a single
        token through :meth:`finish`.

        Args:
            state: T tiles from :meth:`embed`.
            text: (L, T, D) float32, the direction of each label's logit at each tile.
            create_graph: whether the result is differentiable, for training.

        Returns:
            (T, L, N) float32, not negative.
        """
        heads = state.values.shape[1]
        with torch.enable_grad():
            context = state.context if create_graph else state.context.detach().requires_grad_()
            image = F.normalize(self.finish(context, state.residual).float(), dim=-1)
            if create_graph:
                slopes = [
                    torch.autograd.grad(image, context, LOGIT_SCALE * one, create_graph=True)[0]
                    for one in text
                ]
                gradient = torch.stack(slopes)
            else:
                directions = (LOGIT_SCALE * text).expand(-1, len(image), -1)
                (gradient,) = torch.autograd.grad(image, context, directions, is_grads_batched=True)
        gradient = gradient.float().permute(1, 0, 2).unflatten(-1, (heads, -1)).transpose(1, 2)
        slope = gradient @ state.values.float().transpose(-1, -2)
        return (slope * state.attention[:, :, None].float()).clamp_min(0).mean(dim=1)
