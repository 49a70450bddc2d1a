"""Figures by how the scenes were seen."""

import pandas as pd
import pytest
from scene_toy import write_toy_set
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.data.hdf5 import read_scene, write_scene
from semabs_core.data.scene_data import SceneFileError
from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.rows import save_rows
from semabs_core.evaluation.summary import SummaryOptions
from semabs_core.evaluation.views import summarize_views, view_groups


def info(height, sensor="kinect"):
    return {"camera_height_m": height, "sensor": sensor}


def test_scenes_fall_into_ranges_and_kinds():
    groups = view_groups([info(0.3), info(0.7, "stereo"), info(2.0)])
    assert groups == {
        ("camera height", "below 0.7 m"): [0],
        ("camera height", "0.7 to 1.2 m"): [1],
        ("camera height", "from 1.2 m"): [2],
        ("sensor", "kinect"): [0, 2],
        ("sensor", "stereo"): [1],
    }
    assert list(groups)[:3] == [key for key in groups if key[0] == "camera height"]


def test_what_not_all_scenes_tell_is_left_out():
    assert view_groups([info(0.3), {"sensor": "exact"}]) == {
        ("sensor", "exact"): [1],
        ("sensor", "kinect"): [0],
    }


def seen_set(folder, heights):
    """Scene files with a camera height each, and rows of an IoU as large as that."""
    paths = write_toy_set(folder, scenes=len(heights), split="unseen_instances")
    tables = []
    for path, height in zip(paths, heights, strict=True):
        scene = read_scene(folder / path)
        scene.view_info.update(info(height))
        write_scene(folder / path, scene)
        scene_name = path.removesuffix(".hdf5")
        tables.append(
            pd.DataFrame(
                {
                    "scene_id": scene_name,
                    "label": ["wall", "floor"],
                    "voxel32x32x32_iou": [height / 10, height / 10 + 0.02],
                    "cutoff": 0.0,
                    "epoch": 1.0,
                    "split": "unseen_instances",
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def test_every_range_is_a_mean_over_its_rooms(tmp_path):
    rows = seen_set(tmp_path, [0.4, 0.6, 1.8])
    table = summarize_views({"ours": [rows]}, tmp_path, SummaryOptions(cutoff=0.0))
    assert table.figure("ours", "all").value == pytest.approx(100 * (2.8 / 30 + 0.01))
    assert table.figure("ours", "below 0.7 m", "2").value == pytest.approx(6)
    assert table.figure("ours", "from 1.2 m", "1").value == pytest.approx(19)
    save_rows(rows, tmp_path / "rows.parquet")
    call = ["summarize", f"ours={tmp_path / 'rows.parquet'}", "--cutoff", "0"]
    result = CliRunner().invoke(app, [*call, "--views", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "below 0.7 m" in result.output


def test_rooms_that_do_not_say_are_named(tmp_path):
    write_toy_set(tmp_path, scenes=1, split="unseen_instances")
    rows = seen_set(tmp_path / "other", [1.0, 1.0])
    with pytest.raises(SceneFileError, match="has no scene .*: name the data set"):
        summarize_views({"ours": [rows]}, tmp_path, SummaryOptions(cutoff=0.0))
    one = rows[rows["scene_id"] == rows["scene_id"][0]]
    with pytest.raises(SceneFileError, match=r"does not say how it was seen.*views=robot"):
        summarize_views({"ours": [one]}, tmp_path, SummaryOptions(cutoff=0.0))
    with pytest.raises(RowsError, match="a and b must be evaluated on the same scenes|b and a"):
        summarize_views({"a": [rows], "b": [one]}, tmp_path / "other", SummaryOptions(cutoff=0.0))
