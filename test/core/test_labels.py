"""What networks learn: labels, words, the places of hidden things, synonyms."""

import dataclasses
import json

import numpy as np
import pytest
from scene_toy import CABINET, CABINET_BOX, MUG, NAMES, RED_MUG, WALL, bare_scene, inside, toy_scene

from semabs_core.data.hdf5 import SceneDescription, SceneFileError
from semabs_core.data.items import make_cloud, unseen_points
from semabs_core.data.labels import (
    PUBLISHED_SYNONYMS,
    completion_labels,
    description_target,
    is_word,
    read_synonyms,
    rename,
    scene_words,
    usable_descriptions,
)
from semabs_core.network_config import RELATIONS


@pytest.fixture
def bare():
    return bare_scene()


def test_labels_are_visible_and_in_the_view(bare):
    everywhere = np.ones(3000, bool)
    assert completion_labels(bare, 0, everywhere) == ["cabinet", "red mug", "wall"]
    without = bare.full_objid_pts[0] != RED_MUG
    assert completion_labels(bare, 0, without) == ["cabinet", "wall"]


def test_a_word_is_no_part_of_another(bare):
    red = is_word(bare.objid_to_class, bare.full_objid_pts[0], ("red mug",))
    np.testing.assert_array_equal(red, bare.full_objid_pts[0] == RED_MUG)
    assert is_word(NAMES, np.array([-1, 0]), ("empty[0]",)).tolist() == [False, True]


def test_words_of_a_scene(bare):
    sentences = ["mug in a cabinet", "red mug on a cabinet"]
    assert scene_words(bare) == sorted(["cabinet", "mug", "red mug", "wall", *sentences])
    renamed = scene_words(rename(toy_scene(), {"cabinet": "cupboard"}))
    assert "red mug on a cupboard" in renamed
    assert "cabinet" not in renamed


def unseen(scene):
    return unseen_points(scene, make_cloud(scene, scene.rgb[0], 50, None, np.random.default_rng(0)))


def test_a_visible_target_is_its_own_points(bare):
    target = description_target(bare, 0, bare.descriptions[1], unseen(bare))
    np.testing.assert_array_equal(target, bare.full_objid_pts[0] == RED_MUG)


def test_a_hidden_target_may_be_anywhere_in_the_container(bare):
    points, ids = bare.full_xyz_pts[0], bare.full_objid_pts[0]
    target = description_target(bare, 0, bare.descriptions[0], unseen(bare))
    cavity = inside(points, CABINET_BOX) & (ids == 0)
    assert target[ids == MUG].all()
    assert target[cavity].mean() > 0.95  # the sample's bounding box is a little smaller
    assert not target[ids == CABINET].any()
    assert not target[~inside(points, CABINET_BOX)].any()


def test_a_hidden_target_behind_is_the_unseen_empty_space(bare):
    hidden = SceneDescription("mug", MUG, "cabinet", "behind")
    points, ids = bare.full_xyz_pts[0], bare.full_objid_pts[0]
    target = description_target(bare, 0, hidden, unseen(bare))
    region = target & (ids != MUG)
    assert region.sum() > 10
    assert (ids[region] == 0).all()
    # In the cabinet's shadow, within reach: at most 2 * 0.6, clamped to 1.0, from its centre.
    centre = CABINET_BOX.mean(axis=0)
    offset = points[region] - centre
    distance = np.linalg.norm(offset, axis=1)
    assert distance.max() <= 1.01
    assert (offset[:, 0] > 0.59 * distance).all()
    in_front = points[:, 0] < 0
    assert not target[in_front].any()


def test_a_hidden_target_on_a_support_is_in_the_layer_above_it(bare):
    hidden = dataclasses.replace(bare, seg=np.where(bare.seg == RED_MUG, WALL, bare.seg))
    target = description_target(hidden, 0, hidden.descriptions[1], np.ones(3000, bool))
    points, ids = hidden.full_xyz_pts[0], hidden.full_objid_pts[0]
    region = points[target & (ids != RED_MUG)]
    assert target[ids == RED_MUG].all()
    assert len(region)
    assert region[:, 2].min() > 0.79
    assert region[:, 2].max() < 0.96
    assert inside(region[:, :2], CABINET_BOX[:, :2] + [[-0.01], [0.01]]).all()
    assert set(ids[target]) == {0, RED_MUG}


def test_left_and_right_need_a_visible_target(bare):
    hidden = SceneDescription("mug", MUG, "cabinet", "on the left of")
    target = description_target(bare, 0, hidden, unseen(bare))
    np.testing.assert_array_equal(target, bare.full_objid_pts[0] == MUG)


def test_synonyms_come_from_the_folder_or_are_the_published_ones(tmp_path):
    assert read_synonyms(tmp_path) == PUBLISHED_SYNONYMS
    (tmp_path / "synonyms.json").write_text(json.dumps({"cabinet": "cupboard"}))
    assert read_synonyms(tmp_path) == {"cabinet": "cupboard"}
    (tmp_path / "synonyms.json").write_text("[1")
    with pytest.raises(SceneFileError, match=r"synonyms\.json is damaged"):
        read_synonyms(tmp_path)


def test_sentences_that_synonyms_made_the_same_are_asked_once_or_not_at_all():
    first = SceneDescription("mug", 6, "computer", "behind")
    same = SceneDescription("mug", 6, "computer", "behind")  # laptop and desktop were two
    others = [SceneDescription("computer", number, "table", "on") for number in (4, 5)]
    left, under = (SceneDescription("mug", 6, "table", name) for name in ("on", "under"))
    scene = dataclasses.replace(toy_scene(), descriptions=[first, same, *others, left, under])
    assert usable_descriptions(scene, RELATIONS) == [first, left]
