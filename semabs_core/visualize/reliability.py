"""Whether probabilities mean what they say, as a figure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from semabs_core.files import write_atomic

INCHES = (5.0, 4.6)
FEW = 50
"""Answers below which a point says little; it is drawn hollow."""


def save_reliability(
    lines: Mapping[str, Sequence[tuple[float, float, int]]], path: str | os.PathLike
) -> None:
    """Draw the share that is right over the probability that was said, as PNG.

    Args:
        lines: name to (mean probability, share that is right, number of answers) of each bin, as
            :func:`semabs_core.evaluation.fitting.reliability` gives them.
        path: of the picture, which is written beside and renamed.
    """
    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as it should be")
    for name, rows in lines.items():
        said, right, counts = (list(column) for column in zip(*rows, strict=True))
        (line,) = axes.plot(said, right, label=name)
        colors = [line.get_color() if count >= FEW else "white" for count in counts]
        axes.scatter(said, right, c=colors, edgecolors=line.get_color(), s=30, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score", ylabel="share that is right", aspect=1)
    axes.legend(frameon=False, loc="upper left")
    write_atomic(path, lambda part: figure.savefig(part, format="png", dpi=100))
