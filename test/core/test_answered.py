"""Metrics as a robot is answered: the pipeline's own rules, at the points of a data set."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_toy import OPTIONS, SENTENCES, random_item, tiny_network
from pipeline_toy import BOUNDS, dense_grid, frame_state, open_grid
from test_query_grid import piece_by_hand

from semabs_core.calibration import MARGINS_KEY, SURFACE_KEY, Calibration, Judgement
from semabs_core.config import QueryConfig
from semabs_core.data.items import View
from semabs_core.evaluation.answered import ANSWERED, AskedVoxels, completion_answers
from semabs_core.evaluation.metrics import CUTOFFS, MetricCounter, grid_name, metric_names
from semabs_core.evaluation.scene import evaluate_scene
from semabs_core.grid_answers import label_grid
from semabs_core.types import FREE

IOU = f"{ANSWERED}{grid_name(32)}_iou"


def test_labels_that_compete_are_those_of_a_completed_grid():
    """300 points, of which every third holds readings: as the pipeline labels such voxels."""
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(4, 300, generator=generator)
    logits[:, :5] = logits[0, :5]  # equal ones
    surface = torch.arange(300) % 3 == 0
    judgement = Judgement(0.8, Calibration(), 0.1, Calibration())
    nowhere = torch.zeros(300, dtype=torch.bool)
    said = completion_answers(logits, surface, nowhere, judgement) >= judgement.cutoff
    best, label = logits.max(dim=0).values.numpy(), logits.argmax(dim=0).numpy() + 1
    grid = open_grid(torch.linspace(0, 1, 8), range(300), np.flatnonzero(surface))
    labels, _ = label_grid(grid, label.astype(np.uint8), best, judgement, 8)
    found = labels.ravel()[:300]
    assert {FREE, 1, 2, 3, 4} == set(found.tolist())
    for number in range(4):
        np.testing.assert_array_equal(said[number].numpy(), found == number + 1)


def test_what_nobody_counts_stays_so():
    logits = torch.tensor([[torch.nan, 1.0], [torch.nan, 2.0]])
    judgement = Judgement(0.0, Calibration(), 0.0, Calibration())
    nowhere = torch.zeros(2, dtype=torch.bool)
    found = completion_answers(logits, nowhere, nowhere, judgement)
    assert found[:, 0].isnan().all()
    assert found[:, 1].tolist() == [-torch.inf, 2.0]


def test_nothing_is_said_where_the_camera_saw_that_nothing_is(room):
    """The voxels that count are those that the pipeline asks in."""
    frame = room.frame(0)
    state = frame_state(frame)
    grid = state.grid(QueryConfig())
    view = View(frame.depth_m, frame.camera, state.T_scene_camera, state.bounds)
    middles = torch.from_numpy(dense_grid(BOUNDS, QueryConfig.resolution)).float()
    # Input points are some of the readings, and those in the margin are moved to the border.
    asked = AskedVoxels(middles, BOUNDS, view, state.input_xyz[::7].float())
    free, expected = asked.free, grid.seen.copy()
    expected[grid.open] = False
    assert expected.mean() > 0.1
    np.testing.assert_array_equal(free, expected)
    surface = np.flatnonzero(asked.surface & grid.seen)
    np.testing.assert_array_equal(surface, grid.open[grid.surface])
    unknown = AskedVoxels(middles, BOUNDS, None, middles[expected])
    assert not unknown.free.any()
    np.testing.assert_array_equal(unknown.surface, expected)
    logits = torch.ones(1, len(middles))
    nowhere = torch.zeros(len(middles), dtype=torch.bool)
    judgement = Judgement(0.0, Calibration(), 0.0, Calibration())
    said = completion_answers(logits, nowhere, torch.from_numpy(free), judgement)[0] >= 0
    np.testing.assert_array_equal(said.numpy(), ~free)


def test_a_scene_is_measured_both_ways():
    """Alone, a label has all points from the cutoff on; together, those where it is strongest."""
    network, item = tiny_network(), random_item("completion", "semantic_abstraction")
    network.metadata = {"cutoff": 0.0, SURFACE_KEY: {"cutoff": -0.3, "scale": 1.0, "bias": 0.0}}
    metrics, _ = evaluate_scene(network, item, OPTIONS)
    alone = metrics["point_recall"] + metrics["point_false_positive"]
    together = metrics[f"{ANSWERED}point_recall"] + metrics[f"{ANSWERED}point_false_positive"]
    lowest = 0
    assert np.nansum(together[:, lowest]) < np.nansum(alone[:, lowest])
    assert IOU in metrics


@pytest.mark.parametrize("task", ["completion", "localization"])
def test_labels_alone_are_measured_alike_without_the_rest(task):
    network, item = tiny_network(task), random_item(task, "semantic_abstraction")
    both, _ = evaluate_scene(network, item, OPTIONS)
    alone, _ = evaluate_scene(network, item, replace(OPTIONS, answered=False))
    assert set(alone) == set(metric_names(OPTIONS.grids))
    for name, values in alone.items():
        np.testing.assert_array_equal(values, both[name])


def test_a_descriptions_region_has_its_relations_margin():
    network = tiny_network("localization")
    item = random_item("localization", "semantic_abstraction")
    item["query_xyz"] = item["query_xyz"] + torch.tensor([0, 0, 0.9])  # all in the bounds
    own = {"in": 0.01, "on": 3.0, "": 0.5}
    network.metadata = {"cutoff": 0.5, MARGINS_KEY: own}
    metrics, _ = evaluate_scene(network, item, OPTIONS)
    at = CUTOFFS.index(0.5)
    counter = MetricCounter(item["query_xyz"][0], network.config.bounds, OPTIONS.grids)
    from_all = network(
        input_xyz=item["input_xyz"][None],
        query_xyz=item["query_xyz"][None],
        features={key: value[None] for key, value in item["features"].items()},
        relations=[item["relations"]],
        target_features=item["target_features"][None],
        reference_features=item["reference_features"][None],
    )[0]
    bounds = torch.tensor(network.config.bounds)
    step = (bounds[1] - bounds[0]) / (QueryConfig.resolution - 1)
    voxels = ((item["query_xyz"][0] - bounds[0]) / step).round().long().numpy()
    for row, (_, relation, _) in enumerate(SENTENCES):
        logits, ignore = from_all[row], item["ignore"][row]
        best = logits[~ignore].max()
        inside = ((logits >= best - own.get(relation, own[""])) & ~ignore).numpy()
        places = np.flatnonzero(inside)
        together = piece_by_hand(voxels[places], int(logits[places].argmax()))
        inside[places] = together
        said = torch.where(torch.from_numpy(inside), 9.0, -9.0)
        expected = counter.count(said, item["targets"][row], ignore)
        for name in ("point_iou", "point_recall"):
            np.testing.assert_allclose(
                metrics[ANSWERED + name][row][at], expected[name][at], atol=0.02
            )
