"""Every kind of image tower once, with random weights: what is made of it, and is it right.

    python -m benchmarks.towers                      # one model of each family, run
    python -m benchmarks.towers EVA02-L-14           # these
    python -m benchmarks.towers --every              # all that open_clip knows, none run

Relevancy is compared with plain autograd through open_clip's model as it is, its attention being
computed step by step. Words are numbers here: no tokenizer is needed.
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated
from unittest import mock

import open_clip
import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from semabs_core.encoder import ImageTextEncoder
from semabs_core.towers import EncoderError, choose_tower

NAMES = (
    "ViT-B-32",
    "ViT-B-16-SigLIP",
    "ViT-B-16-SigLIP2",
    "PE-Core-T-16-384",
    "PE-Core-B-16",
    "MobileCLIP2-B",
    "EVA02-B-16",
    "coca_ViT-B-32",
    "ViT-L-14-CLIPA",
    "ViTamin-S",
    "MobileCLIP2-S0",
)
LABELS = 8


def numbers(texts: list[str]) -> Tensor:
    """Stands for a tokenizer: eight tokens of each text's bytes."""
    return torch.tensor([[byte % 64 + 1 for byte in text.encode().ljust(8)[:8]] for text in texts])


def by_autograd(visual: nn.Module, tiles: Tensor, text: Tensor, patches: int, scale: float):
    """Features (T, D) and relevancy (T, L, N) of the last attention, by autograd through it all."""
    seen = []

    def attention(query, key, value, *_, **__):
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(dim=-1)
        seen.append(weights if weights.requires_grad else weights.requires_grad_())
        return weights @ value

    visual.requires_grad_(True)  # or torch takes an attention of its own
    with mock.patch.object(F, "scaled_dot_product_attention", attention):
        features = visual(tiles)
    visual.requires_grad_(False)
    features = features[0] if isinstance(features, tuple) else features
    logits = scale * F.normalize(features, dim=-1) @ text.T
    maps = []
    for label in range(len(text)):
        (slope,) = torch.autograd.grad(logits[:, label].sum(), seen[-1], retain_graph=True)
        maps.append((seen[-1] * slope).clamp(min=0).mean(dim=1).sum(dim=1)[:, -patches:])
    return features.detach(), torch.stack(maps, dim=1).detach()


def difference(found: Tensor, expected: Tensor) -> str:
    """Relative L2 distance."""
    return f"{float((found - expected).norm() / expected.norm()):.0e}"


def run(name: str, tiles: int, runs: int) -> list[str]:
    """One row: a model is made, asked, compared and timed."""
    torch.manual_seed(0)
    model = open_clip.create_model(name, pretrained=None)
    encoder = ImageTextEncoder(model, numbers, name)
    images = torch.randn(tiles, 3, encoder.image_size, encoder.image_size)
    text = F.normalize(torch.randn(LABELS, encoder.embed_dim), dim=-1)
    state = encoder.embed_tiles(images)
    maps = encoder.tile_relevancy(state, text)
    patches = maps.shape[-2] * maps.shape[-1]
    rolled = encoder.tile_relevancy_rollout(images, text[:2], layers=3)
    assert torch.isfinite(maps).all()
    assert torch.isfinite(rolled).all()
    features, expected = by_autograd(model.visual, images, text, patches, encoder.tower.scale)
    pairs = []
    for _ in range(runs):
        start = time.perf_counter()
        encoder.encode_image(images)
        middle = time.perf_counter()
        encoder.tile_relevancy(encoder.embed_tiles(images), text)
        pairs.append((middle - start, time.perf_counter() - middle))
    kept = sum(part.numel() * part.element_size() for part in vars(state).values())
    return [
        name,
        type(encoder.tower).__name__,
        f"{encoder.image_size}",
        f"{maps.shape[-2]} x {maps.shape[-1]}",
        f"{encoder.layers}",
        f"{encoder.tower.scale:.0f}",
        difference(encoder.tile_features(state), features),
        difference(maps.flatten(-2), expected),
        f"{kept / tiles / 1e6:.1f}",
        f"{statistics.median(ours / bare for bare, ours in pairs):.2f}",
    ]


def look(name: str) -> list[str]:
    """One row: a model is made without its weights, and looked at."""
    try:
        with torch.device("meta"):
            model = open_clip.create_model(name, pretrained=None, device="meta")
        model.logit_bias = None  # or its logit scale would be read, which is not there
        return [name, type(choose_tower(model, name)).__name__]
    except EncoderError as error:
        return [name, str(error).split(";")[0].removeprefix(f"{name} ")]
    except Exception as error:
        return [name, f"cannot be made here: {str(error).splitlines()[0]}"]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="models, of open_clip")] = None,
    every: Annotated[bool, typer.Option(help="all that open_clip knows, none run")] = False,
    tiles: int = 2,
    runs: int = 5,
) -> None:
    """Print a table of the kinds of towers."""
    table = Table("model", "tower")
    if every:
        for name in open_clip.list_models():
            table.add_row(*look(name))
        Console(width=200).print(table)
        return
    for column in ("input", "patches", "layers", "scale", "features", "relevancy"):
        table.add_column(column, justify="right")
    table.add_column("kept [MB a tile]", justify="right")
    table.add_column(f"{LABELS} labels over bare", justify="right")
    for name in names or NAMES:
        try:
            table.add_row(*run(name, tiles, runs))
        except EncoderError as error:
            table.add_row(name, str(error).split(";")[0].removeprefix(f"{name} "))
    Console(width=200).print(table)


if __name__ == "__main__":
    typer.run(main)
