"""Evaluations that are cut off or killed, and go on to the table of an undisturbed one."""

import os
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pytest
from evaluation_toy import SMALL, checkpoint, tiny_network, write_data, write_room

from semabs_core.checkpoint import save_network
from semabs_core.evaluation.evaluate import evaluate
from semabs_core.evaluation.journal import parts_folder
from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.rows import read_rows


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


class Killed(BaseException):
    """Ends a process in the middle of its work."""


def killed_after(scenes):
    """A report that ends the run once it has seen so many scenes."""
    seen = []

    def report(*progress):
        seen.append(progress)
        if len(seen) == scenes:
            raise Killed

    return report


def cut_off(folder, data, out, scenes=3, splits=None):
    report = killed_after(scenes)
    with pytest.raises(Killed):
        evaluate(folder, data, splits, out=out, workers=0, on_progress=report, **SMALL)


def resumed(folder, data, out, splits=None):
    """The rows, and how many scenes had to be done for them."""
    progress = []

    def report(*done):
        progress.append(done)

    rows = evaluate(folder, data, splits, out=out, workers=0, on_progress=report, **SMALL)
    assert [path.name for path in out.parent.iterdir() if ".parts" in path.name] == []
    return rows, len(progress)


@pytest.mark.parametrize(
    ("task", "approach"),
    [("completion", "semantic_abstraction"), ("localization", "semantic_aware")],
)
def test_a_run_that_was_cut_off_goes_on_to_the_same_table(task, approach, data, tmp_path):
    folder, out = checkpoint(tmp_path / "network", task, approach), tmp_path / "rows.parquet"
    whole, done = resumed(folder, data, tmp_path / "whole.parquet")
    assert done == 6
    cut_off(folder, data, out)
    assert not out.exists()
    rows, done = resumed(folder, data, out)
    assert done == 3
    pd.testing.assert_frame_equal(rows, whole, check_exact=True)
    pd.testing.assert_frame_equal(
        read_rows(out), read_rows(tmp_path / "whole.parquet"), check_exact=True
    )
    assert rows.attrs == whole.attrs


def test_a_process_that_was_killed_leaves_what_it_has_done(data, tmp_path):
    folder, out = checkpoint(tmp_path / "network"), tmp_path / "rows.parquet"
    code = (
        "import os, signal, sys; from evaluation_toy import SMALL; "
        "from semabs_core.evaluation.evaluate import evaluate; "
        "kill = lambda split, done, total: split != 'validation' and os.kill(os.getpid(), 9); "
        "evaluate(*sys.argv[1:3], out=sys.argv[3], workers=0, on_progress=kill, **SMALL)"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(data), str(out)],
        env={**os.environ, "PYTHONPATH": path}, timeout=600,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    rows, done = resumed(folder, data, out)
    assert done == 3
    whole = evaluate(folder, data, workers=0, **SMALL)
    pd.testing.assert_frame_equal(rows, whole, check_exact=True)


def test_rows_of_another_network_or_scene_are_not_taken_over(data, tmp_path):
    own, out, splits = tmp_path / "data", tmp_path / "rows.parquet", ["validation"]
    shutil.copytree(data, own)
    first, other = checkpoint(tmp_path / "first"), tmp_path / "other"
    network = tiny_network()
    network.decoder.mlp[0].weight += 0.1
    save_network(network, other, {"preset": "ours", "epoch": 2.5})
    cut_off(first, own, out, 1, splits)
    rows, done = resumed(other, own, out, splits)
    assert done == 2, "none is of this network"
    pd.testing.assert_frame_equal(rows, evaluate(other, own, splits, workers=0, **SMALL))
    cut_off(first, own, out, 2, splits)
    write_room(own / "a.hdf5", seed=7)
    rows, done = resumed(first, own, out, splits)
    assert done == 1, "one is of a file that has been written again"
    pd.testing.assert_frame_equal(rows, evaluate(first, own, splits, workers=0, **SMALL))


def test_a_table_is_written_by_one_evaluation_at_a_time(data, tmp_path):
    folder, out = checkpoint(tmp_path / "network"), tmp_path / "rows.parquet"
    with (
        parts_folder(out),
        pytest.raises(RowsError, match=r"another evaluation is writing .*rows\.parquet"),
    ):
        evaluate(folder, data, out=out, workers=0, **SMALL)
    evaluate(folder, data, ["validation"], out=out, workers=0, **SMALL)
