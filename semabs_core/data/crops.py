"""Crops of many scales from the pictures of scenes, and what covers each patch of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from semabs_core.data.hdf5 import read_scene
from semabs_core.data.items import VIEW
from semabs_core.data.labels import read_synonyms
from semabs_core.data.phrases import PhraseVocabulary
from semabs_core.data.scene_data import SOURCES, SPECIAL_NAMES, SceneFileError, class_name
from semabs_core.data.splits import split_paths

SAMPLES = 4
"""What covers a patch is read at so many pixels along each of its axes."""
SMALLEST_SHARE = 0.2
"""Edge of the smallest crop, as a share of the picture's shorter side."""
MIN_PIXELS = 12
"""Objects of which less is seen are not looked for."""
NOTHING = -1
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CropOptions:
    """How crops are drawn.

    Attributes:
        image_size: edge of a crop as the encoder reads it, pixels.
        patch_size: edge of a patch of it.
        batch: crops per step.
        scales: different edges per step; crops of one edge are resized together.
        random_colors: share of crops out of pictures in random colours, where there are any.
        recolored: share of these whose things are coloured anew each time.
    """

    image_size: int = 64
    patch_size: int = 8
    batch: int = 128
    scales: int = 4
    random_colors: float = 0.3
    recolored: float = 0.5


@dataclass(frozen=True)
class CropBatch:
    """The crops of a step.

    Attributes:
        images: (B, 3, S, S) float32 RGB in 0..1.
        coverage: (B, patches, names) float32, share of each patch that objects of a name cover.
        natural: (B,) bool, whether the colours are those that the names state.
    """

    images: Tensor
    coverage: Tensor
    natural: Tensor


class CropDataset(Dataset[CropBatch]):
    """All pictures of a split in memory (0.4 MB a scene of 256 x 192); an item is a step's crops.

    Each crop is around an object of a class drawn with equal chances, so that rare and small things
    are learnt too. An item depends on (seed, index) alone.

    Args:
        folder: the data set's folder.
        split: name of a split.
        options: how crops are drawn.
        steps: number of items.
        seed: of everything random.

    Attributes:
        phrases: what can be said of the objects.
        weights: (names,) float32, how much a patch of each name counts: rare ones more.
        skipped: scene files that could not be read, with the reason.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        split: str,
        options: CropOptions,
        steps: int,
        seed: int = 0,
    ) -> None:
        self.options, self.steps, self.seed = options, steps, seed
        self.skipped: dict[str, str] = {}
        names: dict[str, int] = {}
        self._pictures: list[list[NDArray[np.uint8]]] = []
        self._ids: list[NDArray[np.int16]] = []
        for path in split_paths(folder, "completion", split):
            try:
                self._add(Path(folder) / path, names)
            except SceneFileError as error:
                self.skipped[path] = str(error)
                logger.warning("left out scene %d: %s", len(self.skipped), error)
        self.phrases = PhraseVocabulary(list(names), read_synonyms(folder))
        self._places = self._find_objects()
        self.weights = self._balance()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> CropBatch:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} is out of range for {self.steps}")
        options, rng = self.options, np.random.default_rng([self.seed, step])
        images, ids, natural = [], [], []
        for number in range(options.scales):
            count = (number + 1) * options.batch // options.scales
            count -= number * options.batch // options.scales
            if not count:
                continue
            share = SMALLEST_SHARE ** rng.random()
            crops = [self._crop(share, rng) for _ in range(count)]
            pixels = torch.from_numpy(np.stack([crop[0] for crop in crops])).permute(0, 3, 1, 2)
            size = (options.image_size, options.image_size)
            if pixels.shape[2:] != size:
                pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True)
            images.append(pixels)
            ids += [crop[1] for crop in crops]
            natural += [crop[2] for crop in crops]
        tinted = tint(torch.cat(images).float() / 255, rng)
        return CropBatch(tinted, self._coverage(np.stack(ids)), torch.tensor(natural))

    def _add(self, file: Path, names: dict[str, int]) -> None:
        """Keep a scene's pictures, and the name of what each pixel shows."""
        scene = read_scene(file, (*SOURCES, "seg"))
        number = [
            NOTHING if name in SPECIAL_NAMES else names.setdefault(name, len(names))
            for name in map(class_name, scene.objid_to_class)
        ]
        seg = scene.seg[VIEW]
        if not len(seg) or seg.max() >= len(number):
            raise SceneFileError(f"{file}: seg must hold ids of the scene's objects")
        pictures = [scene.rgb[VIEW]]
        if scene.domain_randomized_rgb is not None:
            pictures.append(scene.domain_randomized_rgb[VIEW])
        self._pictures.append(pictures)
        table = np.array([*number, NOTHING], np.int16)
        self._ids.append(table[np.where(seg >= 0, seg, len(number))])

    def _find_objects(self) -> list[NDArray[np.int32]]:
        """Per class, the (scene, name) pairs (n, 2) where enough of it is seen."""
        found: dict[str, list[tuple[int, int]]] = {kind: [] for kind in self.phrases.classes}
        for scene, ids in enumerate(self._ids):
            seen, counts = np.unique(ids[ids >= 0], return_counts=True)
            for name in seen[counts >= MIN_PIXELS]:
                found[self.phrases.kinds[name]].append((scene, int(name)))
        places = [np.array(pairs, np.int32) for pairs in found.values() if pairs]
        if not places:
            reason = next(iter(self.skipped.values()), "no scene shows an object")
            raise SceneFileError(f"there is nothing to learn from: {reason}")
        return places

    def _balance(self) -> Tensor:
        """Weights of the names: the inverse root of how much of the pictures a class covers."""
        pixels = sum(
            np.bincount(ids[ids >= 0], minlength=len(self.phrases.names)) for ids in self._ids
        )
        share = dict.fromkeys(self.phrases.classes, 0.0)
        for kind, count in zip(self.phrases.kinds, np.asarray(pixels), strict=True):
            share[kind] += float(count)
        middle = np.median([value for value in share.values() if value] or [1.0])
        weights = [(middle / max(share[kind], 1.0)) ** 0.5 for kind in self.phrases.kinds]
        return torch.tensor(weights, dtype=torch.float32).clamp(0.1, 3.0)

    def _crop(
        self, share: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16], bool]:
        """A square around a pixel of some object: its pixels, its grid of names, natural or not."""
        places = self._places[rng.integers(len(self._places))]
        scene, name = places[rng.integers(len(places))]
        pictures, ids = self._pictures[scene], self._ids[scene]
        random_colors = len(pictures) > 1 and rng.random() < self.options.random_colors
        height, width = ids.shape
        edge = max(8, round(share * min(height, width)))
        pixels = np.flatnonzero(ids == name)
        row, column = divmod(int(pixels[rng.integers(len(pixels))]), width)
        top = int(rng.integers(max(0, row - edge + 1), min(row, height - edge) + 1))
        left = int(rng.integers(max(0, column - edge + 1), min(column, width - edge) + 1))
        window = (slice(top, top + edge), slice(left, left + edge))
        samples = SAMPLES * self.options.image_size // self.options.patch_size
        at = ((np.arange(samples) + 0.5) * edge / samples).astype(int)
        image, grid = pictures[int(random_colors)][window], ids[window][np.ix_(at, at)]
        if random_colors and rng.random() < self.options.recolored:
            image = recolor(image, ids[window], rng)
        if rng.random() < 0.5:
            image, grid = image[:, ::-1], grid[:, ::-1]
        return image, grid, not random_colors

    def _coverage(self, ids: NDArray[np.int16]) -> Tensor:
        """Names at samples (B, n, n) to shares of patches (B, patches, names)."""
        edge = ids.shape[1] // SAMPLES
        grid = torch.from_numpy(ids.astype(np.int64)).unflatten(2, (edge, SAMPLES))
        grid = grid.unflatten(1, (edge, SAMPLES)).transpose(2, 3).flatten(3).flatten(1, 2)
        shares = torch.zeros(*grid.shape[:2], len(self.phrases.names) + 1)
        shares.scatter_add_(2, grid + 1, torch.full(grid.shape, 1 / SAMPLES**2))
        return shares[..., 1:]


def tint(images: Tensor, rng: np.random.Generator, strength: float = 0.5) -> Tensor:
    """Each image in other light: brightness, contrast, saturation and hue, in one linear map.

    Args:
        images: (B, 3, S, S) float32 in 0..1.
        rng: random numbers.
        strength: largest relative change of brightness, contrast and saturation.
    """
    count = len(images)
    luma = np.array([0.299, 0.587, 0.114])
    gray = np.tile(luma, (3, 1))
    matrices = np.stack([_hue_turn(angle) for angle in rng.uniform(-0.2, 0.2, count)])
    saturation = rng.uniform(1 - strength, 1 + strength, (count, 1, 1))
    matrices = (saturation * np.eye(3) + (1 - saturation) * gray) @ matrices
    brightness = rng.uniform(1 - strength, 1 + strength, (count, 1, 1))
    contrast = rng.uniform(1 - strength, 1 + strength, (count, 1, 1))
    colors = torch.from_numpy((brightness * contrast * matrices).astype(np.float32))
    tinted = torch.einsum("bij,bjhw->bihw", colors, images)
    level = torch.einsum("i,bihw->b", torch.from_numpy(luma.astype(np.float32)), images)
    level = level / images[0, 0].numel() * torch.from_numpy(brightness[:, 0, 0].astype(np.float32))
    offset = level * torch.from_numpy(1 - contrast[:, 0, 0].astype(np.float32))
    return (tinted + offset[:, None, None, None]).clamp(0, 1)


def recolor(
    image: NDArray[np.uint8], ids: NDArray[np.int16], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The things of a picture in other colours, each in one linear map; light and texture stay.

    Args:
        image: (H, W, 3) uint8 RGB.
        ids: (H, W) which thing each pixel shows.
        rng: random numbers.
    """
    found, thing = np.unique(ids, return_inverse=True)
    maps = np.stack([_other_color(rng) for _ in found])
    mean = image.mean(axis=(0, 1))
    shift = rng.normal(0, 30, (len(found), 3)) * (rng.random((len(found), 1)) < 0.5)
    pixels, thing = (image - mean).astype(np.float32), thing.reshape(ids.shape)
    turned = np.einsum("hwij,hwj->hwi", maps.astype(np.float32)[thing], pixels)
    turned += (mean + shift).astype(np.float32)[thing]
    return turned.clip(0, 255).astype(np.uint8)


def _other_color(rng: np.random.Generator) -> NDArray[np.float64]:
    """A linear map (3, 3) of RGB: any hue, more or less saturation, other gains."""
    saturation, gains = rng.uniform(0.2, 1.5), np.exp(rng.normal(0, 0.25, 3))
    gray = np.full((3, 3), 1 / 3)
    return (
        gains[:, None]
        * (saturation * np.eye(3) + (1 - saturation) * gray)
        @ _hue_turn(rng.uniform(0, 2 * np.pi))
    )


def _hue_turn(angle: float) -> NDArray[np.float64]:
    """The rotation (3, 3) of RGB about the gray axis by an angle in radians (Rodrigues)."""
    axis = np.full(3, 3**-0.5)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    turned = np.cos(angle) * np.eye(3) + np.sin(angle) * cross
    return turned + (1 - np.cos(angle)) * np.outer(axis, axis)


def keep_batch(items: Sequence[CropBatch]) -> CropBatch:
    """The one batch that an item is."""
    return items[0]
