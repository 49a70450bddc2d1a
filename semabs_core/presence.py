"""Whether a picture supports a description: a calibrated probability that its things are there.

The 3D networks always have a best point. Whether there is anything to find, the encoder can tell
better: from what the tiles of a picture look like as a whole. A tile's evidence for a word is its
logit less the log-sum-exp of those of a fixed vocabulary: the log of its share in a softmax, as
contrastive models are trained. Per scale, the best and the mean tile go into a logistic model.
There are two. One answers whether a thing is *visible*; references must be, and targets to the
left, to the right and in front. The other answers whether it is *there*, visible or hidden, which
is what a target in, on or behind something needs: what the rest of the room looks like is all the
evidence that there can be, and its evidence is weaker.

``presence.json`` beside an encoder's weights holds both models for each relevancy preset. They are
fitted on rooms of which all is known (:mod:`semabs_core.training.presence`).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.description import Description
from semabs_core.encoder import ImageTextEncoder
from semabs_core.files import write_atomic
from semabs_core.relevancy import RelevancyExtractor
from semabs_core.tiling import PRESETS
from semabs_core.vocabulary import Vocabulary, encoder_folder, read_vocabulary

PRESENCE_FILE = "presence.json"
FORMAT = "semabs-presence"
HIDING = ("in", "on", "behind")
"""Relations whose target may be hidden."""


class PresenceError(ValueError):
    """A calibration cannot be read or made; the message names the file and the remedy."""


@dataclass(frozen=True)
class Logistic:
    """A logistic model: ``p = 1 / (1 + exp(-(weights . x + bias)))``."""

    weights: tuple[float, ...]
    bias: float

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n,) of rows x (n, features)."""
        return 1 / (1 + np.exp(-(x @ np.array(self.weights) + self.bias)))


@dataclass(frozen=True)
class PresenceModel:
    """A calibration of one encoder with one preset.

    Attributes:
        fingerprint: of the encoder's weights.
        prompts: templates that the words stand in.
        vocabulary: the words that a word is measured against.
        visible: from a word's evidence to the probability that the picture shows it.
        there: the same for being there, visible or hidden.
        threshold: a description is found from this probability on.
    """

    fingerprint: str
    prompts: tuple[str, ...]
    vocabulary: tuple[str, ...]
    visible: Logistic
    there: Logistic
    threshold: float

    def probability(
        self, relation: str, target: NDArray[np.float64], reference: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """That target and reference are there, as if each were with even odds before one looked.

        Args:
            relation: one of the six.
            target: (n, features) evidence of n targets.
            reference: (n, features) evidence of their references.
        """
        model = self.there if relation in HIDING else self.visible
        return model(target) * self.visible(reference)


@torch.no_grad()
def word_evidence(
    features: Sequence[Tensor], words: Tensor, vocabulary: Tensor, logit_scale: float
) -> NDArray[np.float64]:
    """Evidence of words in a picture.

    Args:
        features: per scale, (n, D) normalised features of its tiles.
        words: (L, D) normalised text features.
        vocabulary: (V, D) normalised text features of what the words are measured against.
        logit_scale: of the encoder.

    Returns:
        (L, 2 * scales) float64: of each scale the best tile's, then the mean tile's.
    """
    columns = []
    for tiles in features:
        rest = (logit_scale * tiles @ vocabulary.T).logsumexp(dim=-1, keepdim=True)
        evidence = logit_scale * tiles @ words.T - rest
        columns += [evidence.amax(dim=0), evidence.mean(dim=0)]
    return torch.stack(columns, dim=1).double().cpu().numpy()


class PresenceClassifier:
    """Tells of a description whether a picture supports it.

    Args:
        extractor: made the tiles.
        model: the calibration; None where there is none.
        known: the words of the encoder; None where nobody noted them.
    """

    def __init__(
        self, extractor: RelevancyExtractor, model: PresenceModel | None, known: Vocabulary | None
    ) -> None:
        self.extractor, self.model, self.known = extractor, model, known

    def evidence(self, features: Sequence[Tensor], names: Sequence[str]) -> NDArray[np.float64]:
        """Evidence (L, features) of names in a picture.

        Of a name with a colour, only the thing counts: encoders read "red mug" as much as "mug".

        Args:
            features: of the picture's tiles, from :meth:`RelevancyExtractor.image_features`.
            names: L names that hold a known thing, where it is known what is.
        """
        assert self.model is not None
        words = [(self.known.thing_in(name) if self.known else None) or name for name in names]
        features_of_words, features_of_vocabulary = (
            F.normalize(self.extractor.label_features(texts, self.model.prompts), dim=-1)
            for texts in (words, self.model.vocabulary)
        )
        scale = self.extractor.encoder.logit_scale
        return word_evidence(features, features_of_words, features_of_vocabulary, scale)

    def visible(
        self, names: Sequence[str], features: Callable[[], Sequence[Tensor]]
    ) -> NDArray[np.float64]:
        """The probability (L,) that the picture shows each of L things.

        NaN where there is no calibration, 0 of what the encoder was never shown.

        Args:
            names: of the things.
            features: makes the features of the picture's tiles, where they are needed.
        """
        told = [self.known is None or bool(self.known.thing_in(name)) for name in names]
        found = np.where(told, math.nan, 0.0)
        if self.model is not None and any(told):
            known = [name for name, tells in zip(names, told, strict=True) if tells]
            found[told] = self.model.visible(self.evidence(features(), known))
        return found

    def __call__(
        self, description: Description, features: Callable[[], Sequence[Tensor]]
    ) -> tuple[bool, float]:
        """Whether a description is found, and the probability that its things are there.

        Args:
            description: what is asked for.
            features: makes the features of the picture's tiles, where they are needed.

        Returns:
            Found or not, and the probability; NaN where there is no calibration, or the encoder was
            never shown such a thing.
        """
        names = description.names
        if self.known is not None and not all(map(self.known.thing_in, names)):
            return False, math.nan
        if self.model is None:
            return True, math.nan
        evidence = self.evidence(features(), names)[:, None]
        if description.relation:
            probability = float(self.model.probability(description.relation, *evidence)[0])
        else:  # as if by a reference that is certainly there
            probability = float(self.model.visible(evidence[0])[0])
        return probability >= self.model.threshold, probability


def make_presence_classifier(
    extractor: RelevancyExtractor, preset: str, prompts: Sequence[str]
) -> PresenceClassifier:
    """The classifier of an extractor's encoder, from what lies beside its weights.

    Raises:
        VocabularyError, PresenceError: if that is damaged.
    """
    encoder = extractor.encoder
    known = read_vocabulary(encoder.name)
    return PresenceClassifier(extractor, read_presence(encoder, preset, prompts), known)


def save_presence(model: PresenceModel, preset: str, folder: str | os.PathLike) -> None:
    """Put a calibration beside an encoder's weights; those of other presets of it stay."""
    file = Path(folder) / PRESENCE_FILE
    presets = _read(file)["presets"] if file.exists() else {}
    presets = {
        name: entry for name, entry in presets.items() if entry["fingerprint"] == model.fingerprint
    }
    content = {"format": FORMAT, "presets": {**presets, preset: asdict(model)}}
    write_atomic(file, json.dumps(content, indent=1) + "\n")


def read_presence(
    encoder: ImageTextEncoder, preset: str, prompts: Sequence[str]
) -> PresenceModel | None:
    """The calibration of an encoder with a preset; None where there is none that fits.

    Args:
        encoder: of these very weights it must be.
        preset: of the relevancy.
        prompts: with these templates it must have been made.

    Raises:
        PresenceError: if the file is damaged.
    """
    folder = encoder_folder(encoder.name)
    if folder is None or not (folder / PRESENCE_FILE).exists():
        return None
    entry = _read(folder / PRESENCE_FILE)["presets"].get(preset)
    if entry is None:
        return None
    fits = entry["fingerprint"] == encoder.fingerprint and entry["prompts"] == list(prompts)
    if not fits:
        return None
    visible, there = (
        Logistic(tuple(entry[name]["weights"]), entry[name]["bias"])
        for name in ("visible", "there")
    )
    return PresenceModel(
        entry["fingerprint"],
        tuple(entry["prompts"]),
        tuple(entry["vocabulary"]),
        visible,
        there,
        entry["threshold"],
    )


def calibrated_prompts(encoder_name: str) -> list[str]:
    """The templates that an encoder was calibrated with, which suit it; empty where there are none.

    Raises:
        PresenceError: if its calibration is damaged.
    """
    folder = encoder_folder(encoder_name)
    if folder is None or not (folder / PRESENCE_FILE).exists():
        return []
    presets = _read(folder / PRESENCE_FILE)["presets"]
    return list(next(iter(presets.values()))["prompts"]) if presets else []


def _read(file: Path) -> dict[str, Any]:
    """The content of a calibration file, checked."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {content['format']!r}")
        for preset, entry in content["presets"].items():
            _check(entry, 2 * len(PRESETS[preset].fractions))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PresenceError(
            f"{file} is no calibration ({error!r}); remove it, or make it again with "
            "`semabs weights calibrate`"
        ) from None
    return content


def _check(entry: dict[str, Any], features: int) -> None:
    """Raise unless an entry has all parts of a model, of the right types and sizes."""
    numbers = [entry["threshold"]]
    for name in ("visible", "there"):
        weights = entry[name]["weights"]
        if len(weights) != features:
            raise ValueError(f"{name} must have {features} weights, got {len(weights)}")
        numbers += [*weights, entry[name]["bias"]]
    texts = [entry["fingerprint"], *entry["prompts"], *entry["vocabulary"]]
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise ValueError("weights, bias and threshold must be numbers")
    if not entry["vocabulary"] or not all(isinstance(text, str) for text in texts):
        raise ValueError("fingerprint, prompts and vocabulary must be texts")
