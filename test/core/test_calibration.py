"""Scores that mean what they say."""

import numpy as np
import pytest
from scene_toy import write_toy_set
from training_toy import ToyScenes

from semabs_core.calibration import Calibration, read_calibration, read_judgement
from semabs_core.checkpoint import load_network, save_network
from semabs_core.data.scene_data import SceneFileError
from semabs_core.evaluation.calibrate import (
    AnswerGatherer,
    Answers,
    calibrate_checkpoint,
    fit_calibration,
    reliability,
)
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network


def drawn(scale, bias, count=200_000, seed=0):
    """Logits whose answers are right with the probability of a known calibration."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, count)
    right = rng.random(count) < 1 / (1 + np.exp(-(scale * logits + bias)))
    return Answers(logits, right.astype(np.float64))


@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (0.4, -1.5), (2.5, 0.8)])
def test_a_known_calibration_is_found_again(scale, bias):
    found = fit_calibration(drawn(scale, bias))
    assert found.scale == pytest.approx(scale, rel=0.03)
    assert found.bias == pytest.approx(bias, abs=0.03)


def test_after_it_seven_of_ten_mean_seven_of_ten():
    answers = drawn(0.5, -1.0)
    for probability, share, count in reliability(answers, fit_calibration(answers)):
        assert share == pytest.approx(probability, abs=0.02 if count > 5000 else 0.1)


def test_shares_count_as_shares():
    """Half of each answer is right: the probability is a half whatever the logit."""
    answers = Answers(np.linspace(-3, 3, 50), np.full(50, 0.5))
    found = fit_calibration(answers)
    np.testing.assert_allclose(found.probability(answers.logits), 0.5, atol=0.02)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_right_or_all_wrong_says_nothing(right):
    with pytest.raises(ValueError, match="partly right and partly wrong"):
        fit_calibration(Answers(np.arange(3.0), np.full(3, right)))


@pytest.mark.parametrize(
    ("task", "expected"), [("completion", "many answers per label"), ("localization", "one")]
)
def test_answers_of_a_network(task, expected):
    config = NetworkConfig(
        task=task, voxel_shape=(8, 8, 8), channels=4, f_maps=4, levels=2, hidden=16, pointing_dim=8
    )
    items = ToyScenes(task, scenes=2, queries=None)
    gatherer = AnswerGatherer(build_network(config).eval())
    for item in (items[0], items[1]):
        gatherer.add(item)
    answers = Answers.joined(gatherer.answers)
    rows = len(items[0]["names"]) + len(items[1]["names"])
    assert (len(answers.logits) == rows) == (expected == "one")
    assert len(answers.logits) >= rows
    assert np.isfinite(answers.logits).all()
    assert ((answers.right >= 0) & (answers.right <= 1)).all()


def test_a_network_without_one_is_taken_as_it_is():
    plain = read_calibration({})
    assert plain.probability(np.zeros(1))[0] == 0.5
    stored = Calibration(0.5, -1.0)
    assert read_calibration({"calibration": stored.to_dict()}) == stored


@pytest.mark.parametrize("values", [(0.0, 0.0), (-1.0, 0.0), (1.0, np.nan)])
def test_wrong_values_are_refused(values):
    with pytest.raises(ValueError, match="positive scale and a finite bias"):
        Calibration(*values)


def test_a_checkpoint_gets_its_calibration_and_cutoff(tmp_path):
    """Over two relevancies of one data set; what the pipeline reads is what was fitted."""
    write_toy_set(tmp_path / "data", split="validation")
    config = NetworkConfig(
        voxel_shape=(8, 8, 8), channels=4, f_maps=4, levels=2, hidden=16, text_dim=6
    )
    save_network(build_network(config), tmp_path / "net", {"preset": "ours"})
    result = calibrate_checkpoint(
        tmp_path / "net", tmp_path / "data", records=["ours", "simulated"]
    )
    stored = load_network(tmp_path / "net")
    assert read_judgement(stored.metadata) == result.judgement
    assert stored.metadata["cutoff"] == result.judgement.cutoff
    assert stored.metadata["surface"]["cutoff"] == result.judgement.surface_cutoff
    assert stored.metadata["preset"] == "ours"
    assert sum(count for _, _, count in result.reliability) > 100


def test_a_split_that_is_not_there_is_named(tmp_path):
    write_toy_set(tmp_path / "data")
    save_network(
        build_network(NetworkConfig(voxel_shape=(8, 8, 8), channels=4, f_maps=4, levels=2)),
        tmp_path / "net",
        {},
    )
    with pytest.raises(SceneFileError, match="no split 'validation'"):
        calibrate_checkpoint(tmp_path / "net", tmp_path / "data")
