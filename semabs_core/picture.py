"""Relevancy of a picture alone, without depth and without the 3D networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from semabs_core.config import UNTRAINED, SemabsConfig
from semabs_core.description import check_classes
from semabs_core.encoder import ImageTextEncoder
from semabs_core.models import choose_relevancy, load_fast_encoder, load_task_network
from semabs_core.networks import SpatialNetwork
from semabs_core.relevancy import OnProgress, RelevancyExtractor, check_image, for_networks
from semabs_core.vocabulary import read_vocabulary
from semabs_core.weights.fingerprint import same_encoder
from semabs_core.weights.published import PREFIX as PUBLISHED

LONGEST_EDGE = 1024
"""Pixels. The smallest tiles are a quarter of the shorter edge, about what encoders read."""


class PictureError(ValueError):
    """A picture cannot be read; the message names the file and the remedy."""


@dataclass(frozen=True)
class PictureRelevancy:
    """Where a picture supports each label.

    Attributes:
        labels: L names.
        maps: (L, H, W) float32, not negative (relevancy, step 5).
        mean: (H, W) float32, the mean map of the everyday words that every map is measured against.
    """

    labels: list[str]
    maps: NDArray[np.float32]
    mean: NDArray[np.float32]

    @property
    def above_mean(self) -> NDArray[np.float32]:
        """The maps less the mean map, in the unit of the networks (step 7)."""
        return for_networks(self.maps, self.mean)


class PictureReader:
    """Relevancy of pictures for any labels.

    What the config leaves open is as the config's networks were trained, where they were trained
    with this encoder; else as the paper has it.

    Args:
        config: its encoder, relevancy, device and seed count.

    Raises:
        ConfigError: if the config is wrong.
        EncoderError: if the encoder cannot be loaded.
    """

    def __init__(self, config: SemabsConfig) -> None:
        options = config.relevancy
        self.encoder = load_fast_encoder(config)
        self.known = read_vocabulary(self.encoder.name)
        self.chosen = choose_relevancy(config, _trained_with(config, self.encoder))
        self.extractor = RelevancyExtractor(
            self.encoder,
            self.chosen.preset,
            options.tiling,
            self.chosen.augmentations,
            config.seed,
            options.rollout_layers,
            options.tile_batch,
        )

    def __call__(
        self,
        image: NDArray[np.uint8],
        labels: Sequence[str],
        on_progress: OnProgress | None = None,
    ) -> PictureRelevancy:
        """Relevancy of a picture.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: L names, all different.
            on_progress: called between batches of tiles; raise from it to stop.

        Raises:
            ValueError: if the picture is no such array or too small, or a label is empty or there
                twice.
        """
        names = check_classes(labels)
        words = [*names, *self.chosen.mean_vocabulary]
        maps = self.extractor(image, words, self.chosen.prompts, on_progress=on_progress)
        basis = maps[len(names) :]
        mean = basis.mean(axis=0) if len(basis) else np.zeros(image.shape[:2], np.float32)
        return PictureRelevancy(names, maps[: len(names)], mean)


def _trained_with(config: SemabsConfig, encoder: ImageTextEncoder) -> list[SpatialNetwork]:
    """The config's completion network, if it notes that it was trained with this encoder."""
    checkpoint = config.completion.checkpoint
    if checkpoint == UNTRAINED or checkpoint.startswith(PUBLISHED):
        return []  # they note nothing
    network = load_task_network(checkpoint, "completion", config, encoder)
    same = same_encoder(network.metadata, encoder.name, encoder.fingerprint)
    return [network] if same else []


def read_picture(path: str | os.PathLike, longest_edge: int = LONGEST_EDGE) -> NDArray[np.uint8]:
    """A picture file, upright as its EXIF orientation says, not larger than need be.

    Args:
        path: PNG, JPEG or what else Pillow reads.
        longest_edge: a larger picture is made smaller to this many pixels.

    Returns:
        (H, W, 3) uint8 RGB; transparent parts are white.

    Raises:
        PictureError: if it is missing, damaged, no picture or too small.
    """
    file = Path(path)
    if not file.is_file():
        raise PictureError(f"there is no picture {file}")
    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.thumbnail((longest_edge, longest_edge), Image.Resampling.LANCZOS)
            picture = picture.convert("RGBA")
    except Image.DecompressionBombError:
        raise PictureError(f"{file} has too many pixels; make it smaller first") from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's, by the format
        reason = "it is no picture" if isinstance(error, Image.UnidentifiedImageError) else error
        raise PictureError(f"{file} cannot be read: {reason}; give a PNG or JPEG file") from None
    white = Image.new("RGBA", picture.size, "white")
    rgb = np.array(Image.alpha_composite(white, picture).convert("RGB"))
    try:
        return check_image(rgb)
    except ValueError as error:
        raise PictureError(f"{file}: {error}") from None
