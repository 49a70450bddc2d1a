"""What networks read of the words of a scene: relevancy that is stored, or simulated."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semabs_core.data.items import VIEW, Cloud
from semabs_core.data.scene_data import SPECIAL_NAMES, RelevancyRecord, SceneData
from semabs_core.data.simulated import MASK_SHARE, simulate_relevancy
from semabs_core.evidence import Weigher
from semabs_core.image_points import maps_at
from semabs_core.network_config import point_features
from semabs_core.refinement import Refiner
from semabs_core.relevancy import for_networks

SIMULATED = {"simulated": MASK_SHARE, "masks": 1.0}
"""Names of relevancy that is no encoder's and how often it is a segmenter's masks, see
:mod:`semabs_core.data.simulated`."""
OWN_CONTEXT = 0.5
"""Share of items whose words are weighed against the scene's own, not the mean vocabulary."""
ALIKE = (
    {"cupboard", "cabinet", "dresser", "wardrobe", "shelf", "bookcase", "drawer"},
    {"carpet", "rug", "mat", "floor", "ground"},
    {"box", "basket", "bin", "case", "hamper", "crate"},
    {"cup", "mug", "glass", "bowl", "vase", "pot"},
    {"picture", "poster", "painting", "photo", "frame"},
    {"computer", "laptop", "monitor", "keyboard", "television", "tv"},
    {"bag", "backpack", "suitcase", "purse"},
    {"sofa", "couch", "chair", "armchair", "stool", "ottoman", "bench"},
    {"lamp", "light"},
    {"table", "desk", "countertop", "counter"},
    {"plant", "flower"},
    {"bed", "pillow", "mattress"},
    {"towel", "cloth", "curtain", "blind"},
)
"""Words that may be said of the same thing."""


@dataclass(frozen=True)
class Lookup:
    """Relevancy at the input points and text features, by word.

    Attributes:
        maps: (N, F) float32 each, what networks read of a word.
        features: (D,) float32 each.
    """

    maps: dict[str, Tensor]
    features: dict[str, Tensor]


@dataclass(frozen=True)
class WordOptions:
    """What a network reads of words, as in :class:`semabs_core.network_config.NetworkConfig`."""

    network_inputs: tuple[str, ...]
    patch_mask_cutoff: float
    normalization: str
    refine: bool


def absent_words(words: Iterable[str], names: Collection[str]) -> list[str]:
    """The words that can be said of nothing that has one of these names, sorted."""
    there = _kin(set().union(*(_tokens(name) for name in names)) if names else set())
    return sorted(word for word in set(words) if not _kin(_tokens(word)) & there)


def _tokens(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", name.lower()))


def _kin(tokens: set[str]) -> set[str]:
    """Tokens and those that may stand for them."""
    return tokens.union(*(group for group in ALIKE if group & tokens))


def simulated_record(
    scene: SceneData,
    words: Collection[str],
    text_dim: int,
    rng: np.random.Generator,
    name: str = "simulated",
) -> RelevancyRecord:
    """Simulated relevancy of words in a scene, as if it were stored.

    Args:
        scene: with bare names.
        words: what to make maps of.
        text_dim: width of the text features, which are zeros.
        rng: random numbers.
        name: one of :data:`SIMULATED`.
    """
    labels, share = sorted(words), SIMULATED[name]
    seg, names = scene.seg[VIEW], scene.objid_to_class
    maps = simulate_relevancy(seg, names, labels, rng, mask_share=share)
    features = np.zeros((len(labels), text_dim), np.float32)
    return RelevancyRecord(labels, maps, maps.mean(axis=0), features)


def draw_context(
    record: RelevancyRecord,
    vocabulary: Sequence[str],
    names: Collection[str],
    rng: np.random.Generator | None,
    together: Collection[str] = (),
) -> list[str]:
    """The words of a record against which others are weighed.

    The mean vocabulary, where the record has it (the published has not), and the words that are
    asked for together; in training, half of the time, the words that are said of the scene's own
    things, because relevancy that comes from elsewhere brings no vocabulary.

    Args:
        record: what there is.
        vocabulary: the mean vocabulary.
        names: bare names of the scene's objects.
        rng: random numbers; None for the vocabulary.
        together: words that count for each other, as those of a completion do for a robot.
    """
    fixed = [word for word in vocabulary if word in record.labels]
    more = [word for word in record.labels if word in together and word not in fixed]
    fixed += more if fixed or len(more) > 1 else []  # against itself alone nothing is weighed
    if fixed and (rng is None or rng.random() >= OWN_CONTEXT):
        return fixed
    own = [word for word in record.labels if word in names and word not in SPECIAL_NAMES]
    return own if len(own) > 2 or not fixed else fixed


def read_words(
    options: WordOptions,
    record: RelevancyRecord,
    context: Sequence[str],
    words: Collection[str],
    cloud: Cloud,
    frame: tuple[NDArray[np.uint8], NDArray[np.float32]],
) -> Lookup:
    """What a network reads of words at the input points of a scene.

    Args:
        options: what the network reads and how.
        record: relevancy of the words, and of those of the context.
        context: the words that others are weighed against, for networks that read evidence.
        words: those that are asked for.
        cloud: the input points.
        frame: picture (H, W, 3) uint8 and depth (H, W), along whose edges maps are refined.
    """
    place = {label: row for row, label in enumerate(record.labels)}
    asked = [word for word in record.labels if word in words]
    rivals = None
    if options.normalization == "evidence":
        weigher = Weigher(
            {word: record.maps[place[word]] for word in context},
            _mean(record, context, place),
            Refiner(*frame) if options.refine else None,
        )
        weighed = weigher({word: record.maps[place[word]] for word in asked})
        values = maps_at(weighed.flatten(0, 1).numpy(), cloud.uv).unflatten(0, (len(asked), 2))
        relevancy, rivals = values[:, 0], values[:, 1]
    else:
        rows = [place[word] for word in asked]
        relevancy = maps_at(for_networks(record.maps[rows], record.mean), cloud.uv)
    rgb = torch.from_numpy(cloud.colors)
    cutoff = options.patch_mask_cutoff
    maps = point_features(options.network_inputs, relevancy, rgb, cutoff, rivals)
    features = {word: torch.from_numpy(record.features[place[word]]) for word in asked}
    return Lookup(dict(zip(asked, maps, strict=True)), features)


def _mean(
    record: RelevancyRecord, context: Sequence[str], place: dict[str, int]
) -> NDArray[np.float32]:
    """The mean map over the words of the context."""
    return record.maps[[place[word] for word in context]].mean(axis=0)
