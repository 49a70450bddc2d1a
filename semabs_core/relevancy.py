"""Image and labels to multi-scale relevancy maps: tiles, presets, assembling (arXiv 2207.11514)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

from semabs_core.cores import least_pieces, side_by_side
from semabs_core.embedded_tiles import EmbeddedTiles, KeptTiles, State, default_tile_batch
from semabs_core.encoder import ImageTextEncoder
from semabs_core.tiling import (
    PRESETS,
    TILINGS,
    TileBatch,
    assemble,
    tile_batches,
    tile_grids,
    tile_weights,
)
from semabs_core.types import MIN_IMAGE_EDGE

DEFAULT_PROMPTS = ("a photograph of a {} in a home.",)
RENDER_PROMPTS = ("a render of a {} in a game engine.",)
RELEVANCY_GAIN = 50.0
"""Step 7, for the networks: brings mean-subtracted maps to values around +-1."""
BATCHES_AHEAD = 32
"""So many are embedded before their relevancy is made, for which a CPU's cores work together."""
OnProgress = Callable[[str, float], None]
"""Called as ``on_progress(stage, fraction)`` between batches; raise from it to stop."""


def for_networks(maps: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Step 7: maps (..., H, W) less the mean map (H, W), times the gain, as networks read them."""
    return np.float32(RELEVANCY_GAIN) * (maps - mean)


def check_prompts(prompts: Sequence[str]) -> None:
    """Raise ``ValueError`` unless there are prompts, each with one ``{}`` and no other brace."""
    if not prompts:
        raise ValueError("prompts must not be empty")
    for prompt in prompts:
        if prompt.count("{}") != 1 or prompt.count("{") + prompt.count("}") != 2:
            raise ValueError(
                f"a prompt must hold one {{}} for the label and no other brace, got {prompt!r}"
            )


class RelevancyExtractor:
    """Where an image supports a text, for any labels.

    Args:
        encoder: the vision-language model.
        preset: a name out of :data:`semabs_core.tiling.PRESETS`.
        tiling: ``full``, or ``published`` for parity with the published code.
        augmentations: colour-jittered copies; None for the preset's number.
        seed: of the colour jitter.
        rollout_layers: how many of the last attention layers it is rolled out over. More than one
            goes through autograd, which is slower.
        tile_batch: tiles per forward pass, of which each core of a CPU has one, which bounds the
            memory; None for :func:`~semabs_core.embedded_tiles.default_tile_batch`.
    """

    def __init__(
        self,
        encoder: ImageTextEncoder,
        preset: str = "ours",
        tiling: str = "full",
        augmentations: int | None = None,
        seed: int = 0,
        rollout_layers: int = 1,
        tile_batch: int | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
        if tiling not in TILINGS:
            raise ValueError(f"tiling must be one of {', '.join(TILINGS)}, got {tiling!r}")
        if tiling == "published" and PRESETS[preset].strides == 1:
            raise ValueError(f"tiling published leaves holes with the preset {preset}: use full")
        if not 1 <= rollout_layers <= encoder.layers:
            raise ValueError(f"rollout_layers must be 1..{encoder.layers}, got {rollout_layers}")
        if augmentations is not None and augmentations < 0:
            raise ValueError(f"augmentations must not be negative, got {augmentations}")
        if tile_batch is not None and tile_batch < 1:
            raise ValueError(f"tile_batch must be at least 1, got {tile_batch}")
        self.encoder = encoder
        self.preset = PRESETS[preset]
        self.tiling = tiling
        self.augmentations = (
            self.preset.augmentations if augmentations is None else int(augmentations)
        )
        self.seed = seed
        self.rollout_layers = rollout_layers
        self.tile_batch = tile_batch or default_tile_batch(encoder)

    def __call__(
        self,
        image: NDArray[np.uint8],
        labels: list[str],
        prompts: Sequence[str] | None = None,
        distractors: Sequence[str] = (),
        on_progress: OnProgress | None = None,
        tile_weights: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Relevancy maps of an image.

        Args:
            image: (H, W, 3) uint8 RGB.
            labels: L names.
            prompts: templates with one ``{}``; None for ``a photograph of a {} in a home.``.
            distractors: names whose mean map is subtracted from every map.
            on_progress: called between batches of tiles.
            tile_weights: as of :meth:`maps`.

        Returns:
            (L, H, W) float32; not negative without distractors.
        """
        names = [*labels, *distractors]
        tiles = self.embed(image, on_progress)
        maps = self.maps(tiles, image.shape[:2], names, prompts, tile_weights=tile_weights)
        if distractors:
            maps = maps[: len(labels)] - maps[len(labels) :].mean(axis=0)
        return maps

    def embed(
        self,
        image: NDArray[np.uint8],
        on_progress: OnProgress | None = None,
        kept: KeptTiles | None = None,
    ) -> Iterator[EmbeddedTiles]:
        """Run the image tower over all tiles of an image, a batch at a time.

        Args:
            image: (H, W, 3) uint8 RGB.
            on_progress: called before each batch; on a CPU one batch for each core is made ahead.
            kept: the tiles of another image; those that look alike are taken over.

        Returns:
            The batches, each made when it is asked for or shortly before. They can be kept (about
            0.1 MB a tile for ViT-B/32 in half precision) and given to :meth:`maps` again with other
            labels.

        Raises:
            ValueError: if the kept tiles are of an image of another size or of other batches.
        """
        image = check_image(image)
        picture = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
        grids = tile_grids(image.shape[0], image.shape[1], self.preset, self.tiling)
        per_view = sum(map(len, grids))
        if kept is not None and len(kept.changed) != per_view:
            raise ValueError(
                f"the kept tiles are {len(kept.changed)}, not {per_view}: another size"
            )
        total, size = per_view * (1 + self.augmentations), self.batch_size(per_view)
        batches = tile_batches(grids, size)

        def pieces() -> Iterator[Callable[[], EmbeddedTiles]]:
            for number, view in enumerate(self._views(picture)):
                for batch in batches:
                    slots = torch.from_numpy(batch.numbers) + number * per_view
                    if on_progress:
                        on_progress("relevancy", int(slots[0]) / total)
                    if kept is None:
                        yield partial(self._embed_batch, view, batch.size, batch.corners, slots)
                        continue
                    known = kept.batches.popleft() if kept.batches else None
                    if known is None or not torch.equal(known.slots, slots):
                        raise ValueError(f"the kept tiles are not in batches of {size}")
                    changed = kept.changed[batch.numbers]
                    yield partial(self._renew_batch, known, changed, view, batch)

        if self.encoder.device.type == "cuda":
            return (piece() for piece in pieces())
        due = [batch for batch in batches if kept is None or kept.changed[batch.numbers].any()]
        return side_by_side(pieces(), len(due) * (1 + self.augmentations))

    def batch_size(self, tiles: int) -> int:
        """How many tiles go through the tower together, of so many of a picture.

        No more than ``tile_batch``; on a CPU so few that there is work for every core.
        """
        pieces = least_pieces()
        if self.encoder.device.type == "cuda" or tiles < pieces:
            return self.tile_batch
        return min(self.tile_batch, tiles // pieces)

    def maps(
        self,
        tiles: Iterable[EmbeddedTiles],
        shape: tuple[int, int],
        labels: Sequence[str],
        prompts: Sequence[str] | None = None,
        mix: Tensor | None = None,
        tile_weights: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Relevancy maps of embedded tiles.

        Args:
            tiles: all batches of an image, from :meth:`embed`.
            shape: (H, W) of the image.
            labels: L names.
            prompts: templates with one ``{}``.
            mix: (K, L) float32: these sums of the labels' maps in their place, before assembling.
            tile_weights: (tiles,) how much each counts, of :meth:`tile_weights`; None: all alike.

        Returns:
            (L or K, H, W) float32, not negative.

        Raises:
            ValueError: if there is not one weight for each tile, or the largest ones have none.
        """
        text = self.label_features(labels, prompts)
        grids = tile_grids(*shape, self.preset, self.tiling)
        per_view = sum(map(len, grids))
        size = (per_view, len(text), *self.encoder.patch_grid)
        mean = torch.zeros(size, device=self.encoder.device)
        tiles, ahead = iter(tiles), 1 if mean.is_cuda else BATCHES_AHEAD
        while some := list(islice(tiles, ahead)):
            for batch in some:
                relevancy = self._relevancy(batch.state, text)
                if batch.mirrored is not None:
                    relevancy = (relevancy + self._relevancy(batch.mirrored, text).flip(-1)) / 2
                slots = (batch.slots % per_view).to(mean.device)
                mean.index_add_(0, slots, relevancy.float())
        mean /= 1 + self.augmentations
        if mix is not None:
            mean = torch.einsum("kl,tlrc->tkrc", mix.to(mean.device), mean)
        return assemble(mean, grids, shape, tile_weights).cpu().numpy()

    def tile_weights(
        self, depth_m: NDArray[np.float32], K: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """How much each tile of an image counts, from :func:`~semabs_core.tiling.tile_weights`."""
        return tile_weights(depth_m, K, self.preset, self.tiling)

    def image_features(
        self, tiles: Iterable[EmbeddedTiles], shape: tuple[int, int]
    ) -> list[Tensor]:
        """What the encoder sees in each tile as a whole.

        Args:
            tiles: all batches of an image, from :meth:`embed`.
            shape: (H, W) of the image.

        Returns:
            Per scale, the largest tiles first, (n, D) float32 normalised features of its n tiles,
            those of the jittered copies among them; a mirrored tile counts with its original.
        """
        counts = [len(grid) for grid in tile_grids(*shape, self.preset, self.tiling)]
        scale = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        found: list[list[Tensor]] = [[] for _ in counts]
        for batch in tiles:
            features = self._features(batch.state)
            if batch.mirrored is not None:
                features = F.normalize(features + self._features(batch.mirrored), dim=-1)
            scales = scale[batch.slots % len(scale)]
            for number, kept in enumerate(found):
                kept.append(features[(scales == number).to(features.device)])
        return [torch.cat(kept) for kept in found]

    def label_features(self, labels: Sequence[str], prompts: Sequence[str] | None) -> Tensor:
        """Text features (L, D) of labels, checked."""
        names = list(labels)
        if not names:
            raise ValueError("labels must not be empty")
        for name in names:
            if not isinstance(name, str) or not name.strip():
                raise ValueError(f"labels must be words, got {name!r}")
        templates = list(DEFAULT_PROMPTS if prompts is None else prompts)
        check_prompts(templates)
        return self.encoder.label_features(names, templates)

    def _views(self, picture: Tensor) -> Iterator[Tensor]:
        """The picture (3, H, W) uint8, then its seeded jittered copies."""
        yield picture
        if not self.augmentations:
            return
        jitter = v2.ColorJitter(brightness=0.6, contrast=0.6, saturation=0.6, hue=0.1)
        for copy in range(self.augmentations):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed * 1_000_003 + copy)
                jittered = jitter(picture)
            yield jittered

    def _prepare(self, view: Tensor, corners: Sequence[tuple[int, int]], size: int) -> Tensor:
        """Cut tiles out, resize with 8-bit rounding as PIL does, normalise."""
        tiles = torch.stack([view[:, r : r + size, c : c + size] for r, c in corners])
        edge = self.encoder.image_size
        if size != edge:
            tiles = F.interpolate(tiles, (edge, edge), mode="bicubic", antialias=True)
        mean = torch.tensor(self.encoder.mean)[:, None, None] * 255
        std = torch.tensor(self.encoder.std)[:, None, None] * 255
        tiles = tiles.to(self.encoder.device).float()
        return tiles.sub_(mean.to(tiles.device)).div_(std.to(tiles.device)).to(self.encoder.dtype)

    def _embed_batch(
        self, view: Tensor, size: int, corners: Sequence[tuple[int, int]], slots: Tensor
    ) -> EmbeddedTiles:
        """The tiles of a view (3, H, W) at these corners."""
        tiles = self._prepare(view, corners, size)
        flipped = self._embed(tiles.flip(-1)) if self.preset.horizontal_flip else None
        return EmbeddedTiles(self._embed(tiles), flipped, slots)

    def _renew_batch(
        self, known: EmbeddedTiles, changed: NDArray[np.bool_], view: Tensor, batch: TileBatch
    ) -> EmbeddedTiles:
        """A batch of another picture, with those of its tiles (T,) anew that have changed."""
        rows = np.flatnonzero(changed)
        if not len(rows):
            return known
        corners = [batch.corners[row] for row in rows]
        return known.with_rows(
            rows, self._embed_batch(view, batch.size, corners, known.slots[rows])
        )

    def _embed(self, tiles: Tensor) -> State:
        """The last block's state; for a deeper roll-out the tiles themselves."""
        return tiles if self.rollout_layers > 1 else self.encoder.embed_tiles(tiles)

    def _features(self, state: State) -> Tensor:
        """(T, D) normalised image features of a batch."""
        if isinstance(state, Tensor):
            return F.normalize(self.encoder.encode_image(state).float(), dim=-1)
        return F.normalize(self.encoder.tile_features(state), dim=-1)

    def _relevancy(self, state: State, text: Tensor) -> Tensor:
        """(T, L, rows, columns) relevancy of a batch."""
        if isinstance(state, Tensor):
            return self.encoder.tile_relevancy_rollout(state, text, self.rollout_layers)
        return self.encoder.tile_relevancy(state, text)


def check_image(image: NDArray) -> NDArray[np.uint8]:
    """The image, if it is (H, W, 3) uint8 and large enough to be cut into tiles."""
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be (H, W, 3) uint8, got {getattr(image, 'shape', image)!r}")
    if image.dtype != np.uint8:
        raise ValueError(f"image must be uint8 with values 0..255, got {image.dtype}")
    if min(image.shape[:2]) < MIN_IMAGE_EDGE:
        raise ValueError(
            f"image must be at least {MIN_IMAGE_EDGE} pixels wide and high, got {image.shape[:2]}"
        )
    return image
