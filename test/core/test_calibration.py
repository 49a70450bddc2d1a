"""Scores that mean what they say."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from pipeline_toy import open_grid
from scene_toy import toy_record, write_toy_set
from training_toy import ToyScenes
from typer.testing import CliRunner

from semabs_core.calibration import (
    DEFAULT_CUTOFF,
    Calibration,
    Judgement,
    read_calibration,
    read_judgement,
    region_cutoff,
)
from semabs_core.checkpoint import load_network, save_network
from semabs_core.cli import app
from semabs_core.config import QueryConfig
from semabs_core.data.hdf5 import SceneFileError, read_scene, write_relevancy
from semabs_core.data.scene_data import SOURCES
from semabs_core.evaluation.answered import AskedVoxels
from semabs_core.evaluation.calibrate import AnswerGatherer, calibrate_checkpoint
from semabs_core.evaluation.fitting import (
    HIDDEN_TOLERANCE,
    TOLERANCE,
    Answers,
    Fit,
    fit_calibration,
    reliability,
)
from semabs_core.evaluation.metrics import CutoffScores
from semabs_core.evaluation.scene import SceneLogits
from semabs_core.grid_answers import label_grid
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network
from semabs_core.types import FREE
from semabs_core.voxels import grid_axes

SMALL = NetworkConfig(voxel_shape=(8, 8, 8), channels=4, f_maps=4, levels=2, hidden=16, text_dim=6)


def drawn(scale, bias, ceiling=1.0, count=200_000, seed=0):
    """Logits whose answers are right with the probability of a known calibration."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, count)
    right = rng.random(count) < ceiling / (1 + np.exp(-(scale * logits + bias)))
    return Answers(logits, right.astype(np.float64))


@pytest.mark.parametrize(
    ("scale", "bias", "ceiling"),
    [(1.0, 0.0, 1.0), (0.4, -1.5, 1.0), (2.5, 0.8, 1.0), (1.1, -1.0, 0.6), (2.0, 1.0, 0.3)],
)
def test_a_known_calibration_is_found_again(scale, bias, ceiling):
    found = fit_calibration(drawn(scale, bias, ceiling))
    assert found.scale == pytest.approx(scale, rel=0.03)
    assert found.bias == pytest.approx(bias, abs=0.03)
    assert found.ceiling == pytest.approx(ceiling, rel=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_few_right_answers_show_no_ceiling(seed):
    """Where there is none; that they might is less likely than that it is the bias."""
    assert fit_calibration(drawn(1.0, -6.0, count=5000, seed=seed)).ceiling == 1


@pytest.mark.parametrize("ceiling", [1.0, 0.65])
def test_after_it_seven_of_ten_mean_seven_of_ten(ceiling):
    answers = drawn(0.5, -1.0, ceiling)
    for probability, share, count in reliability(answers, fit_calibration(answers)):
        assert share == pytest.approx(probability, abs=0.02 if count > 5000 else 0.1)


def test_shares_count_as_shares():
    """Half of each answer is right: the probability is a half whatever the logit."""
    answers = Answers(np.linspace(-3, 3, 50), np.full(50, 0.5))
    found = fit_calibration(answers)
    np.testing.assert_allclose(found.probability(answers.logits), 0.5, atol=0.02)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_right_or_all_wrong_says_nothing(right):
    with pytest.raises(ValueError, match="must be partly right and partly wrong: take more scenes"):
        fit_calibration(Answers(np.arange(3.0), np.full(3, right)))


def test_of_cutoffs_that_are_nearly_as_good_the_highest_is_taken():
    """Where nothing was measured, more is given away for it."""
    curve = {0.0: 0.49, 1.0: 0.5, 2.0: 0.496, 2.5: 0.492, 3.0: 0.3}
    scores = CutoffScores("point", list(curve))
    scores.add({scores.name: np.array([list(curve.values())])})
    answers = drawn(1.0, 0.0, count=2000)
    assert Fit.of(scores, answers).cutoff == 2.0
    assert Fit.of(scores, answers, HIDDEN_TOLERANCE).cutoff == 2.5


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
    assert plain.probability(np.float32(0)) == 0.5, "of one logit too"
    stored = Calibration(0.5, -1.0, 0.7)
    assert read_calibration({"calibration": stored.to_dict()}) == stored
    assert stored.probability(np.float32([2.0, 90.0])) == pytest.approx([0.35, 0.7])


def test_seen_surfaces_have_a_cutoff_of_their_own():
    stored = {
        "cutoff": 0.5,
        "calibration": {"scale": 2.0, "bias": -1.0},
        "surface": {"cutoff": -1.0, "scale": 0.5, "bias": 0.25},
    }
    found = read_judgement(stored)
    assert (found.cutoff, found.surface_cutoff) == (0.5, -1.0)
    assert found.calibration == Calibration(2.0, -1.0)
    assert found.surface_calibration == Calibration(0.5, 0.25)
    own = read_judgement(stored, cutoff=0.75)
    assert (own.cutoff, own.surface_cutoff) == (0.75, 0.75)
    plain = read_judgement({"cutoff": 0.5})
    assert (plain.surface_cutoff, plain.surface_calibration) == (0.5, Calibration())
    assert read_judgement({}).cutoff == DEFAULT_CUTOFF


def test_what_is_hidden_has_a_cutoff_of_its_own():
    """The first one is of labels alone at all points, free ones too."""
    stored = {
        "cutoff": 1.5,
        "calibration": {"scale": 2.0, "bias": -1.0},
        "hidden": {"cutoff": 1.0, "scale": 1.5, "bias": 0.5},
    }
    found = read_judgement(stored)
    assert (found.cutoff, found.surface_cutoff) == (1.0, 1.0)
    assert found.calibration == found.surface_calibration == Calibration(1.5, 0.5)
    assert region_cutoff(stored, "", 5.0) == 1.0
    assert stored["hidden"]["cutoff"] == 1.0, "what was read is not changed"


def test_a_seen_surface_is_labelled_from_its_own_cutoff_on():
    """Four open voxels, of which the second and the last hold readings."""
    grid = open_grid(torch.zeros(2), [1, 3, 4, 6], surface=[1, 3])
    best = np.array([0.0, 0.0, 1.0, -2.0], dtype=np.float32)
    worth, there = Calibration(), Calibration(1.0, 3.0)
    judgement = Judgement(0.5, worth, -1.0, there)
    labels, scores = label_grid(grid, np.array([1, 1, 2, 2], dtype=np.uint8), best, judgement, 2)
    assert labels.ravel()[grid.open].tolist() == [FREE, 1, 2, FREE]
    expected = [worth.probability(best)[0], there.probability(best)[1]]
    np.testing.assert_allclose(scores.ravel()[[1, 3]], expected)


def test_points_are_on_a_seen_surface_where_their_voxel_holds_a_reading():
    """Of the voxels that a frame is asked in: 64 along each axis of the bounds."""
    bounds = ((0.0, 0.0, 0.0), (6.4, 6.4, 6.4))
    frame = np.stack(grid_axes(np.array(bounds), QueryConfig.resolution))
    middle = torch.tensor([frame[0, 10], frame[1, 20], frame[2, 30]], dtype=torch.float32)
    near = torch.tensor([0.02, -0.02, 0.02])
    points = torch.stack([middle - near, middle + 0.11, torch.full((3,), 99.0)])
    found = AskedVoxels(points, bounds, None, (middle + near)[None]).surface
    assert found.tolist() == [True, False, False]


def test_a_scene_of_one_label_has_no_judgement_of_surfaces(tmp_path, monkeypatch):
    """There every seen surface is that label: nothing can be told apart, and nothing is lost."""
    write_toy_set(tmp_path / "data", split="validation")
    metadata = {"preset": "ours", "surface": {"cutoff": 9.0, "scale": 1.0, "bias": 0.0}}
    save_network(build_network(SMALL), tmp_path / "net", metadata)
    monkeypatch.setattr(
        "semabs_core.evaluation.calibrate.scene_names", lambda item, task: ([0], {})
    )
    result = calibrate_checkpoint(tmp_path / "net", tmp_path / "data")
    stored = load_network(tmp_path / "net").metadata
    assert "surface" not in stored
    assert result.surface is None
    judgement = read_judgement(stored)
    assert judgement.surface_cutoff == judgement.cutoff


def test_seen_surfaces_are_weighed_alone_and_together():
    """What each scene's surfaces say at a cutoff: the mean of both ways to ask."""
    config = NetworkConfig(voxel_shape=(4, 4, 4), channels=4, f_maps=4, levels=2, hidden=16)
    gatherer = AnswerGatherer(build_network(config))
    logits = torch.tensor([[2.0, 2.0, -1.0, 5.0], [1.0, 3.0, 1.0, 5.0]])
    targets = torch.tensor([[True, True, False, False], [False, False, True, False]])
    gatherer._add_surface(logits, targets, torch.tensor([True, True, True, False]))
    cutoff = gatherer.options.cutoffs.index(0.0)
    alone = (1 + 1 / 3) / 2
    strongest = (1 / 2 + 1 / 2) / 2
    found = gatherer.surface_scores.total[0, cutoff].item()
    assert found == pytest.approx((alone + strongest) / 2)
    assert len(Answers.joined(gatherer.surfaces).logits) == 6


def test_what_was_seen_to_be_free_is_no_answer():
    """Neither the cutoff nor the calibration of what is hidden depends on it."""
    items = ToyScenes("completion", scenes=1, queries=None)
    item = items[0]
    config = NetworkConfig(voxel_shape=(4, 4, 4), channels=4, f_maps=4, levels=2, hidden=16)
    network = build_network(config).eval()
    half = torch.arange(item["query_xyz"].shape[1]) % 2 == 0
    found = []
    for free in (torch.zeros_like(half), half):
        gatherer = AnswerGatherer(network)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SceneLogits, "free", free)
            gatherer.add(item)
        found.append(gatherer)
    every, without = found
    torch.testing.assert_close(every.scores.total, without.scores.total)
    assert (without.hidden_scores.total != every.hidden_scores.total).any()
    kept = item | {"ignore": item["ignore"] | half}
    alone = AnswerGatherer(network)
    alone.add(kept)
    np.testing.assert_allclose(
        Answers.joined(without.hidden).logits, Answers.joined(alone.hidden).logits, atol=1e-5
    )


@pytest.mark.parametrize(
    "values", [(0.0, 0.0), (-1.0, 0.0), (1.0, np.nan), (1.0, 0.0, 0.0), (1.0, 0.0, 1.1)]
)
def test_wrong_values_are_refused(values):
    with pytest.raises(ValueError, match=r"positive scale, a finite bias and a ceiling in \(0, 1]"):
        Calibration(*values)


def test_a_checkpoint_gets_its_calibration_and_cutoff(tmp_path, monkeypatch):
    """Over two relevancies of one data set; what the pipeline reads is what was fitted."""
    write_toy_set(tmp_path / "data", split="validation")
    save_network(build_network(SMALL), tmp_path / "net", {"preset": "ours"})
    used = []
    fit_of = Fit.of
    monkeypatch.setattr(Fit, "of", lambda *args: used.append(args[2]) or fit_of(*args))
    result = calibrate_checkpoint(
        tmp_path / "net", tmp_path / "data", records=["ours", "simulated"]
    )
    assert used == [TOLERANCE, HIDDEN_TOLERANCE, TOLERANCE]
    stored = load_network(tmp_path / "net")
    judgement = read_judgement(stored.metadata)
    assert judgement.cutoff == result.hidden.cutoff
    assert judgement.calibration == result.hidden.calibration
    assert judgement.surface_cutoff == result.surface.cutoff
    assert judgement.surface_calibration == result.surface.calibration
    assert stored.metadata["cutoff"] == result.everywhere.cutoff
    assert stored.metadata["preset"] == "ours"
    assert sum(count for _, _, count in result.everywhere.reliability) > 100


def test_cutoffs_can_stay_while_scores_are_calibrated(tmp_path):
    write_toy_set(tmp_path / "data", split="validation")
    own = {
        "preset": "ours",
        "cutoff": 7.5,
        "validation_iou": 0.25,
        "hidden": {"cutoff": 6.5, "scale": 9.0, "bias": 9.0},
        "surface": {"cutoff": 5.5, "scale": 9.0, "bias": 9.0},
    }
    save_network(build_network(SMALL), tmp_path / "net", own)
    result = calibrate_checkpoint(tmp_path / "net", tmp_path / "data", keep_cutoffs=True)
    stored = load_network(tmp_path / "net").metadata
    judgement = read_judgement(stored)
    assert (stored["cutoff"], stored["validation_iou"]) == (7.5, 0.25)
    assert (judgement.cutoff, judgement.surface_cutoff) == (6.5, 5.5)
    assert judgement.calibration == result.hidden.calibration
    assert judgement.surface_calibration == result.surface.calibration
    assert read_calibration(stored) == result.everywhere.calibration


def test_pictures_in_other_colours_count_too(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    for path in write_toy_set(folder, split="validation", randomized=True):
        record = toy_record(read_scene(folder / path), seed=9)
        write_relevancy(folder / path, "domain_randomized_rgb", "ours", record)
    save_network(build_network(SMALL), tmp_path / "net", {"preset": "ours"})
    fit, said = Fit.of, []
    monkeypatch.setattr(Fit, "of", lambda *args: said.append(args[1].logits) or fit(*args))
    for sources in (SOURCES[:1], SOURCES[1:], SOURCES):
        calibrate_checkpoint(tmp_path / "net", folder, sources=sources)
    natural, random, both = said[::3]
    assert np.abs(natural - random).max() > 1e-3
    np.testing.assert_allclose(both, np.concatenate([natural, random]), atol=1e-5)
    with pytest.raises(ValueError, match="source must be one of"):
        calibrate_checkpoint(tmp_path / "net", folder, sources=["bgr"])


def test_a_split_that_is_not_there_is_named(tmp_path):
    write_toy_set(tmp_path / "data")
    save_network(build_network(SMALL), tmp_path / "net", {})
    with pytest.raises(SceneFileError, match="no split 'validation'"):
        calibrate_checkpoint(tmp_path / "net", tmp_path / "data")


def test_the_command_draws_the_reliability(tmp_path):
    write_toy_set(tmp_path / "data", split="validation")
    save_network(build_network(SMALL), tmp_path / "net", {"preset": "ours"})
    call = ["calibrate", str(tmp_path / "net"), "--data", str(tmp_path / "data")]
    wrong = CliRunner().invoke(app, [*call, "--figure", str(tmp_path / "figure.pdf")])
    assert wrong.exit_code == 2
    assert "--figure is a PNG file, got figure.pdf" in " ".join(wrong.output.split())
    wrong = CliRunner().invoke(app, [*call, "--source", "depth"])
    assert wrong.exit_code != 0
    assert "source must be one of" in str(wrong.exception)
    result = CliRunner().invoke(app, [*call, "--figure", str(tmp_path / "figure.png")])
    assert result.exit_code == 0, result.output
    for what in ("net", "hidden", "seen surfaces"):
        assert re.search(rf"{what}: score = (0\.\d+ )?sigmoid\(", result.output)
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.size == (500, 460)
