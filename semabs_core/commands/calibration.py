"""``semabs calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semabs_core.commands.common import check_folder, progress_bar, say

if TYPE_CHECKING:
    from semabs_core.evaluation.fitting import Fit

EXAMPLE = "Example: semabs calibrate runs/ours/best --data data --preset ours --preset simulated"


def calibrate(
    checkpoint: Annotated[Path, typer.Argument(help="folder of a network, which is changed")],
    data: Annotated[Path, typer.Option(help="the data set's folder")],
    split: Annotated[str, typer.Option(help="scenes that nothing was trained on")] = "validation",
    preset: Annotated[
        list[str] | None, typer.Option(help="names of stored relevancy, repeatable")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="rgb, domain_randomized_rgb, or both, repeated")
    ] = None,
    limit: Annotated[int, typer.Option(help="scenes; 0: all", min=0)] = 0,
    figure: Annotated[
        Path | None, typer.Option(help="PNG of the scores and of the share that is right")
    ] = None,
    keep_cutoffs: Annotated[
        bool, typer.Option(help="change what scores are worth alone, not what is answered")
    ] = False,
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Make a network's scores mean what they say, and choose its cutoffs, on validation scenes."""
    from semabs_core.evaluation.calibrate import calibrate_checkpoint
    from semabs_core.visualize.reliability import save_reliability

    if figure is not None and figure.suffix != ".png":
        raise typer.BadParameter(f"--figure is a PNG file, got {figure.name}")
    if figure is not None:
        check_folder(figure.parent)
    with progress_bar("calibration") as advance:
        result = calibrate_checkpoint(
            checkpoint,
            data,
            split,
            records=preset or None,
            limit=limit or None,
            device=device,
            on_scene=advance,
            keep_cutoffs=keep_cutoffs,
            sources=source or None,
        )
    if keep_cutoffs:
        say("the cutoffs below are the best ones; those of the network stay as they were")
    _report(f"{checkpoint}", result.everywhere)
    if result.margins:
        regions = (f"{name or 'all'} {margin:.1f}" for name, margin in result.margins.items())
        say(f"regions end below their best logit by: {', '.join(regions)}")
    lines = {"everywhere": result.everywhere.reliability}
    for what, fit in (("hidden", result.hidden), ("seen surfaces", result.surface)):
        if fit:
            _report(what, fit)
            lines[what] = fit.reliability
    if figure is not None:
        save_reliability(lines, figure)
        say(f"written to {figure}")


def _report(what: str, fit: Fit) -> None:
    worth = fit.calibration
    ceiling = f"{worth.ceiling:.3f} " if worth.ceiling < 1 else ""
    say(
        f"{what}: score = {ceiling}sigmoid({worth.scale:.3f} logit {worth.bias:+.3f}), "
        f"cutoff {fit.cutoff:.1f} (IoU {fit.iou:.3f})"
    )
    for probability, share, count in fit.reliability:
        say(f"  said {probability:.2f}, right {share:.2f} of {count:,}")
