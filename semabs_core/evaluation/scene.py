"""A network's metrics on one scene: volumes encoded once and reused, queries decoded in chunks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.config import choose_dtype
from semabs_core.evaluation.metrics import CUTOFFS, GRIDS, MetricCounter, metric_names
from semabs_core.evaluation.rows import NAME_COLUMNS
from semabs_core.networks import (
    PAD_RELATION,
    CompletionNetwork,
    LocalizationNetwork,
    SpatialNetwork,
)


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate.

    Attributes:
        grids: voxels per axis of each evaluated grid; NYU's is 60.
        cutoffs: logits, ascending.
        query_batch: query points per decoder call, bounds the memory.
        volume_cache_mb: memory for a scene's volumes that may be used again, MiB.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto`` (what the device multiplies fast).
    """

    grids: tuple[int, ...] = GRIDS
    cutoffs: tuple[float, ...] = CUTOFFS
    query_batch: int = 65_536
    volume_cache_mb: int = 2048
    precision: str = "fp32"


class _VolumeCache:
    """Volumes by name; the ones used longest ago go when the memory is spent."""

    def __init__(self, limit_mb: int) -> None:
        self.limit = limit_mb * 2**20
        self.volumes: OrderedDict[str, Tensor] = OrderedDict()

    def get(self, key: str) -> Tensor | None:
        if key in self.volumes:
            self.volumes.move_to_end(key)
        return self.volumes.get(key)

    def put(self, key: str, volume: Tensor) -> None:
        size = volume.numel() * volume.element_size()
        while self.volumes and (len(self.volumes) + 1) * size > self.limit:
            self.volumes.popitem(last=False)
        self.volumes[key] = volume


class SceneLogits:
    """What a network says about one scene: logits of a label or description at query points.

    Args:
        network: on the device where to compute.
        item: an item of :mod:`semabs_core.data.datasets`.
        options: memory and precision.
    """

    def __init__(
        self, network: SpatialNetwork, item: Mapping[str, Any], options: EvaluationOptions
    ) -> None:
        self.network, self.item, self.options = network, item, options
        self.device = network.lower.device
        self.dtype = choose_dtype(options.precision, self.device)
        self.xyz = self._put(item["input_xyz"])[None]
        self.tsdf = self._put(item["tsdf"])[None] if "tsdf" in item else None
        self.cache = _VolumeCache(options.volume_cache_mb)

    @torch.inference_mode()
    def at(self, row: int, query_xyz: Tensor) -> Tensor:
        """Logits (M,) float32 of one label or description at (M, 3), scene frame."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            decode = self._completion(row) if self._completes else self._localization(row)
            chunks = self._put(query_xyz).split(self.options.query_batch)
            return torch.cat([decode(chunk[None, None])[0, 0].float() for chunk in chunks])

    @property
    def _completes(self) -> bool:
        return self.network.config.task == "completion"

    def _completion(self, row: int) -> Callable[[Tensor], Tensor]:
        """Decoder of one label: queries (1, 1, M, 3) to logits (1, 1, M)."""
        network = self.network
        assert isinstance(network, CompletionNetwork)
        volume = self._volume(self.item["input_features"], row)
        text = self._text("label_features", row)
        return lambda query: network.decode(volume, query, text)

    def _localization(self, row: int) -> Callable[[Tensor], Tensor]:
        """Decoder of one description: queries (1, 1, M, 3) to logits (1, 1, M)."""
        network = self.network
        assert isinstance(network, LocalizationNetwork)
        names = dict(zip(("target", "reference"), self.item["names"][row], strict=True))
        features = self.item["features"]
        volumes = {
            key: self._volume(features[key], row, names.get(key)) for key in network.feature_keys
        }
        words = [self._text(f"{key}_features", row) for key in names]
        relations = [[self.item["relations"][row]]]
        return lambda query: network.decode(volumes, query, relations, *words)

    def _volume(self, features: Any, row: int, name: str | None = None) -> Tensor:
        """The volume (1, 1, C, X, Y, Z) of one row of features (P or 1, N, F).

        Kept for reuse where there is one: a name's volume is the same whether it is a target or a
        reference, and a coloured cloud is the same for all rows.
        """
        if not self.network.config.reads_relevancy:
            row, name = 0, "rgb"
        volume = self.cache.get(name) if name else None
        if volume is None:
            read = self._put(features[row])[None, None]
            volume = self.network.encode_volume(self.xyz, read, self.tsdf)
            if name:
                self.cache.put(name, volume)
        return volume

    def _text(self, key: str, row: int) -> Tensor | None:
        """Text features (1, 1, D), for the networks that read them."""
        if self.network.config.approach != "semantic_aware":
            return None
        return self._put(self.item[key][row])[None, None]

    def _put(self, value: Any) -> Tensor:
        return torch.as_tensor(value).to(self.device, torch.float32)


def scene_names(item: Mapping[str, Any], task: str) -> tuple[list[int], dict[str, Sequence[str]]]:
    """The rows of an item that are no padding, and their names under ``NAME_COLUMNS``."""
    if task == "completion":
        kept = [i for i, name in enumerate(item["names"]) if name != PAD_RELATION]
        return kept, {"label": [item["names"][i] for i in kept]}
    kept = [i for i, relation in enumerate(item["relations"]) if relation != PAD_RELATION]
    triples = [(*item["names"][i], item["relations"][i]) for i in kept]
    columns = NAME_COLUMNS[task]
    return kept, {column: [triple[c] for triple in triples] for c, column in enumerate(columns)}


def evaluate_scene(
    network: SpatialNetwork,
    item: Mapping[str, Any],
    options: EvaluationOptions | None = None,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Sequence[str]]]:
    """Metrics of a network on one scene.

    Args:
        network: on the device where to compute.
        item: an item of :mod:`semabs_core.data.datasets`; rows of padding are left out.
        options: grids, cutoffs and memory; None for the defaults.

    Returns:
        Each metric (L, K) and the names of the L labels or descriptions.
    """
    options = options or EvaluationOptions()
    config = network.config
    kept, names = scene_names(item, config.task)
    if not kept:
        return {}, names
    logits = SceneLogits(network, item, options)
    results: dict[int, dict[str, NDArray[np.float64]]] = {}
    # Descriptions with the same names follow one another, so that their volumes are still there.
    for row in sorted(kept, key=lambda row: item["names"][row][::-1]):
        counter = MetricCounter(1, config.bounds, options.grids, options.cutoffs, logits.device)
        xyz, targets, ignore = (
            torch.as_tensor(item[key][row])[None] for key in ("query_xyz", "targets", "ignore")
        )
        try:
            counter.update(xyz, logits.at(row, xyz[0])[None], targets, ignore)
        except ValueError as error:
            raise ValueError(f"scene {item['scene_id']}, {item['names'][row]}: {error}") from error
        results[row] = counter.compute()
    columns = metric_names(options.grids)
    return {name: np.concatenate([results[row][name] for row in kept]) for name in columns}, names
