"""The models that a config names, and whether they fit each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from semabs_core.checkpoint import load_network, read_relations
from semabs_core.config import (
    MEAN_VOCABULARY,
    UNTRAINED,
    ConfigError,
    SemabsConfig,
)
from semabs_core.devices import choose_device
from semabs_core.encoder import ImageTextEncoder, load_encoder
from semabs_core.network_config import RELATIONS, NetworkConfig
from semabs_core.networks import (
    CompletionNetwork,
    LocalizationNetwork,
    SpatialNetwork,
    build_network,
)
from semabs_core.precision import fastest, formats_to_try
from semabs_core.presence import calibrated_prompts
from semabs_core.relevancy import DEFAULT_PROMPTS
from semabs_core.sparse_volume import example_volume
from semabs_core.tiling import PRESETS
from semabs_core.weights.fingerprint import same_encoder
from semabs_core.weights.published import resolve_checkpoint
from semabs_core.weights.shipped import LOCAL, PREFIX


def load_models(
    config: SemabsConfig,
) -> tuple[ImageTextEncoder, CompletionNetwork, LocalizationNetwork]:
    """Everything that a config names, on its device.

    Raises:
        ConfigError: if the config is wrong, or a checkpoint is of another task.
        EncoderError, CheckpointError: if a model cannot be loaded.
    """
    encoder = load_fast_encoder(config)
    completion = load_task_network(config.completion.checkpoint, "completion", config, encoder)
    localization = load_task_network(
        config.localization.checkpoint, "localization", config, encoder
    )
    assert isinstance(completion, CompletionNetwork)
    assert isinstance(localization, LocalizationNetwork)
    for network in (completion, localization):
        make_fast(network.to(encoder.device), config.network_precision)
    return encoder, completion, localization


TOKENS_TO_TIME = 512
"""About so many tokens of an image tower are computed to see which number format is fast."""


def load_fast_encoder(config: SemabsConfig) -> ImageTextEncoder:
    """A config's encoder, in the number format that is fast on its device.

    Raises:
        ConfigError: if the device is not there.
        EncoderError: if it cannot be loaded.
    """
    device, options = choose_device(config.device), config.encoder
    own = options.model.startswith((LOCAL, PREFIX))
    formats = formats_to_try(options.precision, device)
    pretrained = None if own else options.pretrained or None
    encoder = load_encoder(options.model, pretrained, device, formats[0])
    if len(formats) == 1:
        return encoder
    known = {dtype: encoder.converted(dtype) for dtype in formats[1:]} | {formats[0]: encoder}
    rows, columns = encoder.patch_grid
    count = max(1, TOKENS_TO_TIME // (rows * columns))
    tiles = torch.zeros(count, 3, encoder.image_size, encoder.image_size)

    def embed(dtype: torch.dtype) -> Callable[[], object]:
        return lambda: known[dtype].embed_tiles(tiles.to(dtype))

    return known[fastest(("encoder", encoder.name), {dtype: embed(dtype) for dtype in formats})]


@torch.inference_mode()
def make_fast(network: SpatialNetwork, precision: str) -> None:
    """Lay a network out for answering, and choose the number format of its U-Net, in place.

    Its answers stay the same, but for rounding.

    Args:
        network: on its device.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
    """
    encoder, device = network.encoder, network.lower.device
    if isinstance(network, CompletionNetwork):
        assert isinstance(encoder.unet.final, nn.Conv3d)
        network.decoder.fold(encoder.unet.final)
    encoder.unet.to(memory_format=torch.channels_last_3d)
    formats = formats_to_try(precision, device)
    shape, channels = network.config.voxel_shape, network.config.channels
    volume = torch.zeros(1, *shape, channels, device=device).movedim(-1, 1)
    sparse = example_volume(shape, channels, device)

    def complete(dtype: torch.dtype) -> Callable[[], object]:
        if dtype == torch.float32 and sparse.worth_it:
            return lambda: encoder.complete(sparse)
        return lambda: encoder.complete(volume.to(dtype), dtype)

    layers = tuple(tuple(weight.shape) for weight in encoder.unet.parameters())
    encoder.dtype = fastest(("unet", shape, layers), {dtype: complete(dtype) for dtype in formats})


def known_relations(config: SemabsConfig) -> tuple[str, ...]:
    """The spatial relations that a config's localization network knows; no weights are loaded.

    Raises:
        CheckpointError: if its checkpoint is damaged.
        WeightsError: if ``shipped:`` or ``published:`` names nothing that is here.
    """
    checkpoint = config.localization.checkpoint
    return RELATIONS if checkpoint == UNTRAINED else read_relations(resolve_checkpoint(checkpoint))


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
        return network.eval().requires_grad_(False)
    network = load_network(resolve_checkpoint(checkpoint))
    if network.config.task != task:
        raise ConfigError(f"{task}.checkpoint {checkpoint} holds a {network.config.task} network")
    return network


@dataclass(frozen=True)
class RelevancyChoice:
    """How relevancy is made: as the config says, else as the networks were trained.

    Attributes:
        preset: name of the preset.
        prompts: templates with one ``{}``.
        mean_vocabulary: words of the mean map.
        augmentations: colour-jittered copies; None for the preset's number.
    """

    preset: str
    prompts: list[str]
    mean_vocabulary: list[str]
    augmentations: int | None


def _noted(network: SpatialNetwork, name: str) -> Any:
    """What a checkpoint says of its relevancy; a preset without the tag that a data set gave it."""
    value = network.metadata.get(name)
    if name != "preset" or value is None:
        return value
    preset = str(value).partition("@")[0]
    return preset if preset in PRESETS else None  # masks and simulated are none


def choose_relevancy(
    config: SemabsConfig, networks: Sequence[SpatialNetwork], encoder_name: str = ""
) -> RelevancyChoice:
    """What the config leaves open is as the networks were trained, else the package's default.

    Networks that read evidence take any relevancy, so those that do not decide, where there is one;
    where there is none, preset and jittered copies are the first one's.

    Prompts that neither says are those that the encoder was calibrated with.

    Raises:
        ConfigError: if it is left open and the networks were trained in different ways.
    """
    wanted = config.relevancy
    reading = [n for n in networks if n.config.reads_relevancy]
    strict = [n for n in reading if n.config.normalization != "evidence"]
    looking = strict or [n for n in reading if _noted(n, "preset")][:1] or reading
    readers_of = {"prompts": networks, "mean_vocabulary": strict or reading}

    def stored(name: str) -> Any:
        readers = readers_of.get(name, looking)
        there = [value for n in readers if (value := _noted(n, name)) is not None]
        if any(value != there[0] for value in there):
            raise ConfigError(
                "the completion and localization checkpoints were trained with different "
                f"{name}: {there}; set relevancy.{name} to one of them"
            )
        return there[0] if there else None

    preset = wanted.preset or stored("preset") or "ours"
    augmentations = wanted.augmentations
    if augmentations is None and all(_noted(n, "preset") in (preset, None) for n in looking):
        augmentations = stored("augmentations")
    vocabulary = wanted.mean_vocabulary
    if vocabulary is None:
        vocabulary = stored("mean_vocabulary") or list(MEAN_VOCABULARY)
    return RelevancyChoice(
        preset=preset,
        prompts=list(
            wanted.prompts
            or stored("prompts")
            or calibrated_prompts(encoder_name)
            or DEFAULT_PROMPTS
        ),
        mean_vocabulary=list(vocabulary),
        augmentations=augmentations,
    )


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


def untrained_tasks(config: SemabsConfig) -> list[str]:
    """The tasks whose networks have random weights."""
    checkpoints = {
        "completion": config.completion.checkpoint,
        "localization": config.localization.checkpoint,
    }
    return [task for task, checkpoint in checkpoints.items() if checkpoint == UNTRAINED]


def foreign_networks(networks: Sequence[SpatialNetwork], encoder: ImageTextEncoder) -> list[str]:
    """The networks that were trained with another encoder alone, with its name."""
    return [
        f"{network.config.task} (trained with {network.metadata.get('encoder', 'another')})"
        for network in networks
        if not same_encoder(network.metadata, encoder.name, encoder.fingerprint)
    ]
