"""Relevancy of many labels against the bare image tower over the same tiles, in one run.

The least that the hardware must do is one forward pass over the tiles; the ratio says how far away
we are. The default is a wide picture cut into 25 tiles of one scale, so that it takes a minute.
"""

from __future__ import annotations

import statistics
import time

import open_clip
import torch
import typer
from rich.console import Console
from rich.table import Table

from semabs_core.data.analytic import analytic_scene
from semabs_core.encoder import ImageTextEncoder
from semabs_core.precision import DTYPES
from semabs_core.relevancy import RelevancyExtractor

KINDS = ("mug", "box", "lamp", "chair", "book", "bottle", "pillow", "plant", "clock", "table")
COLORS = ("red", "green", "blue", "white", "black", "yellow", "brown", "grey", "pink", "striped")


def random_encoder(model: str, device: str, dtype: torch.dtype) -> ImageTextEncoder:
    """An open_clip architecture with random weights: as fast as the trained one, no download."""
    torch.manual_seed(0)
    network = open_clip.create_model(model, pretrained=None)
    return ImageTextEncoder(network.to(device, dtype), open_clip.get_tokenizer(model), model)


def seconds(work, device: str) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main(
    model: str = "ViT-B-32-quickgelu",
    width: int = 1568,
    height: int = 224,
    labels: int = 40,
    runs: int = 3,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    precisions: str = "fp32,bf16",
    preset: str = "chefer_et_al",
) -> None:
    """Print the ratio for every precision."""
    image = analytic_scene(width, height).rgb[0]
    words = [f"{color} {kind}" for color in COLORS for kind in KINDS]
    names = words[:labels]
    table = Table(title=f"{model}, {width}x{height}, preset {preset}, {labels} labels, {device}")
    for column in (
        "precision",
        "tiles",
        "bare tower [s]",
        "relevancy [s]",
        "ratio",
        "a new word [s]",
    ):
        table.add_column(column, justify="right")
    for precision in precisions.split(","):
        encoder = random_encoder(model, device, DTYPES[precision])
        extractor = RelevancyExtractor(encoder, preset)
        batches: list[torch.Tensor] = []
        embed = encoder.embed_tiles
        encoder.embed_tiles = lambda t, b=batches, e=embed: b.append(t) or e(t)  # type: ignore[method-assign]
        extractor(image, names)
        del encoder.embed_tiles

        def bare(encoder=encoder, batches=batches):
            for batch in batches:
                encoder.encode_image(batch)

        bare()
        pairs = [
            (seconds(bare, device), seconds(lambda e=extractor: e(image, names), device))
            for _ in range(runs)
        ]
        ratio = statistics.median(full / tower for tower, full in pairs)
        kept = list(extractor.embed(image))
        again = seconds(lambda e=extractor, k=kept: e.maps(k, image.shape[:2], ["new"]), device)
        tower, full = (statistics.median(values) for values in zip(*pairs))
        table.add_row(
            precision,
            str(sum(map(len, batches))),
            f"{tower:.2f}",
            f"{full:.2f}",
            f"{ratio:.2f}",
            f"{again:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
