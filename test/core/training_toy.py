"""Scenes of balls in memory, as the data sets give them; as a program, a training run on them.

``python training_toy.py CONFIG.yaml`` trains on them, also under torchrun. In the environment,
``TOY_POISON=epoch,index`` makes an item's loss NaN (``epoch,all``: of every one).
"""

from __future__ import annotations

import os
import sys

import numpy as np
import torch

from semabs_core.network_config import RELATIONS, NetworkConfig
from semabs_core.training import TrainingConfig, TrainingData, load_training_config, train
from semabs_core.training.config import DataConfig, OptimizationConfig

NAMES = ("ball", "mug", "lamp", "book", "[pad]")
TEXT = torch.nn.functional.normalize(torch.randn(5, 6, generator=torch.Generator().manual_seed(1)))
COLOURS = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1]])


class ToyScenes(torch.utils.data.Dataset):
    """Four balls per scene, their front surfaces as input, one of them behind another one.

    Args:
        task: ``completion`` or ``localization``.
        approach: of the network.
        scenes: how many.
        inputs: N input points.
        queries: M query points, drawn afresh each epoch; None for all 32,768 stored points.
        padding: whether the last row of every other scene is padding.
    """

    text_dim = 6

    def __init__(
        self,
        task: str = "completion",
        approach: str = "semantic_abstraction",
        scenes: int = 1,
        inputs: int = 400,
        queries: int | None = 500,
        padding: bool = False,
    ) -> None:
        self.task, self.approach, self.scenes = task, approach, scenes
        self.inputs, self.queries, self.padding = inputs, queries, padding
        self.epoch = 0

    def __len__(self) -> int:
        return self.scenes

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: int) -> dict:
        padded = self.padding and index % 2 == 1
        scene = np.random.default_rng([7, index])
        draw = np.random.default_rng([7, index, self.epoch])
        radii = scene.uniform(0.22, 0.34, 4)
        centres = np.array([[-0.5, -0.5, 0.3], [0.0, 0.5, 0.5], [0.3, -0.4, 1.2], [0.4, 0.3, 1.3]])
        centres = centres + scene.uniform(-0.1, 0.1, (4, 3))
        owner = np.arange(self.inputs) % 4
        normal = scene.normal(size=(self.inputs, 3))
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        normal[:, 0] = -np.abs(normal[:, 0])
        xyz = centres[owner] + radii[owner, None] * normal
        query = scene.uniform([-1, -1, -0.1], [1, 1, 1.9], (32**3, 3))
        inside = (np.linalg.norm(query[:, None] - centres, axis=-1) < radii).T
        ignore = np.zeros_like(inside)
        ignore[:, query[:, 2] > 1.8] = True
        if padded:
            inside[3], ignore[3] = False, True
        chosen = [self._draw(row, draw) for row in inside]
        item = {
            "input_xyz": torch.from_numpy(xyz).float(),
            "query_xyz": torch.from_numpy(np.stack([query[rows] for rows in chosen])).float(),
            "targets": torch.from_numpy(np.stack([r[c] for r, c in zip(inside, chosen)])).float(),
            "ignore": torch.from_numpy(np.stack([r[c] for r, c in zip(ignore, chosen)])),
            "scene_id": f"toy{index}",
        }
        item |= self._features(owner, padded)
        if os.environ.get("TOY_POISON") in (f"{self.epoch},{index}", f"{self.epoch},all"):
            item["targets"] = item["targets"] * float("nan")
        return item

    def _draw(self, inside: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Stored points of a label: half of them inside it, as far as there are so many."""
        if self.queries is None:
            return np.arange(len(inside))
        positive, negative = np.flatnonzero(inside), np.flatnonzero(~inside)
        positive = draw.permutation(positive)[: self.queries // 2]
        negative = draw.permutation(negative)[: self.queries - len(positive)]
        return np.concatenate([positive, negative])

    def _features(self, owner: np.ndarray, padded: bool) -> dict:
        """What the network reads besides coordinates, by task and approach."""
        masks = torch.from_numpy(owner == np.arange(4)[:, None]).float()[..., None]
        rgb = torch.from_numpy(COLOURS[owner]).float()[None]
        aware = self.approach == "semantic_aware"
        names = [*NAMES[:3], NAMES[4 if padded else 3]]
        text = TEXT[[NAMES.index(name) for name in names]]
        if self.task == "completion":
            features = rgb if aware else masks
            return {"input_features": features, "label_features": text, "names": names}
        others = [1, 2, 3, 0]
        features = {
            "semantic_abstraction": {"target": masks, "reference": masks[others]},
            "semantic_aware": {"rgb": rgb},
            "clip_spatial": {"description": masks + masks[others] / 2},
        }[self.approach]
        relations = [*RELATIONS[1:4], "[pad]" if padded else RELATIONS[4]]
        return {
            "features": features,
            "relations": relations,
            "target_features": text,
            "reference_features": text[others],
            "names": [(names[i], names[j]) for i, j in enumerate(others)],
        }


def collate(items: list[dict]) -> dict:
    """Stack tensors, in mappings too; collect everything else in lists."""
    first = items[0]
    if isinstance(first, torch.Tensor):
        return torch.stack(items)
    if isinstance(first, dict):
        return {key: collate([item[key] for item in items]) for key in first}
    return items


def toy_config(out, task="completion", approach="semantic_abstraction", **options):
    """A tiny network, two epochs; options of the run or of its optimization."""
    network = NetworkConfig(
        task=task,
        approach=approach,
        voxel_shape=(8, 8, 8),
        channels=4,
        f_maps=4,
        levels=2,
        hidden=16,
        pointing_dim=8,
    )
    names = TrainingConfig.__dataclass_fields__
    top = {name: options.pop(name) for name in list(options) if name in names}
    return TrainingConfig(
        out=str(out),
        network=network,
        data=DataConfig(num_input_points=100, num_query_points=60),
        optimization=OptimizationConfig(**{"epochs": 2, "learning_rate": 0.02, **options}),
        **{"workers": 0, "log_every_steps": 1, "device": "cpu", **top},
    )


def toy_data(config: TrainingConfig, validate: bool = False, **options) -> TrainingData:
    """The data of a config: ``data.num_query_points`` and ``data.num_input_points`` count."""
    network = (config.network.task, config.network.approach)
    options = {"inputs": config.data.num_input_points, **options}
    items = ToyScenes(*network, queries=config.data.num_query_points, **options)
    whole = ToyScenes(*network, queries=None, **options) if validate else None
    return TrainingData(items, collate, whole, {"preset": "masks"})


if __name__ == "__main__":
    run = load_training_config(sys.argv[1])
    train(run, toy_data(run, validate=True, scenes=5, padding=True))
