"""Relevancy beside the bare image tower, and beside one back-propagation per label."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.clock import Clock
from benchmarks.speed.report import Table
from semabs_core.data.analytic import analytic_scene
from semabs_core.encoder import ImageTextEncoder
from semabs_core.precision import formats_to_try
from semabs_core.relevancy import RelevancyExtractor

KINDS = ("mug", "box", "lamp", "chair", "book", "bottle", "pillow", "plant", "clock", "table")
COLORS = (
    "red", "green", "blue", "white", "black", "yellow", "brown", "grey", "pink", "striped",
    "round", "old", "new", "small", "large", "wooden", "glass", "broken", "open", "closed",
)  # fmt: skip
WORDS = [f"{color} {kind}" for color in COLORS for kind in KINDS]


def random_encoder(model: str, device: torch.device) -> ImageTextEncoder:
    """An open_clip architecture with random weights: as fast as the trained one, no download."""
    torch.manual_seed(0)
    network = open_clip.create_model(model, pretrained=None)
    return ImageTextEncoder(network.to(device), open_clip.get_tokenizer(model), model)


def relevancy_table(
    clock: Clock, model: str, labels: Sequence[int], tiles: int, device: torch.device
) -> Table:
    """From 1 to 200 labels in one pass, in every number format that may be the fastest."""
    table = Table(
        f"Relevancy of many labels, {model}, {tiles} tiles",
        "The least that there is to do is one pass of the image tower over the tiles, as open_clip "
        "runs it. The straightforward way is a pass and then a back-propagation per label "
        "(measured for two labels, counted for all). Errors are relative L2 distances to float32.",
        (
            "format", "labels", "bare tower [s]", "relevancy [s]", "relevancy / bare",
            "backward per label / relevancy", "error",
        ),
    )  # fmt: skip
    image = analytic_scene(224 + 56 * (tiles - 1), 224).rgb[0]
    exact = random_encoder(model, device)
    formats = formats_to_try("auto", device)
    reference = {n: RelevancyExtractor(exact, "chefer_et_al")(image, WORDS[:n]) for n in labels}
    for dtype in formats if torch.float32 in formats else (torch.float32, *formats):
        encoder = exact if dtype == torch.float32 else exact.converted(dtype)
        extractor = RelevancyExtractor(encoder, "chefer_et_al")
        batches = _tiles(extractor, image)

        def bare(encoder=encoder, batches=batches) -> None:
            for batch in batches:
                encoder.encode_image(batch)

        backward = _backward_seconds(clock, encoder, batches)
        for count in labels:
            names = WORDS[:count]
            maps = extractor(image, names)
            error = float(((maps - reference[count]) ** 2).sum() / (reference[count] ** 2).sum())
            found = clock.compare(
                {"bare": bare, "ours": lambda e=extractor, n=names: e(image, n)}  # type: ignore[misc]
            )
            table.rows.append([
                str(dtype).removeprefix("torch."), count, found["bare"], found["ours"],
                found.ratio("ours", "bare"),
                (found["bare"] + count * backward) / found["ours"], error**0.5,
            ])  # fmt: skip
    return table


def image_table(clock: Clock, sizes: Sequence[tuple[int, int]], device: torch.device) -> Table:
    """The encoder that ships, over image sizes."""
    from semabs_core.encoder import load_encoder

    table = Table(
        "Relevancy of 12 labels by image size, the shipped encoder, preset fast",
        "The number of tiles depends on the shape of a picture alone; what grows is the maps.",
        ("image", "bare tower [s]", "relevancy [s]", "relevancy / bare"),
    )
    extractor = RelevancyExtractor(load_encoder("shipped:encoder_fine", None, device), "fast")
    for width, height in sizes:
        image = analytic_scene(width, height).rgb[0]
        batches = _tiles(extractor, image)

        def bare(batches=batches) -> None:
            for batch in batches:
                extractor.encoder.encode_image(batch)

        found = clock.compare({"bare": bare, "ours": lambda i=image: extractor(i, WORDS[:12])})  # type: ignore[misc]
        ratio = found.ratio("ours", "bare")
        table.rows.append([f"{width}x{height}", found["bare"], found["ours"], ratio])
    return table


def _tiles(extractor: RelevancyExtractor, image) -> list[Tensor]:
    """The batches of tiles that an extractor gives to its encoder."""
    batches: list[Tensor] = []
    encoder = extractor.encoder
    embed = encoder.embed_tiles
    encoder.embed_tiles = lambda t: batches.append(t) or embed(t)  # type: ignore[method-assign]
    extractor(image, ["box"])
    del encoder.embed_tiles
    return batches


def _backward_seconds(clock: Clock, encoder: ImageTextEncoder, batches: Sequence[Tensor]) -> float:
    """One label's back-propagation through a tower whose weights are as open_clip loads them."""
    visual = copy.deepcopy(encoder._model.visual).requires_grad_(True)
    text = F.normalize(torch.randn(encoder.embed_dim, 2, device=encoder.device), dim=0)
    spent = []
    for batch in batches:
        with torch.enable_grad():
            logits = F.normalize(visual(batch).float(), dim=-1) @ text
        for label in range(2):
            spent.append(
                clock.seconds(lambda o=logits[:, label]: o.sum().backward(retain_graph=True))  # type: ignore[misc]
            )
    return sum(spent) / 2
