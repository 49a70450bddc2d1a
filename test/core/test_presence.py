"""Whether a picture supports a description: the evidence, the fit, calibrations in files."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import expit

from semabs_core.data.presence_evidence import RoomEvidence, draw_questions
from semabs_core.description import Description
from semabs_core.presence import (
    PRESENCE_FILE,
    Logistic,
    PresenceClassifier,
    PresenceError,
    PresenceModel,
    read_presence,
    save_presence,
    word_evidence,
)
from semabs_core.relevancy import RENDER_PROMPTS, RelevancyExtractor
from semabs_core.tiling import Preset, tile_grids
from semabs_core.training.presence import choose_threshold, fit_logistic, fit_models
from semabs_core.vocabulary import Vocabulary

MODEL = PresenceModel(
    fingerprint="f",
    prompts=RENDER_PROMPTS,
    vocabulary=("mug", "sofa"),
    visible=Logistic((1.0, 0.0), 0.0),
    there=Logistic((0.0, 1.0), 1.0),
    threshold=0.25,
)


def test_evidence_by_hand():
    east, north = torch.eye(2)
    features = [torch.stack([east, north]), east[None]]
    found = word_evidence(features, torch.stack([east, north]), torch.stack([east, north]), 3.0)
    like, unlike = (3 * x - math.log(math.exp(3) + 1) for x in (1, 0))
    mean = (like + unlike) / 2
    expected = [[like, mean, like, like], [like, mean, unlike, unlike]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_image_features_are_those_of_the_tiles(encoder):
    image = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    prompts = ["a {}"]
    for mirrored, layers in ((True, 1), (False, 1), (True, 2)):
        extractor = RelevancyExtractor(encoder, augmentations=1, rollout_layers=layers)
        extractor.preset = Preset(((1, 1), (2, 3)), 1, horizontal_flip=mirrored)
        grids = tile_grids(40, 56, extractor.preset)
        tiles = list(extractor.embed(image))
        found = extractor.image_features(tiles, image.shape[:2])
        assert [len(part) for part in found] == [2 * len(grid) for grid in grids]
        extractor.maps(tiles, image.shape[:2], ["mug"], prompts)  # the same tiles still serve it
        picture = torch.from_numpy(image).permute(2, 0, 1)
        corner = extractor._prepare(picture, [(0, 0)], grids[0].size)
        views = [corner, corner.flip(-1)] if mirrored else [corner]
        plain = sum(F.normalize(encoder.encode_image(view).float(), dim=-1) for view in views)
        torch.testing.assert_close(found[0][0], F.normalize(plain, dim=-1)[0], atol=1e-4, rtol=0)


def test_a_hidden_target_needs_to_be_there_and_a_reference_to_be_seen():
    target, reference = np.array([[-9.0, 2.0]]), np.array([[3.0, -9.0]])
    behind = MODEL.probability("behind", target, reference)
    assert behind == pytest.approx(expit(2 + 1) * expit(3))
    left = MODEL.probability("on the left of", target, reference)
    assert left == pytest.approx(expit(-9) * expit(3))


def test_a_thing_alone_needs_to_be_seen(monkeypatch):
    classifier = PresenceClassifier(None, MODEL, None)
    monkeypatch.setattr(classifier, "evidence", lambda features, names: np.array([[2.0, -9.0]]))
    assert classifier(Description("mug"), list) == (True, pytest.approx(expit(2)))


def test_what_a_picture_shows_is_told_thing_by_thing(monkeypatch):
    evidence = {"mug": [2.0, -9.0], "sofa": [-3.0, -9.0]}
    classifier = PresenceClassifier(None, MODEL, Vocabulary(("mug", "sofa"), ()))
    monkeypatch.setattr(
        classifier, "evidence", lambda features, names: np.array([evidence[n] for n in names])
    )
    shown = classifier.visible(["sofa", "flurb", "mug"], list)
    np.testing.assert_allclose(shown, [expit(-3), 0, expit(2)])
    uncalibrated = PresenceClassifier(None, None, Vocabulary(("mug",), ()))
    np.testing.assert_array_equal(uncalibrated.visible(["flurb", "mug"], list), [0, np.nan])


def test_the_fit_finds_the_best_line_at_even_odds():
    """Of two normal distributions with the same spread, the odds are exp((m1 - m0) x / s^2 + b)."""
    rng = np.random.default_rng(0)
    true, false = rng.normal(1, 2, (20_000, 1)), rng.normal(-3, 2, (2_000, 1))
    model = fit_logistic(true, false)
    assert model.weights[0] == pytest.approx(1.0, abs=0.06)
    assert model.bias == pytest.approx(1.0, abs=0.1)
    assert model(np.array([[-1.0]])) == pytest.approx(0.5, abs=0.03)


def test_the_fit_ends_where_the_sides_are_apart():
    model = fit_logistic(np.array([[5.0], [6.0]]), np.array([[-5.0]]))
    assert np.isfinite([*model.weights, model.bias]).all()
    assert model(np.array([[5.0], [-5.0]])) == pytest.approx([1, 0], abs=0.1)


def room(**changes):
    """Mug (seen) and milk (hidden) with a fridge; no sofa and no bed."""
    words = ["bed", "fridge", "milk", "mug", "sofa"]
    values = {
        "scene_id": "0",
        "words": words,
        "evidence": np.array([[-4.0, -4], [4, 4], [-2, 3], [3, 2], [-5, -3]]),
        "share": np.array([0, 0.1, 0, 0.01, 0]),
        "there": np.array([False, True, True, True, False]),
        "descriptions": [
            (Description("mug", "on the left of", "fridge"), 0.01),
            (Description("mug", "in front of", "fridge"), 0.01),
            (Description("milk", "in", "fridge"), 0.0),
            (Description("fridge", "behind", "milk"), 0.1),  # the reference is not to be seen
            (Description("mug", "on", "fridge"), 0.0005),  # hardly to be seen: nobody knows
        ],
    }
    return RoomEvidence(**{**values, **changes})


def test_questions_are_true_ones_and_their_negations():
    questions = draw_questions(room(), np.random.default_rng(0))
    names = room().words
    asked = [(q.kind, names[q.target], names[q.reference]) for q in questions]
    assert asked[0] == ("visible", "mug", "fridge")
    assert asked[4] == ("hidden", "milk", "fridge")
    assert [q.kind for q in questions[1:4]] == ["no target", "no reference", "neither"]
    assert len(questions) == 8
    for kind, target, reference in asked:
        assert (target in ("sofa", "bed")) == (kind in ("no target", "neither"))
        assert (reference in ("sofa", "bed")) == (kind in ("no reference", "neither"))


def test_models_are_fitted_to_what_is_seen_and_to_what_is_there():
    visible, there = fit_models([room()])
    evidence = room().evidence
    assert (visible(evidence) > 0.5)[[0, 1, 3, 4]].tolist() == [False, True, True, False]
    assert (there(evidence) > 0.5)[[0, 2, 4]].tolist() == [False, True, False]
    with pytest.raises(PresenceError, match="the rooms need visible things"):
        fit_models([room(share=np.zeros(5))])
    with pytest.raises(PresenceError, match="and classes that they lack"):
        fit_models([room(there=np.ones(5, bool))])


def test_the_threshold_keeps_nine_of_ten_visible_things():
    rng = np.random.default_rng(0)
    rooms = [
        room(evidence=room().evidence + rng.normal(0, 1, (5, 2)), scene_id=str(number))
        for number in range(200)
    ]
    model = choose_threshold(MODEL, rooms)
    kept = [
        float(model.probability("on the left of", one.evidence[[3]], one.evidence[[1]])[0])
        >= model.threshold
        for one in rooms
    ]
    assert np.mean(kept) == pytest.approx(0.9, abs=0.01)
    with pytest.raises(PresenceError, match="no room shows a described thing"):
        choose_threshold(MODEL, [room(descriptions=[])])


@dataclasses.dataclass
class NamedEncoder:
    """What a calibration is looked up by."""

    name: str
    fingerprint: str


def test_a_calibration_is_read_for_its_encoder_preset_and_prompts(tmp_path):
    wide = dataclasses.replace(
        MODEL, visible=Logistic((1.0,) * 8, 0.0), there=Logistic((2.0,) * 8, 0.5)
    )
    save_presence(MODEL, "chefer_et_al", tmp_path)
    save_presence(wide, "ours", tmp_path)
    encoder = NamedEncoder(f"local-dir:{tmp_path}", "f")
    assert read_presence(encoder, "ours", RENDER_PROMPTS) == wide
    assert read_presence(encoder, "chefer_et_al", RENDER_PROMPTS) == MODEL
    assert read_presence(encoder, "fast", RENDER_PROMPTS) is None
    assert read_presence(encoder, "ours", ["a {}"]) is None
    other = dataclasses.replace(encoder, fingerprint="g")
    assert read_presence(other, "ours", RENDER_PROMPTS) is None
    save_presence(dataclasses.replace(MODEL, fingerprint="g"), "chefer_et_al", tmp_path)
    assert read_presence(encoder, "ours", RENDER_PROMPTS) is None, "of weights that are gone"
    assert read_presence(NamedEncoder("ViT-B-32 (openai)", "f"), "ours", RENDER_PROMPTS) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.pop("threshold"),
        lambda entry: entry.update(threshold="0.5"),
        lambda entry: entry["visible"].update(weights=[1.0]),
        lambda entry: entry.update(vocabulary=[]),
        lambda entry: entry.update(prompts=[1]),
    ],
)
def test_a_damaged_calibration_is_named(change, tmp_path):
    save_presence(MODEL, "chefer_et_al", tmp_path)
    content = json.loads((tmp_path / PRESENCE_FILE).read_text())
    change(content["presets"]["chefer_et_al"])
    (tmp_path / PRESENCE_FILE).write_text(json.dumps(content))
    with pytest.raises(PresenceError, match=re.escape(str(tmp_path / PRESENCE_FILE))):
        read_presence(NamedEncoder(f"local-dir:{tmp_path}", "f"), "fast", RENDER_PROMPTS)


def test_without_a_calibration_only_unknown_words_are_refused(encoder):
    def never():
        raise AssertionError("no picture is needed")

    extractor = RelevancyExtractor(encoder, "fast")
    known = Vocabulary(("mug", "sofa"), ("red",))
    classifier = PresenceClassifier(extractor, None, known)
    for target, reference, found in (
        ("mug", "sofa", True),
        ("shiny red mug", "sofa", True),  # a known thing; the rest is warned of
        ("flurb", "sofa", False),
        ("mug", "zork", False),
    ):
        answer = classifier(Description(target, "behind", reference), never)
        assert answer[0] is found
        assert math.isnan(answer[1])
    anything = PresenceClassifier(extractor, None, None)
    assert anything(Description("flurb", "behind", "zork"), never)[0] is True
