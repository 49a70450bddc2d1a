"""The network that a run starts with: seeded random weights, or those of another network."""

from __future__ import annotations

from torch import nn

from semabs_core.checkpoint import load_network
from semabs_core.networks import SpatialNetwork, build_network
from semabs_core.training.checkpointing import TrainingError
from semabs_core.training.config import TrainingConfig
from semabs_core.weights.shipped import resolve_weights


def first_network(config: TrainingConfig) -> SpatialNetwork:
    """The network of a config, with the weights of ``config.start`` where one is named.

    A network of the same task starts with all of its weights, one of the other task with those of
    its volume encoder: what a word looks like in space is the same for both.

    Raises:
        TrainingError: if that network is of other sizes.
        CheckpointError: if it cannot be loaded.
    """
    network = build_network(config.network)
    if not config.start:
        return network
    other = load_network(resolve_weights(config.start))
    same = other.config.task == config.network.task
    part: nn.Module = network if same else network.encoder
    try:
        part.load_state_dict((other if same else other.encoder).state_dict())
    except RuntimeError as error:
        raise TrainingError(
            f"{config.start} is a network of other sizes than network.*, so it cannot be started "
            f"from ({str(error).splitlines()[-1].strip()})"
        ) from None
    return network
