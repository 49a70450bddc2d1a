"""Networks asked on a grid: what is looked up and asked together, against one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_toy import WIDTH, random_item, tiny_network
from pipeline_toy import dense_grid, frame_state
from test_answering import question
from test_query_grid import options

from semabs_core.answering import logits_at, table_of
from semabs_core.frame_state import Stopwatch
from semabs_core.grid_answers import GridCorners, best_on_grid, logits_on_grid
from semabs_core.types import InferenceError
from semabs_core.voxels import SAMPLINGS

WATCH = Stopwatch(None)


@pytest.fixture(scope="module")
def state(room):
    return frame_state(room.frame(0))


def asked_points(grid, state):
    """Where the open voxels are asked, one by one: in their middle, or behind a surface."""
    points = dense_grid(state.bounds, grid.axes.shape[1])[grid.open]
    points[grid.surface] = grid.surface_xyz
    return torch.from_numpy(points)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("batch", [100, 2**20])
def test_corners_of_a_grid_are_those_of_its_points(state, sampling, batch):
    network = tiny_network()
    object.__setattr__(network.config, "sampling", sampling)
    grid = state.grid(options(resolution=21))
    assert 0 < len(grid.surface) < len(grid.open) > 500
    expected = network.corners(asked_points(grid, state))
    found = list(GridCorners(network, grid).batches(batch, WATCH))
    assert sum(len(grid.open[part]) for part, _ in found) == len(grid.open)
    for name in ("coordinates", "index", "weight"):
        whole = torch.cat([getattr(corners, name) for _, corners in found])
        torch.testing.assert_close(whole, getattr(expected, name), atol=2e-6, rtol=0)


def several(approach, count, fold, dtype=torch.float32):
    """A completion network, volumes of labels, and what it reads of each besides."""
    torch.manual_seed(3)
    network = tiny_network("completion", approach)
    if fold:
        network.decoder.fold(network.encoder.unet.final)
    (volume,), text, _ = question(network, random_item("completion", approach))
    if approach == "semantic_aware":
        shared = torch.randn_like(volume) * 3
        return network, [shared] * count, [[torch.randn(1, 1, WIDTH)] for _ in range(count)]
    volumes = [torch.randn_like(volume).to(dtype) for _ in range(count)]
    return network, volumes, [text] * count


@pytest.mark.parametrize(
    ("approach", "fold", "dtype"),
    [
        ("semantic_abstraction", False, torch.float32),
        ("semantic_abstraction", True, torch.float32),
        ("semantic_abstraction", True, torch.bfloat16),
        ("semantic_aware", False, torch.float32),
        ("semantic_aware", True, torch.float32),
    ],
)
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("together", [1, 2, 5])
@pytest.mark.parametrize(("resolution", "reads_all"), [(21, True), (8, False)])
def test_the_best_label_is_that_of_all_asked_alone(
    state, monkeypatch, approach, fold, dtype, sampling, together, resolution, reads_all
):
    network, volumes, text = several(approach, 5, fold, dtype)
    object.__setattr__(network.config, "sampling", sampling)
    monkeypatch.setattr("semabs_core.grid_answers.TABLE_BYTES", together * 4 * volumes[0].numel())
    grid = state.grid(options(resolution=resolution))
    assert (GridCorners(network, grid).cells(300) is None) == reads_all
    corners = network.corners(asked_points(grid, state))
    alone = torch.stack(
        [logits_at(network, [corners], [v], t) for v, t in zip(volumes, text, strict=True)]
    )
    best, label = best_on_grid(network, grid, iter(volumes), text, 300, WATCH)
    torch.testing.assert_close(torch.from_numpy(best), alone.amax(0), atol=1e-5, rtol=1e-5)
    assert len(np.unique(label)) > 1
    chosen = alone.gather(0, torch.from_numpy(label).long()[None])[0]
    torch.testing.assert_close(chosen, alone.amax(0), atol=1e-5, rtol=1e-5)


def test_where_nothing_is_open_nothing_is_said(state):
    network, volumes, text = several("semantic_abstraction", 2, fold=True)
    grid = state.grid(options(resolution=8))
    nothing = np.zeros(0, np.int64)
    grid = replace(
        grid, open=nothing.astype(np.int32), surface=nothing, surface_xyz=grid.surface_xyz[:0]
    )
    best, label = best_on_grid(network, grid, volumes, text, 300, WATCH)
    assert len(best) == len(label) == 0


def test_of_equal_labels_the_first_is_the_best(state):
    network, volumes, text = several("semantic_abstraction", 1, fold=True)
    grid = state.grid(options(resolution=21))
    _, label = best_on_grid(network, grid, volumes * 3, text * 3, 300, WATCH)
    assert not label.any()


def test_a_table_changes_no_volume():
    network, volumes, _ = several("semantic_abstraction", 2, fold=True)
    before = [volume.clone() for volume in volumes]
    network.answer_together(table_of(network, volumes), [[], []])
    assert all(map(torch.equal, volumes, before))


def test_descriptions_on_a_grid_are_answered_as_at_its_points(state):
    network = tiny_network("localization")
    volumes, text, relation = question(network, random_item("localization", "semantic_abstraction"))
    grid = state.grid(options(resolution=21))
    expected = logits_at(
        network, [network.corners(asked_points(grid, state))], volumes, text, relation
    )
    found = logits_on_grid(network, grid, volumes, text, relation, 300, WATCH)
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_labels_answer_that_is_no_number_is_refused(state, value):
    """Also where another label's is better."""
    network, volumes, text = several("semantic_abstraction", 3, fold=True)
    volumes[1][0, 0, :, 4] = value
    grid = state.grid(options(resolution=21))
    with pytest.raises(InferenceError, match="the completion network answers with NaN or inf"):
        best_on_grid(network, grid, volumes, text, 300, WATCH)
