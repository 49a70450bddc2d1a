"""``semabs ask``: a scene file, any config, answers as tables and files."""

import dataclasses

import numpy as np
import pytest
import yaml
from support import ENCODER
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.data.scene_file import built_in_scene, save_scene

STEP = 4
CONFIG = {
    "encoder": {"model": ENCODER},
    "relevancy": {"preset": "chefer_et_al", "augmentations": 0},
    "completion": {"checkpoint": "untrained", "resolution": 8},
    "localization": {"checkpoint": "untrained", "resolution": 8},
}
PICTURES = {"relevancy.png", "completion.png", "measured.ply"}


@pytest.fixture
def ask(tmp_path):
    """Ask about a small scene with tiny networks; returns what is printed and written."""
    whole = built_in_scene()
    small = dataclasses.replace(
        whole,
        rgb=whole.rgb[:, ::STEP, ::STEP],
        depth_m=whole.depth_m[:, ::STEP, ::STEP],
        K=np.diag([1 / STEP, 1 / STEP, 1]) @ whole.K,
    )
    save_scene(small, tmp_path / "scene.npz")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))

    def run(*arguments):
        command = ["ask", str(tmp_path / "scene.npz"), *arguments]
        command += ["--config", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(app, command)
        if done.exception is not None:
            raise done.exception
        return done.output, {file.name for file in (tmp_path / "out").iterdir()}

    return run


def test_a_sentence_is_answered_with_a_place(ask):
    output, files = ask("wine bottle in fridge", "--classes", "fridge, mug [red]")
    assert "NOTE: completion, localization untrained" in output
    assert "mug [red]" in output
    assert "z [m]" in output
    assert "wine bottle in fridge" in output
    assert "best guess (no calibration" in " ".join(output.split())
    assert "not calibrated" in output
    assert files >= PICTURES | {"localization.png", "localization.ply"}


def test_without_a_sentence_the_scenes_classes_are_completed(ask):
    output, files = ask()
    assert "basket ball" in output
    assert "z [m]" not in output
    assert files >= PICTURES
    assert not {name for name in files if "localization" in name}
