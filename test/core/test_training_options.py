"""The options of training runs as users see them: page, list, help, names of approaches."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.config import nest
from semabs_core.training import config, encoder_config
from semabs_core.training import settings as options
from semabs_core.training.loop import TrainingResult

PAGE = Path(__file__).parents[2] / "docs/training.md"
CONFIGS = {
    "networks": (config.TrainingConfig, config.CHANGEABLE),
    "encoders": (encoder_config.EncoderTrainingConfig, encoder_config.CHANGEABLE),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_page_lists_every_option_as_it_is(name):
    cls, changeable = CONFIGS[name]
    section = PAGE.read_text(encoding="utf-8").partition(f"## Options of {name}\n\n")[2]
    assert section.partition("\n## ")[0].strip() == options.markdown_table(cls).strip()
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert ", ".join(f"`{option}`" for option in sorted(changeable)) in text


@pytest.mark.parametrize("name", CONFIGS)
def test_every_option_has_a_meaning_and_is_taken_by_its_name(name):
    cls, changeable = CONFIGS[name]
    lines = options.option_lines(cls)
    names = [line.name for line in lines]
    assert len(set(names)) == len(names)
    assert changeable <= set(names)
    assert all(line.meaning for line in lines)
    assert set(options.settings_of(cls(), ())) == set(names)


def test_flat_settings_are_nested_again():
    nested = {"a": 1, "b": {"c": [1, 2], "d": {"e": None}}}
    assert options.flatten(nested) == {"a": 1, "b.c": [1, 2], "b.d.e": None}
    assert nest(options.flatten(nested)) == nested


@pytest.mark.parametrize(
    ("task", "option"), [("completion", "network.levels"), ("encoder", "relevancy_phrases")]
)
def test_options_are_listed_on_demand(task, option):
    done = CliRunner().invoke(app, ["train", task, "--list-options"])
    assert done.exit_code == 0, done.output
    assert option in done.output


def test_the_help_shows_the_most_used_options():
    done = CliRunner().invoke(app, ["train", "--help"])
    assert done.exit_code == 0
    for text in ("optimization.learning_rate", "0.001", "data.num_labels", "--list-options"):
        assert text in done.output


def test_an_unknown_task_is_named():
    done = CliRunner().invoke(app, ["train", "segmentation", "--list-options"])
    assert done.exit_code == 2
    assert "segmentation" in done.output


def test_chefer_is_an_approach_by_name(monkeypatch, tmp_path):
    seen = []

    def note(config):
        seen.append(config)
        return TrainingResult(tmp_path, 1, 0, None, -1.0)

    monkeypatch.setattr("semabs_core.training.train", note)
    folders = ["--data", str(tmp_path), "--out", str(tmp_path)]
    command = ["train", "completion", "--approach", "chefer", *folders]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert seen[0].network.approach == "semantic_abstraction"
    assert seen[0].data.preset == "chefer_et_al"
