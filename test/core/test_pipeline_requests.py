"""Requests one after another: what is kept, what may change between them, what fails."""

from dataclasses import replace

import numpy as np
import pytest
from pipeline_toy import CLASSES, build, configure

from semabs_core import grid_answers
from semabs_core.config import ConfigError
from semabs_core.frame_state import Stopwatch
from semabs_core.types import FrameError


def test_cutoff_and_masks_can_be_changed_between_requests(room):
    scene = build()
    scene.set_frame(room.frame(0))
    loose = scene.complete(CLASSES)
    core = scene.config
    scene.reconfigure(replace(core, completion=replace(core.completion, cutoff=100.0)))
    assert not np.isin(scene.complete(CLASSES).labels, [1, 2, 3]).any()
    off = replace(core.completion, mask_frustum=False, mask_free_space=False, cutoff=-100.0)
    scene.reconfigure(replace(core, completion=off))
    assert np.isin(scene.complete(CLASSES).labels, [1, 2, 3]).all()
    scene.reconfigure(core)
    np.testing.assert_array_equal(scene.complete(CLASSES).labels, loose.labels)


def test_labels_do_not_depend_on_how_many_are_asked_together(room, monkeypatch):
    """However little memory there is for volumes, and however small a batch of points is."""
    frame, answers = room.frame(0), []
    for together, limits in (
        (5, {}), (5, {"volume_cache_mb": 0}), (2, {"volume_cache_mb": 2}), (1, {}),
        (5, {"query_batch": 1024}),
    ):  # fmt: skip
        monkeypatch.setattr(grid_answers, "TABLE_BYTES", together * 4 * 8 * 32**3)
        scene = build(**limits)
        scene.set_frame(frame)
        answers.append(scene.complete([*CLASSES, "lamp", "wall"]))
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.labels, answers[0].labels)
        np.testing.assert_allclose(answer.scores, answers[0].scores, atol=1e-5)


def test_known_names_cost_only_the_decoding(room):
    scene = build()
    scene.set_frame(room.frame(0))
    calls = []
    embed = scene.extractor.embed
    scene.extractor.embed = lambda *a, **k: calls.append("embed") or embed(*a, **k)
    encode = scene.completion.encode_volume
    scene.completion.encode_volume = lambda *a: calls.append("volume") or encode(*a)
    first = scene.complete(["floor", "table"])
    assert first.timings_s.keys() == {"relevancy", "volumes", "decode"}
    assert calls == ["embed", "volume", "volume"]
    assert scene.complete(["table"]).timings_s.keys() == {"decode"}
    scene.complete(["table", "lamp"])  # a new word: no new pass of the image tower
    assert calls == ["embed", "volume", "volume", "volume"]


def test_ten_descriptions_over_six_names_cost_six_volumes(room):
    scene = build()
    scene.set_frame(room.frame(0))
    calls = []
    encode = scene.localization.encode_volume
    scene.localization.encode_volume = lambda *a: calls.append("volume") or encode(*a)
    cells = scene.localization.cells
    scene.localization.cells = lambda *a: calls.append("cells") or cells(*a)
    names = ["mug", "table", "box", "lamp", "chair", "book"]
    pairs = [(i, j) for i in range(6) for j in range(i)][:10]
    assert {name for pair in pairs for name in pair} == set(range(5))
    for number, (i, j) in enumerate([*pairs[:9], (5, 0)]):
        scene.localize(names[i], ("behind", "on")[number % 2], names[j])
    assert calls.count("volume") == 6
    assert calls.count("cells") == 1


@pytest.mark.parametrize("keep_tiles", [True, False])
def test_kept_tiles_change_nothing(room, keep_tiles):
    scene = build(relevancy={"keep_tiles": keep_tiles})
    scene.set_frame(room.frame(0))
    scene.complete(["floor"])
    maps = scene.relevancy(["floor", "lamp"])
    fresh = build()
    fresh.set_frame(room.frame(0))
    np.testing.assert_allclose(maps, fresh.relevancy(["floor", "lamp"]), rtol=1e-3, atol=1e-5)


def test_another_region_costs_no_pass_of_the_image_tower(room):
    scene = build()
    scene.set_frame(room.frame(0))
    before = scene.relevancy(CLASSES)
    features = scene._reader.image_features(scene._state, Stopwatch(None))
    calls = []
    embed = scene.extractor.embed
    scene.extractor.embed = lambda *a, **k: calls.append("embed") or embed(*a, **k)
    region = replace(scene.config.region, region_size_m=1.5, region_min_m=(1.5, -0.7, 0.0))
    scene.reconfigure(replace(scene.config, region=region))
    found = scene.complete([*CLASSES, "lamp"])
    np.testing.assert_array_equal(scene.relevancy(CLASSES), before)
    assert scene._reader.image_features(scene._state, Stopwatch(None)) is features
    assert calls == []
    fresh = build(region={"region_size_m": 1.5, "region_min_m": [1.5, -0.7, 0.0]})
    fresh.set_frame(room.frame(0))
    expected = fresh.complete([*CLASSES, "lamp"])
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.T_world_grid, expected.T_world_grid)


def test_what_cannot_change_while_models_are_loaded_is_refused(room):
    scene = build()
    core = scene.config
    wanted = replace(
        core,
        relevancy=replace(core.relevancy, preset="fast"),
        completion=replace(core.completion, checkpoint="elsewhere", resolution=16),
    )
    with pytest.raises(ConfigError, match=r"relevancy.preset, completion.checkpoint cannot change"):
        scene.reconfigure(wanted)
    assert scene.config == core


def test_after_a_frame_that_fails_there_is_none(room):
    scene, frame = build(), room.frame(0)
    scene.set_frame(frame)
    with pytest.raises(FrameError, match="no depth reading falls into the region"):
        scene.set_frame(replace(frame, depth_m=np.full_like(frame.depth_m, 30.0)))
    with pytest.raises(FrameError, match="there is no frame"):
        scene.complete(CLASSES)
    scene.set_frame(frame)
    elsewhere = replace(scene.config.region, region_min_m=(50.0, 0.0, 0.0))
    with pytest.raises(FrameError, match="no depth reading falls into the region"):
        scene.reconfigure(replace(scene.config, region=elsewhere))
    assert scene.config.region == elsewhere
    for call in (lambda: scene.complete(CLASSES), lambda: scene.localize("mug", "on", "table")):
        with pytest.raises(FrameError, match="there is no frame"):
            call()
    scene.reconfigure(configure())
    scene.set_frame(frame)
    assert scene.complete(CLASSES).classes == CLASSES


def test_stopping_a_request_leaves_the_scene_usable(room):
    class StopError(Exception):
        pass

    def stop_at(stage):
        def hook(name, fraction):
            if name == stage:
                raise StopError

        return hook

    scene = build()
    scene.set_frame(room.frame(0))
    for stage in ("relevancy", "volumes", "decode", "completion"):
        with pytest.raises(StopError):
            scene.complete(CLASSES, on_progress=stop_at(stage))
    fresh = build()
    fresh.set_frame(room.frame(0))
    expected = fresh.complete(CLASSES)
    np.testing.assert_array_equal(scene.complete(CLASSES).labels, expected.labels)
