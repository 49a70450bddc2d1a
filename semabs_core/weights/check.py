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
        WeightsError: if the name is no plain one, or a preset is given to what does not take any.
    """
    if Path(name).name != name:
        raise WeightsError(f"weights are packed under a plain name, got {name!r}")
    what = convert_weights(source, folder / name, torch.float16, preset)
    known = shipped_names(folder) if (folder / MANIFEST).exists() else {}
    lines = {other: str(entry["about"]) for other, entry in known.items()}
    write_manifest(lines | {name: about}, folder)
    return what


def convert_weights(
    source: str | os.PathLike,
    target: str | os.PathLike,
    dtype: torch.dtype,
    preset: str | None = None,
) -> str:
    """Write a checkpoint in our format.

    Args:
        source: folder of a network, published or ours, or of an encoder.
        target: folder to write.
        dtype: of the stored weights.
        preset: that a network gets where a config leaves it open; None for the one of its training.

    Returns:
        What it is, for people.

    Raises:
        WeightsError: if the folders are one, or a preset is given to what does not take any.
    """
    if Path(source).resolve() == Path(target).resolve():
        raise WeightsError(f"{source} is to be written over itself; name another folder")
    if preset is not None and preset not in PRESETS:
        raise WeightsError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    if (Path(source) / MODEL_CONFIG).exists():
        if preset is not None:
            raise WeightsError(f"{source} is an encoder, which has no preset")
        convert_encoder(source, target, dtype)
        return "encoder"
    network, noted = load_network(source), {}
    if preset is not None:
        if network.config.normalization != "evidence":
            raise WeightsError(
                f"{source} reads relevancy as it is: it wants the preset that it was trained with"
            )
        noted = {"preset": preset, "augmentations": PRESETS[preset].augmentations}
    save_network(network, target, network.metadata | noted, dtype)
    return f"{network.config.task} by {network.config.approach}"
