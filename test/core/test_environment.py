"""The set-up: the tree comes first, and what cannot be set up is said in one line."""

import os
import subprocess
import sys

import pytest
from support import ROOT


def run(*command, **environment):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd="/",
        env={**os.environ, **environment},
    )  # fmt: skip


def test_added_and_edited_modules_are_seen_at_once():
    """No installed copy shadows the tree."""
    probe = ROOT / "semabs_core" / "_probe_of_a_test.py"
    code = "import semabs_core._probe_of_a_test as p; print(p.VALUE, p.__file__)"
    try:
        for value in ("first", "second edition"):
            probe.write_text(f"VALUE = {value!r}\n")
            done = run(sys.executable, "-B", "-c", code)
            assert done.stdout.strip() == f"{value} {probe}", done.stderr
    finally:
        probe.unlink()


def test_a_second_set_up_has_nothing_to_do():
    """The environment that runs this test is up to date: its script comes back at once."""
    distro = os.environ.get("ROS_DISTRO", "")
    if f"/{distro}-py" not in os.environ.get("VIRTUAL_ENV", ""):
        pytest.skip("not in an environment that scripts/environment.py made without a ROS")
    plain = {"PYTHONPATH": "", "AMENT_PREFIX_PATH": ""}
    done = run(sys.executable, str(ROOT / "scripts/environment.py"), "--distro", distro, **plain)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("/env.sh")
    assert "colcon" not in done.stderr


def test_another_checkouts_environment_is_no_ros_of_the_machine(tmp_path):
    """Its shell may be the one in which this checkout is set up."""
    if ".semabs" not in os.environ.get("AMENT_PREFIX_PATH", ""):
        pytest.skip("not in an environment that scripts/environment.py made without a ROS")
    other = tmp_path / "scripts" / "environment.py"
    other.parent.mkdir()
    other.write_text((ROOT / "scripts/environment.py").read_text())
    code = f"import runpy; print(runpy.run_path({str(other)!r})['native_distro']())"
    done = run(sys.executable, "-c", code)
    assert done.stdout.strip() == "None", done.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--distro", "melodic"], "there are no wheels for 'melodic'; DISTRO must be kilted or"),
        (["--native-only"], "no sourced ROS 2: source /opt/ros/<distro>/setup.bash first"),
    ],
)
def test_what_cannot_be_set_up_is_one_line(arguments, match):
    plain = {"PYTHONPATH": "", "AMENT_PREFIX_PATH": ""}
    done = run(sys.executable, str(ROOT / "scripts/environment.py"), *arguments, **plain)
    assert done.returncode == 1
    assert match in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            ["weights", "convert", "/nowhere", "/tmp/x"],
            "semabs: there is no checkpoint folder /nowhere",
        ),
        (["ask", "/nowhere.npz", "mug on table"], "semabs: there is no scene file /nowhere.npz"),
        (["summarize", "/nowhere.parquet"], "/nowhere.parquet"),
        (["data", "rooms", "--out", "/tmp/x", "--split", "train"], "expected name=number"),
        (["train", "completion", "--option", "seed=x", "--out", "/tmp/x"], "seed"),
        (["eval", "/nowhere", "--data", "/nowhere", "--out", "/tmp/x.parquet"], "/nowhere"),
    ],
)
def test_the_command_line_fails_in_words(arguments, match):
    done = run(sys.executable, "-m", "semabs_core.cli", *arguments)
    assert done.returncode != 0
    assert match in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_conversion_from_the_command_line(tmp_path):
    source = ROOT / "test" / "fixtures" / "published_networks" / "vool_semabs"
    done = run(
        sys.executable,
        "-m",
        "semabs_core.cli",
        "weights",
        "convert",
        str(source),
        str(tmp_path / "o"),
    )
    assert done.returncode == 0, done.stderr
    assert "localization by semantic_abstraction" in done.stdout
    assert (tmp_path / "o" / "network.safetensors").exists()
