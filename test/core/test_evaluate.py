"""Evaluation of a data set, by one process or two: its rows, and what cannot be evaluated."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
from evaluation_toy import OPTIONS, SMALL, SPLITS, WIDTH, checkpoint, tiny_network, write_data

from semabs_core.checkpoint import save_network
from semabs_core.data.hdf5 import SceneFileError, read_relevancy, write_relevancies
from semabs_core.data.labels import NOVEL_CLASSES_FILE
from semabs_core.data.relevancy_settings import RelevancySettings
from semabs_core.data.splits import write_splits
from semabs_core.evaluation.evaluate import evaluate
from semabs_core.evaluation.metrics import CUTOFFS
from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.rows import read_rows
from semabs_core.evaluation.summary import NOVELTIES, summarize
from semabs_core.networks import NETWORKS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(("task", "approach"), NETWORKS)
def test_a_data_set(task, approach, data, tmp_path):
    progress = []
    out = tmp_path / "rows.parquet"
    rows = evaluate(
        checkpoint(tmp_path / approach, task, approach),
        data, out=out, workers=0, on_progress=lambda *done: progress.append(done), **SMALL,
    )  # fmt: skip
    assert progress[:2] == [("validation", 1, 2), ("validation", 2, 2)]
    assert len(rows) == 6 * 3 * len(CUTOFFS)  # scenes, labels or descriptions
    assert set(rows["split"]) == set(SPLITS) - {"train"}
    assert set(rows["epoch"]) == {2.5}
    assert rows.attrs["approach"] == approach
    assert rows.attrs["skipped"]["validation"] == 1, "the truncated file"
    pd.testing.assert_frame_equal(read_rows(out), rows, check_dtype=False)
    assert read_rows(out).attrs == rows.attrs
    table = summarize({approach: read_rows(out)})
    last = ("mean",) if task == "localization" else ()
    figures = [table.figure(column, approach, *last).value for column in NOVELTIES]
    assert np.isfinite(figures).all(), "synonyms and novel classes are the data set's own"


def test_synonyms_replace_names(data, tmp_path):
    rows = evaluate(checkpoint(tmp_path), data, ["unseen_instances_synonyms"], workers=0, **SMALL)
    assert set(rows["label"]) == {"book", "box", "cup"}


def test_limit_and_worker_processes_change_nothing_else(data, tmp_path):
    folder = checkpoint(tmp_path)
    rows = evaluate(folder, data, ["validation"], workers=0, **SMALL)
    read_by_worker = evaluate(folder, data, ["validation"], workers=1, limit=1, **SMALL)
    first = rows[rows["scene_id"] == "a"].reset_index(drop=True)
    pd.testing.assert_frame_equal(read_by_worker, first)


def test_two_processes_give_the_rows_of_one(data, tmp_path):
    folder = checkpoint(tmp_path / "checkpoint")
    rows = evaluate(folder, data, workers=0, **SMALL)
    code = (
        "import sys; from evaluation_toy import SMALL; "
        "from semabs_core.evaluation.evaluate import evaluate; "
        "evaluate(*sys.argv[1:3], out=sys.argv[3], workers=0, **SMALL)"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    out = tmp_path / "rows.parquet"
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
            str(script), str(folder), str(data), str(out),
        ],
        env={**os.environ, "PYTHONPATH": path}, check=True, timeout=600,
    )  # fmt: skip
    numbers = rows.select_dtypes("number").columns
    both = read_rows(out)
    assert both["scene_id"].tolist() == rows["scene_id"].tolist()
    np.testing.assert_allclose(both[numbers], rows[numbers])


@pytest.mark.parametrize(
    ("name", "match"),
    [("rows.xlsx", r"written as \.parquet, \.csv, \.pkl, got"), ("folder.csv", "is a folder")],
)
def test_where_the_rows_go_is_checked_before_anything_is_loaded(name, match, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(RowsError, match=match):
        evaluate(tmp_path / "no network", tmp_path / "no data", out=tmp_path / name)


def test_that_rows_cannot_be_written_is_said_before_anything_is_loaded(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        evaluate(tmp_path / "no network", tmp_path / "no data", out=tmp_path / "file" / "a.csv")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_scene_that_turns_out_damaged_is_counted(workers, data, tmp_path):
    own = tmp_path / "data"
    shutil.copytree(data, own)
    with h5py.File(own / "b.hdf5") as archive:
        chunk = archive["depth"].id.get_chunk_info(0)
    with (own / "b.hdf5").open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    folder = checkpoint(tmp_path / "network")
    rows = evaluate(folder, own, ["validation"], workers=workers, **SMALL)
    assert rows.attrs["skipped"] == {"validation": 2}, "the truncated file, and this one"
    assert set(rows["scene_id"]) == {"a"}


def test_relevancy_of_another_encoder_is_told(data, tmp_path, caplog):
    own = tmp_path / "data"
    shutil.copytree(data, own)
    settings = RelevancySettings("e", ["a {}"], ["wall"], None, WIDTH, "f2")
    for name in "ab":
        record = read_relevancy(own / f"{name}.hdf5", "rgb", "ours")
        write_relevancies(own / f"{name}.hdf5", {("rgb", "ours"): record}, settings)
    metadata = {"encoder": "e", "fingerprint": "f1", "prompts": ["a {}"]}
    save_network(tiny_network(), tmp_path / "network", metadata)
    rows = evaluate(tmp_path / "network", own, ["validation"], workers=0, **SMALL)
    assert rows.attrs["unlike_training"] == ["encoder"]
    assert "split validation was made with other encoder than that" in caplog.text
    with pytest.raises(SceneFileError, match="mixture: that of unseen_instances .* other settings"):
        evaluate(tmp_path / "network", own, ["validation", "unseen_instances"], workers=0, **SMALL)


def test_a_data_set_with_nothing_to_ask(data, tmp_path):
    folder = checkpoint(tmp_path)
    with pytest.raises(ValueError, match="no split 'moon'"):
        evaluate(folder, data, ["moon"], workers=0, **SMALL)
    write_splits(tmp_path / "empty", {"train": ["a.hdf5"]})
    with pytest.raises(RowsError, match="has anything to evaluate"):
        evaluate(folder, tmp_path / "empty", workers=0, **SMALL)


def test_damaged_novel_classes(tmp_path):
    folder = checkpoint(tmp_path / "checkpoint")
    (tmp_path / NOVEL_CLASSES_FILE).write_text('{"book": 1}')
    write_splits(tmp_path, SPLITS)
    with pytest.raises(RowsError, match="must be a list of class names"):
        evaluate(folder, tmp_path, workers=0, **SMALL)


def test_options_are_kept(data, tmp_path):
    options = replace(OPTIONS, grids=(60,), cutoffs=(-1.0,))
    rows = evaluate(
        checkpoint(tmp_path), data, ["validation"], workers=0, **{**SMALL, "options": options}
    )
    assert "voxel60x60x60_iou" in rows
    assert rows["cutoff"].unique().tolist() == [-1.0]
