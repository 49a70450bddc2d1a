"""One scene's answers: in chunks, with volumes reused, as those of the whole network."""

import numpy as np
import pytest
import torch
from evaluation_toy import OPTIONS, SENTENCES, WORDS, forward, random_item, tiny_network

from semabs_core.evaluation.answered import ANSWERED
from semabs_core.evaluation.metrics import CUTOFFS, MetricCounter
from semabs_core.evaluation.run import evaluate_items
from semabs_core.evaluation.scene import EvaluationOptions, SceneLogits, evaluate_scene
from semabs_core.networks import NETWORKS
from semabs_core.types import InferenceError


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
