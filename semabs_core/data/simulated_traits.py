"""In what pretend encoders differ, and how far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Ranges:
    """Between what a pretend encoder's parameters are drawn.

    The distributions of what comes out hold those of a real CLIP's maps and of the shipped
    encoder's (``python -m benchmarks.relevancy_statistics``).

    Attributes:
        confusion: how strong its confusions are, 1 for as strong as the words' own evidence.
        strong_share: share of (word, class) pairs that it confuses strongly.
        weak: size of its many weak confusions.
        unknown: share of words that it does not know.
        large: power of an object's share of the picture that its evidence goes with: half of it as
            all words see the object, half as its own word sees all objects.
        patchy: how much of the evidence is lost where an object does not light up.
        amplitude: spread (standard deviation of the logarithm) between words.
        faint: share of words whose maps are far weaker still.
        absent: how high the most similar thing lights up for a word that is not in the picture.
        uneven: spread (of the logarithm) of the evidence within an object.
        part: how much of an object's evidence lies in a part of it.
        part_size: of that part, in extents of the object.
        contour: evidence that contours add.
        texture: background noise.
        leak: share of the evidence that goes to the surroundings.
        leak_reach: how far, in lengths of the picture.
        mixing: how far neighbouring patches mix, patches.
        attention: how peaked the attention is.
        whole: how much of the evidence that the whole tile shows is taken off.
        contrast: how far tiles with little evidence are brought up: 0 not at all, 1 fully.
        tile_gain: spread (of the logarithm) between tiles.
        patch_noise: spread (of the logarithm) of the attention between patches of a tile.
    """

    confusion: Range = (0.2, 1.0)
    strong_share: Range = (0.0, 0.06)
    weak: Range = (0.01, 0.15)
    unknown: Range = (0.0, 0.15)
    large: Range = (-1.2, 0.7)
    patchy: Range = (0.0, 1.0)
    amplitude: Range = (0.2, 0.8)
    faint: Range = (0.0, 0.2)
    absent: Range = (0.2, 0.8)
    uneven: Range = (0.05, 0.7)
    part: Range = (0.0, 0.8)
    part_size: Range = (0.2, 0.5)
    contour: Range = (0.0, 0.6)
    texture: Range = (0.01, 0.1)
    leak: Range = (0.0, 0.4)
    leak_reach: Range = (0.01, 0.05)
    mixing: Range = (0.1, 0.8)
    attention: Range = (0.0, 1.0)
    whole: Range = (0.0, 0.9)
    contrast: Range = (0.0, 0.5)
    tile_gain: Range = (0.1, 0.6)
    patch_noise: Range = (0.05, 0.6)


FAULTS = ("confusion", "strong_share", "weak", "unknown", "texture", "leak", "mixing")
"""What a poor encoder has more of."""
UNEVENNESS = ("patchy", "uneven", "part", "attention", "whole", "tile_gain", "patch_noise")
"""What an encoder that lights up parts of things has more of."""
RANGES = Ranges()


def draw_traits(rng: np.random.Generator, ranges: Ranges = RANGES) -> dict[str, float]:
    """A random encoder's value of every parameter; faults go together, and so does unevenness."""
    common = dict.fromkeys(FAULTS, rng.random()) | dict.fromkeys(UNEVENNESS, rng.random())
    traits = {}
    for name, (low, high) in vars(ranges).items():
        place = rng.random()
        if name in common:
            place = np.clip(common[name] + (place - 0.5) / 2, 0, 1)
        traits[name] = float(low + (high - low) * place)
    return traits
