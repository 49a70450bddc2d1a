"""Relevancy that comes from elsewhere: checked, resized, used instead of the encoder's."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pipeline_toy import CLASSES, build

from semabs_core.config import ConfigError
from semabs_core.data.analytic import analytic_scene
from semabs_core.data.scene_file import save_scene
from semabs_core.given_relevancy import check_given
from semabs_core.types import FrameError

SHAPE = (120, 160)


def ready(room):
    scene = build()
    scene.set_frame(room.frame(0))
    return scene


def masks():
    found = {name: np.zeros(SHAPE, bool) for name in ("floor", "lamp", "sofa")}
    found["floor"][80:] = True
    found["lamp"][20:60, 30:50] = True
    found["sofa"][50:80, 80:140] = True
    return found


def test_maps_take_the_place_of_the_encoders(room):
    scene = ready(room)
    before = scene.relevancy(["floor", "chair"])
    scene.set_relevancy(masks())
    after = scene.relevancy(["floor", "chair"])
    mean = np.mean([mask.astype(np.float32) for mask in masks().values()], axis=0)
    np.testing.assert_allclose(after[0], 50 * (masks()["floor"] - mean), rtol=1e-5)
    np.testing.assert_array_equal(after[1], before[1])


def test_masks_beside_words_of_the_encoder_in_a_picture_that_is_refined():
    """Masks are not refined, so they stay as large as the picture, which is larger than 192."""
    frame = analytic_scene(256, 192).frame(0)
    scene = build(completion={"checkpoint": "shipped:completion_any"})
    assert scene.completion.config.refine
    scene.set_frame(frame)
    alone = scene.relevancy(["chair"])
    mask = np.zeros((192, 256), np.float32)
    mask[120:] = 1
    scene.set_relevancy({"floor": mask, "rest": 1 - mask})
    both = scene.relevancy(["floor", "chair"])
    np.testing.assert_allclose(both[0], mask, atol=1e-6)
    np.testing.assert_allclose(both[1], alone[0], atol=1e-6)


def test_the_encoder_does_not_run_for_them(room, monkeypatch):
    scene = ready(room)
    scene.set_relevancy(masks())

    def fail(*_):
        raise AssertionError("the encoder ran")

    monkeypatch.setattr(scene.extractor, "embed", fail)
    assert scene.complete(list(masks())).labels.shape == (24, 24, 24)
    answer = scene.localize("lamp", "on", "floor")
    assert answer.found
    assert math.isnan(answer.probability)


def test_centred_maps_are_taken_as_they_are(room):
    scene = ready(room)
    found = {"lamp": np.random.default_rng(0).random(SHAPE).astype(np.float32)}
    scene.set_relevancy(found, centred=True)
    np.testing.assert_allclose(scene.relevancy(["lamp"])[0], 50 * found["lamp"], rtol=1e-5)


def test_other_maps_bring_other_answers(room):
    scene = ready(room)
    scene.set_relevancy(masks())
    first = scene.complete(CLASSES).scores
    moved = {name: np.roll(mask, 40, axis=1) for name, mask in masks().items()}
    scene.set_relevancy(moved)
    assert not np.array_equal(scene.complete(CLASSES).scores, first)
    scene.set_relevancy(masks())
    np.testing.assert_array_equal(scene.complete(CLASSES).scores, first)


def test_a_new_frame_forgets_them(room):
    scene = ready(room)
    before = scene.relevancy(["lamp"])
    scene.set_relevancy(masks())
    scene.set_frame(room.frame(0))
    np.testing.assert_allclose(scene.relevancy(["lamp"]), before, rtol=1e-4, atol=1e-5)


def test_what_no_map_speaks_for_is_not_found(room):
    scene = ready(room)
    scene.set_relevancy({**masks(), "mug": np.zeros(SHAPE, bool)})
    assert not scene.localize("mug", "on", "floor").found
    assert scene.unknown_words(["mug"]) == []


@pytest.mark.parametrize("shape", [(240, 320), (60, 80), (12, 16)])
def test_maps_of_another_size_are_resized(shape):
    given = {"a": np.full(shape, 0.25, np.float32), "b": np.zeros(shape, np.float32)}
    found = check_given(given, True, SHAPE)
    assert found.maps["a"].shape == SHAPE
    np.testing.assert_allclose(found.maps["a"], 0.25, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "centred", "match"),
    [
        ({}, True, "at least one name"),
        ({"a": np.zeros(SHAPE)}, False, "one map alone"),
        ({" ": np.zeros(SHAPE)}, True, "must go by words"),
        ({"a": np.zeros((3, *SHAPE))}, True, "the map of 'a' must be"),
        ({"a": np.full(SHAPE, "x")}, True, "numbers or bool"),
        ({"a": np.full(SHAPE, np.nan)}, True, "'a' holds NaN"),
        ({"a": np.zeros((160, 120))}, True, "must cover the whole picture"),
        ([np.zeros(SHAPE)], True, "at least one name"),
    ],
)
def test_wrong_maps_are_refused_and_change_nothing(room, given, centred, match):
    scene = ready(room)
    scene.set_relevancy(masks())
    before = scene.relevancy(["lamp"])
    with pytest.raises(ValueError, match=match):
        scene.set_relevancy(given, centred)
    np.testing.assert_array_equal(scene.relevancy(["lamp"]), before)


def test_without_a_frame_there_is_nothing_to_set():
    with pytest.raises(FrameError, match="no frame yet"):
        build().set_relevancy(masks())


def test_a_scene_file_brings_relevancy_for_its_own_pictures(room, tmp_path):
    stack = np.stack([mask.astype(np.float32) for mask in masks().values()])
    brought = replace(room, relevancy=stack[None], relevancy_labels=list(masks()))
    save_scene(brought, tmp_path / "brought.npz")
    scene = build(relevancy={"file": str(tmp_path / "brought.npz")})
    scene.set_frame(room.frame(0))
    by_hand = ready(room)
    by_hand.set_relevancy(masks())
    np.testing.assert_array_equal(scene.relevancy(["lamp"]), by_hand.relevancy(["lamp"]))
    other = replace(room.frame(0), rgb=255 - room.frame(0).rgb)
    scene.set_frame(other)
    by_hand.set_frame(other)
    np.testing.assert_allclose(
        scene.relevancy(["lamp"]), by_hand.relevancy(["lamp"]), rtol=1e-4, atol=1e-5
    )


def test_a_file_without_relevancy_is_refused(room, tmp_path):
    save_scene(room, tmp_path / "plain.npz")
    with pytest.raises(ConfigError, match=r"plain\.npz holds no relevancy"):
        build(relevancy={"file": str(tmp_path / "plain.npz")})
