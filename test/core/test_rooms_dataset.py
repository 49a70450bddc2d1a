"""Data sets of rooms: the same by any number of workers, resumed, refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scene_toy import assert_same
from support import ROOT, wait_for

from semabs_core.data.hdf5 import read_scene
from semabs_core.data.rooms import RoomOptions, generate_rooms
from semabs_core.data.splits import read_splits

TINY = RoomOptions(size=(24, 16), points=2000)
COUNTS = {"train": 2, "unseen_instances": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rooms")
    assert generate_rooms(folder, COUNTS, 3, 1, TINY, False) == {"made": 3, "kept": 0}
    return folder


def test_data_set(dataset):
    splits = read_splits(dataset, "completion")
    assert splits == {
        "train": ["train/000000.hdf5", "train/000001.hdf5"],
        "unseen_instances": ["unseen_instances/000000.hdf5"],
    }
    assert read_splits(dataset, "localization") == splits
    assert len(json.loads((dataset / "synonyms.json").read_text())) >= 12
    assert "red mug" in json.loads((dataset / "novel_classes.json").read_text())
    assert not list(dataset.rglob("*.part"))


def test_processes_that_make_rooms_need_no_torch():
    """Its import costs each of them seconds and 200 MB."""
    code = "import sys, semabs_core.data.rooms.generate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_workers_change_nothing_and_whole_files_are_kept(dataset, tmp_path):
    generate_rooms(tmp_path, COUNTS, 3, 2, TINY, False)
    for name in ("train/000001.hdf5", "unseen_instances/000000.hdf5"):
        assert_same(read_scene(dataset / name), read_scene(tmp_path / name))
    whole, torn = tmp_path / "train/000000.hdf5", tmp_path / "train/000001.hdf5"
    torn.write_bytes(torn.read_bytes()[:2000])
    before = whole.stat().st_mtime_ns
    assert generate_rooms(tmp_path, COUNTS, 3, 1, TINY, False) == {"made": 1, "kept": 2}
    assert whole.stat().st_mtime_ns == before
    assert_same(read_scene(dataset / "train/000001.hdf5"), read_scene(torn))


def test_workers_end_when_they_are_left_alone(tmp_path):
    """Killed, the process that started them cannot end them."""
    call = [sys.executable, "-m", "semabs_core.cli", "data", "rooms", "--out", str(tmp_path)]
    process = subprocess.Popen([*call, "--split", "train=500", "--workers", "2"])
    try:
        wait_for(lambda: list(tmp_path.glob("train/*.hdf5")), what="room")
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        process.kill()
        process.wait()
    assert len(workers) >= 2
    wait_for(lambda: not any(map(is_running, workers)), what="end of the workers")


def is_running(pid):
    """Not gone, and no zombie that waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_rooms_from_before_an_option_was_there_are_gone_on_with(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "old")
    manifest = tmp_path / "old/rooms.json"
    noted = json.loads(manifest.read_text())
    del noted["even_share"]
    manifest.write_text(json.dumps(noted))
    assert generate_rooms(tmp_path / "old", COUNTS, 3, 1, TINY, False) == {"made": 0, "kept": 3}
    assert json.loads(manifest.read_text())["even_share"] == 0


@pytest.mark.parametrize(
    ("counts", "seed", "workers", "message"),
    [
        ({"training": 1}, 0, 1, "counts must name splits.*got training"),
        ({"train": -1}, 0, 1, "no negative number"),
        ({}, 0, 1, "at least one room"),
        ({"train": 1}, -1, 1, "seed must not be negative"),
        ({"train": 1}, 0, 0, "workers at least 1"),
    ],
)
def test_bad_arguments(tmp_path, counts, seed, workers, message):
    with pytest.raises(ValueError, match=message):
        generate_rooms(tmp_path, counts, seed, workers, TINY, False)


def test_another_seed_is_refused(dataset):
    with pytest.raises(ValueError, match="choose another folder"):
        generate_rooms(dataset, COUNTS, 4, 1, TINY, False)
