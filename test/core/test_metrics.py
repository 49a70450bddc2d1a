"""Metrics at all cutoffs, against examples worked out by hand and a slow plain reckoning."""

import numpy as np
import pytest
import torch

from semabs_core.evaluation.metrics import (
    CUTOFFS,
    METRICS,
    PUBLISHED_CUTOFFS,
    CutoffScores,
    MetricCounter,
    metric_names,
)

BOUNDS = ((0.0, 0.0, 0.0), (3.0, 3.0, 3.0))
"""With 4 voxels per axis, the voxel of a point is its coordinates without their fractions."""
NAN = float("nan")
POINTS = [
    # xyz, logit, positive, ignored
    ((0.5, 0.5, 0.5), -1.0, True, False),  # voxel A: one positive, one negative
    ((0.6, 0.1, 0.9), -3.0, False, False),
    ((1.5, 0.5, 0.5), -2.0, False, False),  # voxel B: negative
    ((2.5, 0.5, 0.5), -0.05, True, False),  # voxel C: ignored, because of its second point
    ((2.6, 0.5, 0.5), 5.0, False, True),
    ((0.5, 1.5, 0.5), -2.6, True, False),  # voxel D: positive, below all cutoffs
]


def count(points, cutoffs=(-2.5, -1.5, -0.5), grids=(4,)):
    columns = (torch.tensor(list(column)) for column in zip(*points, strict=True))
    xyz, logits, targets, ignore = columns
    return MetricCounter(xyz, BOUNDS, grids, cutoffs).count(logits, targets, ignore)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 5 points count, 3 are positive; predicted are 3 (2 rightly), 2 and 1.
        ("point_iou", [2 / 4, 2 / 3, 1 / 3]),
        ("point_precision", [2 / 3, 1, 1]),
        ("point_recall", [2 / 3, 2 / 3, 1 / 3]),
        ("point_false_negative", [1 / 5, 1 / 5, 2 / 5]),
        ("point_false_positive", [1 / 5, 0, 0]),
        # A, B and D count, A and D are positive; predicted are A and B, then A, then none.
        ("voxel4x4x4_iou", [1 / 3, 1 / 2, 0]),
        ("voxel4x4x4_precision", [1 / 2, 1, NAN]),
        ("voxel4x4x4_recall", [1 / 2, 1 / 2, 0]),
        ("voxel4x4x4_false_negative", [1 / 3, 1 / 3, 2 / 3]),
        ("voxel4x4x4_false_positive", [1 / 3, 0, 0]),
    ],
)
def test_example_by_hand(name, expected):
    np.testing.assert_allclose(count(POINTS)[name], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        # A class that is not there and not predicted: nothing to divide by but the points.
        ([((1, 1, 1), -3.0, False, False)], [NAN, NAN, NAN, 0, 0]),
        # Not there, but predicted.
        ([((1, 1, 1), 0.0, False, False)], [0, 0, NAN, 0, 1]),
        # There, but not predicted.
        ([((1, 1, 1), -3.0, True, False)], [0, NAN, 0, 1, 0]),
        # Nothing counts.
        ([((1, 1, 1), 0.0, True, True)], [NAN] * 5),
    ],
)
@pytest.mark.parametrize("place", ["point", "voxel4x4x4"])
def test_empty_classes(points, expected, place):
    metrics = count(points, cutoffs=(-1.0,))
    found = [metrics[f"{place}_{metric}"][0] for metric in METRICS]
    np.testing.assert_array_equal(found, expected)


def test_voxels_without_points_do_not_count():
    metrics = count([((1, 1, 1), 0.0, True, False), ((2, 2, 2), 0.0, False, False)], (-1.0,))
    assert metrics["voxel4x4x4_false_positive"] == 1 / 2  # of 2 voxels, not of 64


def test_a_logit_at_the_cutoff_is_predicted():
    metrics = count([((1, 1, 1), -0.3, True, False)], CUTOFFS)
    np.testing.assert_array_equal(metrics["point_recall"], np.array(CUTOFFS) <= -0.3)


def test_points_outside_the_bounds_are_in_no_voxel():
    inside = ((3.0, 3.0, 3.0), 0.0, True, False)
    outside = ((3.01, 3.0, 3.0), 0.0, False, True)
    metrics = count([inside, outside], (-1.0,))
    assert metrics["voxel4x4x4_iou"] == 1


def test_the_last_voxel_begins_at_the_upper_bound():
    """The virtual grid's first and last voxel are on the bounds, so 2.99 is not in voxel 3."""
    points = [((2.99, 0, 0), 0.0, True, False), ((3.0, 0, 0), 0.0, False, False)]
    assert count(points, (-1.0,))["voxel4x4x4_iou"] == 1 / 2


def plain_metrics(predicted, positive):
    """Confusion metrics of flat boolean arrays."""
    tp = (predicted & positive).sum()
    fp = (predicted & ~positive).sum()
    fn = (~predicted & positive).sum()
    parts = [tp, tp, tp, fn, fp]
    wholes = [tp + fp + fn, tp + fp, tp + fn, len(positive), len(positive)]
    return [part / whole if whole else NAN for part, whole in zip(parts, wholes, strict=True)]


def test_all_cutoffs_and_labels_agree_with_a_plain_reckoning():
    rng = np.random.default_rng(0)
    labels, points, grid = 3, 400, 5
    xyz = rng.uniform(0, 3, (points, 3)).astype(np.float32)
    logits = rng.normal(-1.5, 1.5, (labels, points)).astype(np.float32)
    targets, ignore = rng.random((2, labels, points)) < [[[0.1]], [[0.03]]]
    counter = MetricCounter(torch.from_numpy(xyz), BOUNDS, (grid,), CUTOFFS)
    voxel = (xyz * (grid - 1) / 3).astype(int) @ [grid * grid, grid, 1]
    members_of_all = [voxel == v for v in range(grid**3)]
    for label in range(labels):
        answer = (logits[label], targets[label].astype(np.float32), ignore[label])
        metrics = counter.count(*map(torch.from_numpy, answer))
        kept = [m for m in members_of_all if m.any() and not ignore[label, m].any()]
        for k, cutoff in enumerate(np.float32(CUTOFFS)):
            predicted = logits[label] >= cutoff
            valid = ~ignore[label]
            expected = plain_metrics(predicted[valid], targets[label, valid])
            found = [metrics[f"point_{m}"][k] for m in METRICS]
            np.testing.assert_allclose(found, expected)
            any_of = [[values[m].any() for m in kept] for values in (predicted, targets[label])]
            found = [metrics[f"voxel5x5x5_{m}"][k] for m in METRICS]
            np.testing.assert_allclose(found, plain_metrics(*map(np.array, any_of)))


def test_published_cutoffs_and_names():
    assert len(PUBLISHED_CUTOFFS) == 25
    assert (*PUBLISHED_CUTOFFS[:3], PUBLISHED_CUTOFFS[-1]) == (-2.5, -2.4, -2.3, -0.1)
    assert CUTOFFS[:25] == PUBLISHED_CUTOFFS
    assert (CUTOFFS[25], CUTOFFS[26], CUTOFFS[-1]) == (0.0, 0.1, 2.5)
    names = metric_names((32, 60))
    assert names[0] == "point_iou"
    assert "voxel32x32x32_false_negative" in names
    assert names[-1] == "voxel60x60x60_false_positive"


def test_nan_logits_are_refused():
    with pytest.raises(ValueError, match="diverged"):
        count([((1, 1, 1), NAN, True, False)])


def test_nan_logits_of_ignored_points_do_not_matter():
    here, there = ((1.0, 1, 1), 1.0, True, False), ((0.0, 0, 0), NAN, True, True)
    metrics = count([here, there], (-1.0,))
    assert metrics["point_iou"] == metrics["voxel4x4x4_iou"] == 1


def test_wrong_shapes_are_refused():
    counter = MetricCounter(torch.zeros(5, 3), BOUNDS)
    with pytest.raises(ValueError, match=r"logits must be \(5,\)"):
        counter.count(*torch.zeros(3, 4))


@pytest.mark.parametrize("cutoffs", [(), (-1.0, -2.0), (-1.0, -1.0)])
def test_cutoffs_must_ascend(cutoffs):
    with pytest.raises(ValueError, match="ascending"):
        MetricCounter(torch.zeros(5, 3), BOUNDS, cutoffs=cutoffs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_agrees_with_the_cpu():
    generator = torch.Generator().manual_seed(0)
    xyz = torch.rand(10_000, 3, generator=generator) * 3
    logits = torch.randn(10_000, generator=generator) - 1
    targets, ignore = torch.rand(2, 10_000, generator=generator) < 0.05
    found = []
    for device in ("cpu", "cuda"):
        counter = MetricCounter(xyz.to(device), BOUNDS)
        found.append(counter.count(logits, targets, ignore))
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def test_a_nearly_as_good_cutoff_that_says_less_is_taken():
    scores = CutoffScores("point", (0.0, 1.0, 2.0, 3.0))
    scores.add({"point_iou": np.array([[0.2, 0.5, 0.493, 0.4]])})
    assert scores.best() == (0.5, 1.0, 1)
    assert scores.best(tolerance=0.02) == (0.493, 2.0, 1)
    assert scores.best(tolerance=0.25) == (0.4, 3.0, 1)
