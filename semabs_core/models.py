"""The models that a config names, and whether they fit each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from semabs_core.checkpoint import load_network
from semabs_core.config import MEAN_VOCABULARY, UNTRAINED, ConfigError, SemabsConfig
from semabs_core.encoder import ImageTextEncoder
from semabs_core.networks import NetworkConfig, SpatialNetwork, build_network


def load_task_network(
    checkpoint: str, task: str, config: SemabsConfig, encoder: ImageTextEncoder
) -> SpatialNetwork:
    """The network of a task; ``untrained`` is a small one with seeded random weights.

    Raises:
        ConfigError: if the checkpoint is of another task.
        CheckpointError: if it cannot be loaded.
    """
    if checkpoint == UNTRAINED:
        shape = NetworkConfig(
            task=task,
            voxel_shape=(32, 32, 32),
            channels=8,
            f_maps=8,
            levels=3,
            hidden=32,
            pointing_dim=16,
            text_dim=encoder.embed_dim,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = build_network(shape)
        network.metadata = {}
        return network.eval().requires_grad_(False)
    network = load_network(checkpoint)
    if network.config.task != task:
        raise ConfigError(f"{task}.checkpoint {checkpoint} holds a {network.config.task} network")
    return network


def choose_mean_vocabulary(config: SemabsConfig, networks: Sequence[SpatialNetwork]) -> list[str]:
    """The config's mean vocabulary, else what the networks were trained with, else the default."""
    if config.relevancy.mean_vocabulary is not None:
        return config.relevancy.mean_vocabulary
    stored = [n.metadata["mean_vocabulary"] for n in networks if "mean_vocabulary" in n.metadata]
    if not stored:
        return list(MEAN_VOCABULARY)
    if any(words != stored[0] for words in stored):
        raise ConfigError(
            "the completion and localization checkpoints were trained with different mean "
            "vocabularies; set relevancy.mean_vocabulary to one of them"
        )
    return list(stored[0])


def common_bounds(completion: SpatialNetwork, localization: SpatialNetwork) -> NDArray[np.float64]:
    """(2, 3) bounds that both networks share."""
    bounds = np.array(completion.config.bounds)
    if not np.allclose(bounds, localization.config.bounds):
        raise ConfigError("the completion and localization networks have different bounds")
    size = bounds[1] - bounds[0]
    if not np.allclose(size, size[0]):
        raise ConfigError(f"the networks' bounds must be a cube, got sizes {size.tolist()}")
    return bounds


def check_text_width(encoder: ImageTextEncoder, networks: Sequence[SpatialNetwork]) -> None:
    """Networks that read text features need the encoder they were trained with."""
    for network in networks:
        width = network.config.text_dim
        if network.config.approach == "semantic_aware" and width != encoder.embed_dim:
            raise ConfigError(
                f"the {network.config.task} network reads text features of width {width}, but "
                f"{encoder.name} gives {encoder.embed_dim}: use the encoder it was trained with"
            )
