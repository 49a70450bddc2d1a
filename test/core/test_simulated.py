"""Simulated relevancy: what must hold whatever its random parameters are."""

import dataclasses

import numpy as np
import pytest
import torch

from semabs_core.data.simulated import reduce_ids, simulate_masks, simulate_relevancy
from semabs_core.data.simulated_encoder import PretendEncoder, kinship, pooling
from semabs_core.data.simulated_traits import RANGES, draw_traits
from semabs_core.data.smooth_noise import blur_matrix, smooth_noise
from semabs_core.tiling import PRESETS, tile_grids

NAMES = ["empty", "wall", "floor", "coffee table", "red mug", "lamp"]
WORDS = ["wall", "floor", "coffee table", "red mug", "lamp", "table", "bed"]
CALM = dict.fromkeys(
    ("unknown", "strong_share", "weak", "patch_noise", "tile_gain", "texture"), (0.0, 0.0)
)


def room(height: int = 96, width: int = 128) -> np.ndarray:
    """A wall, a floor, a table, a mug, a lamp, and a corner where nothing is."""
    seg = np.ones((height, width), np.int32)
    seg[2 * height // 3 :] = 2
    seg[height // 2 : 3 * height // 4, width // 8 : width // 2] = 3
    seg[3 * height // 8 : height // 2, width // 4 : 3 * width // 8] = 4
    seg[height // 8 : height // 2, 3 * width // 4 : 7 * width // 8] = 5
    seg[:4, :4] = -1
    return seg


def draws(count: int, size: int = 128, **options) -> list[np.ndarray]:
    """Maps of several calls."""
    return [
        simulate_relevancy(room(), NAMES, WORDS, np.random.default_rng(seed), size, **options)
        for seed in range(count)
    ]


@pytest.fixture(scope="module")
def calls() -> list[np.ndarray]:
    """Maps of twenty pretend encoders."""
    return draws(20, mask_share=0.0)


def calm_encoder(preset: str = "fast", **traits: float) -> PretendEncoder:
    """An encoder that knows all words, without noise."""
    drawn = PretendEncoder.draw(np.random.default_rng(0))
    known = {name: value[0] for name, value in CALM.items()} | {"leak": 0.0, **traits}
    return dataclasses.replace(
        drawn, preset=PRESETS[preset], tiling="full", patches=8, traits=drawn.traits | known
    )


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [((96, 128), 128, (96, 128)), ((256, 192), 128, (128, 96)), ((30, 40), 64, (48, 64))],
)
@pytest.mark.parametrize("mask_share", [0.0, 1.0])
def test_maps_have_the_pictures_shape_and_are_finite_and_not_negative(
    shape, size, expected, mask_share
):
    rng = np.random.default_rng(3)
    maps = simulate_relevancy(room(*shape), NAMES, WORDS, rng, size, mask_share=mask_share)
    assert maps.shape == (len(WORDS), *expected)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() > 0


def test_the_same_state_gives_the_same_maps_and_another_call_gives_others():
    rng = np.random.default_rng(5)
    first = simulate_relevancy(room(), NAMES, WORDS, rng)
    second = simulate_relevancy(room(), NAMES, WORDS, rng)
    again = simulate_relevancy(room(), NAMES, WORDS, np.random.default_rng(5))
    np.testing.assert_array_equal(first, again)
    correlation = np.corrcoef(first.ravel() / first.max(), second.ravel() / second.max())[0, 1]
    assert correlation < 0.99


def test_faults_of_an_encoder_go_together():
    drawn = [draw_traits(np.random.default_rng(seed)) for seed in range(200)]
    for name, limits in vars(RANGES).items():
        values = [traits[name] for traits in drawn]
        assert limits[0] <= min(values)
        assert max(values) <= limits[1]
    first, second, other = (
        [traits[name] for traits in drawn] for name in ("confusion", "leak", "part")
    )
    assert np.corrcoef(first, second)[0, 1] > 0.5
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.3


def test_the_picture_is_not_changed():
    seg = room()
    simulate_relevancy(seg, NAMES, WORDS, np.random.default_rng(0))
    np.testing.assert_array_equal(seg, room())


@pytest.mark.parametrize("row", range(5))
def test_an_object_is_brighter_than_the_rest_in_most_calls(calls, row):
    own = room() == row + 1
    wins = [maps[row][own].mean() > maps[row][~own].mean() for maps in calls]
    assert np.mean(wins) > 0.7


def test_a_word_lights_up_what_shares_its_head_noun(calls):
    table = room() == 3
    wins = [maps[5][table].mean() > maps[5][~table].mean() for maps in calls]
    assert np.mean(wins) > 0.7


def test_a_word_for_something_absent_lights_up_something(calls):
    assert all(maps[6].max() > 0 for maps in calls)


def test_a_picture_of_nothing_has_maps_too():
    nothing = np.full((96, 128), -1, np.int32)
    for share in (0.0, 1.0):
        maps = simulate_relevancy(nothing, [], WORDS, np.random.default_rng(0), mask_share=share)
        assert maps.shape == (len(WORDS), 96, 128)
        assert np.isfinite(maps).all()


def test_saturated_maps_share_their_ceiling():
    for maps in draws(5, size=64, mask_share=0.0, saturated_share=1.0):
        highest = maps.max(axis=(1, 2))
        at_ceiling = np.isclose(highest, highest.max(), rtol=1e-6)
        assert at_ceiling.any()
        assert (maps == maps.max()).sum() > 1


def test_a_share_of_the_calls_gives_masks():
    binary = [set(np.unique(maps)) <= {0.0, 1.0} for maps in draws(40, size=64, mask_share=0.5)]
    assert 0.1 < np.mean(binary) < 0.6  # about 0.35: a half, less the soft ones


def test_hard_masks_hold_0_and_1_and_soft_ones_what_is_between():
    hard = simulate_masks(room(), NAMES, WORDS, np.random.default_rng(1), soft=False)
    soft = simulate_masks(room(), NAMES, WORDS, np.random.default_rng(1), soft=True)
    assert set(np.unique(hard)) == {0.0, 1.0}
    assert soft.min() >= 0
    assert soft.max() <= 1
    assert len(np.unique(soft)) > 10
    np.testing.assert_array_equal(hard, soft > 0.5)


def test_masks_are_their_objects_but_for_the_edges_and_misses():
    overlaps, absent = [], []
    for seed in range(40):
        masks = simulate_masks(room(), NAMES, WORDS, np.random.default_rng(seed)) > 0
        own = room() == 3
        overlaps.append((masks[2] & own).sum() / (masks[2] | own).sum())
        absent.append(masks[6].any())
    assert np.median(overlaps) > 0.8
    assert min(overlaps) < 0.3  # now and then it is missed
    assert np.mean(absent) < 0.3


def test_what_fills_every_tile_evenly_does_not_light_up():
    seg = np.ones((96, 128), np.int32)
    flat = {"uneven": 0.0, "part": 0.0, "whole": 1.0, "attention": 0.0}
    encoder = calm_encoder(**flat)
    field = torch.ones(1, 96, 128)
    total = sum(
        encoder._scale(field, torch.zeros(1, 96, 128), grid, np.random.default_rng(0))
        for grid in tile_grids(*seg.shape, encoder.preset)
    )
    np.testing.assert_allclose(total, 0, atol=1e-5)


def test_maps_have_edges_where_blocks_of_tiles_meet():
    """Along a line through an even field only the tiles can make a difference."""
    encoder = calm_encoder("chefer_et_al", tile_gain=1.0, whole=0.0, attention=0.0)
    (grid,) = tile_grids(96, 128, encoder.preset)
    field = torch.ones(1, 96, 128)
    line = encoder._scale(field, torch.zeros(1, 96, 128), grid, np.random.default_rng(0))[0, 48]
    jumps = torch.nonzero(line.diff().abs() > 1e-4).ravel() + 1
    borders = {*grid.columns, *(start + grid.size for start in grid.columns)} - {0, 128}
    assert set(jumps.tolist()) == borders


def test_small_pictures_of_an_object_are_found_at_the_finer_scales():
    """One patch of a whole-picture tile is larger than the mug; finer tiles show more of it."""
    encoder = calm_encoder(mixing=0.0)
    names, words = NAMES, ["red mug"]
    fine = encoder.maps(room(), names, words, np.random.default_rng(0))[0]
    coarse = dataclasses.replace(encoder, preset=PRESETS["chefer_et_al"]).maps(
        room(), names, words, np.random.default_rng(0)
    )[0]
    own = room() == 4
    assert fine[own].sum() / fine.sum() > coarse[own].sum() / coarse.sum()


@pytest.mark.parametrize(
    ("word", "name", "expected"),
    [
        ("table", "table", 1.0),
        ("table", "Coffee Table", 1.0),
        ("poster of vietnam", "poster", 1.0),
        ("table", "table lamp", 0.6),
        ("chair legs", "chair", 0.6),
        ("table", "bed", 0.0),
        ("coffee table", "coffee machine", 0.0),
    ],
)
def test_kinship_is_by_head_noun(word, name, expected):
    assert kinship(word, name) == expected
    assert kinship(name, word) == expected


@pytest.mark.parametrize("mixing", [0.0, 0.7])
@pytest.mark.parametrize("patches", [3, 5, 7])
def test_pooling_takes_means(patches, mixing):
    matrix = pooling((0, 6), 10, patches, 16, mixing)
    assert matrix.shape == (2 * patches, 16)
    np.testing.assert_allclose(matrix.sum(dim=1), 1, rtol=1e-5)
    tiles = (matrix @ torch.arange(16.0)).reshape(2, patches)
    np.testing.assert_allclose(tiles.mean(dim=1), [4.5, 10.5], rtol=1e-5)


def test_a_patch_is_the_mean_of_its_pixels():
    pooled = pooling((0, 6), 10, 5, 16, mixing=0.0) @ torch.arange(16.0)
    pairs = [0.5, 2.5, 4.5, 6.5, 8.5]
    np.testing.assert_allclose(pooled, [*pairs, *(value + 6 for value in pairs)], rtol=1e-5)


def test_noise_is_smooth_and_its_cells_are_independent():
    noise = smooth_noise(50, (96, 128), 8, np.random.default_rng(0))
    assert noise.shape == (50, 96, 128)
    assert abs(noise.mean()) < 0.05
    assert 0.5 < noise.std() < 1
    assert noise.diff(dim=2).abs().max() < 0.6
    far = np.corrcoef(noise[:, 48, 8], noise[:, 48, 120])[0, 1]
    assert abs(far) < 0.5


def test_blurring_keeps_means():
    np.testing.assert_allclose(blur_matrix(9, 2.0).sum(dim=1), 1, rtol=1e-6)
    np.testing.assert_allclose(blur_matrix(5, 0.0), np.eye(5), atol=1e-6)


def test_reducing_takes_the_nearest_pixel():
    seg = np.repeat(np.repeat(np.arange(12).reshape(3, 4), 8, axis=0), 8, axis=1)
    np.testing.assert_array_equal(reduce_ids(seg, 4), np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(reduce_ids(seg, 32), seg)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seg": room()[None]}, r"seg must be \(H, W\) integer object ids, got \(\(1, 96, 128\)"),
        ({"seg": room().astype(np.float32)}, "seg must be .*float32"),
        ({"seg": [[1, 2]]}, "seg must be .* list"),
        ({"seg": np.zeros((0, 4), np.int32)}, r"seg must hold pixels, got \(0, 4\)"),
        ({"names": NAMES[:4]}, "names must name every object id in seg: there are 4.* holds 5"),
        ({"words": []}, r"words must be a sequence of at least one word, got \[\]"),
        ({"words": "table"}, "words must be a sequence of at least one word, got 'table'"),
        ({"words": ["table", " "]}, "words must be words, got ' '"),
        ({"size": 16}, "size must be so large .* got 16, which gives 12"),
        ({"seg": np.zeros((2, 400), np.int32)}, "size must be so large .* gives 1"),
    ],
)
def test_wrong_input_is_refused(change, message):
    arguments = {"seg": room(), "names": NAMES, "words": WORDS, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=message):
        simulate_relevancy(**(arguments | change))
