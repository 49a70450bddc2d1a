"""The research loop from rooms to tables, as ``make research-smoke`` runs it."""

import subprocess

import pytest
from support import ROOT

from semabs_core.evaluation.rows import read_rows


@pytest.mark.slow
def test_the_whole_loop_runs(tmp_path):
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "research_smoke.sh"), str(tmp_path)],
        capture_output=True, text=True, timeout=900, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    pairs = {
        "completion": ("semantic_abstraction", "semantic_aware"),
        "localization": ("semantic_abstraction", "semantic_aware", "clip_spatial"),
    }
    for task, approaches in pairs.items():
        for approach in approaches:
            rows = read_rows(tmp_path / task / f"{approach}.parquet")
            assert set(rows["split"]) == {
                "validation", "unseen_instances", "unseen_instances_dr", "unseen_instances_synonyms"
            }  # fmt: skip
            assert rows["voxel32x32x32_iou"].between(0, 1).any()
            folder = tmp_path / task / approach
            assert (folder / "network.safetensors").exists()
            assert (folder / "training.yaml").exists()
            assert list((folder / "tensorboard").iterdir())
    rows = read_rows(tmp_path / "inputs.parquet")
    assert {"voxel32x32x32_iou", "voxel60x60x60_iou"} <= set(rows.columns)
    assert "Pointing accuracy" in (tmp_path / "pointing.md").read_text()
    table = (tmp_path / "completion.md").read_text()
    assert "novel class" in table
    assert "37.9" in table  # the published figure beside ours
    assert (tmp_path / "localization.csv").read_text().count("\n") > 10
