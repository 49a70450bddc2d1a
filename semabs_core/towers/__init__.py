"""Image towers: one class per kind, chosen by looking at the model."""

from __future__ import annotations

from typing import Any

from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import nn

from semabs_core.towers.base import LOGIT_SCALE, EncoderError, ImageTower, TileState
from semabs_core.towers.open_clip_vit import (
    AttentionalPoolTower,
    ClsTokenTower,
    OpenClipAverageTower,
)
from semabs_core.towers.pooling import QueryState
from semabs_core.towers.timm_vit import TimmAverageTower, TimmClsTower, TimmPoolTower

TOWERS: tuple[type[ImageTower], ...] = (
    ClsTokenTower,
    OpenClipAverageTower,
    AttentionalPoolTower,
    TimmClsTower,
    TimmPoolTower,
    TimmAverageTower,
)
"""All kinds, in the order in which they are tried."""

__all__ = [
    "LOGIT_SCALE",
    "TOWERS",
    "ClsTokenTower",
    "EncoderError",
    "ImageTower",
    "QueryState",
    "TileState",
    "choose_tower",
]


def choose_tower(model: nn.Module, name: str) -> ImageTower:
    """The image tower of an open_clip model.

    Models of the sigmoid loss, which have a ``logit_bias``, are asked with the logit scale that
    they learned; contrastive ones with 100, as published. The bias has no part in a gradient.

    Args:
        model: an open_clip model; its ``visual`` is looked at.
        name: for the message.

    Raises:
        EncoderError: if relevancy is not defined for it; it says why, and what is supported.
    """
    visual = getattr(model, "visual", None)
    scale = LOGIT_SCALE
    if getattr(model, "logit_bias", None) is not None:
        scale = float(model.logit_scale.exp())  # type: ignore[union-attr, operator]
    for kind in TOWERS:
        if kind.fits(visual):
            return kind(visual, scale)  # type: ignore[arg-type]
    known = "; ".join(kind.KIND for kind in TOWERS)
    raise EncoderError(f"{name} {_fault(visual)}; take one of these: {known}")


def _fault(visual: Any) -> str:
    """Why no kind of tower fits an image half, as "has ..." or "reads ..."."""
    if visual is None:
        return "has no image tower"
    trunk = visual.trunk if isinstance(visual, TimmModel) else visual
    kind = type(trunk).__name__
    size = getattr(visual, "image_size", 0)
    if isinstance(size, (tuple, list)) and size[0] != size[1]:
        return f"reads pictures of {size[0]} x {size[1]}, not square ones"
    if isinstance(visual, VisionTransformer):
        if visual.attn_pool is None and visual.pool_type in ("tok", "avg"):
            return "has attention blocks of another make than ResidualAttentionBlock"
        return "has a way of pooling that is not known here"
    if isinstance(getattr(trunk, "blocks", None), nn.Module) and not hasattr(trunk, "stages"):
        return f"has a {kind} image tower whose way of attending or pooling is not known here"
    return f"has a {kind} image tower, of convolutions or stages: no attention over patches to read"
