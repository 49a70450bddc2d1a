"""Evaluation: a network's rows, in chunks, with volumes reused, by one process or two."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from semabs_core.checkpoint import save_network
from semabs_core.data.hdf5 import (
    RelevancyRecord,
    SceneData,
    SceneDescription,
    SceneFileError,
    read_relevancy,
    write_relevancies,
    write_relevancy,
    write_scene,
)
from semabs_core.data.labels import NOVEL_CLASSES_FILE
from semabs_core.data.relevancy_settings import RelevancySettings
from semabs_core.data.splits import write_splits
from semabs_core.data.text_features import write_text_features
from semabs_core.evaluation.answered import ANSWERED
from semabs_core.evaluation.evaluate import evaluate
from semabs_core.evaluation.journal import parts_folder
from semabs_core.evaluation.metrics import CUTOFFS, MetricCounter
from semabs_core.evaluation.published import RowsError
from semabs_core.evaluation.rows import read_rows
from semabs_core.evaluation.run import evaluate_items
from semabs_core.evaluation.scene import EvaluationOptions, SceneLogits, evaluate_scene
from semabs_core.evaluation.summary import NOVELTIES, summarize
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import NETWORKS, build_network
from semabs_core.types import InferenceError

WIDTH = 8
WORDS = ("book", "box", "mug")
SENTENCES = (("book", "in", "box"), ("mug", "on", "box"), ("book", "behind", "mug"))
SPLITS = {
    "train": ["a.hdf5"],
    "validation": ["a.hdf5", "b.hdf5"],
    "unseen_instances": ["c.hdf5"],
    "unseen_instances_dr": ["c.hdf5"],
    "unseen_instances_synonyms": ["b.hdf5", "c.hdf5"],
}
OPTIONS = EvaluationOptions(grids=(8, 32), query_batch=100)


def tiny_network(task="completion", approach="semantic_abstraction"):
    torch.manual_seed(0)
    config = NetworkConfig(
        task=task, approach=approach, voxel_shape=(8, 8, 8), channels=4, f_maps=4, groups=2,
        levels=2, hidden=8, pointing_dim=8, text_dim=WIDTH,
    )  # fmt: skip
    return build_network(config).eval().requires_grad_(False)


def random_item(task, approach, points=60, queries=70):
    """An item of the form of the data sets."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.rand(*shape, generator=generator)

    count = len(SENTENCES)
    item = {
        "scene_id": "room1",
        "input_xyz": random(points, 3) * 2 - 1,
        "query_xyz": (random(queries, 3) * 2 - 1).expand(count, -1, -1),
        "targets": (random(count, queries) < 0.3).float(),
        "ignore": random(count, queries) < 0.1,
    }
    rgb = approach == "semantic_aware"
    maps = dict(zip(WORDS, random(len(WORDS), points, 1), strict=True))
    if task == "completion":
        features = random(1, points, 3) if rgb else torch.stack(list(maps.values()))
        text = random(count, WIDTH)
        return {**item, "input_features": features, "label_features": text, "names": list(WORDS)}
    features = {
        "semantic_aware": {"rgb": random(1, points, 3)},
        "clip_spatial": {"description": random(count, points, 1)},
        "semantic_abstraction": {
            "target": torch.stack([maps[target] for target, _, _ in SENTENCES]),
            "reference": torch.stack([maps[reference] for _, _, reference in SENTENCES]),
        },
    }
    return {
        **item,
        "features": features[approach],
        "names": [(target, reference) for target, _, reference in SENTENCES],
        "relations": [relation for _, relation, _ in SENTENCES],
        "target_features": random(count, WIDTH),
        "reference_features": random(count, WIDTH),
    }


def forward(network, item):
    """The network's logits for a whole item at once."""
    keys = ("input_xyz", "query_xyz") + {
        "completion": ("input_features", "label_features"),
        "localization": ("target_features", "reference_features"),
    }[network.config.task]
    arguments = {key: item[key][None] for key in keys}
    if network.config.task == "localization":
        arguments["features"] = {key: value[None] for key, value in item["features"].items()}
        arguments["relations"] = [item["relations"]]
    return network(**arguments)[0]


@pytest.mark.parametrize(("task", "approach"), NETWORKS)
@pytest.mark.parametrize("cache_mb", [0, 100])
def test_logits_in_chunks_are_those_of_the_whole(task, approach, cache_mb):
    network, item = tiny_network(task, approach), random_item(task, approach)
    item["ignore"][:, 7:20] = True
    options = EvaluationOptions(query_batch=32, cache_mb=cache_mb)
    logits = SceneLogits(network, item, options)
    found = torch.stack([logits.of(row) for row in range(len(SENTENCES))])
    expected = forward(network, item)
    expected[:, item["ignore"].all(dim=0)] = torch.nan
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, equal_nan=True)


def test_rows_must_share_their_query_points():
    network, item = tiny_network(), random_item("completion", "semantic_abstraction")
    item["query_xyz"] = item["query_xyz"] + torch.arange(3)[:, None, None]
    with pytest.raises(ValueError, match="the same for all rows"):
        evaluate_scene(network, item, OPTIONS)


@pytest.mark.parametrize(("task", "approach"), NETWORKS)
def test_scene_metrics_are_those_of_the_logits(task, approach):
    network, item = tiny_network(task, approach), random_item(task, approach)
    metrics, names = evaluate_scene(network, item, OPTIONS)
    counter = MetricCounter(item["query_xyz"][0], network.config.bounds, OPTIONS.grids)
    answers = zip(forward(network, item), item["targets"], item["ignore"], strict=True)
    for row, answer in enumerate(answers):
        expected = counter.count(*answer)
        assert metrics.keys() == {*expected, *(ANSWERED + name for name in expected)}
        for name, values in expected.items():
            # A chunk's last bit may carry one point over a cutoff.
            np.testing.assert_allclose(metrics[name][row], values, atol=0.02)
    if task == "localization":
        assert list(zip(*names.values(), strict=True)) == [(t, r, s) for t, s, r in SENTENCES]
    else:
        assert names == {"label": list(WORDS)}


@pytest.mark.parametrize(
    ("task", "approach", "encodings"),
    [
        ("completion", "semantic_abstraction", 3),
        ("completion", "semantic_aware", 1),
        ("localization", "semantic_abstraction", 3),  # book, box and mug, though in 3 x 2 places
        ("localization", "semantic_aware", 1),
        ("localization", "clip_spatial", 3),
    ],
)
def test_every_volume_is_encoded_once(task, approach, encodings, monkeypatch):
    network, calls = tiny_network(task, approach), []
    encode = network.encode_volume
    monkeypatch.setattr(network, "encode_volume", lambda *a: calls.append(a) or encode(*a))
    evaluate_scene(network, random_item(task, approach), OPTIONS)
    assert len(calls) == encodings


@pytest.mark.parametrize(("task", "names"), [("completion", 1), ("localization", 3)])
def test_rows_of_items(task, names):
    network, item = tiny_network(task), random_item(task, "semantic_abstraction")
    parts = list(evaluate_items(network, [item, item], "validation", OPTIONS, epoch=4))
    assert len(parts) == 2
    assert len(parts[0]) == len(SENTENCES) * len(CUTOFFS)
    assert len(parts[0].columns) == 1 + names + 2 * 3 * 5 + 3
    assert set(parts[0]["split"]) == {"validation"}
    assert set(parts[0]["epoch"]) == {4}


@pytest.mark.parametrize("task", ["completion", "localization"])
def test_padding_is_left_out(task):
    network, item = tiny_network(task), random_item(task, "semantic_abstraction")
    item["names"] = [*item["names"][:2], "[pad]" if task == "completion" else ("[pad]", "[pad]")]
    if task == "localization":
        item["relations"] = [*item["relations"][:2], "[pad]"]
    [rows] = evaluate_items(network, [item], "validation", OPTIONS)
    assert len(rows) == 2 * len(CUTOFFS)
    nothing = {**item, "names": [], "relations": []}
    [rows] = evaluate_items(network, [nothing], "validation", OPTIONS)
    assert rows.empty


def test_errors_name_the_scene():
    network, item = tiny_network(), random_item("completion", "semantic_abstraction")
    item["input_features"][1] = float("nan")
    with pytest.raises(InferenceError, match=r"scene room1, box: .*NaN"):
        evaluate_scene(network, item, OPTIONS)


def write_room(file, seed):
    """A scene whose image and points hold a book, a box and a mug at random places."""
    rng = np.random.default_rng(seed)
    names = ["empty[0]", "out of bounds[1]", "book[2]", "box[3]", "mug[4]"]
    height, width, points = 12, 16, 300
    pose = np.eye(4)
    pose[:3, :3] = 0.6 * np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    pose[:3, 3] = -1.5, 0, 0.8
    scene = SceneData(
        rgb=rng.integers(0, 255, (1, height, width, 3), np.uint8),
        depth=rng.uniform(2, 4, (1, height, width)).astype(np.float32),
        seg=rng.integers(2, 5, (1, height, width), np.int32),
        cam_intr=np.array([[12.0, 0, 7.5], [0, 12, 5.5], [0, 0, 1]]),
        cam_pose=pose,
        scene_bounds=np.array([[-1, -1, -0.1], [1, 1, 1.9]]),
        objid_to_class=names,
        full_xyz_pts=rng.uniform([-1, -1, -0.1], [1, 1, 1.9], (1, points, 3)).astype(np.float32),
        full_objid_pts=rng.integers(0, 5, (1, points), np.int32),
        descriptions=[
            SceneDescription(target, WORDS.index(target) + 2, reference, relation)
            for target, relation, reference in SENTENCES
        ],
    )
    write_scene(file, scene)
    sentences = [d.sentence for d in scene.descriptions]
    words = [*WORDS, "cup", *sentences, *(s.replace("mug", "cup") for s in sentences)]
    words = sorted(set(words))
    record = RelevancyRecord(
        labels=words,
        maps=rng.random((len(words), 6, 8)).astype(np.float32),
        mean=rng.random((6, 8)).astype(np.float32),
        features=rng.normal(size=(len(words), WIDTH)).astype(np.float32),
    )
    write_relevancy(file, "rgb", "ours", record)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate("abc"):
        write_room(folder / f"{name}.hdf5", seed)
    (folder / "broken.hdf5").write_bytes((folder / "a.hdf5").read_bytes()[:3000])
    splits = {**SPLITS, "validation": [*SPLITS["validation"], "broken.hdf5"]}
    write_splits(folder, splits)
    write_text_features(folder, {word: np.full(WIDTH, 0.1, np.float32) for word in [*WORDS, "cup"]})
    (folder / "synonyms.json").write_text(json.dumps({"mug": "cup"}))
    (folder / NOVEL_CLASSES_FILE).write_text(json.dumps(["book"]))
    return folder


def checkpoint(folder, task="completion", approach="semantic_abstraction"):
    save_network(tiny_network(task, approach), folder, {"preset": "ours", "epoch": 2.5})
    return folder


SMALL = {"num_input_points": 50, "options": OPTIONS, "device": "cpu"}


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
        "import sys; from test_evaluate import SMALL; "
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
        "import os, signal, sys; from test_evaluate import SMALL; "
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


@pytest.mark.parametrize(
    ("name", "match"),
    [("rows.xlsx", r"written as \.parquet, \.csv, \.pkl, got"), ("folder.csv", "is a folder")],
)
def test_where_the_rows_go_is_checked_before_anything_is_loaded(name, match, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(RowsError, match=match):
        evaluate(tmp_path / "no network", tmp_path / "no data", out=tmp_path / name)
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


def test_damaged_novel_classes(data, tmp_path):
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
