"""What visitors give the page: labels, pictures, numbers, uploads; each fault by its field."""

import shutil

import numpy as np
import pytest
import recordings
from app_pictures import K_TEXT, paths, write_pictures

from semabs_core.app import inputs
from semabs_core.data.scene_file import save_scene


@pytest.fixture
def pictures(tmp_path, room):
    return write_pictures(tmp_path, room)


@pytest.mark.parametrize(
    ("text", "labels"),
    [("mug, red box", ["mug", "red box"]), ("mug\nlamp;", ["mug", "lamp"])],
)
def test_labels_are_separated_by_commas_or_lines(text, labels):
    assert inputs.parse_labels(text) == labels


@pytest.mark.parametrize("text", ["", " , ", None])
def test_no_label_is_refused(text):
    with pytest.raises(ValueError, match="type at least one label"):
        inputs.parse_labels(text)


@pytest.mark.parametrize(("depth", "units"), [("depth.png", "1000"), ("depth.npy", "")])
def test_pictures_become_a_frame(pictures, room, depth, units):
    files = paths(pictures, "color.png", depth)
    sequence = inputs.open_pictures(*files, K_TEXT, units, "1,5", "30")
    frame = inputs.choose_frame(sequence, 0, *files).frame
    np.testing.assert_array_equal(frame.rgb, room.rgb[0])
    expected = np.nan_to_num(room.depth_m[0])
    np.testing.assert_allclose(np.nan_to_num(frame.depth_m), expected, atol=1e-3)
    np.testing.assert_allclose(frame.T_world_camera[:3, 3], [0, 0, 1.5])
    forward = frame.T_world_camera[:3, 2]
    np.testing.assert_allclose(forward, [np.cos(np.pi / 6), 0, -0.5])  # ahead and down
    np.testing.assert_allclose(frame.T_world_camera[:3, 0], [0, -1, 0])  # no roll


def test_without_a_pose_up_and_floor_are_estimated(pictures, room):
    """The camera of the room looks down a little from some height; both are found again."""
    files, frame = paths(pictures, "color.png", "depth.png"), room.frame(0)
    K = " ".join(str(frame.K[row, column]) for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))
    sequence = inputs.open_pictures(*files, K)
    found, real = sequence.frame(0).T_world_camera, frame.T_world_camera
    np.testing.assert_allclose(found[2], real[2], atol=0.05)
    assert "up is estimated" in inputs.told_about(sequence)


@pytest.mark.parametrize(
    ("color", "depth", "K", "units", "match"),
    [
        ("text.png", "depth.png", K_TEXT, "1000", "^text.png is no readable picture"),
        ("color.png", "text.png", K_TEXT, "1000", "^text.png: .*cannot be decoded"),
        ("color.png", "color.png", K_TEXT, "1000", "depth must have 16 bits and one channel"),
        ("color.png", "depth.png", "500", "1000", "fx fy cx cy, .*four numbers, got '500'"),
        ("color.png", "depth.png", "/etc/fstab", "1000", "four numbers"),
        ("color.png", "depth.png", K_TEXT, "0", "depth_scale: Input should be greater than 0"),
        ("color.png", "depth.png", K_TEXT, "mm", "“Depth units per .* must be a number, or empty"),
        ("color.png", None, K_TEXT, "1000", "a colour picture and its depth"),
        ("color.png", "depth.png", "0 0 1 1", "1000", "positive focal lengths"),
        ("color.png", "depth.png", "1 1 inf 1", "1000", "“Intrinsics: .*” must be four numbers"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(pictures, color, depth, K, units, match):
    with pytest.raises(ValueError, match=match):
        inputs.open_pictures(*paths(pictures, color, depth), K, units, "1.5", "0")


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        (("1,000", "1.5", "0"), "^“Depth units per metre”: '1,000' may mean thousands"),
        (("", "1,500", "0"), "^“Height of the camera above the floor, metres”: '1,500' may mean"),
        (("", "1.5", "12,345.0"), "^“How far the camera looks down, degrees”: '12,345.0' may mean"),
        (("inf", "1.5", "0"), "^“Depth units per metre” must be a number, or empty, got 'inf'"),
        (("", "nan", "0"), "^“Height of .*” must be a number, or empty, got 'nan'"),
        (("", "1.5", "1e999"), "^“How far the camera looks down.*” must be a number"),
    ],
)
def test_numbers_that_are_unclear_or_not_finite_are_refused_by_their_field(
    pictures, numbers, match
):
    with pytest.raises(ValueError, match=match):
        inputs.open_pictures(*paths(pictures, "color.png", "depth.png"), K_TEXT, *numbers)


def test_what_the_file_does_not_say_is_told_of_pictures_too(pictures):
    files, pose = paths(pictures, "color.png", "depth.png"), "camera_pose='0 0 1.5 0 30 0'"
    told = inputs.open_given(None, f"depth_scale=500 {pose}", *files, K_TEXT)
    field = inputs.open_pictures(*files, K_TEXT, "500", "1.5", "30")
    np.testing.assert_array_equal(told.frame(0).depth_m, field.frame(0).depth_m)
    np.testing.assert_array_equal(told.frame(0).T_world_camera, field.frame(0).T_world_camera)
    assert not np.array_equal(
        told.frame(0).depth_m, inputs.open_pictures(*files, K_TEXT).frame(0).depth_m
    )


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (("scene.npz", "", "color.png", "depth.png"), "a file and pictures are given: remove one"),
        (("scene.npz", "", None, "depth.png"), "a file and pictures are given: remove one"),
        ((None, "upp=z", None, None), "upp is no option"),
        ((None, "up=z", None, None), "“What the file does not say” is about no file"),
        ((None, "upp=z", "color.png", "depth.png"), "upp is no option"),
        ((None, "depth=/etc/fstab", "color.png", "depth.png"), "in the fields below"),
        ((None, "rgb_topic=/rgb", "color.png", "depth.png"), "rgb_topic does not apply to this"),
        ((None, "depth_scale=5000", "color.png", "depth.png"), "depth_scale= .* say the same"),
        ((None, "camera_pose='0 0 1 0 0 0'", "color.png", "depth.png"), "camera_pose= .* the same"),
    ],
)
def test_what_is_given_must_be_one_thing_and_told_once(pictures, given, match):
    file, read, *files = given
    with pytest.raises(ValueError, match=match) as caught:
        inputs.open_given(file, read, *paths(pictures, *files), K_TEXT, "1000", "1.5", "0")
    assert "\n" not in str(caught.value)


def test_a_height_alone_is_no_pose(pictures):
    with pytest.raises(ValueError, match=r"both how high .* or neither"):
        inputs.open_pictures(*paths(pictures, "color.png", "depth.png"), K_TEXT, "", "1.5")


def test_every_kind_of_file_that_complete_reads_can_be_uploaded(tmp_path, room):
    """A scene, and a recording in one file; frames by their number."""
    save_scene(room, tmp_path / "scene.npz")
    one = inputs.choose_frame(inputs.open_upload(str(tmp_path / "scene.npz"), ""), 0)
    np.testing.assert_array_equal(one.frame.rgb, room.rgb[0])
    bag = recordings.write(tmp_path / "bag", recordings.messages(2), "MCAP")
    shutil.copy(next(bag.glob("*.mcap")), tmp_path / "drive.mcap")
    drive = inputs.open_upload(str(tmp_path / "drive.mcap"), "world_frame=map")
    assert "frames 0 to 1" in inputs.told_about(drive)
    assert "it suggests no words" in inputs.told_about(drive)
    assert inputs.choose_frame(drive, 1).frame.depth_m.shape == drive.frame(1).depth_m.shape
    with pytest.raises(ValueError, match="frames 0 to 1, but no 2"):
        inputs.choose_frame(drive, 2)
    assert len(inputs.open_upload(None, "")) == 1


@pytest.mark.parametrize(
    ("name", "read", "match"),
    [
        ("notes.txt", "", "^notes.txt is nothing that can be read here. .*Folders cannot be"),
        ("color.png", "", "^color.png is a picture: give it with its depth"),
        ("scene.npz", "", "^scene.npz is damaged or no scene file"),
        ("drive.mcap", "", "^drive.mcap"),
        ("scene.npz", "depth=/etc/fstab", "are for pictures: give them in the fields below"),
        ("scene.npz", "intrinsics=/etc/fstab", "are for pictures"),
        ("scene.npz", "upp=z", "upp is no option"),
    ],
)
def test_an_upload_that_cannot_be_used_is_named_without_its_folder(tmp_path, name, read, match):
    (tmp_path / name).write_text("nothing of use")
    with pytest.raises(ValueError, match=match) as caught:
        inputs.open_upload(str(tmp_path / name), read)
    assert str(tmp_path) not in str(caught.value)
