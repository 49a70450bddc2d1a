"""Answers as a recording for the Rerun viewer (https://rerun.io), an optional dependency."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semabs_core.files import write_atomic
from semabs_core.types import Completion, RGBDFrame
from semabs_core.visualize.answers import Asked
from semabs_core.visualize.figures import answer_heat
from semabs_core.visualize.meshes import class_meshes


class RerunError(RuntimeError):
    """A recording cannot be written; the message names the remedy."""


def check_rerun(path: str | os.PathLike) -> None:
    """See that a recording can be written, before the work.

    Raises:
        RerunError: if rerun-sdk is not installed, or the file's name does not end in ``.rrd``.
    """
    if Path(path).suffix != ".rrd":
        raise RerunError(f"a recording's name must end in .rrd, got {Path(path).name}")
    _rerun()


def write_rerun(
    path: str | os.PathLike,
    frame: RGBDFrame,
    completion: Completion | None,
    asked: Sequence[Asked],
) -> None:
    """Write the frame and its answers, as a whole or not at all.

    Args:
        path: the ``.rrd`` file.
        frame: what the camera measured.
        completion: a mesh per class is logged below ``world/completion``.
        asked: points and the best point are logged below ``world/localization``.

    Raises:
        RerunError: if rerun-sdk is not installed.
    """
    rr = _rerun()

    def fill(part: Path) -> None:
        recording = rr.RecordingStream("semabs")
        recording.save(str(part))
        _log_frame(rr, recording, frame)
        if completion is not None:
            _log_completion(rr, recording, completion)
        for number, one in enumerate(asked):
            _log_answer(rr, recording, f"world/localization/{number + 1}", one)
        recording.disconnect()

    write_atomic(path, fill)


def _rerun() -> Any:
    try:
        import rerun
    except ImportError:
        raise RerunError(
            "a recording needs the Rerun SDK, which is not installed: pip install 'semabs[rerun]'"
        ) from None
    return rerun


def _log_frame(rr: Any, recording: Any, frame: RGBDFrame) -> None:
    camera, T = frame.camera, frame.T_world_camera
    size = [camera.width, camera.height]
    recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    recording.log("world/camera", rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3]))
    recording.log("world/camera", rr.Pinhole(image_from_camera=camera.K, resolution=size))
    recording.log("world/camera/rgb", rr.Image(frame.rgb))
    depth_m = np.nan_to_num(frame.depth_m, nan=0.0, posinf=0.0, neginf=0.0)
    recording.log("world/camera/depth", rr.DepthImage(depth_m, meter=1.0))


def _log_completion(rr: Any, recording: Any, completion: Completion) -> None:
    for name, mesh in class_meshes(completion).items():
        colors = np.tile(np.rint(255 * mesh.colors[0]).astype(np.uint8), (len(mesh.vertices), 1))
        shape = rr.Mesh3D(
            vertex_positions=mesh.vertices.astype(np.float32),
            triangle_indices=mesh.triangles.astype(np.uint32),
            vertex_colors=colors,
        )
        recording.log(f"world/completion/{rr.escape_entity_path_part(name)}", shape)


def _log_answer(rr: Any, recording: Any, place: str, one: Asked) -> None:
    answer = one.answer
    colors = np.rint(255 * answer_heat(answer)).astype(np.uint8)
    size = answer.voxel_size_m if np.isfinite(answer.voxel_size_m) else 0.02
    recording.log(place, rr.Points3D(answer.points_m, colors=colors, radii=size / 3))
    best = rr.Points3D([answer.position_m], labels=[f"{one.question}: {answer.outcome}"])
    recording.log(f"{place}/best", best)
