"""How stored relevancy was made: noted with each scene's, so that a mixture is noticed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from semabs_core.data.scene_data import SceneFileError
from semabs_core.weights.fingerprint import same_encoder


@dataclass(frozen=True)
class RelevancySettings:
    """How relevancy was made; networks want the same at inference.

    Attributes:
        encoder: name of model and weights, for people.
        prompts: templates with one ``{}``.
        mean_vocabulary: words of the mean map.
        augmentations: colour-jittered copies; None for the preset's number.
        text_dim: width D of the text features.
        fingerprint: of the encoder's weights; empty where it was not noted yet.
    """

    encoder: str
    prompts: list[str]
    mean_vocabulary: list[str]
    augmentations: int | None
    text_dim: int
    fingerprint: str = ""

    def to_text(self) -> str:
        """As it is stored: equal texts are equal settings."""
        return json.dumps(asdict(self), sort_keys=True)


def parse_settings(text: str, where: str | os.PathLike) -> RelevancySettings | None:
    """Settings as they are stored; None if there are none, as in the published data set.

    Raises:
        SceneFileError: if they are damaged; ``where`` names the file.
    """
    if not text:
        return None
    try:
        return RelevancySettings(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise SceneFileError(
            f"{os.fspath(where)}: the settings of its relevancy are damaged ({error}); run "
            "`semabs data relevancy --remake`"
        ) from error


def common_settings(
    found: Mapping[str, RelevancySettings | None], where: str | os.PathLike
) -> RelevancySettings | None:
    """The settings that all scenes share.

    Args:
        found: what to call a scene's relevancy to its settings.
        where: what they are of, for the message.

    Raises:
        SceneFileError: if they differ, as after a remake that was cut off.
    """
    texts = {name: settings.to_text() if settings else "" for name, settings in found.items()}
    if len(counts := Counter(texts.values())) <= 1:
        return next(iter(found.values()), None)
    (one, many), (other, few) = counts.most_common(2)
    examples = [next(name for name in found if texts[name] == text) for text in (one, other)]
    names = different_fields(found[examples[0]], found[examples[1]])
    raise SceneFileError(
        f"the relevancy of {os.fspath(where)} is a mixture: that of {examples[1]} ({few} such) was "
        f"made with other {', '.join(names)} than that of {examples[0]} ({many} such); run `semabs "
        "data relevancy` with the settings that you want, to its end"
    )


def different_fields(one: RelevancySettings | None, other: RelevancySettings | None) -> list[str]:
    """What two settings differ in, by name; ``settings`` where only one of them is known."""
    if one is None or other is None:
        return ["settings"] * (one is not other)
    return [f.name for f in fields(one) if getattr(one, f.name) != getattr(other, f.name)]


def unlike_training(metadata: Mapping[str, Any], settings: RelevancySettings | None) -> list[str]:
    """What differs between the relevancy a network was trained on and that of a data set.

    Args:
        metadata: of a network: the settings then, as far as they were noted.
        settings: of the data set; None where it notes none.

    Returns:
        Such as ``encoder`` or ``prompts``; empty where nothing is known to differ.
    """
    if settings is None:
        return []
    other = ["encoder"]
    if same_encoder(metadata, settings.encoder, settings.fingerprint):
        other = []
    for name in ("prompts", "mean_vocabulary", "augmentations"):
        if name in metadata and metadata[name] != getattr(settings, name):
            other.append(name)
    return other
