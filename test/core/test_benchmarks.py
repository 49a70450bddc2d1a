"""What the benchmarks compare with: turns, ratios of rounds, older versions."""

import json

import pytest

from benchmarks.speed import clock, report
from benchmarks.speed.clock import Clock, Spent
from benchmarks.speed.frames import DEFAULT_PRESET, for_older
from semabs_core.checkpoint import load_network
from semabs_core.encoder import load_encoder
from semabs_core.presence import read_presence
from semabs_core.relevancy import RENDER_PROMPTS
from semabs_core.weights.shipped import FOLDER


class FakeClock:
    """Stands still but for what works say that they take."""

    def __init__(self) -> None:
        self.now, self.order = 0.0, []

    def work(self, name: str, *seconds: float):
        left = iter(seconds)

        def run() -> None:
            self.order.append(name)
            self.now += next(left)

        return run


@pytest.fixture
def fake(monkeypatch):
    fake = FakeClock()
    monkeypatch.setitem(clock.CLOCKS, "fake", lambda: fake.now)
    return fake


def test_works_take_turns_forwards_and_backwards(fake):
    works = {"a": fake.work("a", *[1] * 4), "b": fake.work("b", *[1] * 4)}
    Clock("fake", 3).compare(works)
    assert "".join(fake.order) == "ab" + "ab" + "ba" + "ab"  # the first two warm up


def test_a_ratio_is_that_of_rounds_and_not_of_medians(fake):
    """Rounds of 1 / 2, 30 / 10 and 8 / 16 s: the machine was slow in the second one."""
    works = {"a": fake.work("a", 99, 1, 30, 8), "b": fake.work("b", 99, 2, 10, 16)}
    spent = Clock("fake", 3).compare(works)
    assert (spent["a"], spent["b"]) == (8, 10)
    assert spent.ratio("a", "b") == 0.5


def test_a_share_of_several_works_is_that_of_their_sum():
    spent = Spent({"all": [3.0, 4.0, 9.0], "one": [1.0, 1.0, 2.0], "other": [2.0, 1.0, 1.0]})
    assert spent.ratio("all", "one", "other") == 2


def test_older_versions_load_what_they_get(tmp_path):
    network = FOLDER / "completion_any"
    before = (network / "network.json").read_bytes()
    copy = for_older(network, tmp_path, "fast")
    noted = json.loads((copy / "network.json").read_text())["metadata"]
    assert noted["hidden"].keys() == {"cutoff", "scale", "bias"}
    assert noted["calibration"].keys() == {"scale", "bias"}
    assert load_network(copy).config == load_network(network).config
    assert load_network(network).metadata["preset"] == DEFAULT_PRESET
    assert (network / "network.json").read_bytes() == before
    copy = for_older(FOLDER / "encoder_fine", tmp_path, "fast")
    assert list(json.loads((copy / "presence.json").read_text())["presets"]) == ["fast"]
    encoder = load_encoder(f"local-dir:{copy}")
    assert read_presence(encoder, "fast", RENDER_PROMPTS) is not None
    assert read_presence(encoder, "sparse", RENDER_PROMPTS) is None


def test_tables_are_written_for_people_and_for_programs(tmp_path):
    table = report.Table("Frames", "In turns.", ("what", "[s]"), [["a frame", 1.23456]])
    report.write([table], {"cores": 2}, tmp_path / "new" / "speed")
    text = (tmp_path / "new" / "speed.md").read_text()
    assert text.startswith("# Speed\n\ncores 2\n\n## Frames\n\nIn turns.\n\n| what | [s] |\n")
    assert "| a frame | 1.23 |" in text
    content = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert content["machine"] == {"cores": 2}
    assert content["tables"][0]["rows"] == [["a frame", 1.23456]]
