"""What every image tower must answer, and relevancy rolled out over several layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOGIT_SCALE = 100.0
"""Of contrastive models, whatever they learned: that of the published code."""


class EncoderError(ValueError):
    """A vision-language model cannot be loaded or used; the message names it and the remedy."""


@dataclass(frozen=True)
class TileState:
    """What a tower keeps of a batch of T tiles, for any label asked later; only it reads it.

    No tensor shares memory with anything larger than itself.
    """


class ImageTower(ABC):
    """The image half of a vision-language model, as relevancy needs it.

    How the image feature is pooled decides what relevancy is; the kinds of pooling are in
    :mod:`semabs_core.towers.pooling`. A new kind of tower is a subclass of one of them and an entry
    in :data:`semabs_core.towers.TOWERS`.

    Attributes:
        KIND: what it is called in messages, with examples.
        POOLING_LAYERS: how many attention layers there are behind the blocks.
        image_size: edge of the square input, pixels.
        patch_grid: (rows, columns) of patches.
        embed_dim: width D of image features.
        layers: number of attention layers: transformer blocks and, if it attends, the pooling.
        mean: (3,) channel means of the input normalisation, 0..1.
        std: (3,) its standard deviations.
        scale: what the cosine of image and text is multiplied by.
        weight: any parameter, for its device and dtype.
    """

    KIND: ClassVar[str]
    POOLING_LAYERS: ClassVar[int] = 0
    image_size: int
    patch_grid: tuple[int, int]
    embed_dim: int
    layers: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    weight: Tensor

    @classmethod
    @abstractmethod
    def fits(cls, visual: Any) -> bool:
        """Whether a model's image half is of this kind."""

    @abstractmethod
    def __init__(self, visual: nn.Module, scale: float = LOGIT_SCALE) -> None: ...

    @abstractmethod
    def features(self, tiles: Tensor) -> Tensor:
        """Plain image features (T, D) of normalised tiles (T, 3, S, S), not normalised."""

    @abstractmethod
    def embed(self, tiles: Tensor) -> TileState:
        """Run the tower over tiles (T, 3, S, S), up to its last attention."""

    @abstractmethod
    def recall(self, state: TileState) -> Tensor:
        """Image features (T, D) of embedded tiles, as :meth:`features` gives them."""

    @abstractmethod
    def relevancy(self, state: TileState, text: Tensor) -> Tensor:
        """Relevancy of every patch for L texts, from the attention that the image is read by.

        Args:
            state: T tiles from :meth:`embed`.
            text: (L, T, D) or (L, 1, D) float32, the direction of each label's logit at each tile.

        Returns:
            (T, L, N) float32, not negative.
        """

    @abstractmethod
    def tokens(self, tiles: Tensor, before: int) -> Tensor:
        """The tokens (T, M, W) of tiles before the last ``before`` blocks; patches come last."""

    @abstractmethod
    def watch(self, tokens: Tensor, blocks: int) -> tuple[Tensor, list[Tensor]]:
        """The rest of the tower, with all attention in the open, for autograd.

        Args:
            tokens: (T, M, W) before the last ``blocks`` blocks.
            blocks: how many.

        Returns:
            Image features (T, D), and the softmax attention (T, heads, queries, keys) of each layer
            in order, that of the pooling included.
        """

    @abstractmethod
    def read_off(self, weights: Sequence[Tensor], tokens: int) -> Tensor:
        """Relevancy (T, N) of the patches from each layer's weights.

        Args:
            weights: (T, queries, keys) float of each layer, in order.
            tokens: their number M in the blocks.
        """

    def rollout(self, tiles: Tensor, text: Tensor, layers: int) -> Tensor:
        """Relevancy rolled out over several layers, see ``ImageTextEncoder``.

        Args:
            tiles: (T, 3, S, S) normalised.
            text: (L, D) float32 label features.
            layers: how many attention layers, from the last.

        Returns:
            (T, L, N) float32.
        """
        blocks = layers - self.POOLING_LAYERS
        with torch.no_grad():
            tokens = self.tokens(tiles, blocks)
        with torch.enable_grad():
            image, attentions = self.watch(tokens.detach().requires_grad_(), blocks)
            logits = self.scale * F.normalize(full(image), dim=-1) @ text.T
        maps = []
        for label in range(len(text)):
            gradients = torch.autograd.grad(logits[:, label].sum(), attentions, retain_graph=True)
            weights = [
                (attention * gradient).clamp_min(0).mean(dim=1).detach()
                for attention, gradient in zip(attentions, gradients, strict=True)
            ]
            maps.append(self.read_off(weights, tokens.shape[1]))
        return torch.stack(maps, dim=1)


def full(numbers: Tensor) -> Tensor:
    """Half precision as float32; anything else as it is."""
    return numbers if numbers.dtype == torch.float64 else numbers.float()


def chain(weights: Sequence[Tensor], tokens: int, like: Tensor) -> Tensor:
    """The product of ``I + C_b`` over blocks (arXiv 2103.15679, eq. 5-6).

    Args:
        weights: the ``C_b``, (T, M, M) each, in order; there may be none.
        tokens: their number M.
        like: (T, ...), for the number of tiles, device and dtype.
    """
    eye = torch.eye(tokens, device=like.device, dtype=like.dtype)
    rollout = eye.expand(len(like), -1, -1)
    for weight in weights:
        rollout = rollout + weight @ rollout
    return rollout
