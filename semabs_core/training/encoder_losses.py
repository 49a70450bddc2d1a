"""The losses of an encoder: phrases at a crop, at its patches, and by their relevancy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from semabs_core.towers import ClsTokenTower, QueryState

RELEVANCY_MIDDLE, RELEVANCY_SLOPE = 0.03, 100.0
"""Relevancy that is taken for an even chance of being covered, and how fast the odds rise."""


@dataclass(frozen=True)
class ImageFeatures:
    """What a tower says of B crops, not normalised.

    Attributes:
        crops: (B, D) of the CLS token.
        patches: (B, patches, D) of the patch tokens.
        values: (B, patches, D) of a CLS token that attends to one patch alone.
        state: of the last block, for relevancy.
    """

    crops: Tensor
    patches: Tensor
    values: Tensor
    state: QueryState


def image_features(tower: ClsTokenTower, images: Tensor) -> ImageFeatures:
    """Run a tower over crops, with gradients.

    Args:
        tower: an image tower with a CLS token.
        images: (B, 3, S, S) normalised.
    """
    last, tokens = tower.attend(images)
    features = tower.finish(last.context, tokens)
    values = last.values[:, :, 1:]
    attention = last.attention[:, :, 0, 1:].to(values.dtype)
    return ImageFeatures(
        crops=features[:, 0],
        patches=features[:, 1:],
        values=tower.finish(values.transpose(1, 2).flatten(2), tokens[:, :1]),
        state=QueryState(attention, values, last.context[:, 0], tokens[:, 0]),
    )


def draw_relevancy_phrases(
    covered: Tensor, unknown: Tensor, weights: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Phrases to ask of each crop: half of them of what it shows, half of what it does not.

    Args:
        covered: (B, T) how much of each crop a phrase covers.
        unknown: (B, T) bool, phrases of which nobody knows.
        weights: (T,) how much each phrase counts.
        count: phrases per crop, even.
        generator: random numbers on the CPU.

    Returns:
        (B, 2 n) int64, with n half of ``count`` or of all phrases.
    """
    half = min(count // 2, covered.shape[1] // 2)
    known = (~unknown).cpu() + 1e-9  # where too few are shown or absent, others that are known
    shown = ((covered > 0) * weights).cpu() + 1e-9 * known
    absent = (covered == 0).cpu() * known + 1e-12
    drawn = [torch.multinomial(odds, half, generator=generator) for odds in (shown, absent)]
    return torch.cat(drawn, dim=1).to(covered.device)


def relevancy_loss(relevancy: Tensor, covered: Tensor) -> Tensor:
    """Cross-entropy of patches being covered, by their relevancy; both answers count alike.

    Args:
        relevancy: (B, K, patches) of phrases.
        covered: (B, K, patches) share of each patch that the phrase covers.
    """
    logits = RELEVANCY_SLOPE * (relevancy - RELEVANCY_MIDDLE)
    loss = F.binary_cross_entropy_with_logits(logits, covered, reduction="none")
    shown = covered.sum()
    return ((loss * covered).sum() / shown.clamp_min(1e-6)) + (
        (loss * (1 - covered)).sum() / (1 - covered).sum().clamp_min(1e-6)
    )


def phrase_loss(logits: Tensor, covered: Tensor, unknown: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy of softmaxes over phrases against the shares that they cover.

    Args:
        logits: (..., T) of each phrase.
        covered: (..., T) not negative: how much each phrase is true of; all 0 where nothing is.
        unknown: (..., T) bool, phrases of which nobody knows whether they are true.
        weights: (...) how much each row counts.
    """
    total = covered.sum(dim=-1, keepdim=True)
    target = covered / total.clamp_min(1e-6)
    scores = logits.float().masked_fill(unknown & (covered == 0), -1e4).log_softmax(dim=-1)
    weights = weights * (total[..., 0] > 0)
    return -((target * scores).sum(dim=-1) * weights).sum() / weights.sum().clamp_min(1e-6)
