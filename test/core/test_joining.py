"""Several data sets as one."""

import json

import pytest
from scene_toy import write_toy_set

from semabs_core.data.datasets import CompletionDataset
from semabs_core.data.joining import join_data_sets
from semabs_core.data.scene_data import SceneFileError
from semabs_core.data.splits import read_splits


def two(tmp_path):
    for name, count in (("easy", 2), ("robot", 3)):
        write_toy_set(tmp_path / name, scenes=count)
    return [tmp_path / "easy", tmp_path / "robot"]


def test_the_splits_hold_the_scenes_of_all(tmp_path):
    folders = two(tmp_path)
    assert join_data_sets(tmp_path / "both", folders) == {"train": 5}
    data = CompletionDataset(tmp_path / "both", "train", num_input_points=50, num_query_points=60)
    assert len(data) == 5
    assert {path.split("/")[0] for path in data.paths} == {"easy", "robot"}
    assert data[4]["names"]


def test_joining_again_brings_it_up_to_date(tmp_path):
    folders = two(tmp_path)
    join_data_sets(tmp_path / "both", folders)
    write_toy_set(folders[0], scenes=4)
    assert join_data_sets(tmp_path / "both", folders) == {"train": 7}


def test_what_differs_is_refused(tmp_path):
    folders = two(tmp_path)
    for folder, word in zip(folders, ("couch", "settee"), strict=True):
        (folder / "synonyms.json").write_text(json.dumps({"sofa": word}))
    with pytest.raises(SceneFileError, match=r"different synonyms\.json"):
        join_data_sets(tmp_path / "both", folders)


def test_wrong_folders_are_named(tmp_path):
    folders = two(tmp_path)
    with pytest.raises(SceneFileError, match="there is no data set in"):
        join_data_sets(tmp_path / "both", [tmp_path / "nothing"])
    with pytest.raises(ValueError, match="different names"):
        join_data_sets(tmp_path / "both", [folders[0], folders[0]])
    before = read_splits(folders[0], "completion")
    for sources in (folders, folders[1:]):
        with pytest.raises(ValueError, match="easy is a data set itself: choose a new folder"):
            join_data_sets(folders[0], sources)
    assert read_splits(folders[0], "completion") == before
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "easy").mkdir()
    with pytest.raises(ValueError, match="is in the way"):
        join_data_sets(tmp_path / "both", folders)
