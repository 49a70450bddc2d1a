"""Raw text encodings of a data set's names, which semantic-aware localization reads."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.scene_data import SceneFileError
from semabs_core.files import write_atomic

TEXT_FEATURES_FILE = "text_features.npz"


def write_text_features(
    folder: str | os.PathLike, features: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write name to (D,) encoding (no prompt, not normalised), beside and renamed."""
    names = sorted(features)
    stacked = np.stack([features[name] for name in names])

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(stream, names=np.array(names), features=stacked)

    write_atomic(Path(folder) / TEXT_FEATURES_FILE, write)


def read_text_features(folder: str | os.PathLike) -> dict[str, NDArray[np.float32]]:
    """Name to (D,) float32 encoding.

    Raises:
        SceneFileError: if the file is missing or damaged.
    """
    file = Path(folder) / TEXT_FEATURES_FILE
    try:
        with np.load(file, allow_pickle=False) as archive:
            names, features = archive["names"].tolist(), archive["features"].astype(np.float32)
    except FileNotFoundError:
        raise SceneFileError(
            f"there is no {file}; `semabs data relevancy` makes it for semantic-aware localization"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SceneFileError(f"{file} is damaged ({error}); remove it and make it again") from error
    return dict(zip(names, features, strict=True))
