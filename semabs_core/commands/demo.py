"""``semabs demo`` and ``semabs ask``: the whole method on one frame, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semabs_core.commands.common import check_folder, console, say

if TYPE_CHECKING:
    from semabs_core.readers import FrameSequence

Read = Annotated[
    str,
    typer.Option(
        help="what the files do not say: 'up=y depth_scale=5000 intrinsics=\"f f cx cy\"'"
    ),
]
Out = Annotated[Path, typer.Option(help="folder for pictures and meshes")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]


def demo(out: Out = Path("out"), device: Device = "auto") -> None:
    """The built-in room with the weights in this package; no file, no network, no ROS."""
    from semabs_core.data.scene_file import built_in_scene

    scene = built_in_scene()
    console.print("a synthetic room that nothing was trained on; half a minute on two cores ...")
    answer(scene, 0, scene.classes, " ".join(scene.descriptions[0]), None, out, device)


def ask(
    scene: Annotated[
        Path, typer.Argument(help="scene file, recording, TUM or ScanNet folder, picture, ...")
    ],
    sentence: Annotated[
        str, typer.Argument(help="'the mug behind the table lamp'; empty: only complete")
    ]
    = "",
    classes: Annotated[str, typer.Option(help="names, separated by commas")] = "",
    config: Annotated[Path | None, typer.Option(help="YAML file, or the name of one that ships")]
    = None,
    out: Out = Path("out"),
    device: Device = "auto",
    frame: Annotated[int, typer.Option(help="which one of a sequence, from 0", min=0)] = 0,
    read: Read = "",
) -> None:  # fmt: skip
    """Complete an RGB-D frame and localize what a sentence describes; without ROS."""
    from semabs_core.readers import open_sequence, parse_read_options

    loaded = open_sequence(scene, parse_read_options(read))
    for note in loaded.notes:
        say(f"NOTE: {note}")
    if frame >= len(loaded):
        raise typer.BadParameter(f"--frame {frame}: {loaded.name} has {len(loaded)} frame(s)")
    names = [name.strip() for name in classes.split(",") if name.strip()] or loaded.classes
    if not names:
        raise typer.BadParameter(f"{loaded.name} suggests no names: give --classes 'chair, table'")
    answer(loaded, frame, names, sentence, config, out, device)


def answer(
    scene: FrameSequence,
    index: int,
    names: list[str],
    sentence: str,
    config: Path | None,
    out: Path,
    device: str,
) -> None:
    """Ask about one frame; print the answers and write pictures and meshes.

    Args:
        scene: what the camera measured.
        index: of the frame.
        names: classes to complete.
        sentence: what to localize; empty for nothing.
        config: YAML file, or the name of one that ships; None for the defaults.
        out: folder for pictures and meshes.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """
    from semabs_core.config import SemabsConfig, load_config
    from semabs_core.description import check_classes, parse_description
    from semabs_core.models import known_relations
    from semabs_core.pipeline import SceneUnderstanding
    from semabs_core.visualize import answers, figures
    from semabs_core.vocabulary import never_shown

    # All that is asked for is checked before the models are loaded, which may take minutes.
    options = load_config(config) if config else SemabsConfig()
    wanted = parse_description(sentence, known_relations(options)) if sentence else None
    names = check_classes(names)
    check_folder(out)
    frame = scene.frame(index)
    pipeline = SceneUnderstanding.from_config(options, device=device)
    if pipeline.untrained:
        say(f"NOTE: {', '.join(pipeline.untrained)} untrained: answers mean nothing")
    if pipeline.foreign:
        say(f"NOTE: the encoder is not that of {', '.join(pipeline.foreign)}")
    asked = [*names, wanted.target, wanted.reference] if wanted else names
    if unknown := never_shown(pipeline.unknown_words(asked)):
        say(f"NOTE: {unknown}")
    pipeline.set_frame(frame)
    completion = pipeline.complete(names)
    maps = pipeline.relevancy(completion.classes)
    mosaic = figures.relevancy_mosaic(frame.rgb, maps, completion.classes)
    console.print(answers.completion_table(completion.voxels_per_class(), "Completion"))
    localization = None
    if wanted:
        localization = pipeline.localize(wanted.target, wanted.relation, wanted.reference)
        console.print(answers.localization_table(localization, sentence, localization.verdict))
    files = answers.write_answers(out, frame, mosaic, completion, localization, sentence)
    say("written: " + ", ".join(map(str, files)))
