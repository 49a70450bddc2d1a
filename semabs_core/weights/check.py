"""Weights of any kind: whether they load, and into our format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from semabs_core.checkpoint import CheckpointError, load_network, save_network
from semabs_core.encoder import MODEL_CONFIG, EncoderError, convert_encoder, load_encoder
from semabs_core.tiling import PRESETS
from semabs_core.weights.shipped import (
    FOLDER,
    LOCAL,
    MANIFEST,
    PREFIX,
    WeightsError,
    shipped_names,
    shipped_path,
    verify,
    write_manifest,
)


def load_any(folder: Path) -> None:
    """Load a network or an encoder.

    Raises:
        CheckpointError, EncoderError: if it cannot be loaded.
    """
    if (folder / MODEL_CONFIG).exists():
        load_encoder(f"{LOCAL}{folder}")
    else:
        load_network(folder)


def check_weights(names: Sequence[str]) -> dict[str, str]:
    """Name to what is wrong with those weights; an empty string if nothing is.

    Args:
        names: of shipped weights (``shipped:completion`` or ``completion``), or folders; none for
            all shipped ones.
    """
    results = {}
    for name in names or [PREFIX + shipped for shipped in shipped_names()]:
        try:
            own = not name.startswith(PREFIX) and Path(name).is_dir()
            faults = [] if own else verify(_known(name))
            if not faults:
                load_any(Path(name) if own else shipped_path(_known(name)))
            results[name] = "; ".join(faults)
        except (WeightsError, CheckpointError, EncoderError) as error:
            results[name] = str(error)
    return results


def _known(name: str) -> str:
    """A shipped name without its prefix, known to be one."""
    shipped_path(name.removeprefix(PREFIX))
    return name.removeprefix(PREFIX)


def pack_weights(
    source: str | os.PathLike,
    name: str,
    about: str,
    folder: Path = FOLDER,
    preset: str | None = None,
) -> str:
    """Put weights into the package, in half precision, and note their checksums.

    Args:
        source: folder of a network or an encoder.
        name: what they are called.
        about: a line for people.
        folder: of the package's weights.
        preset: that a network gets where a config leaves it open; None for the one of its training.

    Returns:
        What it is, for people.

    Raises:
        WeightsError: if the name is no plain one, or the network does not take any preset.
    """
    if Path(name).name != name:
        raise WeightsError(f"weights are packed under a plain name, got {name!r}")
    if preset is not None:
        _check_preset(source, preset)
    what = convert_weights(source, folder / name, torch.float16)
    if preset is not None:
        network = load_network(folder / name)
        noted = network.metadata | {"preset": preset}
        save_network(network, folder / name, noted, torch.float16)
    known = shipped_names(folder) if (folder / MANIFEST).exists() else {}
    lines = {other: str(entry["about"]) for other, entry in known.items()}
    write_manifest(lines | {name: about}, folder)
    return what


def _check_preset(source: str | os.PathLike, preset: str) -> None:
    """Raise unless a preset can be noted in a checkpoint."""
    if preset not in PRESETS:
        raise WeightsError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    if (Path(source) / MODEL_CONFIG).exists():
        raise WeightsError(f"{source} is an encoder, which has no preset")
    if load_network(source).config.normalization != "evidence":
        raise WeightsError(
            f"{source} reads relevancy as it is: it wants the preset that it was trained with"
        )


def convert_weights(
    source: str | os.PathLike, target: str | os.PathLike, dtype: torch.dtype
) -> str:
    """Write a checkpoint in our format.

    Args:
        source: folder of a network, published or ours, or of an encoder.
        target: folder to write.
        dtype: of the stored weights.

    Returns:
        What it is, for people.
    """
    if Path(source).resolve() == Path(target).resolve():
        raise WeightsError(f"{source} is to be written over itself; name another folder")
    if (Path(source) / MODEL_CONFIG).exists():
        convert_encoder(source, target, dtype)
        return "encoder"
    network = load_network(source)
    save_network(network, target, network.metadata, dtype)
    return f"{network.config.task} by {network.config.approach}"
