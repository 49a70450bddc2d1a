"""Maps and volumes of a frame: upright, cached within their memory, and numbers."""

import dataclasses

import numpy as np
import pytest
import torch
from pipeline_toy import CLASSES, build, configure, roll, toy_encoder

from semabs_core.config import ConfigError
from semabs_core.evidence import Weigher
from semabs_core.frame_state import Stopwatch
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import InferenceError

WORDS = ["lamp", "sofa", "chair", "table"]


def ready(room, **changes):
    scene = build(**changes)
    scene.set_frame(room.frame(0))
    return scene


@pytest.mark.parametrize("preset", ["chefer_et_al", "mosaic"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_picture_is_turned_upright_and_the_maps_back(room, turns, preset):
    """Which tiles count goes by the depth as it is turned with the picture, pixels not square."""
    scene = ready(room, relevancy={"preset": preset})
    frame = room.frame(0)
    near = np.linspace(0.3, 1, frame.depth_m.shape[1], dtype=np.float32)
    K = frame.K * [[1.5], [1], [1]]
    frame = dataclasses.replace(frame, depth_m=frame.depth_m * near, K=K)
    scene.set_frame(frame)
    upright = scene.relevancy(WORDS)
    weights = scene._state.tile_weights
    assert weights.all() == (preset != "mosaic")
    scene.set_frame(roll(frame, turns))
    rolled = scene.relevancy(WORDS)
    np.testing.assert_array_equal(scene._state.tile_weights, weights)
    assert rolled.shape[1:] == ((120, 160) if turns == 2 else (160, 120))
    np.testing.assert_array_equal(rolled, np.rot90(upright, turns, axes=(1, 2)))


@pytest.mark.parametrize(("preset", "differ"), [("mosaic", True), ("sparse", False)])
def test_small_tiles_of_a_near_frame_do_not_count(room, preset, differ):
    """What they show of it is less than a thing."""
    scene = ready(room, relevancy={"preset": preset})
    far = scene.relevancy(WORDS)
    frame = room.frame(0)
    scene.set_frame(dataclasses.replace(frame, depth_m=frame.depth_m / 2))
    assert np.array_equal(scene.relevancy(WORDS), far) != differ


def test_volumes_stay_within_their_memory(room):
    scene = ready(room, volume_cache_mb=2)  # a volume of 8 x 32^3 float32 is 1 MiB
    scene.complete(WORDS)
    assert len(scene._state.volumes) == 2
    assert scene._state.volumes.used_bytes == 2 * 2**20


def test_maps_stay_within_their_memory_and_change_no_answer(room):
    """A map of 160 x 120 float32 is 75 KiB: 13 fit into 1 MiB, fewer than a request of 20 words."""
    scene = ready(room, map_cache_mb=1, volume_cache_mb=1)
    roomy = ready(room)
    for start in range(0, 60, 20):
        words = [f"thing {i}" for i in range(start, start + 20)]
        np.testing.assert_allclose(
            scene.relevancy(words), roomy.relevancy(words), rtol=1e-4, atol=1e-5
        )
        assert scene._state.maps.used_bytes <= 2**20
        assert len(scene._state.maps) > 8
    assert len(roomy._state.maps) == 60 + 1  # the mean, which is assembled alone


def test_a_kept_map_holds_no_others(room):
    scene = ready(room)
    scene.relevancy(WORDS)
    assert all(scene._state.maps.get(word).base is None for word in WORDS)


@pytest.mark.parametrize(("mean", "keep_tiles"), [("vocabulary", False), ("request", True)])
def test_without_any_cache_answers_are_the_same(room, mean, keep_tiles):
    caches = {"map_cache_mb": 0, "volume_cache_mb": 0}
    relevancy = {"mean": mean, "keep_tiles": keep_tiles}
    scene = ready(room, relevancy=relevancy, **caches)
    expected = ready(room, relevancy={"mean": mean})
    for classes in (CLASSES, CLASSES[:2]):
        found, wanted = scene.complete(classes), expected.complete(classes)
        np.testing.assert_array_equal(found.labels, wanted.labels)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-5)
    assert len(scene._state.maps) == len(scene._state.volumes) == 0


def test_the_image_tower_runs_once_per_request_even_without_caches(room):
    scene = ready(room, map_cache_mb=0, volume_cache_mb=0, relevancy={"keep_tiles": False})
    calls = []
    embed = scene.extractor.embed
    scene.extractor.embed = lambda *a, **k: calls.append("embed") or embed(*a, **k)
    scene.complete(CLASSES)
    assert calls == ["embed"]


def test_the_mean_of_the_request_can_be_asked_for(room):
    scene = ready(room, relevancy={"mean": "request", "mean_vocabulary": []})
    maps = scene.relevancy(["lamp", "table"])
    np.testing.assert_allclose(maps[0], -maps[1], atol=1e-5)
    with pytest.raises(ConfigError, match="needs at least two names"):
        scene.relevancy(["lamp"])
    first = scene.complete(["lamp", "table"])
    other = scene.complete(["lamp", "floor"])
    assert not np.array_equal(first.scores, other.scores)


def test_relevancy_that_is_no_number_is_an_error_and_is_not_kept(room):
    scene = ready(room)
    tower = scene.extractor.maps
    scene.extractor.maps = lambda *a: tower(*a) * np.float32(np.nan)
    with pytest.raises(InferenceError, match=r"relevancy of .* holds NaN .* encoder.precision"):
        scene.complete(CLASSES)
    scene.extractor.maps = tower
    assert np.isfinite(scene.complete(CLASSES).scores).all()


@pytest.mark.parametrize(
    ("task", "method", "value"),
    [("completion", "answer_together", np.inf), ("localization", "answer", np.nan)],
)
def test_logits_that_are_no_numbers_are_an_error(room, task, method, value):
    scene = ready(room)
    network = getattr(scene, task)
    answer = getattr(network, method)

    def overflow(*args, **kwargs):
        logits = answer(*args, **kwargs)
        logits[..., 0] = value
        return logits

    setattr(network, method, overflow)
    with pytest.raises(InferenceError, match=f"the {task} network answers with NaN or infinite"):
        scene.complete(CLASSES) if task == "completion" else scene.localize("mug", "on", "table")
    setattr(network, method, answer)
    assert np.isfinite(scene.complete(CLASSES).scores).all()
    assert np.isfinite(scene.localize("mug", "on", "table").score)


def weighing(room):
    """A pipeline whose networks read evidence, in the room."""
    size = dict(
        voxel_shape=(8, 8, 8), channels=4, f_maps=4, groups=2, levels=2, hidden=8, pointing_dim=8,
        normalization="evidence", network_inputs=("saliency", "rivals"), refine=False,
    )  # fmt: skip
    torch.manual_seed(4)
    networks = [
        build_network(NetworkConfig(task, **size)).eval().requires_grad_(False)
        for task in ("completion", "localization")
    ]
    scene = SceneUnderstanding(configure(), toy_encoder(), *networks)
    scene.set_frame(room.frame(0))
    return scene


def test_what_is_completed_is_weighed_against_all_that_is_asked_with_it(room):
    """By hand: the words of the request join the mean vocabulary in the frame's context."""
    scene = weighing(room)
    vocabulary = scene.chosen.mean_vocabulary
    asked = ["lamp", "blue box"]
    everything = list(dict.fromkeys([*asked, *vocabulary]))
    maps, _ = scene._reader._maps(scene._state, everything, tuple(everything), Stopwatch(None))
    mean = np.stack([maps[word] for word in everything]).mean(axis=0)
    expected = Weigher(maps, mean)({word: maps[word] for word in asked})
    np.testing.assert_allclose(scene.relevancy(asked), expected[:, 0].numpy(), rtol=1e-3, atol=1e-5)
    alone = scene.relevancy(["lamp"])[0]
    assert not np.allclose(alone, scene.relevancy(asked)[0], rtol=1e-3)


def test_volumes_of_a_request_are_kept_whatever_its_order(room):
    scene = weighing(room)
    first = scene.complete(["stove", "kettle", "floor"])
    held = len(scene._state.volumes)
    again = scene.complete(["floor", "stove", "kettle"])
    assert len(scene._state.volumes) == held == 3
    np.testing.assert_allclose(again.scores, first.scores, atol=1e-5)
    scene.complete(["stove", "floor"])
    assert len(scene._state.volumes) == held + 2


def test_descriptions_share_the_volumes_of_their_names(room):
    scene = weighing(room)
    scene.localize("mug", "on", "table")
    scene.localize("lamp", "behind", "table")
    assert len(scene._state.volumes) == 3
