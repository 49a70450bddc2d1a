"""What a run starts with: seeded random weights, or those of another network or encoder."""

from __future__ import annotations

import os
import re
from pathlib import Path

import safetensors.torch
import torch
from open_clip.model import resize_pos_embed
from torch import Tensor, nn

from semabs_core.checkpoint import load_network
from semabs_core.encoder import MODEL_WEIGHTS, EncoderError
from semabs_core.networks import SpatialNetwork, build_network
from semabs_core.training.checkpointing import TrainingError
from semabs_core.training.config import TrainingConfig
from semabs_core.weights.shipped import resolve_weights

_LAYER = re.compile(r"(visual\.transformer\.resblocks\.)(\d+)(\..*)")


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


def start_encoder(model: nn.Module, folder: str | os.PathLike) -> None:
    """Fill an encoder with the weights of a folder that :func:`save_encoder` wrote.

    A model with another number of patches gets the position embeddings interpolated. One with more
    layers in its image tower keeps its own before the last, which change nothing at first: what
    they would add is zero (as in Goyal et al., arXiv 1706.02677, sec. 5.1).

    Args:
        model: an open_clip model.
        folder: of the weights.

    Raises:
        EncoderError: if they are missing, damaged or of another shape.
    """
    file = Path(folder) / MODEL_WEIGHTS
    try:
        stored = safetensors.torch.load_file(file)
        weights = {name: value.float() for name, value in stored.items()}
        resize_pos_embed(weights, model)
        model.load_state_dict(_deepened(weights, model.state_dict()))
    except (OSError, safetensors.SafetensorError) as error:
        raise EncoderError(f"cannot start from {file}: {error}") from None
    except RuntimeError as error:
        raise EncoderError(
            f"cannot start from {file}: of shape.*, image_size may differ from that encoder's, and "
            f"layers may be more, all else must be the same ({str(error).splitlines()[-1].strip()})"
        ) from None


def _deepened(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights with the layers that a deeper model has besides, silent, before the last."""
    last, deepest = _last_layer(weights), _last_layer(own)
    if last < 0 or deepest <= last:
        return weights
    found = {}
    for name, value in weights.items():
        match = _LAYER.fullmatch(name)
        if match and int(match[2]) == last:
            name = f"{match[1]}{deepest}{match[3]}"
        found[name] = value
    for name, value in own.items():
        match = _LAYER.fullmatch(name)
        if match and last <= int(match[2]) < deepest:
            adds = match[3].startswith((".attn.out_proj", ".mlp.c_proj"))
            found[name] = torch.zeros_like(value) if adds else value
    return found


def _last_layer(weights: dict[str, Tensor]) -> int:
    """The number of the image tower's last layer; -1 where there is none."""
    matches = (_LAYER.fullmatch(name) for name in weights)
    return max((int(match[2]) for match in matches if match), default=-1)
