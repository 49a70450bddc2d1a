import pickle

import pytest

from semabs_core.data.hdf5 import SceneFileError
from semabs_core.data.splits import read_splits, write_splits

SPLITS = {"train": ["a/1.hdf5", "a/2.hdf5"], "validation": [], "unseen_instances": ["b/1.hdf5"]}


def test_splits_are_read_as_written(tmp_path):
    write_splits(tmp_path / "new", SPLITS)
    assert read_splits(tmp_path / "new", "completion") == SPLITS
    assert read_splits(tmp_path / "new", "localization") == SPLITS
    names = sorted(file.name for file in (tmp_path / "new").iterdir())
    assert names == ["ssc_split.pkl", "vool_split.pkl"]


def test_one_task_alone(tmp_path):
    write_splits(tmp_path, SPLITS, task="localization")
    assert [file.name for file in tmp_path.iterdir()] == ["vool_split.pkl"]
    with pytest.raises(SceneFileError, match=r"there is no .*ssc_split\.pkl"):
        read_splits(tmp_path, "completion")
    with pytest.raises(SceneFileError, match="is .*vool_split.pkl the data set's folder"):
        read_splits(tmp_path / "vool_split.pkl", "completion")
    with pytest.raises(ValueError, match="task must be one of completion, localization, got 'x'"):
        read_splits(tmp_path, "x")


@pytest.mark.parametrize("protocol", range(6))
def test_published_pickles_of_any_protocol(tmp_path, protocol):
    content = {"train": ("x.hdf5",), "unseen_instances": {"z.hdf5", "y.hdf5"}}
    (tmp_path / "ssc_split.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    expected = {"train": ["x.hdf5"], "unseen_instances": ["y.hdf5", "z.hdf5"]}
    assert read_splits(tmp_path, "completion") == expected


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_a_hostile_pickle_runs_nothing(tmp_path):
    content = pickle.dumps({"train": [Hostile(tmp_path / "ran")]})
    (tmp_path / "ssc_split.pkl").write_bytes(content)
    with pytest.raises(SceneFileError, match=r"refers to .*open.*could run code"):
        read_splits(tmp_path, "completion")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80", "damaged"),
        (pickle.dumps(SPLITS)[:-9], "damaged"),
        (pickle.dumps(["a.hdf5"]), "must hold a dict, got list"),
        (pickle.dumps({"train": "a.hdf5"}), "map every split to a list"),
        (pickle.dumps({"train": [1]}), "must be strings, in split 'train'"),
        pytest.param(
            pickle.dumps({"train": {1, "a.hdf5"}}),  # bytes that differ between processes
            "must be strings, in split 'train'",
            id="mixed set",
        ),
        (pickle.dumps({"train": ["/etc/passwd"]}), "inside the folder, got '/etc/passwd'"),
        (pickle.dumps({"train": ["a/../../b"]}), "inside the folder"),
    ],
)
def test_what_is_no_split_file_is_refused(tmp_path, content, message):
    (tmp_path / "vool_split.pkl").write_bytes(content)
    with pytest.raises(SceneFileError, match=message):
        read_splits(tmp_path, "localization")


def test_paths_outside_are_not_written(tmp_path):
    with pytest.raises(SceneFileError, match="inside the folder"):
        write_splits(tmp_path, {"train": ["../x.hdf5"]})
    assert not list(tmp_path.iterdir())
