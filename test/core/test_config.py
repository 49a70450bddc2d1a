"""YAML in and out, and every fault of a file at once."""

import dataclasses

import pytest
from support import ROOT

from semabs_core.config import (
    MEAN_VOCABULARY,
    ConfigError,
    SemabsConfig,
    load_config,
    parse_config,
    save_config,
)
from semabs_core.devices import choose_device


def test_round_trip(tmp_path):
    config = parse_config({"relevancy": {"preset": "fast", "mean_vocabulary": ["a", "b"]}})
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_all_faults_are_reported_together():
    values = {
        "relevancy": {"preset": "best", "tile_batch": 0},
        "region": {"region_size_m": -1.0},
        "colour": 3,
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(values, "my.yaml")
    text = str(caught.value)
    assert "4 fault(s) in my.yaml" in text
    for name in ("relevancy.preset", "relevancy.tile_batch", "region.region_size_m", "colour"):
        assert name in text


def test_of_unknown_options_the_nearest_is_told():
    values = {"regoin": {}, "region": {"floor": 0.1}, "completion": {"zzz": 1}}
    with pytest.raises(ConfigError) as caught:
        parse_config(values, "my.yaml")
    text = str(caught.value)
    assert "regoin: no such option (did you mean region?)" in text
    assert "region.floor: no such option (did you mean floor_z_m?), got 0.1" in text
    assert "completion.zzz: no such option (there are resolution, " in text


@pytest.mark.parametrize("name", ["semabs.yaml", "clip.yaml", "tabletop.yaml", "demo.yaml"])
def test_shipped_configs_are_valid_and_fast(name):
    config = load_config(ROOT / "config" / name)
    clip = not config.encoder.model.startswith("shipped:")
    assert config.relevancy.preset == ("sparse" if clip else None)


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "weights").mkdir()
    file = tmp_path / "config.yaml"
    file.write_text(
        "encoder: {model: 'local-dir:weights'}\n"
        "completion: {checkpoint: weights}\nlocalization: {checkpoint: elsewhere}\n"
    )
    config = load_config(file)
    assert config.encoder.model == f"local-dir:{tmp_path / 'weights'}"
    assert config.completion.checkpoint == str(tmp_path / "weights")
    assert config.localization.checkpoint == "elsewhere"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: [", "is not YAML"),
        ("[1, 2]", "must be a mapping, got list"),
        ("a: 1", "a: no such option"),
    ],
)
def test_bad_files_are_named(tmp_path, text, match):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=match):
        load_config(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the config .*nothing.yaml: No such file"):
        load_config(tmp_path / "nothing.yaml")


def test_every_option_is_documented():
    def check(cls):
        for name, info in cls.__pydantic_fields__.items():
            if dataclasses.is_dataclass(getattr(SemabsConfig(), name, None)):
                check(type(getattr(SemabsConfig(), name)))
            else:
                assert info.description, name

    check(SemabsConfig)


def test_devices_are_checked():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="device must be auto, cpu, cuda"):
        choose_device("tpu9")
    with pytest.raises(ConfigError, match="device 'cuda:77' is not there: torch sees"):
        choose_device("cuda:77")


def test_the_mean_vocabulary_is_wide_enough():
    assert len(set(MEAN_VOCABULARY)) >= 20
