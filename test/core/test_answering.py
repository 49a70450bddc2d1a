"""Answers at query points: the same in batches, from volumes and from samples; never NaN."""

import pytest
import torch
from evaluation_toy import SENTENCES, forward, random_item, tiny_network

from semabs_core.answering import corners_at, logits_at, sample_at
from semabs_core.networks import NETWORKS
from semabs_core.types import InferenceError

ROW = 1


def question(network, item):
    """Volumes, text and relation of one row of an item."""
    aware = network.config.approach == "semantic_aware"
    if network.config.task == "completion":
        features, names = {"label": item["input_features"]}, ["label_features"]
        relation = ""
    else:
        features = {key: item["features"][key] for key in network.feature_keys}
        names, relation = ["target_features", "reference_features"], SENTENCES[ROW][1]
    volumes = [
        network.encode_volume(item["input_xyz"][None], (f[ROW] if len(f) > 1 else f[0])[None, None])
        for f in features.values()
    ]
    text = [item[name][ROW][None, None] for name in names] if aware else []
    return volumes, text, relation


@pytest.mark.parametrize(("task", "approach"), NETWORKS)
def test_answers_are_those_of_the_whole_network(task, approach):
    network, item = tiny_network(task, approach), random_item(task, approach)
    volumes, text, relation = question(network, item)
    batches = item["query_xyz"][ROW].split(32)
    corners = list(corners_at(network, batches))
    assert [part.index.shape for part in corners] == [(32, 8), (32, 8), (6, 8)]
    kept = [sample_at(volume, corners) for volume in volumes]
    expected = forward(network, item)[ROW]
    lazily = (part for part in corners)
    for given in (logits_at(network, lazily, volumes, text, relation),
                  logits_at(network, corners, kept, text, relation)):  # fmt: skip
        torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-5)


def test_no_point_has_no_answer():
    network = tiny_network()
    volumes, _, _ = question(network, random_item("completion", "semantic_abstraction"))
    assert logits_at(network, [], volumes).shape == (0,)
    no_points = corners_at(network, torch.zeros(0, 3).split(10))
    assert logits_at(network, no_points, volumes).shape == (0,)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("task", ["completion", "localization"])
def test_an_answer_that_is_no_number_is_refused(task, value):
    network, item = tiny_network(task), random_item(task, "semantic_abstraction")
    network.decoder.mlp[2].bias[0] = value
    volumes, text, relation = question(network, item)
    corners = corners_at(network, item["query_xyz"][ROW].split(32))
    with pytest.raises(InferenceError, match=f"the {task} network answers with NaN or infinite"):
        logits_at(network, corners, volumes, text, relation)
