"""What ``semabs complete`` and ``localize`` do with a frame: ask, print, store, draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semabs_core.commands.common import check_folder, console, progress_of_stages, say

if TYPE_CHECKING:
    from semabs_core.config import SemabsConfig
    from semabs_core.description import Description
    from semabs_core.pipeline import SceneUnderstanding
    from semabs_core.readers import FrameSequence
    from semabs_core.types import Completion, RGBDFrame
    from semabs_core.visualize.answers import Asked
    from semabs_core.visualize.video import VideoOptions


@dataclass(frozen=True)
class Job:
    """Where a question is asked and its answer goes.

    Attributes:
        scene: what the camera measured.
        index: which of its frames.
        config: of the models.
        out: folder for the answer.
        video: whether turntables are filmed.
        rerun: recording for the Rerun viewer; None for none.
    """

    scene: FrameSequence
    index: int
    config: SemabsConfig
    out: Path
    video: bool
    rerun: Path | None


def open_scene(path: Path, read: str) -> FrameSequence:
    """Frames of any file or folder that holds RGB-D, and what was recognised or assumed of it."""
    from semabs_core.readers import open_sequence, parse_read_options

    scene = open_sequence(path, parse_read_options(read))
    for note in scene.notes:
        say(f"NOTE: {note}")
    return scene


def ask(
    job: Job, classes: Sequence[str], wanted: Sequence[str | tuple[str, str, str]] = ()
) -> None:
    """Complete, localize, print the answers and write them.

    All that is asked for is checked before the models are loaded, which may take minutes.

    Args:
        job: where.
        classes: to complete; none for no completion.
        wanted: sentences, or target, relation and reference, to localize.
    """
    from semabs_core.description import check_classes
    from semabs_core.frame_state import region_of
    from semabs_core.models import known_relations
    from semabs_core.pipeline import SceneUnderstanding
    from semabs_core.visualize import figures
    from semabs_core.visualize.answers import Asked
    from semabs_core.visualize.rerun_file import check_rerun
    from semabs_core.visualize.video import VideoOptions

    descriptions = [_description(one, known_relations(job.config)) for one in wanted]
    names = check_classes(classes) if classes else []
    if not 0 <= job.index < len(job.scene):
        raise ValueError(f"there is no frame {job.index}: {job.scene.name} has {len(job.scene)}")
    frame = job.scene.frame(job.index)
    check_folder(job.out)
    if job.rerun:
        check_rerun(job.rerun)
    with progress_of_stages("loading the models") as advance:
        pipeline = SceneUnderstanding.from_config(job.config)
        pipeline.set_frame(frame)
        brought = job.scene.brought(job.index)
        if brought.maps:
            pipeline.set_relevancy(brought.maps, brought.centred)
        completion = pipeline.complete(names, advance) if names else None
        region = region_of(frame, job.config.region)
        asked = [
            Asked(one.words, pipeline.localize(*_parts(one), advance), region)
            for one in descriptions
        ]
        things = list(dict.fromkeys(names or [n for one in descriptions for n in one.names]))
        maps = pipeline.relevancy(things, advance)
    mosaic = figures.relevancy_mosaic(frame.rgb, maps, things)
    notes = _notes(pipeline, [*names, *(n for one in descriptions for n in one.names)])
    notes += brought.notes
    if completion is not None and completion.left_out:
        notes.append(f"{completion.left_out} (completion.min_presence)")
    _print(notes, completion, asked)
    written = _store(job, frame, completion, asked, notes, pipeline)
    video = VideoOptions() if job.video else None
    written += _draw(job.out, frame, completion, asked, mosaic, video, job.rerun)
    say("written: " + ", ".join(map(str, written)))


def draw_folder(folder: Path, video: VideoOptions | None, rerun: Path | None) -> None:
    """Draw what :func:`ask` stored in a folder again."""
    from semabs_core.data.scene_file import load_scene
    from semabs_core.visualize.answers import SCENE_FILE, Asked, stored_localizations
    from semabs_core.visualize.rerun_file import check_rerun
    from semabs_core.visualize.store import StoreError, load_completion, load_localization

    stored = folder / "completion.npz"
    files = stored_localizations(folder)
    if not (folder / SCENE_FILE).is_file() or not (stored.is_file() or files):
        raise StoreError(
            f"{folder} holds no answer ({SCENE_FILE} with completion.npz or localization.npz): "
            "make one with semabs complete or semabs localize"
        )
    if rerun:
        check_rerun(rerun)
    frame = load_scene(folder / SCENE_FILE).frame(0)
    completion = load_completion(stored) if stored.is_file() else None
    asked = []
    for file in files:
        answer, region, question = load_localization(file)
        asked.append(Asked(question, answer, region))
    written = _draw(folder, frame, completion, asked, None, video, rerun)
    say("written: " + ", ".join(map(str, written)))


def _description(wanted: str | tuple[str, str, str], relations: Sequence[str]) -> Description:
    from semabs_core.description import make_description, parse_description

    if isinstance(wanted, str):
        return parse_description(wanted, relations)
    return make_description(*wanted, relations)


def _parts(description: Description) -> tuple[str, str, str]:
    return description.target, description.relation, description.reference


def _notes(pipeline: SceneUnderstanding, names: Sequence[str]) -> list[str]:
    """What limits the worth of an answer."""
    from semabs_core.vocabulary import never_shown

    untrained, foreign = ", ".join(pipeline.untrained), ", ".join(pipeline.foreign)
    notes = [
        f"{untrained} untrained: answers mean nothing" if untrained else "",
        f"the encoder is not that of {foreign}" if foreign else "",
        never_shown(pipeline.unknown_words(names)),
    ]
    return [note for note in notes if note]


def _print(notes: Sequence[str], completion: Completion | None, asked: Sequence[Asked]) -> None:
    from semabs_core.visualize import answers

    for note in notes:
        say(f"NOTE: {note}")
    if completion is not None:
        console.print(answers.completion_table(completion.voxels_per_class(), "Completion"))
    for one in asked:
        console.print(answers.localization_table(one.answer, one.question, one.answer.verdict))


def _store(
    job: Job,
    frame: RGBDFrame,
    completion: Completion | None,
    asked: Sequence[Asked],
    notes: list[str],
    pipeline: SceneUnderstanding,
) -> list[Path]:
    """Write the answers for programs: the frame, ``.npz`` and JSON."""
    from semabs_core.visualize import answers, store

    answers.make_room(job.out, frame, completion is not None, bool(asked))
    about: dict[str, Any] = {
        "scene": job.scene.name,
        "frame": job.index,
        "encoder": pipeline.encoder.name,
        "completion_checkpoint": job.config.completion.checkpoint,
        "localization_checkpoint": job.config.localization.checkpoint,
        "preset": pipeline.chosen.preset,
        "notes": notes,
    }
    files = [job.out / answers.SCENE_FILE]
    answers.save_frame(frame, job.scene.name, files[0])
    if completion is not None:
        files += [job.out / "completion.npz", job.out / "completion.json"]
        store.save_completion(completion, files[-2])
        store.write_json(about | store.completion_report(completion), files[-1])
    for number, one in enumerate(asked):
        stem = job.out / answers.file_stem(number)
        files += [stem.with_suffix(".npz"), stem.with_suffix(".json")]
        store.save_localization(one.answer, one.region, one.question, files[-2])
        report = store.localization_report(one.answer, one.question)
        store.write_json(about | report, files[-1])
    return files


def _draw(
    out: Path,
    frame: RGBDFrame,
    completion: Completion | None,
    asked: Sequence[Asked],
    mosaic: Any,
    video: VideoOptions | None,
    rerun: Path | None,
) -> list[Path]:
    """Write the pictures, meshes, videos and the recording."""
    from semabs_core.visualize.answers import write_answers
    from semabs_core.visualize.rerun_file import write_rerun

    with progress_of_stages("drawing") as advance:
        written = write_answers(
            out, frame, completion, asked, mosaic, video,
            lambda done, total: advance("filming", done / total),
        )  # fmt: skip
        if rerun:
            write_rerun(rerun, frame, completion, asked)
            written.append(rerun)
    return written
