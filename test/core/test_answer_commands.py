"""``semabs complete``, ``localize``, ``visualize``: a scene, any config, answers as files."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import imageio_ffmpeg
import numpy as np
import open3d as o3d
import pytest
import yaml
from PIL import Image
from support import ENCODER, ROOT, wait_for
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.data.scene_file import built_in_scene, load_scene, save_scene
from semabs_core.visualize.colors import class_colors
from semabs_core.visualize.store import load_completion, load_localization
from semabs_core.visualize.video import VideoOptions, write_video

STEP = 4
CONFIG = {
    "encoder": {"model": ENCODER},
    "relevancy": {"preset": "chefer_et_al", "augmentations": 0},
    "completion": {"checkpoint": "untrained"},
    "localization": {"checkpoint": "untrained"},
}
SHARED = {"scene.npz", "relevancy.png", "measured.ply"}


def files_of(stem, *more):
    return {f"{stem}.{ending}" for ending in ("npz", "json", "png", "ply", *more)}


COMPLETION = files_of("completion", "obj", "mtl")


class Room:
    """A small scene, tiny networks, and a folder for what is asked about it."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder / "out"
        whole = built_in_scene()
        self.scene = dataclasses.replace(
            whole,
            rgb=whole.rgb[:, ::STEP, ::STEP],
            depth_m=whole.depth_m[:, ::STEP, ::STEP],
            K=np.diag([1 / STEP, 1 / STEP, 1]) @ whole.K,
        )
        save_scene(self.scene, folder / "scene.npz")
        (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))

    def ask(self, command, *arguments):
        """What is printed, and the names of the files that are there afterwards."""
        line = [command, str(self.folder / "scene.npz"), *arguments, "--resolution", "8"]
        line += ["--config", str(self.folder / "tiny.yaml"), "--out", str(self.out), "--no-video"]
        done = CliRunner().invoke(app, line)
        if done.exception is not None:
            raise done.exception
        return " ".join(done.output.split()), {file.name for file in self.out.iterdir()}


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A room that was asked all that its scene suggests, and what was said and written."""
    room = Room(tmp_path_factory.mktemp("answered"))
    room.completed = room.ask("complete", "--cutoff", "-9")
    room.localized = room.ask("localize")
    return room


@pytest.fixture
def room(answered, tmp_path):
    """The same, to be changed."""
    shutil.copytree(answered.folder, tmp_path / "room")
    return Room(tmp_path / "room")


def draw(*arguments):
    done = CliRunner().invoke(app, ["visualize", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception


def test_the_scenes_own_classes_are_completed_stored_and_told(answered):
    output, files = answered.completed
    names = answered.scene.classes
    assert "NOTE: completion, localization untrained" in output
    assert all(name in output for name in names)
    assert files == SHARED | COMPLETION
    stored = load_completion(answered.out / "completion.npz")
    assert stored.classes == names
    assert stored.labels.shape == (8, 8, 8)
    told = json.loads((answered.out / "completion.json").read_text())
    counts = {entry["name"]: entry["voxels"] for entry in told["classes"]}
    assert counts == stored.voxels_per_class()
    assert sum(counts.values()) > 0, "the cutoff is the one that was given"
    assert told["classes"][0]["color"] == class_colors(names)[0].tolist()
    assert told["notes"] == ["completion, localization untrained: answers mean nothing"]
    solid = o3d.io.read_triangle_mesh(str(answered.out / "completion.ply"))
    there = np.concatenate([stored.points_of(i + 1)[0] for i in range(len(names))])
    edge = stored.voxel_size_m
    np.testing.assert_allclose(solid.get_min_bound(), there.min(axis=0), atol=edge)
    np.testing.assert_allclose(solid.get_max_bound(), there.max(axis=0), atol=edge)


def test_the_scenes_own_descriptions_are_answered(answered):
    output, files = answered.localized
    localizations = files_of("localization") | files_of("localization_2")
    assert files == SHARED | COMPLETION | localizations
    assert "best guess (no calibration" in output
    for number, parts in enumerate(answered.scene.descriptions):
        question = " ".join(parts)
        assert question in output
        stem = answered.out / ("localization_2" if number else "localization")
        answer, region, stored = load_localization(stem.with_suffix(".npz"))
        assert stored == question
        told = json.loads(stem.with_suffix(".json").read_text())
        assert told["position_m"] == answer.position_m.tolist()
        assert told["probability"] is None, "it is not calibrated"
        assert region.size_m == pytest.approx(10 / 3)
        cloud = o3d.io.read_point_cloud(str(stem.with_suffix(".ply")))
        assert len(cloud.points) == told["points"] == len(answer.points_m)


def test_a_stored_frame_is_a_scene(answered):
    stored = load_scene(answered.out / "scene.npz")
    np.testing.assert_array_equal(stored.rgb[0], answered.scene.rgb[0])
    np.testing.assert_allclose(stored.T_world_camera, answered.scene.T_world_camera, atol=1e-12)


def test_a_folder_holds_the_last_answers_of_one_frame(room):
    before = {file.name for file in room.out.iterdir()}
    (room.out / "completion.txt").write_text("not ours")
    _, after = room.ask("localize", "Where is the mug?")
    assert json.loads((room.out / "localization.json").read_text())["question"] == "mug"
    assert before - after == files_of("localization_2")
    moved = room.scene.T_world_camera.copy()
    moved[:, 0, 3] += 0.1
    save_scene(dataclasses.replace(room.scene, T_world_camera=moved), room.folder / "scene.npz")
    _, after = room.ask("complete", "--class", "mug [red]")
    assert not after & files_of("localization"), "they are of another frame"
    assert "completion.txt" in after


def test_stored_answers_are_drawn_again_with_films(room):
    kept = {"scene.npz", "completion.npz", "localization.npz"}
    for file in room.out.iterdir():
        if file.name not in kept:
            file.unlink()
    draw(room.out, "--frames", 3, "--fps", 5)
    drawn = {file.name for file in room.out.iterdir()} - kept
    assert drawn == {
        "measured.ply", "completion.png", "completion.ply", "completion.obj", "completion.mtl",
        "completion.mp4", "localization.png", "localization.ply", "localization.mp4",
    }  # fmt: skip
    reader = imageio_ffmpeg.read_frames(str(room.out / "completion.mp4"))
    about = next(reader)
    width, height = about["size"]
    pictures = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]
    assert (about["fps"], about["codec"], len(pictures)) == (5, "h264", 3)
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 1, "it turns"
    assert pictures[0][:, -8:].min() > 230, "nothing reaches the border"


def test_ctrl_c_while_filming_leaves_no_half_of_a_film(room):
    """A real signal to the process and its ffmpeg, as a terminal sends it."""
    for film in room.out.glob("*.mp4"):
        film.unlink()
    process = subprocess.Popen(
        [sys.executable, "-m", "semabs_core.cli", "visualize", room.out, "--frames", "9999"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        wait_for(lambda: list(room.out.glob("*.mp4.part")), 300, "film that is begun")
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, said.strip()) == (130, "semabs: interrupted")
    assert not [file for file in room.out.iterdir() if ".mp4" in file.name]


def test_ctrl_c_while_ffmpeg_starts_is_not_lost(tmp_path):
    """In a callback of a fork, where Python ignores what is raised."""
    armed = [True]
    os.register_at_fork(
        after_in_parent=lambda: armed and armed.pop() and signal.raise_signal(signal.SIGINT)
    )
    drawn = []

    def pictures():
        for _ in range(50):
            drawn.append(np.zeros((32, 32, 3), np.uint8))
            yield drawn[-1]

    with pytest.raises(KeyboardInterrupt):
        write_video(pictures(), tmp_path / "film.mp4", VideoOptions())
    assert not armed, "the signal came"
    assert len(drawn) == 1
    assert not list(tmp_path.iterdir())


def test_a_film_is_written_by_any_thread(tmp_path):
    """Signals are the main thread's alone."""
    pictures = [np.full((32, 32, 3), value, np.uint8) for value in (0, 255)]
    with ThreadPoolExecutor() as pool:
        assert pool.submit(write_video, pictures, tmp_path / "film.mp4", VideoOptions()).result()
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]


def test_a_recording_for_rerun(room, tmp_path):
    pytest.importorskip("rerun", reason="an optional dependency")
    draw(room.out, "--no-video", "--rerun", tmp_path / "a.rrd")
    assert (tmp_path / "a.rrd").read_bytes()[:3] == b"RRF"


def test_the_relevancy_of_a_picture(tmp_path):
    """Upright as EXIF says, labels as given, and the map less the mean in one figure."""
    picture = Image.fromarray(built_in_scene().rgb[0, ::2, ::2])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    picture.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    picture.save(tmp_path / "plain.png")
    maps = {}
    for name in ("turned.jpg", "plain.png"):
        out = tmp_path / name.split(".")[0]
        words = ["--label", "fridge", "--label", "the basket ball", "--preset", "chefer_et_al"]
        words += ["--out", str(out), "--device", "cpu", "--precision", "fp32"]
        done = CliRunner().invoke(app, ["relevancy", str(tmp_path / name), *words])
        assert done.exception is None, done.output
        stored = np.load(out / "relevancy.npz")
        assert stored["labels"].tolist() == ["fridge", "basket ball"]
        assert stored["maps"].shape == (2, 96, 128)
        assert stored["mean"].shape == (96, 128)
        assert stored["maps"].min() >= 0
        maps[name] = stored["maps"] - stored["mean"]
        figure = np.asarray(Image.open(out / "relevancy.png"))
        assert figure.shape[0] > 96
        assert figure.shape[1] > 3 * 96
    found = np.corrcoef(maps["turned.jpg"].ravel(), maps["plain.png"].ravel())[0, 1]
    assert found > 0.9
