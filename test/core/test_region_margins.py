"""How far the region of an answer goes, and where its best point lies."""

import numpy as np
import pytest
import torch
from pipeline_toy import open_grid

from semabs_core.calibration import (
    DEFAULT_MARGIN,
    MARGINS_KEY,
    Calibration,
    Judgement,
    read_judgement,
    region_cutoff,
)
from semabs_core.evaluation.calibrate import (
    FEWEST,
    MARGINS,
    choose_margins,
)
from semabs_core.evaluation.metrics import CutoffScores
from semabs_core.grid_answers import answer_region, label_grid


def scores_of_regions(best, count):
    """IoU of regions of so many descriptions, highest at a margin."""
    scores = CutoffScores("point", [-margin for margin in MARGINS])
    iou = [1 - 0.2 * abs(margin - best) for margin in MARGINS]
    scores.add({"point_iou": np.tile(iou, (count, 1))})
    return scores


def test_a_relation_has_its_own_margin_where_enough_descriptions_show_it():
    many, few = scores_of_regions(0.6, FEWEST), scores_of_regions(2.0, FEWEST - 1)
    margins = choose_margins({"on": many, "in": few})
    assert margins.keys() == {"", "on"}
    # Of nearly equal ones the narrower region: one in twenty is given away for it.
    assert margins["on"] == pytest.approx(0.4)
    assert 0.4 <= margins[""] <= 2.0
    noted = {MARGINS_KEY: margins, "cutoff": 1.5}
    assert region_cutoff(noted, "on", 5.0) == 5.0 - margins["on"]
    assert region_cutoff(noted, "in", 5.0) == 5.0 - margins[""]
    assert region_cutoff(noted, "on", 5.0, margin=0.2) == 4.8


def test_without_margins_a_region_is_near_its_best_point():
    assert region_cutoff({}, "on", 5.0) == 5.0 - DEFAULT_MARGIN


@pytest.mark.parametrize(("best", "lowest"), [(5.0, 1.5), (1.0, 1.0 - DEFAULT_MARGIN)])
def test_a_thing_alone_ends_where_its_completion_does(best, lowest):
    """And where nothing of it would be completed, near the best point."""
    assert region_cutoff({"cutoff": 1.5}, "", best) == lowest


def test_a_thing_alone_is_worth_what_its_completion_is():
    """The same voxels, on a surface and hidden, have the same scores."""
    judgement = Judgement(0.5, Calibration(0.5, -1.0), -1.0, Calibration(1.0, 3.0))
    grid = open_grid(torch.zeros(2), [1, 3, 4, 6], surface=[1, 3])
    logits = np.array([0.0, 0.1, 1.0, -2.0], dtype=np.float32)
    answer = answer_region(grid, logits, -3.0, 0.1, judgement)
    _, scores = label_grid(grid, np.ones(4, dtype=np.uint8), logits, judgement, 2)
    np.testing.assert_allclose(answer.scores, scores.ravel()[grid.open])
    assert answer.scores[1] > answer.scores[2], "seen surfaces have their own calibration"


def test_the_best_point_is_amid_what_is_around_the_highest_voxel():
    """Not that one at the edge; neither where the region is but poor, nor in another part of it."""
    size = 16
    rows = np.array([[x, 5, 5] for x in range(2, 12)])
    voxels = np.ravel_multi_index(rows.T, (size,) * 3)
    grid = open_grid(torch.linspace(0, 1.5, size), voxels)
    logits = np.array([3.0, 2.6, 2.7, 1.2, 1.2, 1.2, 2.6, 2.6, 2.6, -4], dtype=np.float32)
    answer = answer_region(grid, logits, 1.0, 0.1, read_judgement({}))
    assert len(answer.points_m) == 9
    np.testing.assert_allclose(answer.position_m, [0.3, 0.5, 0.5], atol=1e-6)
    assert answer.score == answer.scores.max() == answer.scores[0]
