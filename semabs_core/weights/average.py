"""The mean of networks that were trained one from the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from semabs_core.calibration import FITTED
from semabs_core.checkpoint import CheckpointError, load_network, save_network
from semabs_core.weights.shipped import LOCAL, resolve_weights


def average_networks(sources: Sequence[str], target: str | os.PathLike) -> int:
    """Write the mean of the weights of networks (Wortsman et al., "Model soups", 2022).

    Along a path of training the loss is flat between rounds, and the mean answers as well as the
    last where it was trained and keeps more of what the first could.

    Args:
        sources: at least two folders of our networks, or ``shipped:NAME``; what is noted beside the
            last of them is kept, but for its cutoffs and calibrations.
        target: folder to write; cutoffs and calibrations are for ``semabs calibrate`` to find.

    Returns:
        Numbers in the mean.

    Raises:
        CheckpointError: if one cannot be loaded, or they are of different architectures.
    """
    if len(sources) < 2:
        raise CheckpointError("a mean needs two networks at least")
    networks = [load_network(resolve_weights(name).removeprefix(LOCAL)) for name in sources]
    last = networks[-1]
    for name, network in zip(sources, networks, strict=True):
        config = network.config
        if config.approach != "semantic_aware":  # no weight depends on it
            config = replace(config, text_dim=last.config.text_dim)
        if config != last.config:
            raise CheckpointError(
                f"{name} and {sources[-1]} are networks of different options (network.json): only "
                "networks that were trained one from the other have a mean"
            )
    states = [network.state_dict() for network in networks]
    for key, value in states[-1].items():
        value.copy_(torch.stack([state[key] for state in states]).mean(dim=0))
    noted = {key: value for key, value in last.metadata.items() if key not in FITTED}
    save_network(last, Path(target), noted)
    return sum(value.numel() for value in states[-1].values())
