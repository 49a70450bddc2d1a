"""The pointing game on maps small enough to point at by hand."""

import dataclasses

import numpy as np
import pytest
from scene_toy import WALL, toy_scene

from semabs_core.data.hdf5 import RelevancyRecord, SceneFileError, write_relevancy, write_scene
from semabs_core.data.splits import write_splits
from semabs_core.evaluation.pointing import point, pointing_rows, summarize_pointing


def test_pointing_by_hand():
    ids = np.full((40, 60), 1)
    ids[:20, 30:] = 2  # the upper right quarter
    ids[30:, :6] = 3
    ids[39, 59] = 4
    names = ["empty", "wall", "mug", "sofa", "mouse", "mug", "lamp"]
    ids[30:, 54:] = 5  # another mug
    maps = np.zeros((5, 2, 2), np.float32)
    maps[0, 0, 1] = 1  # wall: on the mug
    maps[1, 0, 1] = 1  # mug: on the mug
    maps[2, 1, 1] = 1  # sofa: on the wall
    found = point(maps, ["wall", "mug", "sofa", "mouse", "lamp"], ids, names)
    shares = {item.label: item.share for item in found}
    assert {item.label: item.hit for item in found} == {"wall": False, "mug": True, "sofa": False}
    assert shares["mug"] == pytest.approx(0.25 + 60 / 2400, abs=1e-3)
    assert "mouse" not in shares, "too small"


def test_pointing_of_a_data_set(tmp_path):
    scene = toy_scene()
    write_scene(tmp_path / "room.hdf5", scene)
    write_splits(tmp_path, {"validation": ["room.hdf5"], "unseen_instances": ["room.hdf5"]})
    with pytest.raises(SceneFileError, match="relevancy FOLDER --encoder ENCODER --preset"):
        pointing_rows(tmp_path, ["validation"])
    maps = np.stack([scene.seg[0] == WALL] * 2).astype(np.float32)
    words = ["wall", "cabinet"]
    nothing = np.zeros_like(maps[0])
    record = RelevancyRecord(words, maps, nothing, np.eye(2, dtype=np.float32))
    write_relevancy(tmp_path / "room.hdf5", "rgb", "ours", record)
    rows = pointing_rows(tmp_path, ["validation", "unseen_instances"])
    assert dict(zip(rows["label"], rows["hit"], strict=True)) == {"wall": True, "cabinet": False}
    table = summarize_pointing(rows, ["cabinet"], replicates=0)
    assert table.figure("all classes", "all").value == pytest.approx(50)
    assert table.figure("novel classes", "validation").value == 0
    with pytest.raises(SceneFileError, match="has no split 'test', but validation"):
        pointing_rows(tmp_path, ["test"])
    plain = dataclasses.replace(record, mean=maps[0] * 2)
    write_relevancy(tmp_path / "room.hdf5", "rgb", "ours", plain)
    rows = pointing_rows(tmp_path, ["validation"])
    assert not rows["hit"][rows["label"] == "wall"].any(), "the mean map must be taken off"
