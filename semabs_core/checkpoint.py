"""The only place that reads or writes weights: the published format in, our own in and out.

Ours is a folder with ``network.json`` (a readable config) and ``network.safetensors``. A checkpoint
may come from a stranger, so nothing here can run code from it.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from semabs_core import inert_pickle
from semabs_core.files import write_atomic
from semabs_core.network_config import RELATIONS, NetworkConfig
from semabs_core.networks import SpatialNetwork, build_network

CONFIG_FILE = "network.json"
WEIGHTS_FILE = "network.safetensors"
FORMAT = "semabs-network"
PUBLISHED_TASKS = {"ovssc": "completion", "vool": "localization"}


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file and the remedy."""


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its type where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Namespace(inert_pickle.Record):
    """``argparse.Namespace``, its options as the state."""

    def value(self) -> dict[str, Any]:
        return dict(self.state or {})


def _read_arguments(path: Path) -> dict[str, Any]:
    """The options of a published checkpoint, unpickled without running code."""
    try:
        content = inert_pickle.load(path.read_bytes(), {"argparse.Namespace": _Namespace})
    except inert_pickle.PickleError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged ({error}); copy or download the folder again"
        ) from error
    if not isinstance(content, _Namespace):
        raise CheckpointError(
            f"{path} must hold an argparse.Namespace, got a {type(content).__name__}"
        )
    return content.value()


def _read_published_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of ``<task>.pth``, without the ``module.`` before their names."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} was not loaded: it holds more than tensors and could run code, or is damaged "
            f"({first_line(error)}); take it from its author's address again"
        ) from None
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({first_line(error)}); copy or download it again"
        ) from error
    weights = content.get("net") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise CheckpointError(f"{path} must hold a dict with the tensors under 'net'")
    return {name.removeprefix("module."): value for name, value in weights.items()}


def _published_config(
    task: str, options: dict[str, Any], weights: dict[str, Tensor]
) -> NetworkConfig:
    """Published options to ours; the width of the text features is read off the weights."""
    if not options.get("use_pts_feat_extractor", True):
        raise CheckpointError("networks without a point encoder are not supported")
    approach = options["approach"]
    width = {"semantic_aware": "rgb"}.get(approach, "saliency")
    if list(options.get("network_inputs", [width])) != [width]:
        raise CheckpointError(
            f"network_inputs {options['network_inputs']} are not supported for {approach}; "
            f"supported is [{width!r}]"
        )
    text_dim = 512
    if approach == "semantic_aware" and task == "completion":
        text_dim = weights["visual_sampler.mlp.2.weight"].shape[0]
    elif approach == "semantic_aware":
        text_dim = (weights["mlp.weight"].shape[1] - int(options["pointing_dim"])) // 2
    return NetworkConfig(
        task=task,
        approach=approach,
        voxel_shape=tuple(options["voxel_shape"]),
        bounds=options["scene_bounds"],
        channels=options["unet_num_channels"],
        f_maps=options["unet_f_maps"],
        groups=options["unet_num_groups"],
        levels=options["unet_num_levels"],
        hidden=options["pts_feat_extractor_hidden_dim"],
        pointing_dim=options["pointing_dim"],
        pointing_method=options["pointing_method"],
        concat_xyz=bool(options["decoder_concat_xyz_pts"]),
        text_dim=text_dim,
        sampling="published",
    )


_RENAMES = (
    (r"pts_feat_extractor\.", "encoder.points."),
    (r"vol_feature_extractor\.encoders\.(\d+)\.basic_module\.", r"encoder.unet.encoders.\1."),
    (r"vol_feature_extractor\.decoders\.(\d+)\.basic_module\.", r"encoder.unet.decoders.\1.block."),
    (
        r"vol_feature_extractor\.decoders\.(\d+)\.upsampling\.upsample\.",
        r"encoder.unet.decoders.\1.upsample.",
    ),
    (r"vol_feature_extractor\.final_conv\.", "encoder.unet.final."),
    (r"\.groupnorm\.", ".norm."),
    (r"(?:.*\.)?pointer_v\.", "pointer.v."),
)


def _published_name(name: str, config: NetworkConfig) -> str | None:
    """Our name of a published tensor; None for what is never used (counters, spare decoders)."""
    inner = name.startswith("completion_net.")
    name = name.removeprefix("completion_net.")
    if name == "steps":
        return None
    sampler = re.match(r"(visual|spatial)_sampler\.mlp\.", name)
    if sampler:
        localizes = config.task == "localization"
        used = "spatial" if localizes and config.approach != "semantic_aware" else "visual"
        if sampler[1] != used or inner != (localizes and used == "visual"):
            return None
        return "decoder.mlp." + name[sampler.end() :]
    if name.startswith("relation_embeddings."):
        return None if config.approach == "clip_spatial" else name
    if config.task == "localization" and name.startswith("mlp."):
        return "query." + name.removeprefix("mlp.")
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _convert_weights(weights: dict[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Published tensors under our names; unused ones are dropped, unknown ones stay."""
    converted: dict[str, Tensor] = {}
    for name, value in weights.items():
        ours = _published_name(name, config)
        if ours is not None:
            converted[ours] = value
    prefix = "relation_embeddings."
    vectors = {
        name.removeprefix(prefix): converted.pop(name)
        for name in [name for name in converted if name.startswith(prefix)]
    }
    if vectors:
        tokens = config.relation_tokens
        if set(vectors) != set(tokens):
            raise CheckpointError(f"the relations must be {sorted(tokens)}, got {sorted(vectors)}")
        converted["relations"] = torch.stack([vectors[name] for name in tokens])
    return converted


def _load_published(folder: Path) -> SpatialNetwork:
    """A network from a published folder (``<task>.pth`` and ``args.pkl``)."""
    files = [
        folder / f"{task}.pth" for task in PUBLISHED_TASKS if (folder / f"{task}.pth").exists()
    ]
    if len(files) != 1:
        names = ", ".join(f"{task}.pth" for task in PUBLISHED_TASKS)
        raise CheckpointError(f"{folder} must hold one of {names}, found {len(files)}")
    options = _read_arguments(folder / "args.pkl")
    weights = _read_published_weights(files[0])
    try:
        config = _published_config(PUBLISHED_TASKS[files[0].stem], options, weights)
    except KeyError as error:
        raise CheckpointError(
            f"{folder} lacks the option or tensor {error}; it is not a published checkpoint"
        ) from None
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'args.pkl'}: {error}") from error
    return _fill(build_network(config), _convert_weights(weights, config), files[0])


def _read_own_config(folder: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """What a network in our own format is, and its metadata; the weights are not looked at."""
    try:
        content = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {content['format']!r}")
        return NetworkConfig(**content["network"]), dict(content.get("metadata", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / CONFIG_FILE} is not a network's config: {error}"
        ) from error


def _load_own(folder: Path) -> SpatialNetwork:
    """A network from a folder of our own format."""
    config, metadata = _read_own_config(folder)
    path = folder / WEIGHTS_FILE
    try:
        weights = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; copy the whole folder") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy or download it again") from error
    network = _fill(build_network(config), weights, path)
    network.metadata = metadata
    return network


def _fill(network: SpatialNetwork, weights: dict[str, Tensor], path: Path) -> SpatialNetwork:
    """Load strictly: every tensor must be there, fit, and be known."""
    try:
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its own config: {error}") from None
    return network


def read_relations(path: str | os.PathLike) -> tuple[str, ...]:
    """The spatial relations that a checkpoint's network knows, without loading its weights.

    Args:
        path: the folder; published checkpoints know the usual six.

    Raises:
        CheckpointError: if its config is damaged.
    """
    folder = Path(path)
    if not (folder / CONFIG_FILE).exists():
        return RELATIONS
    return _read_own_config(folder)[0].relations


def load_network(path: str | os.PathLike, device: str | torch.device = "cpu") -> SpatialNetwork:
    """A network from a published checkpoint folder or from one of ours, in evaluation mode.

    Args:
        path: the folder.
        device: where to put the network.

    Returns:
        One of the networks of :mod:`semabs_core.networks`, float32. Its ``metadata`` holds what was
        stored beside it (for ours: how its relevancy was made).

    Raises:
        CheckpointError: if the folder is missing, damaged, incomplete or could run code.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise CheckpointError(f"there is no checkpoint folder {folder}")
    if (folder / CONFIG_FILE).exists():
        network = _load_own(folder)
    elif (folder / "args.pkl").exists():
        network = _load_published(folder)
    else:
        raise CheckpointError(
            f"{folder} is no checkpoint: it holds neither {CONFIG_FILE} (ours) "
            "nor args.pkl (published)"
        )
    return network.to(device).eval().requires_grad_(False)


def save_network(
    network: SpatialNetwork,
    path: str | os.PathLike,
    metadata: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a network in our format; each file is written beside and renamed.

    Args:
        network: the network.
        path: the folder, made where missing.
        metadata: JSON values to keep with it, returned as ``network.metadata`` on loading.
        dtype: precision of the stored weights.
    """
    folder = Path(path)
    weights = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in network.state_dict().items()
    }
    content = {"format": FORMAT, "network": network.config.to_dict(), "metadata": metadata or {}}
    write_atomic(folder / WEIGHTS_FILE, safetensors.torch.save(weights))
    write_atomic(folder / CONFIG_FILE, json.dumps(content, indent=2) + "\n")
