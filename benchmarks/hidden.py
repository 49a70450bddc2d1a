r"""How much of what no camera sees a completion network finds: of the floor, of walls, of things.

    semabs data rooms --out rooms --split validation=8 --option points=100000 \
        --option even_share=0.5
    python -m benchmarks.hidden shipped:completion_any --data rooms

A point is hidden if the camera did not look through it and no reading that the network gets lies
in its cell of a grid of 64^3 or in a neighbour of it.
With ``masks`` as relevancy, no encoder is asked. *Recall* is the share of a group's hidden points
that are filled (the logit of their label reaches the cutoff), *precision* the share of the hidden
points filled with a label of the group that are of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from torch import Tensor

from semabs_core.calibration import read_judgement
from semabs_core.checkpoint import load_network
from semabs_core.data.datasets import CompletionDataset, input_options
from semabs_core.data.hdf5 import read_scene
from semabs_core.data.items import looked_through
from semabs_core.evaluation.scene import EvaluationOptions, SceneLogits, scene_names
from semabs_core.query_grid import voxel_numbers
from semabs_core.voxels import grid_axes
from semabs_core.weights.shipped import resolve_weights

CELLS = 64
GROUPS = ("floor", "wall", "ceiling", "things")


def hidden_points(
    readings: Tensor, xyz: Tensor, bounds: Sequence[Sequence[float]]
) -> NDArray[np.bool_]:
    """Which points (M, 3) are hidden from a camera with these readings (N, 3): (M,)."""
    axes = torch.from_numpy(np.stack(grid_axes(np.asarray(bounds), CELLS)))
    seen = np.zeros((CELLS,) * 3, np.bool_)
    seen.flat[voxel_numbers(np.asarray(readings, np.float32), axes)[0]] = True
    near = ndimage.binary_dilation(seen, np.ones((3, 3, 3)))
    found, inside = voxel_numbers(np.asarray(xyz, np.float32), axes)
    hidden = np.zeros(len(inside), np.bool_)
    hidden[inside] = ~near.flat[found]
    return hidden


def main(
    checkpoint: Annotated[str, typer.Argument(help="completion network")],
    data: Annotated[Path, typer.Option(help="the data set's folder")],
    split: Annotated[str, typer.Option()] = "validation",
    preset: Annotated[str, typer.Option(help="name of stored relevancy, or masks")] = "masks",
    limit: Annotated[int, typer.Option(help="scenes; 0: all")] = 0,
) -> None:
    """Print how much of what is hidden in synthetic rooms a network finds."""
    network = load_network(resolve_weights(checkpoint)).eval()
    config, cutoff = network.config, read_judgement(network.metadata).cutoff
    if config.task != "completion" or not config.reads_relevancy:
        raise typer.BadParameter(f"{checkpoint} is no completion network that reads relevancy")
    items = CompletionDataset(
        data, split, config.approach, preset, full=True, seed=0, **input_options(config)
    )
    there, filled, right = Counter[str](), Counter[str](), Counter[str]()
    count = min(len(items), limit or len(items))
    for item in (items[number] for number in range(count)):
        rows = [] if "fault" in item else scene_names(item, "completion")[0]
        if not rows:
            continue
        logits = SceneLogits(network, item, EvaluationOptions())
        hidden = hidden_points(item["input_xyz"], logits.query_xyz, config.bounds)
        hidden &= ~looked_through(read_scene(data / f"{item['scene_id']}.hdf5"))
        for row in rows:
            name = item["names"][row]
            group = name if name in GROUPS else "things"
            counted = torch.from_numpy(hidden) & ~item["ignore"][row]
            target, said = item["targets"][row] > 0.5, logits.of(row) >= cutoff
            there[group] += int((counted & target).sum())
            filled[group] += int((counted & said).sum())
            right[group] += int((counted & said & target).sum())
    table = Table("hidden points of", "there", "recall", "precision")
    for group in GROUPS:
        found = right[group]
        shares = [f"{found / max(1, n[group]):.2f}" for n in (there, filled)]
        table.add_row(group, f"{there[group]:,}", *shares)
    console = Console()
    console.print(f"{checkpoint}, {count} scenes, {preset}, cutoff {cutoff:g}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
