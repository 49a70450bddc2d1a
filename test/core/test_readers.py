"""Published formats: a known point lands where it must; what cannot be read is one clear line."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from reader_folders import (
    CX,
    CY,
    DEPTH_M,
    HEIGHT,
    MATRIX,
    MIDDLE,
    QUATERNION,
    WIDTH,
    F,
    color,
    save_color,
    save_depth,
    write_arkit,
    write_pair,
    write_replica,
    write_scannet,
    write_tum,
)
from scipy.spatial.transform import Rotation
from support import ROOT

from semabs_core import geometry
from semabs_core.data.analytic import analytic_scene
from semabs_core.data.scene_file import SceneError, built_in_scene, save_scene
from semabs_core.readers import READERS, open_sequence, parse_read_options, reader_of
from semabs_core.readers.poses import parse_pose

FOLDERS = {
    "TUM RGB-D": write_tum, "ScanNet": write_scannet, "ARKitScenes": write_arkit,
    "Replica": write_replica, "one image": write_pair,
}  # fmt: skip
TOLD = dict.fromkeys(FOLDERS, "up=z floor=0") | {
    "TUM RGB-D": f"up=z floor=0 intrinsics='{F} {F} {CX} {CY}'",
    "one image": "camera_pose='1 2 1.5 0 0 0'",
}


@pytest.fixture(params=FOLDERS)
def written(request, tmp_path):
    return request.param, FOLDERS[request.param](tmp_path / "scene")


def points_of(frame):
    return geometry.transform_points(
        frame.T_world_camera, geometry.back_project(frame.depth_m, frame.K)
    )


def test_a_known_point_lands_where_it_must(written):
    name, path = written
    sequence = open_sequence(path, parse_read_options(TOLD[name]))
    frame = sequence.frame(len(sequence) - 1)
    xyz = points_of(frame)
    np.testing.assert_allclose(xyz[14:16, 19:21].mean(axis=(0, 1)), MIDDLE, atol=1e-3)
    # 10 pixels right of the middle and 5 below it: y falls to the right, z falls downwards.
    expected = MIDDLE - [0, DEPTH_M * 9.5 / F, DEPTH_M * 5.5 / F]
    np.testing.assert_allclose(xyz[20, 29], expected, atol=1e-3)
    assert frame.depth_m[0, 0] == 0
    assert frame.depth_m[5, 5] == pytest.approx(DEPTH_M, abs=2e-4)
    # JPEG loses little; the picture is neither mirrored nor turned.
    assert np.abs(frame.rgb[2:-2, 2:-2].astype(int) - color()[2:-2, 2:-2]).mean() < 3


def test_formats_are_recognised_by_their_path(written):
    name, path = written
    assert reader_of(path).name == name
    assert open_sequence(path, parse_read_options(TOLD[name])).notes


def test_stamps_of_tum_are_those_of_colour(tmp_path):
    sequence = open_sequence(write_tum(tmp_path), parse_read_options("up=z floor=0"))
    np.testing.assert_allclose(sequence.stamps_s, [100.004, 100.104, 100.204])
    assert sequence.frame(1).stamp_s == sequence.stamps_s[1]
    assert "benchmark's default" in " ".join(sequence.notes)


def test_tum_pairs_the_nearest_stamps_and_leaves_out_what_has_none(tmp_path):
    write_tum(tmp_path)
    with (tmp_path / "rgb.txt").open("a") as file:
        file.write("\n100.15 rgb/0.png\n190 rgb/0.png")  # no depth within 20 ms; no pose
    sequence = open_sequence(tmp_path, parse_read_options("up=z floor=0"))
    assert len(sequence) == 3
    assert "2 of 5 colour images have no depth or no pose" in sequence.notes


def test_poses_between_stamps_are_interpolated(tmp_path):
    write_tum(tmp_path, count=1, rgb_offset=0.005)
    lines = [f"100.00 1 2 1.5 {QUATERNION}", f"100.01 1.4 2 1.5 {QUATERNION}"]
    (tmp_path / "groundtruth.txt").write_text("\n".join(lines))
    frame = open_sequence(tmp_path, parse_read_options("up=z floor=0")).frame(0)
    np.testing.assert_allclose(frame.T_world_camera[:3, 3], [1.2, 2, 1.5], atol=1e-6)


def test_intrinsics_of_the_tum_cameras_go_by_the_folder(tmp_path):
    write_tum(tmp_path / "rgbd_dataset_freiburg2_desk")
    path = tmp_path / "rgbd_dataset_freiburg2_desk"
    sequence = open_sequence(path, parse_read_options("up=z floor=0"))
    np.testing.assert_allclose(sequence.frame(0).K[0], [520.9, 0, 325.1])


def test_frames_that_tracking_lost_are_left_out(tmp_path):
    sequence = open_sequence(write_scannet(tmp_path), parse_read_options("up=z floor=0"))
    assert len(sequence) == 2
    assert sequence.frame(1).rgb.shape == (HEIGHT, WIDTH, 3)
    assert "1 frames without a tracked pose are left out" in sequence.notes


def test_replicas_camera_may_lie_above_the_room(tmp_path):
    write_replica(tmp_path / "room0")
    text = (tmp_path / "room0" / "cam_params.json").read_text().replace("6553.5", "3276.75")
    (tmp_path / "cam_params.json").write_text(text)
    (tmp_path / "room0" / "cam_params.json").unlink()
    frame = open_sequence(tmp_path / "room0", parse_read_options("up=z floor=0")).frame(0)
    assert frame.depth_m[5, 5] == pytest.approx(2 * DEPTH_M, abs=2e-4)


def test_only_asked_frames_are_read(tmp_path):
    write_tum(tmp_path)
    (tmp_path / "depth/2.png").write_bytes(b"damaged")
    sequence = open_sequence(tmp_path, parse_read_options("up=z floor=0"))
    sequence.frame(1)
    with pytest.raises(SceneError, match=r"depth/2.png: the 2.png image cannot be decoded"):
        sequence.frame(2)


def room():
    """A room as a phone would see it, 160x120."""
    return analytic_scene(160, 120)


def as_tum(folder, T_theirs_ours):
    """The room as a TUM folder whose world is another."""
    scene = room()
    folder.mkdir()
    save_color(folder / "rgb.png", scene.rgb[0])
    depth = np.nan_to_num(scene.depth_m[0]) * 5000
    Image.fromarray(depth.round().astype(np.uint16)).save(folder / "depth.png")
    T = T_theirs_ours @ scene.T_world_camera[0]
    q = Rotation.from_matrix(T[:3, :3]).as_quat()
    (folder / "rgb.txt").write_text("1.0 rgb.png")
    (folder / "depth.txt").write_text("1.0 depth.png")
    pose = " ".join(map(str, [1.0, *T[:3, 3], *q]))
    (folder / "groundtruth.txt").write_text(pose)
    return folder, f"intrinsics='{scene.K[0, 0]} {scene.K[1, 1]} {scene.K[0, 2]} {scene.K[1, 2]}'"


Y_UP = np.array([[0, -1, 0, 3], [0, 0, 1, -0.7], [-1, 0, 0, 2], [0, 0, 0, 1.0]])
TILTED = np.eye(4)
TILTED[:3, :3] = Rotation.from_euler("xyz", [35, 25, 70], degrees=True).as_matrix()
TILTED[:3, 3] = 5, -4, 3


@pytest.mark.parametrize(
    ("world", "options", "said"),
    [
        (np.eye(4), "", "up is estimated to be the files' z axis"),
        (Y_UP, "", "up is estimated to be the files' y axis"),
        (Y_UP, "up=y", "the files' y axis is up"),
        (Y_UP, "up=y floor=-0.7", "the floor at -0.7 m, as told"),
        (TILTED, "", "up is estimated to be ("),
        (TILTED, "up=estimate floor=estimate", "the floor is estimated at"),
    ],
)
def test_worlds_are_turned_upright_and_put_on_the_floor(tmp_path, world, options, said):
    path, K = as_tum(tmp_path / "room", world)
    sequence = open_sequence(path, parse_read_options(f"{K} {options}"))
    assert any(said in note for note in sequence.notes), sequence.notes
    seen, true = sequence.frame(0).T_world_camera, room().T_world_camera[0]
    # Height and pitch and roll are those of the room; where north is nobody can tell.
    assert seen[2, 3] == pytest.approx(true[2, 3], abs=0.02)
    np.testing.assert_allclose(seen[2, :3], true[2, :3], atol=0.01)


def test_up_that_cannot_be_told_is_asked_for(tmp_path):
    write_pair(tmp_path)
    with pytest.raises(SceneError, match="which way is up in .* give up=z, up=y"):
        open_sequence(tmp_path)


def test_an_image_with_its_depth_and_intrinsics_given(tmp_path):
    scene = room()
    save_color(tmp_path / "photo.png", scene.rgb[0])
    np.save(tmp_path / "d.npy", scene.depth_m[0])
    options = (
        f"depth={tmp_path / 'd.npy'} "
        f"intrinsics={scene.K[0, 0]},{scene.K[1, 1]},{scene.K[0, 2]},{scene.K[1, 2]}"
    )
    sequence = open_sequence(tmp_path / "photo.png", parse_read_options(options))
    frame = sequence.frame(0)
    # The pose is not told: up and the floor are seen.
    assert frame.T_world_camera[2, 3] == pytest.approx(1.5, abs=0.02)
    np.testing.assert_allclose(
        frame.T_world_camera[2, :3], scene.T_world_camera[0, 2, :3], atol=0.01
    )
    np.testing.assert_array_equal(frame.rgb, scene.rgb[0])


def test_smaller_depth_of_the_same_view_brings_colour_to_it(tmp_path):
    save_color(tmp_path / "rgb.png")
    save_depth(tmp_path / "depth.png", 1000, (HEIGHT // 2, WIDTH // 2))
    (tmp_path / "intrinsics.json").write_text(f'{{"fx": {F}, "fy": {F}, "cx": {CX}, "cy": {CY}}}')
    frame = open_sequence(tmp_path, parse_read_options("camera_pose='1 2 1.5 0 0 0'")).frame(0)
    np.testing.assert_allclose(frame.K[0], [F / 2, 0, (CX + 0.5) / 2 - 0.5])
    np.testing.assert_allclose(points_of(frame)[7, 9:11].mean(axis=0)[:2], MIDDLE[:2], atol=1e-3)
    # The red of a small pixel is the mean of the two that it was made of.
    assert frame.rgb[5, 8, 0] == pytest.approx(5 * 16.5, abs=1.5)


def test_scene_files_go_through_the_same_door(tmp_path):
    scene = built_in_scene()
    save_scene(scene, tmp_path / "room.npz")
    sequence = open_sequence(tmp_path / "room.npz")
    assert (sequence.classes, sequence.notes) == (scene.classes, [])
    assert len(open_sequence("")) == 1, "no path is the built-in room"
    with pytest.raises(ValueError, match="depth_scale does not apply to this .scene file."):
        open_sequence("", parse_read_options("depth_scale=1000"))
    told = open_sequence(tmp_path / "room.npz", parse_read_options("floor=0.3"))
    moved = told.frame(0).T_world_camera - scene.T_world_camera[0]
    assert moved[2, 3] == pytest.approx(-0.3)


def spoil(name, text):
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("write", "damage", "match"),
    [
        (write_tum, spoil("rgb.txt", "a b"), "rgb.txt must have lines 'stamp file', got 'a b'"),
        (write_tum, spoil("rgb.txt", "# none"), "rgb.txt lists no picture"),
        (write_tum, spoil("groundtruth.txt", "1 2"), "groundtruth.txt must have lines of eight"),
        (write_tum, spoil("depth.txt", "900 depth/0.png"), "do the stamps .* from one clock"),
        (write_tum, lambda f: (f / "rgb/0.png").unlink(), "there is no .*rgb/0.png"),
        (write_tum, spoil("rgb/0.png", "text"), "rgb/0.png is no readable picture"),
        (write_tum, lambda f: save_color(f / "depth/0.png"), "16 bits and one channel, got RGB"),
        (write_scannet, spoil("pose/0.txt", "1 2 3"), "0.txt must hold 4x4 numbers, got 3"),
        (write_scannet, spoil("intrinsic/intrinsic_depth.txt", "0 " * 16), "positive focal"),
        (write_arkit, spoil("lowres_wide.traj", "1 2 3"), "traj must have lines of seven numbers"),
        (write_replica, spoil("traj.txt", "1 2 3"), "line 1 of .*traj.txt must hold 16 numbers"),
        (write_replica, spoil("traj.txt", "2 " * 16), "must be a rigid pose"),
        (write_replica, spoil("cam_params.json", "{"), "cam_params.json must hold camera: fx"),
        (write_pair, spoil("intrinsics.txt", "1 2"), "intrinsics.txt must hold fx fy cx cy, or"),
        (write_pair, lambda f: (f / "intrinsics.txt").unlink(), "has no intrinsics: .* give"),
    ],
)  # fmt: skip
def test_damage_is_one_line_that_names_the_file(tmp_path, write, damage, match):
    damage(write(tmp_path / "scene"))
    with pytest.raises(SceneError, match=match) as caught:
        open_sequence(tmp_path / "scene", parse_read_options("up=z floor=0")).frame(0)
    assert "\n" not in str(caught.value)


def test_what_nothing_recognises_names_what_was_looked_for(tmp_path):
    with pytest.raises(SceneError, match="is nothing that can be read. Looked for") as caught:
        open_sequence(tmp_path)
    assert all(reader.name in str(caught.value) for reader in READERS)
    with pytest.raises(SceneError, match="there is no scene file, folder or bag"):
        open_sequence(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("up=w", "read options: up: Input should be 'auto'"),
        ("colour=red", "colour is no option .there are depth_scale, up"),
        ("depth_scale=-1", "depth_scale: Input should be greater than 0"),
        ("up", "read options are name=value"),
        ("up='z", "No closing quotation"),
    ],
)
def test_options_that_are_none_are_named(text, match):
    with pytest.raises(ValueError, match=match):
        parse_read_options(text)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_what_does_not_apply_to_a_format_is_refused(reader):
    values = {"depth_scale": 1000.0, "camera_pose": "0 0 1 0 0 0", "rgb_topic": "/rgb", "up": "z"}
    told = {name: values[name] for name in ("up", *reader.takes) if name in values}
    reader.check(parse_read_options(told))
    useless = [name for name in values if name not in told]
    match = f"read options: {', '.join(useless)} does not apply to this .{reader.name}.; what does"
    with pytest.raises(ValueError, match=match):
        reader.check(parse_read_options(values))


def test_millimetres_in_floats_are_named(tmp_path):
    write_pair(tmp_path)
    (tmp_path / "depth.png").unlink()
    np.save(tmp_path / "depth.npy", np.linspace(1500, 2500, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH))
    with pytest.raises(SceneError, match="depth must be metres where it is float"):
        open_sequence(tmp_path, parse_read_options("camera_pose='0 0 1 0 0 0'"))
    told = parse_read_options("camera_pose='0 0 1 0 0 0' depth_scale=1000")
    assert open_sequence(tmp_path, told).frame(0).depth_m.mean() == pytest.approx(2.0, abs=0.01)


def test_a_told_pose_is_of_the_cameras_body():
    np.testing.assert_allclose(parse_pose("1 2 1.5 0 0 0"), MATRIX, atol=1e-12)


def test_reading_needs_no_torch():
    """Players and planners' machines do without."""
    code = "import sys; sys.modules['torch'] = None; import semabs_core.readers"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
