"""What networks read of the words of a scene: contexts, words that name nothing, simulation."""

import numpy as np
import pytest
import torch
from scene_toy import BOUNDS, OUTSIDE, SMALL, bare_scene, write_toy_set

from semabs_core.config import MEAN_VOCABULARY
from semabs_core.data import scene_dataset, words
from semabs_core.data.datasets import CompletionDataset, LocalizationDataset
from semabs_core.data.items import Row, fill_cells, make_cloud
from semabs_core.data.scene_data import RelevancyRecord
from semabs_core.data.words import (
    WordOptions,
    absent_words,
    draw_context,
    read_words,
    simulated_record,
)
from semabs_core.geometry import in_bounds
from semabs_core.relevancy import for_networks

EVIDENCE = {"network_inputs": ("saliency", "rivals"), "normalization": "evidence"}


@pytest.fixture(scope="module")
def bare():
    return bare_scene()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_toy_set(folder)
    return folder


def record(labels, shape=(6, 8), seed=0):
    maps = np.random.default_rng(seed).random((len(labels), *shape), dtype=np.float32)
    features = np.zeros((len(labels), 4), np.float32)
    return RelevancyRecord(list(labels), maps, maps.mean(axis=0), features)


@pytest.mark.parametrize(
    ("word", "absent"),
    [
        ("table", False),  # the head of "coffee table"
        ("cupboard", False),  # may be said of a cabinet
        ("red cabinet", False),
        ("sink", True),
        ("computer", True),
    ],
)
def test_absent_words_name_nothing_that_is_there(word, absent):
    names = {"coffee table", "cabinet", "wall"}
    assert absent_words([word], names) == [word] * absent


def test_of_an_empty_scene_everything_is_absent():
    assert absent_words(["mug", "bed"], set()) == ["bed", "mug"]


def test_the_context_is_the_vocabulary_and_in_training_at_times_the_scene():
    found = record(["mug", "cabinet", "stove", "a mug on a cabinet", *MEAN_VOCABULARY[:5]])
    names = {"mug", "cabinet", "stove", "empty"}
    fixed = list(MEAN_VOCABULARY[:5])
    assert draw_context(found, MEAN_VOCABULARY, names, None) == fixed
    drawn = {
        tuple(draw_context(found, MEAN_VOCABULARY, names, np.random.default_rng(seed)))
        for seed in range(20)
    }
    assert drawn == {tuple(fixed), ("mug", "cabinet", "stove")}
    together = draw_context(found, MEAN_VOCABULARY, names, None, {"stove", "mug", fixed[0]})
    assert together == [*fixed, "mug", "stove"]
    published = record(["mug", "cabinet"])
    assert draw_context(published, MEAN_VOCABULARY, names, None) == ["mug", "cabinet"]


@pytest.mark.parametrize("refine", [False, True])
def test_evidence_at_the_points_does_not_depend_on_the_scale(bare, refine):
    cloud = make_cloud(bare, bare.rgb[0], 50, None, np.random.default_rng(0))
    found = record(["mug", "wall", "cabinet", "sofa"])
    louder = RelevancyRecord(found.labels, 7 * found.maps, 7 * found.mean, found.features)
    options = WordOptions(("saliency", "rivals"), 0.004, "evidence", refine)
    frame = (bare.rgb[0], bare.depth[0])
    one, other = (
        read_words(options, each, found.labels, {"mug", "sofa"}, cloud, frame)
        for each in (found, louder)
    )
    assert set(one.maps) == {"mug", "sofa"}
    assert one.maps["mug"].shape == (50, 2)
    for word in one.maps:
        torch.testing.assert_close(other.maps[word], one.maps[word], rtol=1e-3, atol=1e-4)


def test_the_published_gain_is_as_it_was(bare):
    cloud = make_cloud(bare, bare.rgb[0], 50, None, np.random.default_rng(0))
    found = record(["mug", "wall"])
    constant = RelevancyRecord(
        found.labels, np.full_like(found.maps, 0.3), np.full_like(found.mean, 0.1), found.features
    )
    options = WordOptions(("saliency",), 0.004, "gain", False)
    read = read_words(options, constant, [], {"mug"}, cloud, (bare.rgb[0], bare.depth[0]))
    expected = for_networks(np.float32(0.3), np.float32(0.1))
    torch.testing.assert_close(read.maps["mug"], torch.full((50, 1), float(expected)))


def test_simulated_relevancy_needs_no_stored_one(bare, folder):
    data = CompletionDataset(
        folder, "train", records=["simulated"], preset="simulated", **EVIDENCE, **SMALL
    )
    item = data[0]
    assert item["input_features"].shape[1:] == (200, 2)
    assert set(item["names"]) <= {"cabinet", "red mug", "mug", "wall"}
    data.set_epoch(1)
    assert not torch.equal(data[0]["input_features"], item["input_features"])
    data.set_epoch(0)
    assert torch.equal(data[0]["input_features"], item["input_features"])
    found = simulated_record(bare, {"wall", "mug"}, 4, np.random.default_rng(0))
    assert found.labels == ["mug", "wall"]
    assert found.features.shape == (2, 4)
    masks = simulated_record(bare, {"wall", "mug"}, 4, np.random.default_rng(0), "masks")
    assert ((masks.maps >= 0) & (masks.maps <= 1)).all()
    assert not np.array_equal(masks.maps, found.maps)


def test_items_draw_from_several_relevancies(folder):
    """Whether an item is simulated shows in its relevancy, which changes from epoch to epoch."""
    data = CompletionDataset(folder, "train", records=["ours", "simulated"], **EVIDENCE, **SMALL)
    read = []
    for epoch in range(8):
        data.set_epoch(epoch)
        read.append(data[0]["input_features"])
    assert len({each.sum().item() for each in read}) > 2
    assert CompletionDataset(
        folder, "train", full=True, records=["simulated"], **SMALL
    ).records == ("ours",)


def test_some_labels_name_nothing(folder):
    data = CompletionDataset(
        folder, "train", records=["simulated"], absent_share=0.5, **EVIDENCE, **SMALL
    )
    names = set()
    for epoch in range(12):
        data.set_epoch(epoch)
        item = data[0]
        for name, targets, ignore in zip(
            item["names"], item["targets"], item["ignore"], strict=True
        ):
            if name not in ("cabinet", "red mug", "mug", "wall"):
                names.add(name)
                assert not targets.any()
                assert not ignore.all()
    assert names
    assert not names & {"cup", "cupboard", "shelf"}


@pytest.mark.parametrize("kind", [CompletionDataset, LocalizationDataset])
def test_space_outside_the_room_can_count_as_empty(bare, folder, kind):
    one, other = (
        make_cloud(bare, bare.rgb[0], 50, None, np.random.default_rng(0), empty)
        for empty in (False, True)
    )
    outside = bare.full_objid_pts[0] == OUTSIDE
    assert outside.any()
    assert one.outside[outside].all()
    np.testing.assert_array_equal(other.outside, ~in_bounds(other.query_xyz, BOUNDS))
    assert (
        kind(folder, "train", full=True, outside_is_empty=True, **SMALL).outside_is_empty is False
    )


def test_cells_are_filled_by_what_lies_anywhere_in_them(bare, folder):
    cloud = make_cloud(bare, bare.rgb[0], 50, None, np.random.default_rng(0))
    shape, count = (4, 4, 4), len(cloud.query_xyz)
    target, ignore = np.zeros((2, count), dtype=np.bool_)
    target[:2], ignore[1] = True, True
    (filled,) = fill_cells(cloud, [Row(("wall",), target, ignore)], shape)
    lower, upper = np.asarray(BOUNDS, np.float32)
    cells = ((cloud.query_xyz - lower) / (upper - lower) * 3).clip(0, 3).astype(int)
    np.testing.assert_array_equal(filled.target, (cells == cells[0]).all(axis=1))
    assert filled.target.sum() > 1
    assert filled.ignore is ignore
    options = {"voxel_shape": shape, "records": ["simulated"], **EVIDENCE, **SMALL}
    one, other = (
        CompletionDataset(folder, "train", whole_cells=whole, **options)[0]["targets"]
        for whole in (False, True)
    )
    assert other.sum() > one.sum() > 0
    assert not CompletionDataset(folder, "train", full=True, whole_cells=True, **SMALL).whole_cells


def test_words_that_are_completed_together_count_for_each_other(folder):
    """In evaluation as on a robot: with all that is asked of a scene in its context."""
    seen = []
    original = words.draw_context

    def draw(*args):
        seen.append((set(args[4]), original(*args)))
        return seen[-1][1]

    for task, kind in (("completion", CompletionDataset), ("localization", LocalizationDataset)):
        data = kind(folder, "train", full=True, **EVIDENCE, **SMALL)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scene_dataset, "draw_context", draw)
            item = data[0]
        together, context = seen.pop()
        assert together == (set(item["names"]) if task == "completion" else set())
        assert together <= set(context)
