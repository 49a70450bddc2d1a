"""Recordings are sequences of frames, without ROS."""

import subprocess
import sys

import numpy as np
import pytest
from recordings import BODY, DEPTH, OPTICAL, RGB, messages, room, write
from support import ROOT

from semabs_core.data.scene_file import SceneError
from semabs_core.readers import open_sequence, parse_read_options, reader_of


@pytest.mark.parametrize(
    ("storage", "compression"),
    [("SQLITE3", None), ("MCAP", None), ("SQLITE3", "FILE"), ("SQLITE3", "MESSAGE"),
     ("MCAP", "STORAGE")],
)  # fmt: skip
def test_frames_of_every_storage(tmp_path, storage, compression):
    path = write(tmp_path / "bag", messages(), storage, compression)
    assert reader_of(path).name == "recording"
    sequence = open_sequence(path)
    assert len(sequence) == 4
    np.testing.assert_allclose(sequence.stamps_s, [1000, 1000.1, 1000.2, 1000.3])
    frame, scene = sequence.frame(2), room()
    np.testing.assert_array_equal(frame.rgb, scene.rgb[0])
    np.testing.assert_allclose(frame.T_world_camera, scene.T_world_camera[0], atol=1e-9)
    np.testing.assert_allclose(frame.K, scene.K)
    np.testing.assert_allclose(frame.depth_m, scene.depth_m[0], atol=6e-4)
    assert frame.stamp_s == pytest.approx(1000.2)


def test_parts_of_a_split_recording(tmp_path):
    made = messages()
    (tmp_path / "split").mkdir()
    for name, some in (("a", made[:9]), ("b", made[9:])):
        (file,) = write(tmp_path / name, some, "MCAP").glob("*.mcap")
        file.rename(tmp_path / "split" / file.name)
    assert len(open_sequence(tmp_path / "split")) == 4


def test_a_transform_between_two_is_interpolated(tmp_path):
    made = messages(tf=lambda i: i != 1)
    sequence = open_sequence(write(tmp_path / "bag", made))
    assert len(sequence) == 4
    np.testing.assert_allclose(
        sequence.frame(1).T_world_camera, room().T_world_camera[0], atol=1e-9
    )


def test_frames_without_tf_are_left_out_and_said(tmp_path):
    sequence = open_sequence(write(tmp_path / "bag", messages(tf=lambda i: i >= 2)))
    assert len(sequence) == 2
    assert any(
        f"2 colour images are left out: the transform from 'map' to '{BODY}' is missing" in note
        for note in sequence.notes
    )


@pytest.mark.parametrize(
    ("options", "height"), [("camera_pose='0 0 1.2 0 20 0'", 1.2), ("up=estimate", 1.5)]
)
def test_without_tf_the_pose_is_told_or_estimated(tmp_path, options, height):
    made = [one for one in messages() if not one[0].startswith("/tf")]
    path = write(tmp_path / "bag", made)
    with pytest.raises(SceneError, match=f"TF says nothing of '{OPTICAL}': give camera_pose"):
        open_sequence(path)
    frame = open_sequence(path, parse_read_options(options)).frame(0)
    assert frame.T_world_camera[2, 3] == pytest.approx(height, abs=0.02)
    if options.startswith("up"):
        true = room().T_world_camera[0]
        np.testing.assert_allclose(frame.T_world_camera[2, :3], true[2, :3], atol=0.01)


def test_lens_distortion_is_taken_out(tmp_path):
    bent = open_sequence(write(tmp_path / "bag", messages(d=(0.2, 0, 0, 0, 0)))).frame(0)
    middle = (slice(115, 125), slice(155, 165))
    assert np.abs(bent.rgb[middle].astype(int) - room().rgb[0][middle]).max() < 40
    assert np.isnan(bent.depth_m[0, 0]), "the corner lies outside the distorted image"


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (dict(depth_late_s=0.2, count=2), "the nearest depth is 100 ms away"),
        (dict(depth_frame="depth_optical"), "there is no complete camera .* Depth must be in the"),
    ],
)
def test_recordings_without_a_complete_frame_say_why(tmp_path, made, match):
    with pytest.raises(SceneError, match=match):
        open_sequence(write(tmp_path / "bag", messages(**made)))


def test_told_topics_are_taken_whatever_their_frame(tmp_path):
    path = write(tmp_path / "bag", messages(depth_frame="depth_optical"))
    told = parse_read_options(f"rgb_topic={RGB} depth_topic={DEPTH}")
    assert open_sequence(path, told).frame(0).depth_m.shape == (240, 320)
    with pytest.raises(SceneError, match="rgb_topic /none is not there"):
        open_sequence(path, parse_read_options("rgb_topic=/none"))


def test_recordings_are_read_where_there_is_no_ros(tmp_path):
    path = write(tmp_path / "bag", messages())
    code = (
        "import sys; sys.modules['rclpy'] = None\n"
        "from semabs_core.readers import open_sequence\n"
        f"print(len(open_sequence({str(path)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "4\n", done.stderr
