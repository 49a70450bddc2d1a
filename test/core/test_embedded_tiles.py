"""Tiles of a still camera: what has changed is embedded, the rest is taken again."""

import weakref
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from pipeline_toy import CLASSES, build, toy_encoder
from support import RELEVANCY_FIXTURES

from semabs_core.embedded_tiles import EmbeddedTiles, KeptTiles
from semabs_core.relevancy import RelevancyExtractor
from semabs_core.still_tiles import CELLS, StillTiles, tile_looks
from semabs_core.tiling import PRESETS, TileGrid, tile_grids

LABELS = ["lamp", "box"]
CORNER = np.s_[:24, :24]


@pytest.fixture
def picture():
    with np.load(RELEVANCY_FIXTURES / "wide" / "expected.npz") as archive:
        return archive["rgb"]


@pytest.fixture
def embedded(monkeypatch):
    """How many tiles went through the image tower, pass by pass."""
    counts, embed = [], toy_encoder().embed_tiles
    monkeypatch.setattr(
        toy_encoder(), "embed_tiles", lambda tiles: counts.append(len(tiles)) or embed(tiles)
    )
    return counts


def grids_of(picture, preset="fast"):
    return tile_grids(*picture.shape[:2], PRESETS[preset])


def showing(picture, area, preset="fast"):
    """Which tiles show some of an area, by their pixels."""
    marked = np.zeros(picture.shape[:2], bool)
    marked[area] = True
    return np.array(
        [
            marked[row : row + grid.size, column : column + grid.size].any()
            for grid in grids_of(picture, preset)
            for row in grid.rows
            for column in grid.columns
        ]
    )


def repainted(picture, area):
    other = picture.copy()
    other[area] = 255 - other[area]
    return other


def noisy(picture, sigma, seed):
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


def slots_of(batches):
    return torch.cat([batch.slots for batch in batches]).tolist()


def test_looks_are_the_mean_colours_of_cells(picture):
    looks = tile_looks(picture, grids_of(picture))
    number = 0
    for grid in grids_of(picture):
        for row in grid.rows:
            for column in grid.columns:
                tile = picture[row : row + grid.size, column : column + grid.size]
                ends = np.arange(CELLS + 1) * grid.size // CELLS
                cell = tile[ends[2] : ends[3], ends[5] : ends[6]].mean(axis=(0, 1))
                np.testing.assert_allclose(looks[number, 2, 5], cell, rtol=1e-5)
                number += 1
    assert looks.shape == (number, CELLS, CELLS, 3)


def test_tiles_of_fewer_pixels_than_cells_have_looks_too():
    picture = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    (looks,) = tile_looks(picture, [TileGrid(3, (0,), (1,))])
    np.testing.assert_array_equal(looks[0, 0], picture[0, 1])
    np.testing.assert_array_equal(looks[-1, -1], picture[2, 3])


@pytest.mark.parametrize("preset", ["fast", "ours"])
def test_a_still_picture_is_embedded_once(picture, embedded, preset):
    extractor = RelevancyExtractor(toy_encoder(), preset, augmentations=1)
    still = StillTiles(extractor, 4)
    first = still.embed(picture)
    assert sum(embedded) > 0
    embedded.clear()
    again = still.embed(noisy(picture, 1, 0))
    assert embedded == []
    assert all(a is b for a, b in zip(again, first, strict=True))


@pytest.mark.parametrize(("preset", "rollout_layers"), [("fast", 1), ("ours", 1), ("fast", 2)])
def test_where_something_changes_tiles_are_embedded_anew(picture, embedded, preset, rollout_layers):
    """Those that show it, and of them no other; the maps are then those of the new picture."""
    extractor = RelevancyExtractor(
        toy_encoder(), preset, augmentations=0, rollout_layers=rollout_layers
    )
    still = StillTiles(extractor, 4)
    before = list(still.embed(picture))
    kept = [batch.state for batch in before]
    other, shown = repainted(picture, CORNER), showing(picture, CORNER)
    embedded.clear()
    tiles = still.embed(other)
    if rollout_layers == 1:
        assert sum(embedded) == shown.sum() * (2 if preset == "ours" else 1)
    assert 0 < shown.sum() < len(shown)
    assert slots_of(tiles) == list(range(len(shown)))
    shape = picture.shape[:2]
    np.testing.assert_allclose(
        extractor.maps(tiles, shape, LABELS), extractor(other, LABELS), rtol=1e-3, atol=1e-6
    )
    assert all(batch.state is state for batch, state in zip(before, kept, strict=True))
    np.testing.assert_allclose(
        extractor.maps(before, shape, LABELS), extractor(picture, LABELS), rtol=1e-3, atol=1e-6
    )


def test_what_changes_slowly_is_seen(picture, embedded):
    extractor = RelevancyExtractor(toy_encoder(), "fast")
    still = StillTiles(extractor, 4.5)
    picture = picture // 2
    still.embed(picture)
    everything = sum(embedded)
    embedded.clear()
    counts = []
    for step in range(1, 7):  # a gray level each time
        still.embed(picture + np.uint8(step))
        counts.append(sum(embedded))
    assert counts == [0, 0, 0, 0, everything, everything]


def test_only_what_was_embedded_counts_as_seen(picture, embedded):
    """The corner changes and changes back: it is embedded twice, the rest never again."""
    extractor = RelevancyExtractor(toy_encoder(), "fast")
    still = StillTiles(extractor, 4)
    still.embed(picture)
    embedded.clear()
    still.embed(repainted(picture, CORNER))
    tiles = still.embed(picture)
    assert sum(embedded) == 2 * showing(picture, CORNER).sum()
    np.testing.assert_allclose(
        extractor.maps(tiles, picture.shape[:2], LABELS),
        extractor(picture, LABELS),
        rtol=1e-3,
        atol=1e-6,
    )


@pytest.mark.parametrize("change", ["size", "batch", "tolerance", "forgotten"])
def test_everything_is_embedded_anew(picture, embedded, change):
    extractor = RelevancyExtractor(toy_encoder(), "fast")
    still = StillTiles(extractor, 0 if change == "tolerance" else 4)
    still.embed(picture)
    embedded.clear()
    if change == "size":
        picture = picture[:-8]
    if change == "batch":
        extractor.tile_batch = 5
    if change == "forgotten":
        still.forget()
    tiles = still.embed(picture)
    assert sum(embedded) == sum(map(len, grids_of(picture)))
    np.testing.assert_allclose(
        extractor.maps(tiles, picture.shape[:2], LABELS),
        extractor(picture, LABELS),
        rtol=1e-3,
        atol=1e-6,
    )


def test_after_an_embedding_that_was_stopped_nothing_is_known(picture, embedded, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # on others, what has begun goes on
    extractor = RelevancyExtractor(toy_encoder(), "fast", tile_batch=64)
    still = StillTiles(extractor, 4)
    still.embed(picture)

    def stop(stage, fraction):
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        still.embed(255 - picture, stop)
    embedded.clear()
    still.embed(picture)
    assert sum(embedded) == sum(map(len, grids_of(picture)))


def test_the_tiles_of_two_pictures_are_never_held_at_once(picture, monkeypatch):
    extractor = RelevancyExtractor(toy_encoder(), "fast", tile_batch=32)
    still, alive, most = StillTiles(extractor, 4), [], []
    embed = toy_encoder().embed_tiles

    def watched(tiles):
        most.append(sum(len(state().attention) for state in alive if state()))
        state = embed(tiles)
        alive.append(weakref.ref(state))
        return state

    monkeypatch.setattr(toy_encoder(), "embed_tiles", watched)
    count = sum(map(len, grids_of(picture)))
    still.embed(picture)
    still.embed(255 - picture)
    assert count - 32 <= max(most) <= count + 32


@pytest.mark.parametrize(
    ("batch", "count", "message"),
    [(64, 7, "the kept tiles are 7, not 392"), (5, 392, "not in batches of 64")],
)
def test_kept_tiles_that_do_not_fit_are_refused(picture, batch, count, message):
    extractor = RelevancyExtractor(toy_encoder(), "fast", tile_batch=batch)
    kept = KeptTiles(deque(extractor.embed(picture)), np.ones(count, np.bool_))
    extractor.tile_batch = 64
    with pytest.raises(ValueError, match=message):
        list(extractor.embed(picture, kept=kept))


def test_rows_of_a_batch_take_others():
    batch = EmbeddedTiles(torch.zeros(4, 2), torch.zeros(4, 2), torch.arange(4))
    other = EmbeddedTiles(torch.ones(2, 2), torch.full((2, 2), 2.0), torch.tensor([1, 3]))
    found = batch.with_rows(np.array([1, 3]), other)
    assert found.state[:, 0].tolist() == [0, 1, 0, 1]
    assert found.mirrored[:, 0].tolist() == [0, 2, 0, 2]
    assert not batch.state.any()


def test_a_still_camera_pays_for_its_first_frame(room, embedded):
    """In the pipeline: the same picture but for noise."""
    scene = build(relevancy={"still_tolerance": 6.0})
    frame = room.frame(0)
    scene.set_frame(frame)
    first = scene.complete(CLASSES)
    assert sum(embedded) > 0
    embedded.clear()
    scene.set_frame(replace(frame, rgb=noisy(frame.rgb, 2, 1)))
    stages = set()
    again = scene.complete(CLASSES, lambda stage, fraction: stages.add(stage))
    assert embedded == []
    assert "relevancy" in stages
    np.testing.assert_array_equal(again.labels, first.labels)
    for forget in (scene.forget_frame, scene.make_room):
        forget()
        scene.set_frame(frame)
        scene.complete(CLASSES)
        assert sum(embedded) > 0
        embedded.clear()
