"""docs/commands.md: every command beside a published one runs, on the weights that ship."""

import re
import shlex

import pytest
from PIL import Image
from support import NETWORK_FIXTURES, ROOT
from test_weights import archive_of
from typer.testing import CliRunner

from semabs_core.cli import app
from semabs_core.data.scene_file import built_in_scene, save_scene

ROWS = re.findall(r"\| `(semabs [^`]+)` \|$", (ROOT / "docs/commands.md").read_text(), re.M)
SMALL = {
    "data rooms": "--split train=1,validation=1,unseen_instances=1 --workers 1 "
    "--option size=[64,48] --option points=4000",
    "data relevancy": "--augmentations 0",
    "train": "--option network.voxel_shape=[16,16,16] --option network.channels=8 "
    "--option network.f_maps=8 --option network.levels=2 --option network.hidden=16 "
    "--option network.pointing_dim=8 --option data.num_input_points=500 "
    "--option data.num_query_points=500 --option optimization.max_steps=1 "
    "--option optimization.warmup_steps=1 --option workers=0 --option device=cpu",
    "eval": "--workers 0 --device cpu --grid 32",
    "complete": "--no-video --class floor --class fridge --device cpu --preset chefer_et_al",
    "localize": "--no-video --device cpu --preset chefer_et_al",
    "visualize": "--frames 1",
}
"""What makes a row quick; nothing that it says is changed."""
WRITTEN = {
    "relevancy": "relevancy/relevancy.npz", "complete": "room/completion.json",
    "localize": "room/localization.json", "visualize": "room/completion.mp4",
}  # fmt: skip


@pytest.mark.slow
def test_every_row_of_the_table_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMABS_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    source = NETWORK_FIXTURES / "ovssc_semabs"
    members = {f"models/ours/ovssc/{f.name}": f.read_bytes() for f in source.iterdir()}
    archive_of(tmp_path / "home" / "models.tar.lz4", members)  # so that nothing is downloaded
    scene = built_in_scene()
    save_scene(scene, "scene.npz")
    Image.fromarray(scene.rgb[0]).save("photo.png")
    assert len(ROWS) >= 18
    for row in ROWS:
        words = shlex.split(row)[1:]
        for name, more in SMALL.items():
            if row.startswith(f"semabs {name} "):
                words += more.split()
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{row}: {done.output} {done.exception!r}"
        if words[0] in WRITTEN:
            assert (tmp_path / WRITTEN[words[0]]).stat().st_size > 100, row
        if words[0] == "train":
            folder = tmp_path / words[words.index("--out") + 1]
            assert (folder / "network.safetensors").exists(), row
