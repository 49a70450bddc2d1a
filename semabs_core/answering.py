"""One way from volumes to answers, for robots and for evaluation: sample at points, decode.

A network is asked at many query points. Its volumes are sampled there and the samples decoded batch
by batch, so that the memory is bounded however many points there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from semabs_core.networks import CompletionNetwork, LocalizationNetwork, SpatialNetwork
from semabs_core.types import InferenceError

Samples = list[Tensor]
"""Samples (1, 1, m, C) of a volume at the m points of each batch, kept to be asked again."""


def coordinates_at(network: SpatialNetwork, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Where batches of query points are in a network's grid, each when it is asked for.

    Args:
        network: on the device where to compute.
        batches: (m, 3) float32 each, scene frame, on that device.

    Returns:
        (1, 1, m, 3) of each batch.
    """
    return (network.coordinates(xyz[None, None]) for xyz in batches)


def sample_at(network: SpatialNetwork, volume: Tensor, coordinates: Iterable[Tensor]) -> Samples:
    """Samples of a volume (1, 1, C, X, Y, Z) at batches of :func:`coordinates_at`, for reuse."""
    return [network.sample(volume, batch) for batch in coordinates]


def logits_at(
    network: SpatialNetwork,
    coordinates: Iterable[Tensor],
    volumes: Sequence[Tensor | Samples],
    text: Sequence[Tensor] = (),
    relation: str = "",
) -> Tensor:
    """A network's answer at every query point.

    Args:
        network: on the device where to compute.
        coordinates: batches of M points in all, see :func:`coordinates_at`.
        volumes: of a completion network one, of a localization network those of its
            ``feature_keys``, (1, 1, C, X, Y, Z) each, or their samples at these coordinates.
        text: (1, 1, D) each, for networks that read text: of the label; or of the target and of the
            reference.
        relation: of the description, for localization networks.

    Returns:
        (M,) float32, on the network's device.

    Raises:
        InferenceError: if an answer is no number, from which nothing could be read.
    """
    parts = [torch.empty(0, device=network.lower.device)]
    for number, batch in enumerate(coordinates):
        samples = [
            network.sample(volume, batch) if isinstance(volume, Tensor) else volume[number]
            for volume in volumes
        ]
        parts.append(_answer(network, samples, batch, text, relation)[0, 0].float())
    logits = torch.cat(parts)
    if not bool(logits.isfinite().all()):
        task = network.config.task
        raise InferenceError(
            f"the {task} network answers with NaN or infinite logits: its weights have diverged or "
            "are damaged, or what it reads is no number; train it again or take other weights"
        )
    return logits


def _answer(
    network: SpatialNetwork,
    samples: Sequence[Tensor],
    coordinates: Tensor,
    text: Sequence[Tensor],
    relation: str,
) -> Tensor:
    """Logits (1, 1, m) of one batch."""
    if isinstance(network, LocalizationNetwork):
        named = dict(zip(network.feature_keys, samples, strict=True))
        return network.answer(named, coordinates, [[relation]], *text)
    assert isinstance(network, CompletionNetwork)
    (read,) = samples
    return network.answer(read, coordinates, *text)
