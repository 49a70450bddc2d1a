"""What ships finds things in rooms that nothing was trained on: a small part of `make results`."""

import json
import re

import pytest
from support import ROOT

from semabs_core.calibration import read_calibration
from semabs_core.checkpoint import load_network
from semabs_core.config import load_config
from semabs_core.data.relevancy_store import store_relevancy
from semabs_core.data.rooms.generate import generate_rooms
from semabs_core.data.rooms.room import RoomOptions
from semabs_core.encoder import load_encoder
from semabs_core.evaluation.evaluate import evaluate, novel_classes
from semabs_core.evaluation.pointing import pointing_rows, summarize_pointing
from semabs_core.evaluation.scene import EvaluationOptions
from semabs_core.evaluation.summary import SummaryOptions, summarize
from semabs_core.networks import NETWORKS
from semabs_core.weights.shipped import shipped_names, shipped_path, size_of

ROOMS = 3
SPLIT = "unseen_instances"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    """Held-out rooms with relevancy of the encoder that ships."""
    folder = tmp_path_factory.mktemp("rooms")
    options = RoomOptions(points=40_000)  # a third of the usual takes a third of the time
    generate_rooms(folder, {SPLIT: ROOMS}, seed=0, options=options, show_progress=False)
    encoder = load_encoder("shipped:encoder")
    presets = ("ours", "chefer_et_al", "sparse", "mosaic")
    counts = store_relevancy(folder, encoder, presets, augmentations=0)
    assert counts["written"] == ROOMS
    fine = load_encoder("shipped:encoder_fine")
    store_relevancy(folder, fine, ("sparse",), augmentations=0, tag="fine")
    return folder


def test_a_network_of_every_kind_ships_and_all_is_small():
    names = shipped_names()
    encoder = load_encoder("shipped:encoder")
    kinds = set()
    compared = {name for name in names if not name.endswith(("_any", "_fine"))} - {"encoder"}
    for name in compared:
        network = load_network(shipped_path(name))
        kinds.add((network.config.task, network.config.approach, network.metadata["preset"]))
        assert network.metadata["encoder"] == encoder.name == "shipped:encoder"
        assert network.metadata["fingerprint"] == encoder.fingerprint
        assert network.metadata["augmentations"] == 0
        assert "cutoff" in network.metadata
        assert "/" not in json.dumps(network.metadata), "no path of the machine that trained it"
    assert {kind[:2] for kind in kinds} == set(NETWORKS)
    assert len(kinds) == len(compared) == 7
    assert sum(map(size_of, names)) < 60e6


@pytest.mark.parametrize("name", ["completion_any", "localization_any", "localization_fine"])
def test_networks_for_any_encoder_know_none(name):
    network = load_network(shipped_path(name))
    assert network.config.task == name.partition("_")[0]
    assert network.config.normalization == "evidence"
    assert min(network.config.voxel_shape) >= 64
    assert set(network.metadata) >= {"mean_vocabulary", "records", "cutoff"}
    assert network.metadata["preset"] == "mosaic", "else they are not asked alike"
    assert not {"encoder", "fingerprint", "prompts"} & set(network.metadata)
    assert read_calibration(network.metadata).scale > 0
    assert "/" not in json.dumps(network.metadata), "no path of the machine that trained it"


def test_relevancy_points_at_objects(rooms):
    rows = pointing_rows(rooms, [SPLIT])
    table = summarize_pointing(rows, novel_classes(rooms) or (), replicates=20)
    assert len(rows) > 20
    assert table.figure("all classes", "all").value > 75
    whole_image = pointing_rows(rooms, [SPLIT], "chefer_et_al")
    assert rows["hit"].mean() > whole_image["hit"].mean()


def test_the_default_encoder_points_at_more(rooms):
    plain, fine = (pointing_rows(rooms, [SPLIT], preset) for preset in ("sparse", "sparse@fine"))
    assert fine["hit"].mean() > max(0.8, plain["hit"].mean() - 0.02)


@pytest.mark.parametrize("task", ["completion", "localization"])
def test_networks_that_ship_answer_in_held_out_rooms(rooms, task):
    kind = dict(limit=2, device="cpu", workers=0, options=EvaluationOptions(grids=(32,)))
    rows = {
        name: evaluate(f"shipped:{task}{name}", rooms, [SPLIT], **kind)
        for name in ("", "_aware", "_any")
    }
    table = summarize(
        {"ours": rows[""], "aware": rows["_aware"], "any": rows["_any"]},
        SummaryOptions(cutoff="stored", against="ours"),
    )
    mean = [] if task == "completion" else ["mean"]
    assert table.figure("novel room", "ours", *mean).value > 5
    assert table.figure("novel room", "ours less aware", *mean).value > 2
    any_encoder = table.figure("novel room", "any", *mean).value
    assert any_encoder > table.figure("novel room", "aware", *mean).value


def test_configs_that_ship_name_what_is_there():
    for file in sorted((ROOT / "config").glob("*.yaml")):
        config = load_config(file)
        for name in (config.completion.checkpoint, config.localization.checkpoint):
            kind, _, rest = name.partition(":")
            assert kind in ("published", "untrained") or rest in shipped_names()


def test_figures_of_the_model_card_are_those_of_the_results():
    """A figure with its interval; `make results` prints them in the same form."""
    figure = re.compile(r"\d+\.\d \[\d+\.\d, \d+\.\d\]")
    results = (ROOT / "docs/results.md").read_text()
    shown = figure.findall((ROOT / "docs/model_card.md").read_text())
    assert len(shown) >= 10
    assert [text for text in shown if text not in results] == []
