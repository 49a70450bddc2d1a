"""The ``semabs`` command: parses, calls, prints; nothing reusable."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from semabs_core.commands import data, evaluation, train, weights
from semabs_core.commands.common import console

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Open-world 3D understanding: Semantic Abstraction.",
)


@app.command()
def ask(
    scene: Annotated[Path, typer.Argument(help="a .npz or .hdf5 scene")],
    sentence: Annotated[str, typer.Argument(help="'the mug behind the lamp'; empty: only complete")]
    = "",
    classes: Annotated[str, typer.Option(help="names, separated by commas")] = "",
    config: Annotated[Path | None, typer.Option(help="YAML config")] = None,
    out: Annotated[Path, typer.Option(help="folder for pictures and meshes")] = Path("out"),
    device: Annotated[str, typer.Option()] = "auto",
) -> None:  # fmt: skip
    """Complete a scene file and localize what a sentence describes; without ROS."""
    from semabs_core.config import SemabsConfig
    from semabs_core.data.scene_file import load_scene
    from semabs_core.description import parse_description
    from semabs_core.pipeline import SceneUnderstanding
    from semabs_core.visualize import figures, meshes
    from semabs_core.vocabulary import never_shown

    loaded = load_scene(scene)
    names = [name.strip() for name in classes.split(",") if name.strip()] or loaded.classes
    pipeline = SceneUnderstanding.from_config(config or SemabsConfig(), device=device)
    if pipeline.untrained:
        console.print(f"NOTE: {', '.join(pipeline.untrained)} untrained: answers mean nothing")
    if pipeline.foreign:
        console.print(f"NOTE: the encoder is not that of {', '.join(pipeline.foreign)}")
    wanted = parse_description(sentence) if sentence else None
    asked = [*names, wanted.target, wanted.reference] if wanted else names
    if unknown := never_shown(pipeline.unknown_words(asked)):
        console.print(f"NOTE: {unknown}", markup=False)
    frame = loaded.frame(0)
    pipeline.set_frame(frame)
    completion = pipeline.complete(names)
    out.mkdir(parents=True, exist_ok=True)
    maps = pipeline.relevancy(completion.classes)
    mosaic = figures.relevancy_mosaic(frame.rgb, maps, completion.classes)
    figures.write_png(mosaic, out / "relevancy.png")
    figures.write_png(figures.completion_figure(frame, completion), out / "completion.png")
    solid = meshes.completion_mesh(completion)
    if len(solid.triangles):
        meshes.write_mesh(solid, out / "completion.ply")
    table = Table("class", "voxels")
    for name, count in completion.voxels_per_class().items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    if wanted:
        answer = pipeline.localize(wanted.target, wanted.relation, wanted.reference)
        picture = figures.localization_figure(frame, completion, answer, sentence)
        figures.write_png(picture, out / "localization.png")
        x, y, z = answer.position_m
        console.print(f"{sentence}: x {x:.2f}, y {y:.2f}, z {z:.2f} m, score {answer.score:.2f}")
    console.print(f"pictures are in {out}")


app.command()(train.train)
app.command("eval")(evaluation.evaluate)
app.command()(evaluation.pointing)
app.command()(evaluation.summarize)
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")


def run_clearly(command: Callable[[], Any]) -> int:
    """Run a command; an error that users can mend is one line, not a traceback."""
    try:
        command()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("SEMABS_DEBUG"):
            raise
        print(f"semabs: {error}", file=sys.stderr)
        return 1
    return 0


def main() -> None:
    """Entry point. SEMABS_DEBUG=1 shows the traceback of an error."""
    sys.exit(run_clearly(app))


if __name__ == "__main__":
    main()
