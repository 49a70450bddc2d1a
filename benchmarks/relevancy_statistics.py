"""Simulated relevancy beside a small encoder's and a real CLIP's: statistics and a picture.

The small encoder's is that of a data set, for instance of the shipped one:

    semabs data rooms --out rooms --split validation=12 --seed 77 --option points=3000
    semabs data relevancy rooms --encoder shipped:encoder --preset fast
    python -m benchmarks.relevancy_statistics rooms

All maps are treated alike: the mean over the labels of the picture is taken off, what is negative
is cut off, and so is what exceeds the level that 10 of 17 labels reach, because the real maps at
hand come like this. They lie in the scenes folder of ``SEMABS_SHARED`` and are left out where it is
missing; what needs to know where their objects are needs masks of them too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
import typer
from matplotlib import pyplot
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from semabs_core.config import MEAN_VOCABULARY
from semabs_core.data.hdf5 import read_relevancy, read_scene
from semabs_core.data.labels import rename, words_of
from semabs_core.data.scene_data import SceneData
from semabs_core.data.simulated import reduce_ids, simulate_relevancy
from semabs_core.data.splits import split_paths

REAL = Path(os.environ.get("SEMABS_SHARED", "shared")) / "scenes/arkit_vn_poster_relevancy.npz"
SIZE = 128
ROWS = 8
"""Simulations that are drawn."""
SHOWN = [0, 1, 2, 4, 7]
"""Labels that are drawn: places by the area of their things, the largest first."""
SATURATED = 10 / 17
LARGE = 0.1
"""Share of the picture from which a thing is called large: walls, floors, beds."""
STATISTICS = {
    "half": "share of the picture\nabove half the maximum",
    "own half": "share of a thing\nabove half the maximum",
    "large half": "the same, of large things",
    "large maximum": "maximum of large things,\nof the picture's",
    "leak": "share of the map\noutside the thing",
    "edges": "mean gradient, per pixel,\nof the maximum",
    "reach": "correlation length,\nof the longer edge",
    "amplitudes": "maxima, 90 % over\n10 % of the labels",
    "separation": "AUC of a thing\nagainst the rest",
    "accuracy": "pixels right by\nthe strongest label",
}
Values = dict[str, list[float]]


@dataclass(frozen=True)
class Picture:
    """Maps of a picture's labels, and where their things are.

    Attributes:
        maps: (L, h, w) float32, not negative.
        labels: L names.
        truth: (h, w) row of the label that a pixel belongs to, -1 for none; None where unknown.
    """

    maps: NDArray[np.float32]
    labels: list[str]
    truth: NDArray[np.int64] | None


def prepared(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps (L, h, w) less their mean, cut off below 0 and at the level that 10 of 17 reach."""
    above = np.maximum(maps - maps.mean(axis=0), 0)
    return np.minimum(above, np.quantile(above.max(axis=(1, 2)), 1 - SATURATED))


def resized(maps: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Maps at another size, as they are stored: the nearest pixel's."""
    return F.interpolate(torch.from_numpy(maps)[None], shape, mode="nearest-exact")[0].numpy()


def reach(values: NDArray[np.float32]) -> float:
    """Shift at which a map's autocorrelation is down to a half, as a share of the longer edge."""
    height, width = values.shape
    spectrum = np.abs(np.fft.rfft2(values - values.mean(), (2 * height, 2 * width))) ** 2
    product = np.fft.irfft2(spectrum, (2 * height, 2 * width))[: height // 2, : width // 2]
    product /= np.outer(height - np.arange(height // 2), width - np.arange(width // 2))
    steps = []
    for line in (product[:, 0], product[0]):
        below = np.flatnonzero(line < line[0] / 2)
        steps.append(below[0] if len(below) else len(line))
    return float(np.mean(steps) / max(height, width))


def separation(values: NDArray[np.float32], own: NDArray[np.bool_]) -> float:
    """Chance that a pixel of the thing is brighter than another; ties count a half."""
    others, inside = np.sort(values[~own]), values[own]
    ranks = np.searchsorted(others, inside) + np.searchsorted(others, inside, "right")
    return float(ranks.mean() / 2 / len(others))


def measure(picture: Picture) -> Values:
    """The statistics of a picture, a value per label or one."""
    found: Values = {name: [] for name in STATISTICS}
    maps, truth = picture.maps, picture.truth
    top = maps.max(axis=(1, 2))
    low, high = np.quantile(top, [0.1, 0.9])
    found["amplitudes"].append(float(high / max(low, 1e-3 * high)))
    for row in np.flatnonzero(top > 0):
        values, bright = maps[row], maps[row] > top[row] / 2
        down, right = np.gradient(values)
        found["half"].append(float(bright.mean()))
        found["edges"].append(float((np.abs(down) + np.abs(right)).mean() / top[row]))
        found["reach"].append(reach(values))
        if truth is None or (truth == row).sum() < 6:
            continue
        own = truth == row
        found["leak"].append(float(values[~own].sum() / values.sum()))
        found["separation"].append(separation(values, own))
        is_large = own.mean() > LARGE
        found["large half" if is_large else "own half"].append(float(bright[own].mean()))
        if is_large:
            found["large maximum"].append(float(top[row] / top.max()))
    if truth is not None:
        seen = np.unique(truth[truth >= 0])
        guess = seen[maps[seen].argmax(axis=0)]
        found["accuracy"].append(float((guess == truth)[truth >= 0].mean()))
    return found


def stored(file: Path, preset: str) -> tuple[SceneData, Picture]:
    """A scene, and the stored relevancy of the labels in view."""
    scene = rename(read_scene(file, ("seg", "rgb")), {})
    ids = reduce_ids(scene.seg[0], SIZE)
    labels = sorted(words_of(scene.objid_to_class, ids))
    record = read_relevancy(file, "rgb", preset, labels)
    maps = record.maps[[record.labels.index(label) for label in labels]]
    rows = [labels.index(name) if name in labels else -1 for name in scene.objid_to_class]
    truth = np.array([*rows, -1])[ids]
    return scene, Picture(prepared(resized(maps, ids.shape)), labels, truth)


def simulate(
    ids: NDArray[np.int32], names: list[str], labels: list[str], seed: list[int]
) -> NDArray[np.float32]:
    """Simulated maps of labels, never masks nor cut off: all are cut off alike afterwards."""
    words = [*labels, *(word for word in MEAN_VOCABULARY if word not in labels)]
    rng = np.random.default_rng(seed)
    maps = simulate_relevancy(ids, names, words, rng, SIZE, mask_share=0, saturated_share=0)
    return prepared(maps[: len(labels)])


def read_real(masks: Path | None) -> Picture | None:
    """The maps of a real CLIP; None, with a note, where they are not."""
    if not REAL.is_file():
        typer.echo(f"left out: the real maps, {REAL} is not there (set SEMABS_SHARED)")
        return None
    with np.load(REAL) as archive:
        labels, maps = [str(name) for name in archive["labels"]], archive["maps"]
    height, width = (round(SIZE * edge / max(maps.shape[1:])) for edge in maps.shape[1:])
    maps = resized(maps.astype(np.float32), (height, width))
    if masks is None:
        typer.echo("left out: where the things of the real picture are (give --masks)")
        return Picture(maps, labels, None)
    rows = np.full(maps.shape[1:], -1, np.int64)
    with np.load(masks) as archive:
        for name, mask in zip(archive["labels"], archive["masks"]):
            rows[reduce_ids(mask.astype(np.int32), SIZE) > 0] = labels.index(str(name))
    return Picture(maps, labels, rows)


def real_again(real: Picture, seed: list[int]) -> Picture:
    """Simulated maps of the real picture."""
    maps = simulate(real.truth.astype(np.int32), real.labels, real.labels, seed)
    return Picture(maps, real.labels, real.truth)


def pooled(found: Iterable[Values]) -> Values:
    """All values of many pictures."""
    total: Values = {name: [] for name in STATISTICS}
    for values in found:
        for name, more in values.items():
            total[name] += more
    return total


def draw_ranges(axis, name: str, sources: dict[str, Values]) -> None:
    """Of each source the range of 80 % of the values, of the middle half, and the median."""
    for place, values in enumerate(sources.values()):
        if not values[name]:
            continue
        low, first, middle, third, high = np.quantile(values[name], [0.1, 0.25, 0.5, 0.75, 0.9])
        color = f"C{place}"
        axis.plot([low, high], [-place, -place], color=color, linewidth=1.5)
        axis.plot([first, third], [-place, -place], color=color, linewidth=6, alpha=0.6)
        axis.plot(middle, -place, "o", color="black", markersize=4)
    axis.set_title(STATISTICS[name], fontsize=8)
    axis.set_yticks([])
    axis.set_ylim(0.6 - len(sources), 0.4)
    axis.tick_params(labelsize=7)
    if name in ("amplitudes", "half"):
        axis.set_xscale("log")


def draw_maps(axes, title: str, picture: Picture, labels: list[str]) -> None:
    """A row of maps, each of its own maximum."""
    for axis, label in zip(axes, labels, strict=True):
        values = picture.maps[picture.labels.index(label)]
        axis.imshow(values / max(values.max(), 1e-9), cmap="inferno")
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center", labelpad=4)


def draw(
    sources: dict[str, Values],
    rgb: NDArray[np.uint8],
    examples: dict[str, Picture],
    out: Path,
) -> None:
    """The figure: ranges of all statistics on the left, maps of one room on the right."""
    first = next(iter(examples.values()))
    areas = np.bincount(first.truth[first.truth >= 0])
    labels = [first.labels[row] for row in np.argsort(-areas)[SHOWN]]
    matplotlib.use("Agg")
    figure = pyplot.figure(figsize=(15, 7.2))
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.05])
    grid = left.subplots(4, 3)
    for axis, name in zip(grid.flat, STATISTICS):
        draw_ranges(axis, name, sources)
    for axis in grid.flat[len(STATISTICS) :]:
        axis.axis("off")
    grid.flat[len(STATISTICS)].imshow(rgb)
    grid.flat[len(STATISTICS)].set_title("the room of the maps", fontsize=8)
    handles = [pyplot.Line2D([], [], color=f"C{i}", linewidth=6) for i in range(len(sources))]
    left.legend(handles, list(sources), loc="lower right", fontsize=8, frameon=False)
    left.subplots_adjust(0.03, 0.06, 0.98, 0.93, wspace=0.15, hspace=0.85)
    panel = right.subplots(len(examples), len(labels) + 1)
    for axis in panel[:, 0]:
        axis.axis("off")
    for axis, label in zip(panel[0, 1:], labels):
        axis.set_title(label, fontsize=8)
    for axes, (title, picture) in zip(panel, examples.items()):
        draw_maps(axes[1:], title, picture, labels)
    right.subplots_adjust(0.01, 0.02, 0.99, 0.95, wspace=0.06, hspace=0.06)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80)


def show(sources: dict[str, Values]) -> None:
    """Print the 10 %, 50 % and 90 % quantiles of every statistic."""
    table = Table("statistic", *sources)
    for name, words in STATISTICS.items():
        cells = []
        for values in sources.values():
            found = np.quantile(values[name], [0.1, 0.5, 0.9]) if values[name] else []
            cells.append(" ".join(f"{value:.3f}" for value in found) or "-")
        table.add_row(words.replace("\n", " "), *cells)
    Console(width=160).print(table)


def main(
    folder: Annotated[Path, typer.Argument(help="a data set with relevancy")],
    split: Annotated[str, typer.Option()] = "validation",
    preset: Annotated[str, typer.Option(help="of the stored relevancy")] = "fast",
    calls: Annotated[int, typer.Option(min=ROWS, help="simulations of each picture")] = 20,
    masks: Annotated[
        Path | None, typer.Option(help=".npz with labels and masks of the real picture")
    ] = None,
    out: Annotated[Path, typer.Option()] = Path("docs/images/relevancy_statistics.png"),
) -> None:
    """Print the statistics, and draw them."""
    simulated, encoder, pictures = [], [], []
    for number, path in enumerate(split_paths(folder, "completion", split)):
        scene, picture = stored(folder / path, preset)
        pictures.append(scene.rgb[0])
        encoder.append(picture)
        for call in range(calls):
            maps = simulate(scene.seg[0], scene.objid_to_class, picture.labels, [number, call])
            simulated.append(Picture(maps, picture.labels, picture.truth))
    sources = {
        "simulated, synthetic rooms": pooled(map(measure, simulated)),
        "small encoder, the same": pooled(map(measure, encoder)),
    }
    if (real := read_real(masks)) is not None:
        sources["CLIP ViT-B/32, a real picture"] = measure(real)
        if real.truth is not None:
            again = (real_again(real, [len(encoder), call]) for call in range(len(simulated)))
            sources["simulated, the same"] = pooled(map(measure, again))
    show(sources)
    examples = {"small\nencoder": encoder[0]}
    examples |= {f"simulated\n{call + 1}": simulated[call] for call in range(ROWS)}
    draw(sources, pictures[0], examples, out)


if __name__ == "__main__":
    typer.run(main)
