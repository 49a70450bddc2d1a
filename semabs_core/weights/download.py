"""The published weights from their public address: resumed where cut off, unpacked safely."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import lz4.frame
import requests

from semabs_core.checkpoint import first_line
from semabs_core.files import PART_SUFFIX, rename_durably
from semabs_core.weights.published import checkpoint_folders
from semabs_core.weights.shipped import WeightsError, sha256_of

PUBLISHED_URL = "https://semantic-abstraction.cs.columbia.edu/downloads/models.tar.lz4"
"""All checkpoints of the paper, about 3.5 GB; the address is that of its README."""
WANTED = ("ovssc.pth", "vool.pth", "args.pkl")
CHUNK = 1 << 16
TIMEOUT_S = 30.0
OnProgress = Callable[[int, int], None]
"""Called as ``on_progress(bytes done, bytes in all)``; in all is 0 where the host does not say."""


def download(
    url: str, target: Path, sha256: str | None = None, on_progress: OnProgress | None = None
) -> Path:
    """Download a file; a ``.part`` that an earlier try left is carried on with.

    Args:
        url: its address.
        target: where it goes; kept if it is there already.
        sha256: its checksum, where it is known.
        on_progress: told about progress.

    Raises:
        WeightsError: if there is no network, the host is gone or refuses, or the file is damaged.
    """
    if target.exists():
        if sha256 is not None and (found := sha256_of(target)) != sha256:
            raise WeightsError(
                f"{target} is there, but damaged (SHA-256 {found}, not {sha256}); delete it and "
                "call again"
            )
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + PART_SUFFIX)
    try:
        _receive(url, part, on_progress)
    except requests.HTTPError as error:
        raise WeightsError(
            f"{url} is not to be had ({error}); see whether its host has moved it"
        ) from None
    except requests.ConnectionError as error:
        raise WeightsError(
            f"cannot reach {url}: there is no network, or the host is gone ({_reason(error)}). "
            f"What has come so far is kept in {part}; call again to carry on, or fetch the file by "
            f"other means and put it at {target}"
        ) from None
    except requests.RequestException as error:
        raise WeightsError(
            f"the download of {url} broke off ({_reason(error)}); what has come is kept in {part}: "
            "call again to carry on"
        ) from None
    if sha256 is not None and (found := sha256_of(part)) != sha256:
        part.unlink()
        raise WeightsError(f"{url} came damaged (SHA-256 {found}, not {sha256}); call again")
    rename_durably(part, target)
    return target


def _reason(error: Exception) -> str:
    return first_line(error)[:200]


def _receive(url: str, part: Path, on_progress: OnProgress | None) -> None:
    """Append what is missing to the part."""
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-", "Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all of it is there
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            done = 0  # the host starts from the beginning
        total = done + int(answer.headers.get("Content-Length", 0))
        with part.open("ab" if done else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(done, total)
    if done < total:
        raise requests.ConnectionError(f"{done} of {total} bytes came")


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack the checkpoints of a ``.tar.lz4``; nothing else of it, and nothing outside the folder.

    Args:
        archive: the file.
        folder: where its folders go; it appears only when all are there.

    Returns:
        The checkpoint folders.

    Raises:
        WeightsError: if the archive is damaged or holds no checkpoint.
    """
    part = folder.with_name(folder.name + PART_SUFFIX)
    shutil.rmtree(part, ignore_errors=True)
    try:
        with (
            lz4.frame.open(archive, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            for member in tar:
                path = PurePosixPath(member.name)
                safe = member.isfile() and not path.is_absolute() and ".." not in path.parts
                source = tar.extractfile(member) if safe and path.name in WANTED else None
                if source is not None:
                    target = part.joinpath(*path.parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        shutil.copyfileobj(source, file, CHUNK)
    except OSError:  # no room on the disk, no leave to write: the archive is fine
        shutil.rmtree(part, ignore_errors=True)
        raise
    except (RuntimeError, EOFError, tarfile.TarError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise WeightsError(
            f"{archive} is damaged ({error}); delete it and download it again"
        ) from error
    if not part.exists():
        raise WeightsError(f"{archive} holds no checkpoint ({', '.join(WANTED)})")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)
    return checkpoint_folders(folder)
