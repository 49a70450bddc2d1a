"""Image towers: one module per kind, chosen by looking at the model."""

from __future__ import annotations

from torch import nn

from semabs_core.towers.base import LOGIT_SCALE, EncoderError, ImageTower, TileState
from semabs_core.towers.cls_token import ClsTokenTower

TOWERS: tuple[type[ImageTower], ...] = (ClsTokenTower,)
"""All kinds, in the order in which they are tried."""

__all__ = [
    "LOGIT_SCALE",
    "TOWERS",
    "ClsTokenTower",
    "EncoderError",
    "ImageTower",
    "TileState",
    "choose_tower",
]


def choose_tower(model: nn.Module, name: str) -> ImageTower:
    """The image tower of an open_clip model.

    Args:
        model: an open_clip model; its ``visual`` is looked at.
        name: for the message.

    Raises:
        EncoderError: if relevancy is not defined for it; it says why, and what is supported.
    """
    visual = getattr(model, "visual", None)
    faults = []
    for kind in TOWERS:
        fault = kind.fault(visual)
        if not fault:
            return kind(visual)  # type: ignore[arg-type]
        faults.append(fault)
    known = "; ".join(kind.KIND for kind in TOWERS)
    raise EncoderError(f"{name} {' and '.join(dict.fromkeys(faults))}; supported are {known}")
