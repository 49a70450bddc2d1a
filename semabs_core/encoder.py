"""The vision-language model: text features, tiles embedded once, relevancy of any label.

The relevancy is that of Chefer et al. (arXiv 2103.15679) as Semantic Abstraction (arXiv 2207.11514)
uses it: the attention that the image feature is read by, weighted by the gradient of a label's
logit, positive part, mean over heads. How an image tower answers that is its kind's
business (:mod:`semabs_core.towers`).
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semabs_core.files import write_atomic
from semabs_core.lru import LruCache
from semabs_core.precision import DTYPES
from semabs_core.towers import EncoderError, TileState, choose_tower
from semabs_core.weights.fingerprint import fingerprint
from semabs_core.weights.shipped import LOCAL, PREFIX, resolve_weights

MODEL_CONFIG = "open_clip_config.json"
MODEL_WEIGHTS = "open_clip_model.safetensors"
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pth")
"""Files that open_clip takes for a folder's weights."""
TEXT_CACHE_BYTES = 32 * 2**20
"""Features of so many words are kept: 16,000 of CLIP's 512 numbers."""


class ImageTextEncoder:
    """A vision-language model, ready to answer where an image supports a text.

    Attributes:
        name: model and weights, for people.
        image_size: edge of the square input, pixels.
        patch_grid: (rows, columns) of patches.
        embed_dim: width D of image and text features.
        layers: number of attention layers of the image tower, an attending pooling among them.
        tower: the image tower.
        mean: (3,) channel means of the input normalisation, 0..1.
        std: (3,) its standard deviations.
        fingerprint: of the weights as they are stored, whatever the model computes in.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Callable, name: str, weights: str | None = None
    ) -> None:
        """Take a model over.

        Args:
            model: an open_clip model.
            tokenizer: of its texts.
            name: model and weights, for people.
            weights: their fingerprint, for a model that is in another precision than its file; None
                to take it of the model.
        """
        self.name = name
        self.fingerprint = weights or fingerprint(model.state_dict())
        self._model: Any = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        self.tower = tower = choose_tower(model, name)
        self.image_size, self.patch_grid = tower.image_size, tower.patch_grid
        self.embed_dim, self.layers = tower.embed_dim, tower.layers
        self.mean, self.std = tower.mean, tower.std
        self.device, self.dtype = tower.weight.device, tower.weight.dtype
        self._texts: LruCache[tuple[str, tuple[str, ...]], Tensor] = LruCache(TEXT_CACHE_BYTES)

    def converted(self, dtype: torch.dtype) -> ImageTextEncoder:
        """A copy of the model that computes in another number format."""
        model = copy.deepcopy(self._model).to(dtype)
        return ImageTextEncoder(model, self._tokenizer, self.name, self.fingerprint)

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> Tensor:
        """Text features (n, D) float32, not normalised, on the encoder's device."""
        tokens = self._tokenizer(texts).to(self.device)
        batches = [self._model.encode_text(batch) for batch in tokens.split(256)]
        return torch.cat(batches).float()

    def label_features(self, labels: list[str], prompts: list[str]) -> Tensor:
        """Mean over the prompts of the normalised text features of each label.

        Args:
            labels: L names.
            prompts: T templates, each with one ``{}``.

        Returns:
            (L, D) float32; the plain mean, not normalised again.
        """
        key = tuple(prompts)
        found = {name: self._texts.get((name, key)) for name in labels}
        missing = [name for name, feature in found.items() if feature is None]
        if missing:
            texts = [prompt.format(name) for name in missing for prompt in prompts]
            features = F.normalize(self.encode_text(texts), dim=-1)
            means = features.view(len(missing), len(prompts), -1).mean(dim=1)
            for name, feature in zip(missing, means, strict=True):
                found[name] = feature = feature.clone()  # a view would keep all of them
                self._texts.put((name, key), feature)
        return torch.stack([found[name] for name in labels])  # type: ignore[misc]

    @torch.no_grad()
    def encode_image(self, tiles: Tensor) -> Tensor:
        """Plain image features (T, D) of normalised tiles (T, 3, S, S)."""
        return self.tower.features(tiles)

    @torch.no_grad()
    def embed_tiles(self, tiles: Tensor) -> TileState:
        """Run the tower once over T tiles; any label's relevancy can be asked of the result.

        Args:
            tiles: (T, 3, S, S) normalised, in the encoder's dtype and on its device.
        """
        return self.tower.embed(tiles)

    @torch.no_grad()
    def tile_features(self, state: TileState) -> Tensor:
        """Image features (T, D) float32 of embedded tiles, as :meth:`encode_image` gives them."""
        return self.tower.recall(state).float()

    def tile_relevancy(self, state: TileState, text: Tensor) -> Tensor:
        """Relevancy of every patch for every label, see :meth:`ImageTower.relevancy`.

        Args:
            state: T tiles from :meth:`embed_tiles`.
            text: (L, D) float32 label features.

        Returns:
            (T, L, rows, columns) float32, not negative.
        """
        maps = self.tower.relevancy(state, text[:, None])
        return maps.unflatten(-1, self.patch_grid)

    def tile_relevancy_rollout(self, tiles: Tensor, text: Tensor, layers: int) -> Tensor:
        """Relevancy rolled out over the last ``layers`` layers, by autograd through all of them.

        With ``C_b = mean over heads of max(0, A_b * d logit / d A_b)``, the relevancy is the CLS
        row of the product of ``(I + C_b)`` over the blocks (arXiv 2103.15679, eq. 5-6). A pooling
        layer that attends counts as a layer, and its ``C`` weighs the rows of that product; where
        tokens are averaged, their rows are summed. Slower and larger than :meth:`tile_relevancy`,
        with which one layer agrees.

        Args:
            tiles: (T, 3, S, S) normalised, in the encoder's dtype and on its device.
            text: (L, D) float32 label features.
            layers: how many attention layers, from the last.

        Returns:
            (T, L, rows, columns) float32.
        """
        return self.tower.rollout(tiles, text, layers).unflatten(-1, self.patch_grid)

    @property
    def logit_scale(self) -> float:
        """What the model multiplies the cosine of image and text by: it was trained so."""
        return float(self._model.logit_scale.exp())


def load_encoder(
    model: str,
    pretrained: str | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> ImageTextEncoder:
    """Load an open_clip model.

    Args:
        model: an open_clip name (``ViT-B-32``), ``local-dir:FOLDER`` with
            ``open_clip_config.json`` and weights beside it, or ``shipped:NAME``.
        pretrained: an open_clip tag (``openai``, ``laion2b_s34b_b79k``) or a checkpoint file; None
            where the model brings its weights. A tag is downloaded by open_clip on first use.
        device: where to put it.
        dtype: float32, bfloat16 or float16.

    Raises:
        EncoderError: if the model is unknown, its weights or its tokenizer cannot be had, or no
            relevancy is defined for its image tower.
        WeightsError: if ``shipped:`` names nothing that ships.
    """
    name = model if pretrained is None else f"{model} ({pretrained})"
    if model.startswith(PREFIX):
        model = LOCAL + resolve_weights(model)
    if dtype not in DTYPES.values():
        raise EncoderError(f"dtype must be float32, bfloat16 or float16, got {dtype}")
    local = model.startswith(LOCAL)
    if not local and "/" not in model and model not in open_clip.list_models():
        raise EncoderError(
            f"open_clip knows no model {model!r}; `python -c 'import open_clip; "
            "print(open_clip.list_models())'` lists them, and local-dir:FOLDER loads your own"
        )
    if not local and "/" not in model:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)[:4])
        if pretrained is None:
            raise EncoderError(
                f"{model} needs `pretrained`: a tag ({tags}, ...) or a checkpoint file"
            )
        if not (open_clip.get_pretrained_cfg(model, pretrained) or Path(pretrained).exists()):
            raise EncoderError(
                f"cannot load {name}: {pretrained} is neither a tag ({tags}, ...) nor a file"
            )
    if local:
        _check_folder(Path(model.removeprefix(LOCAL)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = open_clip.create_model(
                model,
                pretrained=pretrained,
                device="cpu",
                weights_only=True,
                require_pretrained=True,  # or it would go on with random weights
                force_preprocess_cfg=None if local else _normalization(model, pretrained),
            )
    except Exception as error:
        raise EncoderError(
            f"cannot load {name}: {error or type(error).__name__}. "
            "Without a network, give a local folder (local-dir:FOLDER) or a checkpoint file"
        ) from error
    tokenizer = _load_tokenizer(model, name)
    weights = fingerprint(network.state_dict())
    return ImageTextEncoder(network.to(device=device, dtype=dtype), tokenizer, name, weights)


def _normalization(model: str, pretrained: str | None) -> dict[str, Any] | None:
    """How the published weights of a model want images normalised, for a checkpoint file of it.

    A tag brings its own. None where there are no published weights or they disagree: open_clip
    then takes that of OpenAI's CLIP.
    """
    tags = open_clip.list_pretrained_tags_by_model(model)
    if pretrained in tags:
        return None
    configs = [open_clip.get_pretrained_cfg(model, tag) for tag in tags]
    found = {(config.get("mean"), config.get("std")) for config in configs}
    if len(found) != 1:
        return None
    mean, std = found.pop()
    return {"mean": mean, "std": std} if mean and std else None


def _load_tokenizer(model: str, name: str) -> Callable:
    """The tokenizer of an open_clip model.

    Raises:
        EncoderError: if it cannot be had.
    """
    try:
        return open_clip.get_tokenizer(model)
    except Exception as error:
        raise EncoderError(
            f"cannot load the tokenizer of {name}: {str(error) or type(error).__name__}. It is one "
            "of Hugging Face: `pip install transformers`, and a network on first use, or a folder "
            "(local-dir:FOLDER) that holds its tokenizer.json beside the weights"
        ) from error


def _check_folder(folder: Path) -> None:
    """Raise unless a ``local-dir:`` folder holds a config and weights."""
    if not (folder / MODEL_CONFIG).is_file():
        raise EncoderError(f"{LOCAL}{folder}: there is no {MODEL_CONFIG} in that folder")
    if not any(file.suffix in WEIGHT_SUFFIXES for file in folder.iterdir()):
        raise EncoderError(
            f"{LOCAL}{folder}: there are no weights (*{', *'.join(WEIGHT_SUFFIXES)}) beside "
            f"{MODEL_CONFIG}; copy the whole folder"
        )


def convert_encoder(
    source: str | os.PathLike, target: str | os.PathLike, dtype: torch.dtype
) -> None:
    """Write the model of a ``local-dir:`` folder in another precision.

    Raises:
        EncoderError: if it cannot be loaded.
    """
    encoder = load_encoder(f"{LOCAL}{source}")
    config = json.loads((Path(source) / MODEL_CONFIG).read_text(encoding="utf-8"))
    save_encoder(encoder._model, config["model_cfg"], target, dtype, config.get("preprocess_cfg"))
    for file in Path(source).iterdir():
        if file.suffix in (".json", ".txt", ".model") and file.name != MODEL_CONFIG:
            shutil.copyfile(file, Path(target) / file.name)  # of the tokenizer


def save_encoder(
    model: nn.Module,
    config: dict[str, Any],
    folder: str | os.PathLike,
    dtype: torch.dtype = torch.float32,
    preprocess: dict[str, Any] | None = None,
) -> None:
    """Write a model as ``local-dir:`` reads it, each file beside and renamed.

    Args:
        model: an open_clip model.
        config: what open_clip makes it of.
        folder: made if need be.
        dtype: of the stored weights.
        preprocess: how images are normalised; None for as OpenAI's CLIP does.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    if preprocess is None:
        preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    content = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}, indent=1) + "\n"
    weights = {
        name: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()
        for name, value in model.state_dict().items()
    }
    for name, data in (
        (MODEL_WEIGHTS, safetensors.torch.save(weights)),
        (MODEL_CONFIG, content.encode()),
    ):
        write_atomic(Path(folder) / name, data)
