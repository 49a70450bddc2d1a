"""The weights that come with the package: where they are, and whether they are whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from semabs_core.files import write_atomic

FOLDER = Path(__file__).resolve().parent / "shipped"
MANIFEST = "manifest.json"
PREFIX = "shipped:"
"""``shipped:completion`` in a config names the weights of that name in this package."""
LOCAL = "local-dir:"
"""``local-dir:FOLDER`` names an encoder of one's own, in open_clip's words."""


class WeightsError(ValueError):
    """Weights are missing or damaged; the message names them and the remedy."""


def shipped_names(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Name to what the manifest says of it: ``about``, ``files`` with their SHA-256.

    Raises:
        WeightsError: if there is no manifest, or it is damaged.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return dict(content["weights"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{folder / MANIFEST} cannot be read ({error}); install the package again"
        ) from error


def shipped_path(name: str, folder: Path = FOLDER) -> Path:
    """The folder of shipped weights.

    Raises:
        WeightsError: if there are none of that name.
    """
    known = shipped_names(folder)
    if name not in known:
        raise WeightsError(f"no weights {name!r} come with the package, but {', '.join(known)}")
    return folder / name


def resolve_weights(name: str) -> str:
    """``shipped:NAME`` to its folder; anything else as it is."""
    return str(shipped_path(name.removeprefix(PREFIX))) if name.startswith(PREFIX) else name


def size_of(name: str, folder: Path = FOLDER) -> int:
    """Bytes of shipped weights on disk."""
    return sum(file.stat().st_size for file in (folder / name).rglob("*") if file.is_file())


def verify(name: str, folder: Path = FOLDER) -> list[str]:
    """What is wrong with shipped weights: a line per file; none if they are whole."""
    files = shipped_names(folder)[name]["files"]
    faults = []
    for file, expected in files.items():
        path = folder / name / file
        if not path.is_file():
            faults.append(f"{path} is missing")
        elif (found := sha256_of(path)) != expected:
            faults.append(f"{path} is not as it was shipped (SHA-256 {found}, not {expected})")
    return faults


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def renew_manifest(folder: Path = FOLDER) -> None:
    """Note the checksums of all shipped files anew, after some of them were made again."""
    write_manifest({name: str(e["about"]) for name, e in shipped_names(folder).items()}, folder)


def write_manifest(about: dict[str, str], folder: Path = FOLDER) -> None:
    """Note what the folder ships, with the checksum of every file, beside and renamed.

    Args:
        about: name to a line for people; each name is a subfolder.
        folder: of the weights.
    """
    weights = {
        name: {
            "about": text,
            "files": {
                file.relative_to(folder / name).as_posix(): sha256_of(file)
                for file in sorted((folder / name).rglob("*"))
                if file.is_file()
            },
        }
        for name, text in about.items()
    }
    write_atomic(folder / MANIFEST, json.dumps({"weights": weights}, indent=1) + "\n")
