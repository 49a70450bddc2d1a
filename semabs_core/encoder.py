"""The vision-language model: any open_clip ViT with a CLS token, and its relevancy.

The relevancy is that of Chefer et al. (arXiv 2103.15679) as Semantic Abstraction (arXiv 2207.11514)
uses it: attention of the CLS token, weighted by the gradient of a label's logit, positive part,
mean over heads. The only consumer of the last block's CLS row of attention is the CLS output, so
for one rolled-out layer the gradient for all labels is a batched backward pass of a single token.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from semabs_core.weights.fingerprint import fingerprint
from semabs_core.weights.shipped import PREFIX, resolve_weights

MODEL_CONFIG = "open_clip_config.json"
MODEL_WEIGHTS = "open_clip_model.safetensors"
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pth")
"""Files that open_clip takes for a folder's weights."""
LOGIT_SCALE = 100.0
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SUPPORTED = (
    "supported are open_clip's ViT towers with a CLS token and without attention pooling, such as "
    "ViT-B-32, ViT-B-16 or ViT-L-14"
)


class EncoderError(ValueError):
    """A vision-language model cannot be loaded or used; the message names it and the remedy."""


@dataclass(frozen=True)
class TileState:
    """What the relevancy of any label needs to know of a batch of T tiles; it can be kept.

    Attributes:
        attention: (T, heads, N) CLS row of the last block's softmax attention, patch tokens only.
        values: (T, heads, N, W / heads) value vectors of the patch tokens.
        context: (T, W) the CLS token's attended value, all heads.
        residual: (T, W) the CLS token before the last block.
    """

    attention: Tensor
    values: Tensor
    context: Tensor
    residual: Tensor


class ImageTextEncoder:
    """A vision-language model, ready to answer where an image supports a text.

    Attributes:
        name: model and weights, for people.
        image_size: edge of the square input, pixels.
        patch_grid: (rows, columns) of patches.
        embed_dim: width D of image and text features.
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
        self._visual = check_visual(model, name)
        self.image_size = int(self._visual.image_size[0])
        self.patch_grid = tuple(self._visual.grid_size)
        self.embed_dim = int(self._visual.output_dim)
        preprocess = getattr(self._visual, "preprocess_cfg", None) or {}
        self.mean = tuple(preprocess.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std = tuple(preprocess.get("std", open_clip.OPENAI_DATASET_STD))
        weight = self._visual.conv1.weight
        self.device, self.dtype = weight.device, weight.dtype
        self._text_cache: dict[tuple[str, tuple[str, ...]], Tensor] = {}

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
        missing = [name for name in dict.fromkeys(labels) if (name, key) not in self._text_cache]
        if missing:
            texts = [prompt.format(name) for name in missing for prompt in prompts]
            features = F.normalize(self.encode_text(texts), dim=-1)
            means = features.view(len(missing), len(prompts), -1).mean(dim=1)
            self._text_cache.update({(n, key): f for n, f in zip(missing, means, strict=True)})
        return torch.stack([self._text_cache[name, key] for name in labels])

    @torch.no_grad()
    def encode_image(self, tiles: Tensor) -> Tensor:
        """Plain image features (T, D) of normalised tiles (T, 3, S, S)."""
        return self._visual(tiles)

    @torch.no_grad()
    def embed_tiles(self, tiles: Tensor) -> TileState:
        """Run the tower once over T tiles, up to the last block's attention of the CLS token.

        Args:
            tiles: (T, 3, S, S) normalised, in the encoder's dtype and on its device.
        """
        tokens = self._visual._embeds(tiles)
        blocks = self._visual.transformer.resblocks
        batch_first = self._visual.transformer.batch_first
        tokens = tokens if batch_first else tokens.transpose(0, 1)
        for block in blocks[:-1]:
            tokens = block(tokens)
        tokens = tokens if batch_first else tokens.transpose(0, 1)
        block = blocks[-1]
        query, key, value = split_heads(block.attn, block.ln_1(tokens), cls_query=True)
        scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
        attention = scores.softmax(dim=-1)
        context = (attention.to(value.dtype) @ value)[:, :, 0].flatten(1)
        return TileState(
            attention=attention[:, :, 0, 1:].to(value.dtype),
            values=value[:, :, 1:],
            context=context,
            residual=tokens[:, 0],
        )

    def tile_relevancy(self, state: TileState, text: Tensor) -> Tensor:
        """Relevancy of every patch for every label.

        ``r_lj = mean over heads of max(0, A_hj * d logit_l / d A_hj)`` with
        ``d logit_l / d A_hj = <d logit_l / d context_h, v_hj>``.

        Args:
            state: T tiles from :meth:`embed_tiles`.
            text: (L, D) float32 label features.

        Returns:
            (T, L, rows, columns) float32, not negative.
        """
        heads = self._visual.transformer.resblocks[-1].attn.num_heads
        with torch.enable_grad():
            context = state.context.detach().requires_grad_()
            image = F.normalize(cls_tail(self._visual, context, state.residual).float(), dim=-1)
            directions = (LOGIT_SCALE * text)[:, None].expand(-1, len(image), -1)
            (gradient,) = torch.autograd.grad(image, context, directions, is_grads_batched=True)
        gradient = gradient.permute(1, 0, 2).unflatten(-1, (heads, -1)).transpose(1, 2)
        slope = gradient @ state.values.transpose(-1, -2)
        product = slope.mul_(state.attention[:, :, None]).clamp_(min=0)
        return product.mean(dim=1, dtype=torch.float32).unflatten(-1, self.patch_grid)

    def tile_relevancy_rollout(self, tiles: Tensor, text: Tensor, layers: int) -> Tensor:
        """Relevancy rolled out over the last ``layers`` blocks, by autograd through all of them.

        With ``C_b = mean over heads of max(0, A_b * d logit / d A_b)``, the relevancy is the CLS
        row of the product of ``(I + C_b)`` over the blocks (arXiv 2103.15679, eq. 5-6). Slower and
        larger than :meth:`tile_relevancy`, with which one layer agrees.

        Args:
            tiles: (T, 3, S, S) normalised, in the encoder's dtype and on its device.
            text: (L, D) float32 label features.
            layers: how many blocks, from the last.

        Returns:
            (T, L, rows, columns) float32.
        """
        blocks = list(self._visual.transformer.resblocks)
        batch_first = self._visual.transformer.batch_first
        with torch.no_grad():
            tokens = self._visual._embeds(tiles)
            tokens = tokens if batch_first else tokens.transpose(0, 1)
            for block in blocks[:-layers]:
                tokens = block(tokens)
            tokens = tokens if batch_first else tokens.transpose(0, 1)
        attentions: list[Tensor] = []
        with torch.enable_grad():
            for block in blocks[-layers:]:
                query, key, value = split_heads(block.attn, block.ln_1(tokens))
                scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
                attention = scores.softmax(dim=-1)
                if not attentions:
                    attention.requires_grad_()
                attentions.append(attention)
                context = (attention.to(value.dtype) @ value).transpose(1, 2).flatten(2)
                tokens = tokens + block.ls_1(block.attn.out_proj(context))
                tokens = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
            image = self._visual.ln_post(tokens[:, 0]) @ self._visual.proj
            logits = LOGIT_SCALE * F.normalize(image.float(), dim=-1) @ text.T
        maps = []
        for label in range(len(text)):
            gradients = torch.autograd.grad(logits[:, label].sum(), attentions, retain_graph=True)
            rollout = torch.eye(tokens.shape[1], device=tokens.device).expand(len(tiles), -1, -1)
            for attention, gradient in zip(attentions, gradients, strict=True):
                weight = (attention * gradient).clamp(min=0).mean(dim=1).detach()
                rollout = rollout + weight @ rollout
            maps.append(rollout[:, 0, 1:])
        return torch.stack(maps, dim=1).unflatten(-1, self.patch_grid)

    @property
    def layers(self) -> int:
        """Number of transformer blocks of the image tower."""
        return len(self._visual.transformer.resblocks)


def split_heads(
    attn: nn.MultiheadAttention, x: Tensor, cls_query: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (T, heads, tokens, W / heads) of x (T, tokens, W).

    With ``cls_query`` the query is computed for the first token only.
    """
    wq, wk, wv = attn.in_proj_weight.chunk(3)
    bq, bk, bv = attn.in_proj_bias.chunk(3) if attn.in_proj_bias is not None else (None,) * 3
    query = F.linear(x[:, :1] if cls_query else x, wq, bq)

    def split(part: Tensor) -> Tensor:
        return part.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)

    return split(query), split(F.linear(x, wk, bk)), split(F.linear(x, wv, bv))


def cls_tail(visual: VisionTransformer, context: Tensor, residual: Tensor) -> Tensor:
    """The rest of the tower once a token has attended: values (..., W) to features (..., D).

    Args:
        visual: the image tower.
        context: (..., W) attended values of the last block, all heads.
        residual: (..., W) the token before that block.
    """
    block = visual.transformer.resblocks[-1]
    token = residual + block.ls_1(block.attn.out_proj(context))
    token = token + block.ls_2(block.mlp(block.ln_2(token)))
    return visual.ln_post(token) @ visual.proj


def check_visual(model: nn.Module, name: str) -> VisionTransformer:
    """The image tower, or a clear error where relevancy is not defined for it."""
    visual = getattr(model, "visual", None)
    if not isinstance(visual, VisionTransformer):
        raise EncoderError(f"{name} has no open_clip ViT image tower; {SUPPORTED}")
    if visual.attn_pool is not None or visual.pool_type != "tok":
        raise EncoderError(f"{name} does not pool by a CLS token; {SUPPORTED}")
    if not all(type(block) is ResidualAttentionBlock for block in visual.transformer.resblocks):
        raise EncoderError(f"{name} has custom attention blocks; {SUPPORTED}")
    if visual.image_size[0] != visual.image_size[1]:
        raise EncoderError(f"{name} reads {visual.image_size}, not a square image; {SUPPORTED}")
    return visual


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
        EncoderError: if the model is unknown, its weights cannot be had, or it has no CLS token.
        WeightsError: if ``shipped:`` names nothing that ships.
    """
    name = model if pretrained is None else f"{model} ({pretrained})"
    if model.startswith(PREFIX):
        model = f"local-dir:{resolve_weights(model)}"
    if dtype not in DTYPES.values():
        raise EncoderError(f"dtype must be float32, bfloat16 or float16, got {dtype}")
    local = model.startswith("local-dir:")
    if not local and "/" not in model and model not in open_clip.list_models():
        raise EncoderError(
            f"open_clip knows no model {model!r}; `python -c 'import open_clip; "
            "print(open_clip.list_models())'` lists them, and local-dir:FOLDER loads your own"
        )
    if not local and pretrained is None and not model.startswith("hf-hub:"):
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)[:4])
        raise EncoderError(f"{model} needs `pretrained`: a tag ({tags}, ...) or a checkpoint file")
    if local:
        _check_folder(Path(model.removeprefix("local-dir:")))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = open_clip.create_model(
                model,
                pretrained=pretrained,
                device="cpu",
                weights_only=True,
                require_pretrained=True,  # or it would go on with random weights
            )
            tokenizer = open_clip.get_tokenizer(model)
    except Exception as error:
        raise EncoderError(
            f"cannot load {name}: {error or type(error).__name__}. "
            "Without a network, give a local folder (local-dir:FOLDER) or a checkpoint file"
        ) from error
    weights = fingerprint(network.state_dict())
    return ImageTextEncoder(network.to(device=device, dtype=dtype), tokenizer, name, weights)


def _check_folder(folder: Path) -> None:
    """Raise unless a ``local-dir:`` folder holds a config and weights."""
    if not (folder / MODEL_CONFIG).is_file():
        raise EncoderError(f"local-dir:{folder}: there is no {MODEL_CONFIG} in that folder")
    if not any(file.suffix in WEIGHT_SUFFIXES for file in folder.iterdir()):
        raise EncoderError(
            f"local-dir:{folder}: there are no weights (*{', *'.join(WEIGHT_SUFFIXES)}) beside "
            f"{MODEL_CONFIG}; copy the whole folder"
        )


def fill_encoder(model: nn.Module, folder: str | os.PathLike) -> None:
    """Load the weights of a folder that :func:`save_encoder` wrote.

    Raises:
        EncoderError: if they are missing, damaged or of another shape.
    """
    file = Path(folder) / MODEL_WEIGHTS
    try:
        weights = safetensors.torch.load_file(file)
        model.load_state_dict({name: value.float() for name, value in weights.items()})
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise EncoderError(f"cannot start from {file}: {error}") from None


def convert_encoder(
    source: str | os.PathLike, target: str | os.PathLike, dtype: torch.dtype
) -> None:
    """Write the model of a ``local-dir:`` folder in another precision.

    Raises:
        EncoderError: if it cannot be loaded.
    """
    encoder = load_encoder(f"local-dir:{source}")
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
        part = Path(folder) / (name + ".part")
        part.write_bytes(data)
        os.replace(part, Path(folder) / name)
