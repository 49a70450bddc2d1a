"""``semabs demo``, ``complete``, ``localize`` and ``visualize``: the whole method on one frame."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semabs_core.commands.asking import Job, ask, draw_folder, open_scene
from semabs_core.commands.common import say
from semabs_core.commands.options import (
    AnyOption,
    Config,
    Device,
    Encoder,
    Precision,
    Preset,
    Pretrained,
    Prompt,
    Read,
    Resolution,
    make_config,
)

EXAMPLES = {
    "demo": "Example: semabs demo --out demo",
    "complete": 'Example: semabs complete scene.npz --class sofa --class "coffee table" --out room',
    "localize": 'Example: semabs localize scene.npz "the hair dryer behind the table legs" '
    '"the mug" --out room',
    "visualize": "Example: semabs visualize room --frames 120 --fps 24",
}
Scene = Annotated[
    Path, typer.Argument(help="scene file, recording, TUM or ScanNet folder, picture, ...")
]
Out = Annotated[Path, typer.Option(help="folder for the answers, pictures and meshes")]
Frame = Annotated[int, typer.Option(help="which frame of the scene, from 0", min=0)]
Video = Annotated[bool, typer.Option(help="also film a turntable (.mp4)")]
Rerun = Annotated[
    Path | None, typer.Option(help="also write a recording for the Rerun viewer (.rrd)")
]


def demo(
    context: typer.Context,
    out: Out = Path("out"),
    device: Device = None,
    video: Video = True,
    rerun: Rerun = None,
) -> None:
    """Complete and localize in the built-in room; no file, no network, no ROS."""
    from semabs_core.data.scene_file import built_in_scene

    say("a synthetic room that nothing was trained on; about a minute on two cores ...")
    scene = built_in_scene()
    config = make_config(context)
    job = Job(scene, 0, config, out, video, rerun)
    ask(job, scene.classes, scene.descriptions[:1])


def complete(
    context: typer.Context,
    scene: Scene,
    class_: Annotated[
        list[str] | None,
        typer.Option("--class", help="what to label; repeatable; none: the scene's own classes"),
    ] = None,
    out: Out = Path("out"),
    frame: Frame = 0,
    read: Read = "",
    resolution: Resolution = None,
    cutoff: Annotated[
        float | None, typer.Option(help="logit below which a voxel is free; the checkpoint's")
    ] = None,
    video: Video = True,
    rerun: Rerun = None,
    config: Config = None,
    device: Device = None,
    encoder: Encoder = None,
    pretrained: Pretrained = None,
    precision: Precision = None,
    preset: Preset = None,
    prompt: Prompt = None,
    option: AnyOption = None,
) -> None:
    """Label every voxel ahead of the camera, hidden ones too.

    Writes completion.json, .npz, .png, .ply, .obj (an object per class) with .mtl, .mp4,
    relevancy.png and measured.ply, the surface that the camera saw. Metres, z up.
    """
    options = make_config(context)
    loaded = open_scene(scene, read)
    names = class_ or loaded.classes
    if not names:
        raise typer.BadParameter(f"{scene} suggests no classes: name some, --class sofa")
    ask(Job(loaded, frame, options, out, video, rerun), names)


def localize(
    context: typer.Context,
    scene: Scene,
    sentence: Annotated[
        list[str] | None,
        typer.Argument(help="'the mug behind the lamp', or 'mug'; none: the scene's descriptions"),
    ] = None,
    out: Out = Path("out"),
    frame: Frame = 0,
    read: Read = "",
    resolution: Resolution = None,
    video: Video = True,
    rerun: Rerun = None,
    config: Config = None,
    device: Device = None,
    encoder: Encoder = None,
    pretrained: Pretrained = None,
    precision: Precision = None,
    preset: Preset = None,
    prompt: Prompt = None,
    option: AnyOption = None,
) -> None:
    """Find what sentences describe, in view or hidden; a noun alone is found too.

    Writes localization.json, .npz, .png, .ply (the answer's points in the colours of their
    scores) and .mp4, of further sentences localization_2 and so on, relevancy.png and
    measured.ply, the surface that the camera saw. Metres, z up.
    """
    options = make_config(context)
    loaded = open_scene(scene, read)
    wanted = sentence or loaded.descriptions
    if not wanted:
        raise typer.BadParameter(f"{scene} holds no descriptions: ask a sentence")
    ask(Job(loaded, frame, options, out, video, rerun), [], wanted)


def visualize(
    folder: Annotated[Path, typer.Argument(help="what semabs complete or localize wrote")],
    video: Video = True,
    frames: Annotated[int, typer.Option(help="pictures of a turntable", min=1, max=10_000)] = 48,
    fps: Annotated[int, typer.Option(help="of them per second", min=1, max=120)] = 12,
    rerun: Rerun = None,
) -> None:
    """Draw the pictures, meshes and videos of stored answers again; no model is loaded."""
    from semabs_core.visualize.video import VideoOptions

    draw_folder(folder, VideoOptions(frames, fps) if video else None, rerun)
