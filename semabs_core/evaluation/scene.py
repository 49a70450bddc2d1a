"""A network's metrics on one scene: volumes encoded and sampled once, queries decoded in chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.answering import Samples, corners_at, logits_at, sample_at
from semabs_core.calibration import read_judgement, region_cutoff
from semabs_core.evaluation.answered import (
    ANSWERED,
    AskedVoxels,
    completion_answers,
)
from semabs_core.evaluation.metrics import CUTOFFS, GRIDS, MetricCounter, metric_names
from semabs_core.evaluation.rows import NAME_COLUMNS
from semabs_core.lru import LruCache, num_bytes
from semabs_core.network_config import PAD_RELATION
from semabs_core.networks import LocalizationNetwork, SpatialNetwork
from semabs_core.precision import choose_dtype, mixed_precision
from semabs_core.types import InferenceError


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate.

    Attributes:
        grids: voxels per axis of each evaluated grid; NYU's is 60.
        cutoffs: logits, ascending.
        query_batch: query points per decoder call, bounds the memory.
        cache_mb: memory for samples of a scene's volumes that may be used again, MiB.
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto`` (what the device multiplies fast).
        answered: whether it is also measured what a robot is answered.
    """

    grids: tuple[int, ...] = GRIDS
    cutoffs: tuple[float, ...] = CUTOFFS
    query_batch: int = 65_536
    cache_mb: int = 2048
    precision: str = "fp32"
    answered: bool = True


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
        batches = self.query_xyz[self.counted].split(options.query_batch)
        self.corners = list(corners_at(network, batches))
        self.xyz = self._put(item["input_xyz"])[None]
        self.cells = [network.cells(self.xyz[0])]
        self.tsdf = self._put(item["tsdf"])[None] if "tsdf" in item else None
        self.cache: LruCache[str, Samples] = LruCache(
            options.cache_mb * 2**20, lambda samples: sum(map(num_bytes, samples))
        )

    @torch.inference_mode()
    def of(self, row: int) -> Tensor:
        """Logits (M,) float32 of one label or description; NaN where no row counts the point.

        Raises:
            InferenceError: if an answer is no number.
        """
        with mixed_precision(self.device, self.dtype):
            question = self._completion(row) if self._completes else self._localization(row)
            answers = logits_at(self.network, self.corners, *question)
        logits = torch.full(self.counted.shape, torch.nan, device=self.device)
        logits[self.counted] = answers
        return logits

    def region(self, row: int, logits: Tensor) -> Tensor:
        """Logits (M,) of a description at which the network's cutoff, or 0, bounds its region."""
        ignore = torch.as_tensor(self.item["ignore"][row]).to(self.device)
        noted, counted = self.network.metadata, logits.masked_fill(ignore | self.free, -torch.inf)
        if bool(counted.isneginf().all()):
            return counted
        lowest = region_cutoff(noted, self.item["relations"][row], float(counted.max()))
        elsewhere = self.asked.apart(counted.cpu(), lowest)
        answers = counted.masked_fill(torch.from_numpy(elsewhere).to(self.device), -torch.inf)
        return answers - lowest + noted.get("cutoff", 0.0)

    def completion(self, logits: Sequence[Tensor]) -> Tensor:
        """Logits (L, M) of labels asked together at which the network's cutoff says what is there.

        Args:
            logits: (M,) of each label.
        """
        noted, together = self.network.metadata, torch.stack(list(logits))
        judgement = read_judgement(noted)
        answers = completion_answers(together, self.surface, self.free, judgement)
        return answers - judgement.cutoff + noted.get("cutoff", judgement.cutoff)

    @cached_property
    def surface(self) -> Tensor:
        """(M,) bool: the query points in voxels that hold readings."""
        return torch.from_numpy(self.asked.surface).to(self.device)

    @cached_property
    def free(self) -> Tensor:
        """(M,) bool: the query points in voxels that the camera saw to be free."""
        return torch.from_numpy(self.asked.free).to(self.device)

    @cached_property
    def asked(self) -> AskedVoxels:
        """The query points by the voxels that a robot's frame is asked in."""
        bounds, view = self.network.config.bounds, self.item.get("view")
        return AskedVoxels(self.query_xyz.cpu(), bounds, view, self.item["input_xyz"])

    @property
    def _completes(self) -> bool:
        return self.network.config.task == "completion"

    def _completion(self, row: int) -> tuple[list[Samples], list[Tensor], str]:
        """What to ask for one label: samples, text, no relation."""
        samples = self._samples(self.item["input_features"], row, None)
        return [samples], self._text(("label_features",), row), ""

    def _localization(self, row: int) -> tuple[list[Samples], list[Tensor], str]:
        """What to ask for one description: samples, text, relation."""
        assert isinstance(self.network, LocalizationNetwork)
        names = dict(zip(("target", "reference"), self.item["names"][row], strict=True))
        features = self.item["features"]
        samples = [
            self._samples(features[key], row, names.get(key)) for key in self.network.feature_keys
        ]
        text = self._text([f"{key}_features" for key in names], row)
        return samples, text, self.item["relations"][row]

    def _samples(self, features: Any, row: int, name: str | None) -> Samples:
        """Samples of the volume of one row of features (P or 1, N, F).

        Kept for reuse where there is a name: its volume is the same whether it is a target or a
        reference, and a coloured cloud is the same for all rows.
        """
        if not self.network.config.reads_relevancy:
            row, name = 0, "rgb"
        samples = self.cache.get(name) if name else None
        if samples is None:
            read = self._put(features[row])[None, None]
            volume = self.network.encode_volume(self.xyz, read, self.tsdf, self.cells)
            samples = sample_at(volume, self.corners)
            if name:
                self.cache.put(name, samples)
        return samples

    def _text(self, keys: Sequence[str], row: int) -> list[Tensor]:
        """Text features (1, 1, D) each, for the networks that read them."""
        if self.network.config.approach != "semantic_aware":
            return []
        return [self._put(self.item[key][row])[None, None] for key in keys]

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
        Each metric (L, K), of the labels alone and, where it is asked for, as a robot is answered
        (:mod:`semabs_core.evaluation.answered`), and the names of the L labels or descriptions.
    """
    options = options or EvaluationOptions()
    config = network.config
    kept, names = scene_names(item, config.task)
    if not kept:
        return {}, names
    scene = SceneLogits(network, item, options)
    counter = MetricCounter(scene.query_xyz, config.bounds, options.grids, options.cutoffs)
    columns = metric_names(options.grids)
    results: dict[int, dict[str, NDArray[np.float64]]] = {row: {} for row in kept}

    def count(row: int, logits: Tensor, prefix: str = "") -> None:
        targets, ignore = (torch.as_tensor(item[key][row]) for key in ("targets", "ignore"))
        found = counter.count(logits, targets, ignore)
        results[row] |= {prefix + name: found[name] for name in columns}

    # Descriptions with the same names follow one another, so that their samples are still there.
    order = sorted(kept, key=lambda row: item["names"][row][::-1])
    together: list[Tensor] = []
    for row in order:
        try:
            count(row, logits := scene.of(row))
        except (ValueError, InferenceError) as error:
            raise type(error)(f"scene {item['scene_id']}, {item['names'][row]}: {error}") from error
        if options.answered and config.task == "completion":
            together.append(logits)
        elif options.answered:
            count(row, scene.region(row, logits), ANSWERED)
    if together:
        for row, logits in zip(order, scene.completion(together), strict=True):
            count(row, logits, ANSWERED)
    found = {name: np.stack([results[row][name] for row in kept]) for name in results[kept[0]]}
    return found, names
