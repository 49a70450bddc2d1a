"""What is behind the page, without Gradio: models asked by many, what is shown, the 3D file."""

import dataclasses
import html
import importlib.abc
import importlib.machinery
import json
import os
import struct
import sys
import threading
import types
from unittest import mock

import numpy as np
import pytest
from app_pictures import K_TEXT, paths, write_pictures
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import OfflineModeIsEnabled
from support import ENCODER
from typer.testing import CliRunner

from semabs_core.app import inputs, overlays, scene_view
from semabs_core.app.glb import Part, to_glb
from semabs_core.app.models import Models
from semabs_core.cli import app
from semabs_core.config import parse_config
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


@pytest.fixture
def pictures(tmp_path, room):
    return write_pictures(tmp_path, room)


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


def test_a_repeated_label_is_refused(models, room):
    with pytest.raises(ValueError, match="repeated: mug"):
        models.relevancy(room.rgb[0], ["mug", "the mug"])


def test_what_was_assumed_about_the_files_is_said_with_the_answer(pictures, models, answer):
    files = paths(pictures, "color.png", "depth.png")
    given = inputs.choose_frame(inputs.open_pictures(*files, K_TEXT), 0, *files)
    assert any(note.startswith("up is estimated") for note in given.notes)
    said = scene_view.verdict(answer, "the mug behind the lamp", [*given.notes, "<b>"])
    assert said.endswith(f"As read: {html.escape('; '.join(given.notes))}; &lt;b&gt;")


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
    assert done.exception is None
    sys.modules.pop("gradio")  # the one of this test
    assert seen == {"models": (False, "unset"), "gradio": (True, "False"), "page": (True, "False")}
    with pytest.raises(OfflineModeIsEnabled):
        HfApi().model_info("nobody/nothing")


def test_without_gradio_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = CliRunner().invoke(app, ["app"])
    assert isinstance(done.exception, RuntimeError)
    assert "pip install 'semabs[app]'" in str(done.exception)
