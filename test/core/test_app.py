"""What is behind the page, without Gradio: models asked by many, faulty inputs, the 3D file."""

import dataclasses
import html
import importlib.abc
import importlib.machinery
import json
import os
import shutil
import struct
import sys
import threading
import types
from unittest import mock

import numpy as np
import pytest
import recordings
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import OfflineModeIsEnabled
from PIL import Image
from support import ENCODER
from typer.testing import CliRunner

from semabs_core.app import inputs, overlays, scene_view
from semabs_core.app.glb import Part, to_glb
from semabs_core.app.models import Models
from semabs_core.cli import app
from semabs_core.config import parse_config
from semabs_core.data.scene_file import save_scene
from semabs_core.types import RGBDFrame
from semabs_core.visualize.colors import heat
from semabs_core.visualize.meshes import Mesh

SMALL = {
    "device": "cpu",
    "encoder": {"model": ENCODER, "precision": "fp32"},
    "relevancy": {"preset": "chefer_et_al"},
    "completion": {"checkpoint": "untrained", "resolution": 16, "cutoff": -100.0},
    "localization": {"checkpoint": "untrained", "resolution": 16},
}


@pytest.fixture(scope="module")
def models():
    return Models(parse_config(SMALL))


@pytest.fixture(scope="module")
def answer(models, room):
    return models.ask(room.frame(0), ["table", "lamp"], "the mug behind the lamp")


def test_relevancy_is_that_of_the_frame(models, room):
    """A bare picture and the same picture with depth have one answer."""
    frame = room.frame(0)
    maps = models.relevancy(frame.rgb, ["table", "lamp"])
    assert maps.shape == (2, *frame.rgb.shape[:2])
    models.ask(frame, ["table"], "")
    np.testing.assert_allclose(maps, models.scene.relevancy(["table", "lamp"]), atol=1e-5)


def test_another_label_does_not_embed_the_picture_again(models, room, monkeypatch):
    calls, embed = [], models.scene.extractor.embed
    monkeypatch.setattr(
        models.scene.extractor, "embed", lambda *given: calls.append(1) or embed(*given)
    )
    picture = room.rgb[0][::-1].copy()
    first = models.relevancy(picture, ["table"])
    assert np.array_equal(models.relevancy(picture, ["table"]), first)
    models.relevancy(picture, ["lamp"])
    assert len(calls) == 1
    for shift in range(1, 6):  # so many others push it out
        models.relevancy(np.roll(picture, shift, axis=1), ["lamp"])
    models.relevancy(picture, ["lamp"])
    assert len(calls) == 7


def test_many_ask_at_once_and_each_gets_the_own_answer(models, room):
    frames = [room.frame(0), RGBDFrame(room.rgb[0][:, ::-1].copy(), room.depth_m[0], room.K,
                                       room.T_world_camera[0])]  # fmt: skip
    alone = [models.ask(frame, ["table", "lamp"], "").completion.labels for frame in frames]
    together = [None] * 6

    def ask(number):
        answer = models.ask(frames[number % 2], ["table", "lamp"], "")
        together[number] = answer.completion.labels

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, labels in enumerate(together):
        np.testing.assert_array_equal(labels, alone[number % 2])


def test_untrained_networks_and_unknown_words_are_said(models, answer):
    assert any("untrained" in note for note in answer.notes)
    assert "untrained" in scene_view.verdict(answer, "the mug behind the lamp")
    assert models.words is None


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


def test_a_repeated_label_is_refused(models, room):
    with pytest.raises(ValueError, match="repeated: mug"):
        models.relevancy(room.rgb[0], ["mug", "the mug"])


@pytest.fixture
def pictures(tmp_path, room):
    """A colour picture and its depth in millimetres."""
    frame = room.frame(0)
    Image.fromarray(frame.rgb).save(tmp_path / "color.png")
    depth = np.nan_to_num(frame.depth_m * 1000).astype(np.uint16)
    Image.fromarray(depth).save(tmp_path / "depth.png")
    np.save(tmp_path / "depth.npy", frame.depth_m)
    (tmp_path / "text.png").write_text("no picture")
    return tmp_path


K_TEXT = "100, 100, 79.5, 59.5"


def paths(folder, *names):
    return [str(folder / name) if name else None for name in names]


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


def test_what_was_assumed_about_the_files_is_said_with_the_answer(pictures, models, answer):
    files = paths(pictures, "color.png", "depth.png")
    given = inputs.choose_frame(inputs.open_pictures(*files, K_TEXT), 0, *files)
    assert any(note.startswith("up is estimated") for note in given.notes)
    said = scene_view.verdict(answer, "the mug behind the lamp", [*given.notes, "<b>"])
    assert said.endswith(f"As read: {html.escape('; '.join(given.notes))}; &lt;b&gt;")


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


def test_relevancy_that_a_scene_brings_is_used_and_said(models, room):
    left = np.zeros((3, 4), np.float32)
    left[:, :2] = 1
    scene = dataclasses.replace(
        room, relevancy=np.stack([left, 1 - left])[None], relevancy_labels=["mug", "table"]
    )
    given = inputs.choose_frame(scene, 0)
    told = models.ask(given.frame, ["mug", "table"], "", brought=given.brought)
    assert told.notes[-1] == "the relevancy of mug, table is the scene's own"
    mug, table = models.scene.relevancy(["mug", "table"])
    np.testing.assert_allclose(mug, -table, atol=1e-6)
    assert mug[:, :40].min() > 0 > mug[:, -40:].max()


def test_the_overlay_leaves_what_is_below_the_threshold_as_it_is():
    rgb = np.full((1, 3, 3), 100, np.uint8)
    relevancy = np.array([[-1.0, 0.9, 2.0]], np.float32)
    drawn = overlays.overlay(rgb, relevancy, 2.0, 0.5)
    assert drawn[0, 0].tolist() == drawn[0, 1].tolist() == [100, 100, 100]
    expected = np.rint(0.25 * 100 + 0.75 * heat(np.array([1.0]))[0])
    assert drawn[0, 2].tolist() == expected.tolist()


def test_one_range_for_all_labels_so_that_a_weak_one_looks_weak():
    weak = np.full((1, 2, 2), 0.01, np.float32)
    assert overlays.top_of(weak) == overlays.LOWEST_TOP
    assert overlays.top_of(np.concatenate([weak, weak + 3])) == pytest.approx(3.01)


def read_glb(data):
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    document = json.loads(data[20 : 20 + size])
    body_size, kind = struct.unpack_from("<I4s", data, 20 + size)
    assert kind == b"BIN\0"
    body = data[28 + size :]
    assert len(body) == body_size >= document["buffers"][0]["byteLength"]
    types = {5126: np.float32, 5121: np.uint8}
    arrays = []
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        part = body[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        columns = int(accessor["type"][-1])
        array = np.frombuffer(part, types[accessor["componentType"]]).reshape(-1, columns)
        assert len(array) == accessor["count"]
        arrays.append(array)
    return document, arrays


def test_the_3d_file_holds_the_triangles_with_y_up():
    """x forward, y left, z up become z backwards, x leftwards, y up."""
    mesh = Mesh([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 2]], [[1.0, 0.5, 0.0]])
    T = np.eye(4)
    T[:3, 3] = [0, 0, 10]
    document, (places, normals, colors) = read_glb(to_glb([Part(mesh, 0.5, lit=False)], T))
    np.testing.assert_allclose(places, [[0, 10, -1], [-1, 10, 0], [0, 11, 0]])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert colors[0].tolist() == [255, 55, 0, 128]  # sRGB 0.5 is 0.214 of the light
    assert document["accessors"][0]["max"] == [0, 11, 0]
    (material,) = document["materials"]
    assert material["alphaMode"] == "BLEND"
    assert "KHR_materials_unlit" in material["extensions"]


@pytest.mark.parametrize("shown", scene_view.SHOWN)
def test_every_view_of_a_scene_is_a_3d_file(room, answer, shown):
    document, arrays = read_glb(scene_view.scene_glb(room.frame(0), answer, shown))
    edge = answer.completion.voxel_size_m * 16
    slack = 2 * answer.completion.voxel_size_m
    for places in arrays[::3]:
        assert (places[:, 1] > -slack).all()
        assert (places[:, 1] < edge + slack).all()
    wanted = {"completed": 1, "found": 3, "measured": 1}
    assert len(document["materials"]) == wanted[shown]


def test_nothing_to_show_is_said(models, room, answer):
    silent = models.ask(room.frame(0), ["table"], "")
    with pytest.raises(ValueError, match="type a sentence"):
        scene_view.scene_glb(room.frame(0), silent, "found")
    with pytest.raises(ValueError, match="nothing to show"):
        to_glb([Part(Mesh([], [], []))], np.eye(4))


def test_names_from_visitors_are_no_html(models, room):
    answer = models.ask(room.frame(0), ["<b>table</b>"], "")
    assert "&lt;b&gt;table" in scene_view.legend(answer)
    assert "<b>table" not in scene_view.legend(answer)


def test_models_may_be_downloaded_and_then_the_network_is_cut(monkeypatch):
    """Gradio is imported last, when nothing calls the hub any more."""
    seen = {}

    def note(name):
        seen[name] = (constants.HF_HUB_OFFLINE, os.environ.get("GRADIO_ANALYTICS_ENABLED"))

    class Gradio(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path=None, target=None):
            return importlib.machinery.ModuleSpec(name, self) if name == "gradio" else None

        def exec_module(self, module):
            note("gradio")

    for name in [name for name in sys.modules if name.partition(".")[0] == "gradio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Gradio(), *sys.meta_path])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "unset")
    monkeypatch.setattr("semabs_core.app.models.Models", lambda *_: note("models"))
    page = types.ModuleType("semabs_core.app.page")
    page.build_page = lambda models: mock.Mock()
    monkeypatch.setitem(sys.modules, "semabs_core.app.page", page)
    monkeypatch.setattr("semabs_core.app.server.serve", lambda *_, **__: note("page"))
    done = CliRunner().invoke(app, ["app"])
    sys.modules.pop("gradio")  # the one of this test
    assert done.exception is None
    assert seen == {"models": (False, "unset"), "gradio": (True, "False"), "page": (True, "False")}
    with pytest.raises(OfflineModeIsEnabled):
        HfApi().model_info("nobody/nothing")


def test_without_gradio_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = CliRunner().invoke(app, ["app"])
    assert isinstance(done.exception, RuntimeError)
    assert "pip install 'semabs[app]'" in str(done.exception)
