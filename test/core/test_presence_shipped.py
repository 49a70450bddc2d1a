"""What ships tells what a picture shows; calibrations made, measured and packed by commands."""

import dataclasses
import math
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.config import CompletionConfig, LocalizationConfig, SemabsConfig
from semabs_core.data.presence_evidence import gather_evidence
from semabs_core.data.rooms.generate import generate_rooms
from semabs_core.data.rooms.room import RoomOptions
from semabs_core.data.scene_file import built_in_scene
from semabs_core.encoder import load_encoder
from semabs_core.evaluation.presence import presence_rows, summarize_presence
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.presence import PRESENCE_FILE, PresenceError, read_presence
from semabs_core.relevancy import RENDER_PROMPTS, RelevancyExtractor
from semabs_core.tiling import PRESETS
from semabs_core.weights.check import pack_weights
from semabs_core.weights.shipped import renew_manifest, shipped_path, verify


@pytest.fixture(scope="module")
def shipped():
    """What ships, in the demo's room, with few query points."""
    completion, localization = CompletionConfig(resolution=24), LocalizationConfig(resolution=16)
    config = SemabsConfig(device="cpu", completion=completion, localization=localization)
    scene = SceneUnderstanding.from_config(config)
    scene.set_frame(built_in_scene().frame(0))
    return scene


ABSENT = [
    ("flurb", "behind", "zork"),
    ("sofa", "in", "fridge"),
    ("teddy bear", "in", "fridge"),
    ("bed", "on the left of", "stove"),
    ("laptop", "on", "countertop"),
    ("garbage can", "in front of", "television"),
]
PRESENT = [
    ("wine bottle", "in", "fridge"),  # hidden behind its door
    ("basket ball", "in front of", "stove"),
    ("soccer ball", "on the left of", "garbage can"),
    ("kettle", "on", "stove"),
]


@pytest.mark.parametrize("description", ABSENT + PRESENT, ids=" ".join)
def test_what_is_found_in_the_demos_room(shipped, description):
    answer = shipped.localize(*description)
    assert answer.found is (description in PRESENT)
    assert len(answer.points_m), "the best guess is there all the same"
    known = not shipped.unknown_words([description[0], description[2]])
    assert math.isfinite(answer.probability) is known
    assert not known or (answer.probability >= shipped.presence.model.threshold) is answer.found


def test_classes_that_the_picture_does_not_show_cost_and_get_nothing(shipped, monkeypatch):
    there, absent = ["fridge", "stove", "floor"], ["flurb", "sofa", "television"]
    alone = shipped.complete(there)
    assert alone.absent == ()
    assert not alone.left_out
    made = []
    encode = shipped.completion.encode_volume
    monkeypatch.setattr(
        shipped.completion, "encode_volume", lambda *a: made.append(1) or encode(*a)
    )
    both = shipped.complete([absent[0], *there, *absent[1:]])
    assert not made, "volumes of what is there are kept, and others are not made"
    assert both.absent == tuple(absent)
    assert "flurb, sofa, television" in both.left_out
    same = np.where((both.labels > 1) & (both.labels < 255), both.labels - 1, both.labels)
    np.testing.assert_array_equal(same, alone.labels)
    assert list(both.voxels_per_class().values())[1:4] == list(alone.voxels_per_class().values())
    nothing = shipped.complete(absent)
    assert nothing.absent == tuple(absent)
    assert not any(nothing.voxels_per_class().values())
    assert nothing.scores.max() < 1e-6


def test_all_classes_are_labelled_where_the_user_says_so(shipped):
    config = shipped.config
    completion = dataclasses.replace(config.completion, min_presence=0.0)
    shipped.reconfigure(dataclasses.replace(config, completion=completion))
    assert shipped.complete(["fridge", "flurb"]).absent == ()
    shipped.reconfigure(config)


def test_what_relevancy_is_given_of_is_there(shipped):
    frame = built_in_scene().frame(0)
    mask = np.eye(*frame.depth_m.shape)
    shipped.set_relevancy({"flurb": mask, "rest": 1 - mask})
    assert shipped.complete(["flurb", "sofa"]).absent == ("sofa",)
    shipped.set_frame(frame)


def test_a_frames_tiles_are_embedded_once_for_relevancy_and_presence(shipped, monkeypatch):
    def never(self, tiles):
        raise AssertionError("embedded again")

    shipped.localize("kettle", "on", "stove")
    monkeypatch.setattr(RelevancyExtractor, "_embed", never)
    shipped.localize("pot", "on", "stove")


def test_colours_and_adjectives_leave_the_evidence_as_it_is(shipped):
    plain, other = (
        shipped.localize(name, "on", "stove").probability for name in ("kettle", "old red kettle")
    )
    assert plain == other


def test_a_calibration_is_made_and_measured_by_commands(tmp_path):
    """A small one, of few rooms and one tile per picture: it finds the large things."""
    encoder = tmp_path / "encoder"
    shutil.copytree(shipped_path("encoder"), encoder)
    (encoder / PRESENCE_FILE).unlink()
    rooms = tmp_path / "rooms"
    options = RoomOptions(size=(64, 48), points=4000)
    counts = {"train": 4, "validation": 2, "unseen_instances": 1}
    generate_rooms(rooms, counts, seed=5, options=options, show_progress=False)
    common = ["--preset", "chefer_et_al", "--device", "cpu", "--precision", "fp32"]
    name = f"local-dir:{encoder}"
    run = CliRunner()
    made = run.invoke(app, ["weights", "calibrate", name, "--data", str(rooms), *common])
    assert made.exception is None
    loaded = load_encoder(name)
    model = read_presence(loaded, "chefer_et_al", RENDER_PROMPTS)
    extractor = RelevancyExtractor(loaded, "chefer_et_al", augmentations=0)
    (one,) = gather_evidence(rooms, "unseen_instances", extractor, RENDER_PROMPTS, model.vocabulary)
    large = one.share > 0.05
    assert (
        model.visible(one.evidence[large]).mean()
        > model.visible(one.evidence[~one.there]).mean() + 0.3
    )
    shown = run.invoke(
        app,
        ["presence", str(rooms), "--encoder", name, "--out", str(tmp_path / "rows.parquet"),
         "--split", "validation", *common],
    )  # fmt: skip
    assert shown.exception is None
    for text in ("Found at the stored threshold", "Not found, %", "Probability and truth"):
        assert text in shown.output
    assert (tmp_path / "rows.parquet").exists()


def test_a_calibration_is_packed_with_its_encoder(tmp_path):
    """It is for the weights, whatever precision they are stored in."""
    pack_weights(shipped_path("encoder"), "again", "the same", tmp_path)
    again = load_encoder(f"local-dir:{tmp_path / 'again'}")
    assert read_presence(again, "ours", RENDER_PROMPTS) is not None
    (tmp_path / "again" / PRESENCE_FILE).unlink()
    renew_manifest(tmp_path)
    assert verify("again", tmp_path) == []


def test_what_ships_tells_absent_things_from_visible_ones(tmp_path):
    """In two held-out rooms; `semabs presence` measures many."""
    generate_rooms(tmp_path, {"unseen_instances": 2}, seed=0, show_progress=False)
    extractor = RelevancyExtractor(load_encoder("shipped:encoder"), "ours", augmentations=0)
    rows = presence_rows(tmp_path, ["unseen_instances"], extractor, "ours", RENDER_PROMPTS)
    found = rows.groupby("kind")["found"].mean()
    assert found["visible"] > 0.75
    assert found["no target"] < 0.45
    assert found["neither"] < 0.2
    tables = summarize_presence(rows)
    assert tables[0].figure("found", "visible", "all").value == pytest.approx(
        100 * found["visible"]
    )
    with pytest.raises(PresenceError, match="has no calibration of these weights with preset ours"):
        presence_rows(tmp_path, ["unseen_instances"], extractor, "ours", ["a {}"])


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("name", ["shipped:encoder", "shipped:encoder_fine"])
def test_what_ships_is_calibrated_for_every_preset(name, preset):
    encoder = load_encoder(name)
    assert read_presence(encoder, preset, RENDER_PROMPTS) is not None
