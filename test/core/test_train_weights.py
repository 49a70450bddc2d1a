"""The encoders that ``scripts/train_weights.sh`` trains, read off the commands it would run."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support import ROOT

from semabs_core.commands.common import parse_options
from semabs_core.training.encoder_config import parse_encoder_config

RECORDER = """#!/usr/bin/env bash
[ "$1" = -c ] && echo 0
printf '%s\\n' "$*" >>"$COMMANDS"
"""


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Name to config of each encoder, in the order of their training."""
    folder = tmp_path_factory.mktemp("weights")
    recorder = folder / "python"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "train_weights.sh"), "OUT"],
        capture_output=True, text=True, timeout=120, cwd=folder,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}",
             "COMMANDS": str(folder / "commands")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    configs = {}
    for line in (folder / "commands").read_text().splitlines():
        _, separator, rest = line.partition("semabs_core.cli train encoder ")
        if separator:
            words = rest.split()
            options = [words[at + 1] for at, word in enumerate(words) if word == "--option"]
            name = Path(words[words.index("--out") + 1]).name
            assert name not in configs, "two runs in one folder"
            configs[name] = parse_encoder_config(parse_options(options))
    return configs


def test_each_encoder_starts_from_one_that_was_trained_before_and_grows_at_most(encoders):
    trained = {}
    for name, config in encoders.items():
        if config.start:
            first, grown = trained[Path(config.start).name], config.shape
            assert replace(first, image_size=grown.image_size, layers=grown.layers) == grown
            assert (first.image_size, first.layers) <= (grown.image_size, grown.layers)
            assert first == grown or name == "encoder_fine_first"
        trained[name] = config.shape
    assert {"encoder", "encoder_coarse", "encoder_poor", "encoder_heldout"} <= set(trained)


def test_the_encoders_differ(encoders):
    final = [encoders[f"encoder{name}"] for name in ("", "_coarse", "_poor", "_heldout")]
    assert len({(c.shape.image_size, c.shape.patch_size, c.shape.width) for c in final}) == 4
    assert len({config.shape.patch_size for config in final}) == 3
    first = {name: config.seed for name, config in encoders.items() if not config.start}
    assert len(set(first.values())) == len(first) == 4, "no two begin with the same weights"
    assert encoders["encoder_poor"].relevancy_phrases == 0
