"""The programs as a user starts them together: node, client, demo; good input and bad."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from asking import diagnostics
from PIL import Image as Picture
from support import ROOT, wait_for

from semabs_core.checkpoint import CONFIG_FILE
from semabs_ros import SPINS
from semabs_ros.demo import Demo

CONFIG = str(ROOT / "config" / "demo.yaml")


@pytest.mark.parametrize(
    ("own", "count"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "70000"}, "70000"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
)
def test_threads_without_work_soon_sleep_unless_the_user_says_how_long(own, count):
    """As PyTorch's OpenMP has it."""
    inherited = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    said = subprocess.run(
        [sys.executable, "-c", "import semabs_ros, torch"], text=True, check=True,
        env=inherited | own | {"OMP_DISPLAY_ENV": "verbose"}, stderr=subprocess.PIPE,
    ).stderr  # fmt: skip
    assert f"GOMP_SPINCOUNT = '{count}'" in said


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_programs_end_cleanly_on_signals(start, sig):
    player = start("semabs_ros.player", {"rate_hz": "2.0"})
    node = start("semabs_ros.node", {"autostart": "true", "config_file": f"'{CONFIG}'"})
    wait_for(lambda: "subscribed to" in node.text, 120, "running node")
    for process in (node, player):
        code = process.stop(sig)
        assert code in (0, -sig), process.text
        assert "Traceback" not in process.text, process.text


def test_the_node_ends_while_its_models_load(start, peer, tmp_path):
    os.mkfifo(tmp_path / CONFIG_FILE)  # reading it never ends
    last = diagnostics(peer)
    parameters = {"autostart": "true", "completion.checkpoint": f"'{tmp_path}'"}
    node = start("semabs_ros.node", parameters)
    wait_for(
        lambda: last.get("semabs: models", ("", ""))[1] == "configuring", 120, "node that loads"
    )
    code = node.stop()
    assert code in (0, -signal.SIGINT), node.text
    assert "Traceback" not in node.text, node.text


HIDDEN_BOTTLE = (1.20, 0.71, 0.21)
"""Where the wine bottle is that the fridge of the built-in room hides, world frame, metres."""
PLANNER = """
import runpy, sys
sys.argv = ["planner", sys.argv[1]]
try:
    runpy.run_path("examples/ask_from_planner.py", run_name="__main__")
finally:
    loaded = [m for m in sys.modules if m.startswith(("torch", "semabs_core", "semabs_ros"))]
    assert not loaded, loaded
"""


def plan(sentence):
    return subprocess.run(
        [sys.executable, "-c", PLANNER, sentence],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_a_planner_needs_nothing_but_the_interfaces(start):
    start("semabs_ros.player")
    # The goal comes while the models load, and waits.
    start("semabs_ros.node", {"autostart": "true", "config_file": f"'{CONFIG}'"})
    done = plan("the wine bottle in the fridge")
    assert done.returncode == 0, done.stderr
    place, message = done.stdout.strip().split(" in map: ")
    assert np.linalg.norm(np.subtract([float(v) for v in place.split()], HIDDEN_BOTTLE)) < 0.8
    assert message
    done = plan("the wine bottle under the fridge")
    assert done.returncode == 1
    assert "unknown relation 'under'" in done.stderr


def run_demo(tmp_path, *arguments, timeout=300):
    return subprocess.run(
        [sys.executable, "-m", "semabs_ros.demo", "--out", str(tmp_path / "out"), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def test_the_demo_writes_pictures_and_meshes(tmp_path, scene_file):
    done = run_demo(tmp_path, "--scene", str(scene_file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "untrained" not in done.stdout
    assert "red mug behind blue box" in done.stdout
    out = tmp_path / "out"
    for name in ("relevancy.png", "completion.png", "localization.png"):
        picture = np.asarray(Picture.open(out / name))
        assert picture.std() > 10
    for name in ("measured.ply", "completion.ply", "completion.obj", "localization.ply"):
        assert (out / name).stat().st_size > 200
    assert not list(out.glob("*part*"))


@pytest.mark.parametrize(
    ("arguments", "match", "code"),
    [
        (["--scene", "/nowhere.npz"], "there is no scene file /nowhere.npz", 2),
        (["--scene", "/nowhere"], "there is no scene file, folder or bag /nowhere", 2),
        (["--out", "/proc/nowhere"], "--out /proc/nowhere cannot be written", 2),
        (["--read", "up=w"], "read options: up: Input should be 'auto'", 2),
        (["--scenes", "a"], "unrecognized arguments: --scenes", 2),
        (["--camera-pose", "1 2"], "camera_pose does not apply to this (scene file)", 2),
        (["--config", "/nowhere.yaml"], "cannot read the config /nowhere.yaml", 1),
    ],
)
def test_the_demo_says_what_is_wrong(tmp_path, arguments, match, code):
    done = run_demo(tmp_path, *arguments)
    assert done.returncode == code
    assert match in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_takes_its_arguments_from_the_environment(tmp_path, monkeypatch):
    """As ``make demo SCENE=...`` gives them: whatever quotes they hold."""
    monkeypatch.setenv("SCENE", '/it\'s "here".npz')
    done = run_demo(tmp_path)
    assert done.returncode == 2
    assert done.stderr == 'demo: there is no scene file /it\'s "here".npz\n'


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_takes_its_processes_with_it(start, tmp_path, sig):
    demo = start("semabs_ros.demo", None, OUT=str(tmp_path))
    children = Path(f"/proc/{demo.popen.pid}/task/{demo.popen.pid}/children")
    started = wait_for(lambda: len(children.read_text().split()) == 3 and children.read_text())
    assert demo.stop(sig) == 128 + sig
    assert not [pid for pid in started.split() if Path(f"/proc/{pid}").exists()]


def test_a_signal_while_a_process_is_started_waits_until_it_is_known(tmp_path, monkeypatch):
    """It would outlive the demo otherwise."""
    demo = Demo("", "", tmp_path)

    def popen(command, **_):
        demo.interrupt(int(signal.SIGTERM), None)
        return SimpleNamespace(poll=lambda: 0, wait=lambda timeout: 0)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt, match="15"):
        demo.start("player", {})
    assert list(demo.processes) == ["player"]
    with pytest.raises(KeyboardInterrupt, match="2"):
        demo.interrupt(int(signal.SIGINT), None)
