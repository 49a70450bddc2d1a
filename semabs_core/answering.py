"""One way from volumes to answers, for robots and for evaluation: sample at points, decode.

A network is asked at many query points. Its volumes are sampled there and the samples decoded batch
by batch, so that the memory is bounded however many points there are. What sampling reads at a
batch is worked out once for all volumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from semabs_core.devices import large_empty
from semabs_core.networks import CompletionNetwork, LocalizationNetwork, SpatialNetwork
from semabs_core.types import InferenceError
from semabs_core.voxels import Corners, cell_coordinates, sample_corners

QUERY_BATCH = {"cpu": 2**14, "cuda": 2**18}
"""Query points per decoder call: what stays in a core's cache, and what keeps a GPU busy."""
CELLS_AT_ONCE = 4096
"""Cells of which all volumes go into a table before the next ones: they stay in a core's cache."""
Samples = list[Tensor]
"""Samples (m, C) of a volume at the m points of each batch, kept to be asked again."""


def corners_at(network: SpatialNetwork, batches: Iterable[Tensor]) -> Iterator[Corners]:
    """Where batches of query points are in a network's grid, each when it is asked for.

    Args:
        network: on the device where to compute.
        batches: (m, 3) float32 each, scene frame, on that device.
    """
    return (network.corners(xyz) for xyz in batches)


def table_of(
    network: CompletionNetwork, volumes: Sequence[Tensor], cells: Tensor | None = None
) -> Tensor:
    """Volumes in one table, so that many points sample and decode them together.

    The decoder's first layer is linear, and so is sampling: here the layer comes first.

    Args:
        network: on the device where to compute; without gradients.
        volumes: V of (1, 1, C, X, Y, Z).
        cells: (K,) int64, flat indices of those that are wanted; None for all.

    Returns:
        (K, V * C) float32, K = X * Y * Z for all; samples of it are for
        ``network.answer_together``.
    """
    shape, device = network.config.voxel_shape, network.lower.device
    decoder = network.decoder
    lines = cell_coordinates(shape, network.config.sampling, device)
    if cells is not None:
        lines = [line.expand(*shape, 1).flatten().index_select(0, cells)[:, None] for line in lines]
    channels = network.config.channels
    rows = (*(shape if cells is None else cells.shape), channels)
    places = decoder.of_places(lines).expand(rows).flatten(0, -2)
    held = [volume[0, 0].movedim(0, -1).flatten(0, 2) for volume in volumes]
    table = large_empty((len(places), len(volumes), channels), device)
    step = CELLS_AT_ONCE if device.type == "cpu" else len(places)
    for start in range(0, len(places), step):
        part = slice(start, start + step)
        for number, values in enumerate(held):
            some = values[part] if cells is None else values.index_select(0, cells[part])
            torch.add(decoder.of_volume(some), places[part], out=table[part, number])
    return table.flatten(1)


def sample_at(volume: Tensor, corners: Iterable[Corners]) -> Samples:
    """Samples of a volume (1, 1, C, X, Y, Z) at batches of :func:`corners_at`, for reuse."""
    return [sample_corners(volume[0, 0], batch) for batch in corners]


def logits_at(
    network: SpatialNetwork,
    corners: Iterable[Corners],
    volumes: Sequence[Tensor | Samples],
    text: Sequence[Tensor] = (),
    relation: str = "",
) -> Tensor:
    """A network's answer at every query point.

    Args:
        network: on the device where to compute.
        corners: batches of M points in all, see :func:`corners_at`.
        volumes: of a completion network one, of a localization network those of its
            ``feature_keys``, (1, 1, C, X, Y, Z) each, or their samples at these corners.
        text: (1, 1, D) each, for networks that read text: of the label; or of the target and of the
            reference.
        relation: of the description, for localization networks.

    Returns:
        (M,) float32, on the network's device.

    Raises:
        InferenceError: if an answer is no number, from which nothing could be read.
    """
    parts = [torch.empty(0, device=network.lower.device)]
    volumes = [part.float() if isinstance(part, Tensor) else part for part in volumes]
    for number, batch in enumerate(corners):
        samples = [
            sample_corners(volume[0, 0], batch) if isinstance(volume, Tensor) else volume[number]
            for volume in volumes
        ]
        parts.append(answer_samples(network, samples, batch, text, relation))
    return check_logits(network, torch.cat(parts))


def answer_samples(
    network: SpatialNetwork,
    samples: Sequence[Tensor],
    corners: Corners,
    text: Sequence[Tensor] = (),
    relation: str = "",
) -> Tensor:
    """Logits (m,) float32 of samples (m, C) at one batch of query points; see :func:`logits_at`."""
    read, coordinates = [part[None, None] for part in samples], corners.coordinates[None, None]
    if isinstance(network, LocalizationNetwork):
        named = dict(zip(network.feature_keys, read, strict=True))
        logits = network.answer(named, coordinates, [[relation]], *text)
    else:
        assert isinstance(network, CompletionNetwork)
        logits = network.answer(read[0], coordinates, *text)
    return logits[0, 0].float()


def check_logits(network: SpatialNetwork, logits: Tensor) -> Tensor:
    """The logits, if all are finite.

    Raises:
        InferenceError: if not.
    """
    if not bool(logits.sum().isfinite()):  # one pass, and no number of them is lost in it
        task = network.config.task
        raise InferenceError(
            f"the {task} network answers with NaN or infinite logits: its weights have diverged or "
            "are damaged, or what it reads is no number; train it again or take other weights"
        )
    return logits
