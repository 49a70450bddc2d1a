"""Raw text encodings of a data set's names, which semantic-aware localization reads."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.relevancy_settings import RelevancySettings, parse_settings
from semabs_core.data.scene_data import SceneFileError
from semabs_core.files import write_atomic

TEXT_FEATURES_FILE = "text_features.npz"


def write_text_features(
    folder: str | os.PathLike,
    features: Mapping[str, NDArray[np.float32]],
    settings: RelevancySettings | None = None,
) -> None:
    """Write name to (D,) encoding (no prompt, not normalised), beside and renamed.

    Args:
        folder: the data set's folder.
        features: what to write.
        settings: of the encoder that made them, kept with them for :func:`read_text_settings`.
    """
    names = sorted(features)
    arrays: dict[str, Any] = {
        "names": np.array(names),
        "features": np.stack([features[name] for name in names]),
        "settings": np.array(settings.to_text() if settings else ""),
    }

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    write_atomic(Path(folder) / TEXT_FEATURES_FILE, write)


def read_text_features(folder: str | os.PathLike) -> dict[str, NDArray[np.float32]]:
    """Name to (D,) float32 encoding.

    Raises:
        SceneFileError: if the file is missing or damaged.
    """
    names, features, _ = _read(Path(folder) / TEXT_FEATURES_FILE)
    return dict(zip(names.tolist(), features.astype(np.float32), strict=True))


def read_text_settings(folder: str | os.PathLike) -> RelevancySettings | None:
    """Of which encoder the encodings are; None if they do not say.

    Raises:
        SceneFileError: if the file is missing or damaged.
    """
    file = Path(folder) / TEXT_FEATURES_FILE
    return parse_settings(str(_read(file)[2]), file)


def _read(file: Path) -> tuple[NDArray, NDArray, NDArray]:
    """Names (n,), features (n, D) and settings ()."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            names, features = archive["names"], archive["features"]
            settings = archive["settings"] if "settings" in archive else np.array("")
    except FileNotFoundError:
        raise SceneFileError(
            f"there is no {file}; `semabs data relevancy` makes it for semantic-aware localization"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SceneFileError(f"{file} is damaged ({error}); remove it and make it again") from error
    if len(names) != len(features):
        raise SceneFileError(f"{file} has {len(features)} encodings of {len(names)} names")
    return names, features, settings
