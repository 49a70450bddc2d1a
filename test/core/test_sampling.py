"""Which points and descriptions are drawn: rare ones often enough, and what a draw stands for."""

import numpy as np
import pytest

from semabs_core.data.sampling import (
    balanced_order,
    balanced_queries,
    fixed_size_choice,
    query_weights,
)


def test_a_rare_label_gives_all_its_positives():
    positive = np.zeros(10_000, bool)
    positive[[3, 500, 9_999]] = True
    drawn = balanced_queries(positive, np.zeros_like(positive), 1000, np.random.default_rng(0))
    assert len(set(drawn)) == 1000
    assert positive[drawn].sum() == 3


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_positives_and_negatives_are_equally_likely(share):
    positive = np.arange(100_000) < share * 100_000
    ignore = np.arange(100_000) % 3 == 0
    drawn = balanced_queries(positive, ignore, 2000, np.random.default_rng(0))
    # Binomial(2000, 0.5) has a standard deviation of 22; drawing without replacement from 3,333
    # positives favours negatives by the draws already made, which is allowed for.
    assert abs(positive[drawn].sum() - 1000) < 200
    assert not ignore[drawn].any()


def test_the_draw_is_that_of_successive_weighted_draws():
    """Two of {+, -, -}: the positive comes with P = 1/2 + 1/2 * (1/2) / (3/4) = 5/6."""
    positive = np.array([True, False, False])
    rng = np.random.default_rng(0)
    hits = sum(
        0 in balanced_queries(positive, np.zeros(3, bool), 2, rng).tolist() for _ in range(4000)
    )
    assert hits / 4000 == pytest.approx(5 / 6, abs=0.02)


def test_ignored_points_only_fill_up():
    ignore = np.arange(100) >= 30
    positive = np.arange(100) % 2 == 0
    drawn = balanced_queries(positive, ignore, 50, np.random.default_rng(0))
    assert set(range(30)) <= set(drawn)
    assert len(set(drawn)) == 50


@pytest.mark.parametrize("value", [True, False])
def test_one_kind_alone_is_drawn_evenly(value):
    positive = np.full(1000, value)
    drawn = balanced_queries(positive, np.zeros(1000, bool), 500, np.random.default_rng(0))
    assert len(set(drawn)) == 500
    assert abs((drawn < 500).sum() - 250) < 50


def test_weighted_queries_stand_for_all_points():
    rng = np.random.default_rng(3)
    positive, ignore = rng.random(5000) < 0.02, rng.random(5000) < 0.1
    drawn = balanced_queries(positive, ignore, 400, rng)
    weights = query_weights(positive, ignore, drawn)
    assert weights[positive[drawn]].sum() == pytest.approx((positive & ~ignore).sum(), rel=1e-5)
    assert weights[~positive[drawn]].sum() == pytest.approx((~positive & ~ignore).sum(), rel=1e-5)
    assert not weights[ignore[drawn]].any()


def test_relations_are_balanced():
    relations = ["in"] + ["behind"] * 9
    rng = np.random.default_rng(0)
    first = [relations[balanced_order(relations, rng)[0]] for _ in range(2000)]
    assert first.count("in") / 2000 == pytest.approx(0.5, abs=0.04)
    assert sorted(balanced_order(relations, rng)) == list(range(10))


@pytest.mark.parametrize(("items", "distinct"), [(5, 5), (8, 8), (100, 8)])
def test_input_points_are_repeated_only_where_there_are_too_few(items, distinct):
    drawn = fixed_size_choice(items, 8, np.random.default_rng(0))
    assert len(drawn) == 8
    assert len(set(drawn)) == distinct
