"""The page itself: two tabs of Gradio components around :class:`semabs_core.app.models.Models`."""

from __future__ import annotations

import functools
import html
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from semabs_core.app import inputs, overlays, scene_view
from semabs_core.app.models import Models
from semabs_core.data.scene_file import Scene, built_in_scene
from semabs_core.files import write_atomic

LOG = logging.getLogger(__name__)
CSS = """
.legend { list-style: none; padding: 0; columns: 2; }
.swatch { display: inline-block; width: 1em; height: 1em; border: 1px solid #222;
          vertical-align: -0.15em; }
"""
BACK = (90.0, 65.0, None)
"""Where the 3D view is seen from: behind the camera, a little above (degrees)."""


def named_faults(preprocess: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What reads an uploaded picture, so that a file that is none is a message, not a fault."""

    def read(payload: Any) -> Any:
        try:
            return preprocess(payload)
        except (OSError, ValueError, SyntaxError):
            name = getattr(payload, "orig_name", None) or "the file"
            raise gr.Error(
                f"{html.escape(name)} cannot be read: it is no picture, or cut off",
                print_exception=False,
            ) from None

    return read


def clearly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler whose errors are messages on the page; what nobody foresaw is logged too."""

    @functools.wraps(handler)
    def handle(*arguments: Any, **options: Any) -> Any:
        try:
            return handler(*arguments, **options)
        except gr.Error:
            raise
        except (ValueError, OSError, RuntimeError) as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from error
        except Exception as error:
            LOG.exception("the page cannot answer")
            raise gr.Error(f"a fault of the page: {type(error).__name__}; see its log") from error

    return handle


def about(models: Models) -> str:
    """Which models answer, and what they know, as Markdown."""
    scene, config = models.scene, models.scene.config
    said = (
        f"Encoder **{scene.encoder.name}**, completion **{config.completion.checkpoint}**, "
        f"localization **{config.localization.checkpoint}**, on {scene.encoder.device}."
    )
    if models.words is None:
        return f"{said} Nobody listed the words that this encoder knows; CLIP knows almost any."
    return (
        f"{said} This encoder knows {len(models.words)} things by name, all listed below, and "
        "nothing else: answers about other words mean nothing and are marked."
    )


def build_page(models: Models) -> gr.Blocks:
    """The page; every visitor has a state of their own.

    Args:
        models: what answers.
    """
    room = built_in_scene()
    with gr.Blocks(title="semabs", analytics_enabled=False, delete_cache=(3600, 3600)) as page:
        gr.Markdown(f"# semabs: open-world 3D understanding\n{about(models)}")
        with gr.Tab("Picture"):
            _picture_tab(models, room)
        with gr.Tab("RGB-D scene"):
            _scene_tab(models, room)
        if models.words is not None:
            with gr.Accordion("The words that this encoder knows", open=False):
                gr.Markdown(", ".join(map(html.escape, models.words)))
    return page


def _picture_tab(models: Models, room: Scene) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            picture = gr.Image(room.rgb[0], label="Picture", type="numpy", elem_id="picture")
            # A class of one's own would be simpler, but Gradio writes a .pyi beside each of those.
            picture.preprocess = named_faults(picture.preprocess)  # type: ignore
            labels = gr.Textbox(
                ", ".join(room.classes), label="Labels, separated by commas", elem_id="labels"
            )
            threshold = gr.Slider(0.0, 1.0, 0.15, label="Threshold", elem_id="threshold")
            show = gr.Button("Show relevancy", variant="primary", elem_id="show")
        with gr.Column(scale=2):
            panels = gr.Gallery(
                label="Relevancy",
                columns=3,
                height=760,
                object_fit="contain",
                format="png",
                elem_id="panels",
            )
            notes = gr.Markdown()
    kept = gr.State()

    @clearly
    def answer(image: Any, text: str, low: float, progress: Any = gr.Progress()) -> Any:  # noqa: B008
        if image is None:
            raise ValueError("give a picture first")
        names = inputs.parse_labels(text)
        maps = models.relevancy(image, names, lambda stage, part: progress(part, desc=stage))
        found = (image, maps, names)
        return draw(found, low), found, "\n\n".join(f"⚠ {n}" for n in models.warnings(names))

    @clearly
    def draw(found: Any, low: float) -> Any:
        if found is None:
            return None
        image, maps, names = found
        top = overlays.top_of(maps)
        return [
            (overlays.overlay(image, values, top, low), f"{name} (max {values.max():.2f})")
            for name, values in zip(names, maps, strict=True)
        ]

    for event in (show.click, labels.submit):
        event(answer, [picture, labels, threshold], [panels, kept, notes], api_name="relevancy")
    threshold.change(
        draw, [kept, threshold], panels, show_progress="hidden", trigger_mode="always_last",
        api_name="threshold",
    )  # fmt: skip


def _scene_tab(models: Models, room: Scene) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            file = gr.File(
                label="Scene file or recording (none: the built-in room)", elem_id="scene_file"
            )
            recognised = gr.Markdown(inputs.UPLOADS, elem_id="recognised")
            index = gr.Number(0, label="Frame", precision=0, minimum=0, elem_id="frame")
            with gr.Accordion(inputs.READ, open=False):
                read = gr.Textbox(
                    label="As --read takes it",
                    placeholder="camera_pose='0 0 1.2 0 20 0' rgb_topic=/camera/color/image_raw",
                    elem_id="read",
                )
            with gr.Accordion("Instead: a colour picture and its depth", open=False):
                color = gr.File(label="Colour picture", elem_id="color_file")
                depth = gr.File(
                    label="Depth, registered to colour: 16-bit PNG, or .npy", elem_id="depth_file"
                )
                units = gr.Textbox(
                    label=inputs.UNITS, elem_id="units",
                    placeholder="empty: whole numbers are millimetres, others metres",
                )  # fmt: skip
                intrinsics = gr.Textbox(label=inputs.INTRINSICS, elem_id="intrinsics")
                estimated = "empty: estimated from the depth"
                height = gr.Textbox(
                    label=inputs.HEIGHT, elem_id="height",
                    placeholder=estimated,
                )  # fmt: skip
                down = gr.Textbox(
                    label=inputs.DOWN, elem_id="down",
                    placeholder=estimated,
                )  # fmt: skip
            classes = gr.Textbox(", ".join(room.classes), label="Classes", elem_id="classes")
            sentence = gr.Textbox(
                " ".join(room.descriptions[0]), label="What to find", elem_id="sentence"
            )
            ask = gr.Button("Complete and find", variant="primary", elem_id="ask")
        with gr.Column(scale=2):
            shown = gr.Radio(
                list(scene_view.SHOWN), value=scene_view.COMPLETED, label="Show", elem_id="shown"
            )
            view = gr.Model3D(label="Turn it with the mouse", camera_position=BACK, height=520)
            said = gr.Markdown(elem_id="said")
            legend = gr.HTML(elem_id="legend")
    frame_kept, answer_kept = gr.State(), gr.State()

    @clearly
    def answer(
        source: tuple[Any, ...], words: str, wanted: str, what: str, kept: Any, progress: Any
    ) -> Any:
        given = kept[1] if kept and kept[0] == source else _given(*source)
        names = inputs.parse_labels(words)
        found = models.ask(
            given.frame, names, wanted or "", lambda stage, part: progress(part, desc=stage),
            given.brought,
        )  # fmt: skip
        text = scene_view.verdict(found, wanted or "", given.notes)
        colors = scene_view.legend(found)
        result = (given.frame, found)
        what = scene_view.FOUND if found.localization is not None else what
        return draw(result, what), what, text, colors, (source, given), result

    def answer_all(path, number, r, c, d, k, u, h, a, words, wanted, what, kept,
                   progress=gr.Progress()):  # noqa: B008  # fmt: skip
        return answer((path, number, r, c, d, k, u, h, a), words, wanted, what, kept, progress)

    @clearly
    def draw(result: Any, what: str) -> Any:
        if result is None:
            return None
        frame, found = result
        path = Path(tempfile.mkdtemp(prefix="semabs_")) / f"{what}.glb"
        write_atomic(path, scene_view.scene_glb(frame, found, what))
        return str(path)

    @clearly
    def suggest(path: str | None, told: str, *pictures: str | None) -> Any:
        scene = inputs.open_upload(path, told)
        if any(pictures) and not path:
            return gr.skip(), gr.skip(), inputs.UPLOADS
        text = html.escape(inputs.told_about(scene)) if path else inputs.UPLOADS
        if not scene.classes:
            return gr.skip(), gr.skip(), text
        found = " ".join(scene.descriptions[0]) if scene.descriptions else ""
        return ", ".join(scene.classes), found, text

    source = [file, index, read, color, depth, intrinsics, units, height, down]
    given = [*source, classes, sentence, shown]
    results = [view, shown, said, legend, frame_kept, answer_kept]
    for event in (ask.click, classes.submit, sentence.submit):
        event(answer_all, [*given, frame_kept], results, api_name="scene")
    shown.input(draw, [answer_kept, shown], view, api_name="view")
    suggested = [classes, sentence, recognised]
    for event in (file.change, read.submit):
        event(suggest, [file, read, color, depth], suggested, api_name="suggest")


def _given(
    path: str | None, number: float | None, read: str, color: str | None, depth: str | None,
    *told: Any,
) -> inputs.Given:  # fmt: skip
    """The frame that a visitor means: the only one of pictures, else one of a file."""
    sequence = inputs.open_given(path, read, color, depth, *told)
    return inputs.choose_frame(sequence, 0 if color else number, path, color, depth)
