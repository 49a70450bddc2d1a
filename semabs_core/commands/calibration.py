"""``semabs calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semabs_core.commands.common import progress_bar, say

EXAMPLE = "Example: semabs calibrate runs/ours --data data --preset ours --preset simulated"


def calibrate(
    checkpoint: Annotated[Path, typer.Argument(help="folder of a network, which is changed")],
    data: Annotated[Path, typer.Option(help="the data set's folder")],
    split: Annotated[str, typer.Option(help="scenes that nothing was trained on")] = "validation",
    preset: Annotated[
        list[str] | None, typer.Option(help="names of stored relevancy, repeatable")
    ] = None,
    limit: Annotated[int, typer.Option(help="scenes; 0: all")] = 0,
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Make a network's scores mean what they say, and choose its cutoff, on validation scenes."""
    from semabs_core.evaluation.calibrate import calibrate_checkpoint

    with progress_bar("calibration") as advance:
        result = calibrate_checkpoint(
            checkpoint, data, split, preset or None, limit or None, device, advance
        )
    say(
        f"{checkpoint}: score = sigmoid({result.calibration.scale:.3f} logit "
        f"{result.calibration.bias:+.3f}), cutoff {result.cutoff:.1f} (IoU {result.iou:.3f})"
    )
    for probability, share, count in result.reliability:
        say(f"  said {probability:.2f}, right {share:.2f} of {count:,}")
