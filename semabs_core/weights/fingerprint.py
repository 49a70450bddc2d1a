"""Which weights a model has: a short text that tells two sets of weights apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch takes seconds to import, and processes that make rooms need none
    from torch import Tensor

DIGEST_BYTES = 16


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """A digest of weights: of every tensor's name, shape and values.

    Values count in half precision, to which any stored precision is rounded: a model and its copy
    written in half precision have the same fingerprint, a model trained further has another. Take
    the weights as they were read from their file, before they are put into another precision.
    About a second for ViT-L/14.

    Args:
        weights: name to tensor, such as a ``state_dict``, in any order and on any device.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name in sorted(weights):
        value = weights[name].detach().cpu()
        digest.update(f"{name} {tuple(value.shape)} ".encode())
        stored = value.half() if value.is_floating_point() else value.long()
        digest.update(stored.contiguous().numpy().data)
    return digest.hexdigest()


def same_encoder(stored: Mapping[str, Any], name: str, weights: str) -> bool:
    """Whether something was made with an encoder: by its weights, else by its name.

    Args:
        stored: what was noted then: ``encoder``, its name, and ``fingerprint``, where there was one
            yet. Nothing noted is no objection.
        name: of the encoder at hand.
        weights: its fingerprint.
    """
    if stored.get("fingerprint"):
        return bool(stored["fingerprint"] == weights)
    return bool(stored.get("encoder", name) == name)
