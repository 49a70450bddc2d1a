"""A network's metrics on one scene: volumes encoded and sampled once, queries decoded in chunks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.evaluation.metrics import CUTOFFS, GRIDS, MetricCounter, metric_names
from semabs_core.evaluation.rows import NAME_COLUMNS
from semabs_core.network_config import PAD_RELATION
from semabs_core.networks import CompletionNetwork, LocalizationNetwork, SpatialNetwork
from semabs_core.precision import choose_dtype, mixed_precision


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate.

    Attributes:
        grids: voxels per axis of each evaluated grid; NYU's is 60.
        cutoffs: logits, ascending.
        query_batch: query points per decoder call, bounds the memory.
        cache_mb: memory for samples of a scene's volumes that may be used again, MiB.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto`` (what the device multiplies fast).
    """

    grids: tuple[int, ...] = GRIDS
    cutoffs: tuple[float, ...] = CUTOFFS
    query_batch: int = 65_536
    cache_mb: int = 2048
    precision: str = "fp32"


class _Cache:
    """Tensors by name; the ones used longest ago go when the memory is spent."""

    def __init__(self, limit_mb: int) -> None:
        self.limit = limit_mb * 2**20
        self.kept: OrderedDict[str, Tensor] = OrderedDict()

    def get(self, key: str) -> Tensor | None:
        if key in self.kept:
            self.kept.move_to_end(key)
        return self.kept.get(key)

    def put(self, key: str, value: Tensor) -> None:
        size = value.numel() * value.element_size()
        while self.kept and (len(self.kept) + 1) * size > self.limit:
            self.kept.popitem(last=False)
        self.kept[key] = value


class SceneLogits:
    """What a network says about one scene: logits of a label or description at its query points.

    All rows of an item have the same query points, so each volume is sampled there once, and the
    samples are kept. Points that no row counts are left out.

    Args:
        network: on the device where to compute.
        item: of a data set of :mod:`semabs_core.data.datasets` that is ``full``.
        options: memory and precision.

    Raises:
        ValueError: if the item's rows have different query points.
    """

    def __init__(
        self, network: SpatialNetwork, item: Mapping[str, Any], options: EvaluationOptions
    ) -> None:
        self.network, self.item, self.options = network, item, options
        self.device = network.lower.device
        self.dtype = choose_dtype(options.precision, self.device)
        query_xyz = torch.as_tensor(item["query_xyz"])
        if query_xyz.stride(0) and bool((query_xyz != query_xyz[:1]).any()):
            raise ValueError("query_xyz must be the same for all rows, as in items that are full")
        self.query_xyz = self._put(query_xyz[0])
        self.counted = (~torch.as_tensor(item["ignore"]).all(dim=0)).to(self.device)
        coordinates = network.coordinates(self.query_xyz[self.counted][None, None])
        self.coordinates = coordinates.split(options.query_batch, dim=2)
        self.xyz = self._put(item["input_xyz"])[None]
        self.tsdf = self._put(item["tsdf"])[None] if "tsdf" in item else None
        self.cache = _Cache(options.cache_mb)

    @torch.inference_mode()
    def of(self, row: int) -> Tensor:
        """Logits (M,) float32 of one label or description; NaN where no row counts the point."""
        with mixed_precision(self.device, self.dtype):
            parts = self._completion(row) if self._completes else self._localization(row)
        logits = torch.full(self.counted.shape, torch.nan, device=self.device)
        logits[self.counted] = torch.cat([part[0, 0].float() for part in parts])
        return logits

    @property
    def _completes(self) -> bool:
        return self.network.config.task == "completion"

    def _completion(self, row: int) -> list[Tensor]:
        """Logits (1, 1, m) of one label, in parts."""
        network = self.network
        assert isinstance(network, CompletionNetwork)
        text = self._text("label_features", row)
        samples = self._samples(self.item["input_features"], row, None)
        return [network.answer(*part, text) for part in zip(samples, self.coordinates, strict=True)]

    def _localization(self, row: int) -> list[Tensor]:
        """Logits (1, 1, m) of one description, in parts."""
        network = self.network
        assert isinstance(network, LocalizationNetwork)
        names = dict(zip(("target", "reference"), self.item["names"][row], strict=True))
        features = self.item["features"]
        keys = network.feature_keys
        samples = [self._samples(features[key], row, names.get(key)) for key in keys]
        words = [self._text(f"{key}_features", row) for key in names]
        relations = [[self.item["relations"][row]]]
        return [
            network.answer(dict(zip(keys, part, strict=True)), coordinates, relations, *words)
            for *part, coordinates in zip(*samples, self.coordinates, strict=True)
        ]

    def _samples(self, features: Any, row: int, name: str | None) -> tuple[Tensor, ...]:
        """Samples (1, 1, m, C) in parts, of the volume of one row of features (P or 1, N, F).

        Kept for reuse where there is a name: its volume is the same whether it is a target or a
        reference, and a coloured cloud is the same for all rows.
        """
        if not self.network.config.reads_relevancy:
            row, name = 0, "rgb"
        samples = self.cache.get(name) if name else None
        if samples is None:
            read = self._put(features[row])[None, None]
            volume = self.network.encode_volume(self.xyz, read, self.tsdf)
            parts = [self.network.sample(volume, part) for part in self.coordinates]
            samples = torch.cat(parts, dim=2)
            if name:
                self.cache.put(name, samples)
        return samples.split(self.options.query_batch, dim=2)

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
        item: of a data set of :mod:`semabs_core.data.datasets` that is ``full``; rows of padding
            are left out.
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
    counter = MetricCounter(logits.query_xyz, config.bounds, options.grids, options.cutoffs)
    results: dict[int, dict[str, NDArray[np.float64]]] = {}
    # Descriptions with the same names follow one another, so that their samples are still there.
    for row in sorted(kept, key=lambda row: item["names"][row][::-1]):
        targets, ignore = (torch.as_tensor(item[key][row]) for key in ("targets", "ignore"))
        try:
            results[row] = counter.count(logits.of(row), targets, ignore)
        except ValueError as error:
            raise ValueError(f"scene {item['scene_id']}, {item['names'][row]}: {error}") from error
    columns = metric_names(options.grids)
    return {name: np.stack([results[row][name] for row in kept]) for name in columns}, names
