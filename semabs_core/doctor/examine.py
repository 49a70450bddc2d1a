"""Everything about one path, from the topics to the models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semabs_core.config import SemabsConfig
from semabs_core.data.scene_file import SceneError
from semabs_core.doctor.bags import check_recording
from semabs_core.doctor.findings import Report, error, ok
from semabs_core.doctor.frames import check_frames
from semabs_core.doctor.machine import check_models, check_sockets, check_torch
from semabs_core.readers import BAG, ReadOptions, open_sequence, reader_of
from semabs_core.readers.bag import finish_bag
from semabs_core.readers.bag_index import index_bag
from semabs_core.readers.recording import Recording
from semabs_core.readers.sequence import FrameSequence, sample_frames
from semabs_core.types import RGBDFrame

FRAMES = 5
"""How many frames are looked at."""


@dataclass
class Examination:
    """What was found, and a frame to draw it into.

    Attributes:
        report: all findings.
        frame: a frame of what was examined; None where none can be read.
    """

    report: Report
    frame: RGBDFrame | None = None


def examine(path: str | Path, options: ReadOptions, config: SemabsConfig) -> Examination:
    """Look at a path of any format, and at the machine.

    Args:
        path: what the readers read; empty for the built-in room.
        options: what the files do not say.
        config: whose region and models count.

    Raises:
        ValueError: if something is told that does not count for the format.
    """
    result = Examination(Report())
    try:
        if str(path) and reader_of(Path(path)) is BAG:
            BAG.check(options)
            _examine_bag(Path(path), options, config, result)
        else:
            sequence = open_sequence(path, options)
            _tell(sequence, result)
            _look(result, sequence, config, "", "world")
    except SceneError as fault:
        result.report.add([error("reading", str(fault), "mend the files, or tell what they mean")])
    result.report.add([*check_sockets(live=False), *check_torch(), *check_models(config)])
    return result


def _examine_bag(
    path: Path, options: ReadOptions, config: SemabsConfig, result: Examination
) -> None:
    """A recording: its messages, then its frames as far as there are any."""
    recording = Recording(path)
    try:
        index = index_bag(recording, options)
        sound = result.report.add(check_recording(index, options))
        try:
            sequence = finish_bag(recording, index, options)
        except SceneError as fault:
            if sound:
                result.report.add([error("frames", str(fault), "see the lines before")])
            return
        _tell(sequence, result)
        camera = index.entries["rgb"][0].frame_id
        _look(result, sequence, config, camera, sequence.world_frame)
    finally:
        recording.close()


def _tell(sequence: FrameSequence, result: Examination) -> None:
    """What was read."""
    notes = "; ".join([f"{sequence.name}: {len(sequence)} frame(s)", *sequence.notes])
    result.report.add([ok("reading", notes)])


def _look(
    result: Examination, sequence: FrameSequence, config: SemabsConfig, camera: str, world: str
) -> None:
    """The frames themselves."""
    frames = sample_frames(sequence, FRAMES)
    if not frames:
        sequence.frame(0)  # says why
        return
    result.frame = frames[0]
    result.report.add(check_frames(frames, config.region, camera, world))
