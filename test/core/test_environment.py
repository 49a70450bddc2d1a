"""The set-up: the tree comes first, and what cannot be set up is said in one line."""

import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import ROOT


def run(*command, **environment):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd="/",
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def scripts(monkeypatch):
    """The set-up's modules."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    names = ("environment", "machine", "versions")
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in names:
        sys.modules.pop(name)


@pytest.fixture
def toy(scripts, tmp_path):
    """An environment that holds nothing yet, in a folder whose name needs quotes."""
    environment = scripts.environment.Environment("kilted", native=False, wanted="tested")
    environment.folder = tmp_path / "it's a folder"
    environment.venv = environment.folder / "venv"
    environment.install = environment.folder / "install"
    environment.python = environment.venv / "bin" / "python"
    environment.python.parent.mkdir(parents=True)
    environment.install.mkdir()
    return environment


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("package", ["semabs_core", "semabs_ros"])
def test_no_installed_copy_shadows_the_tree(package):
    """Modules are looked for in the tree alone, so that added and edited ones are seen at once."""
    if package == "semabs_ros":
        pytest.importorskip("rclpy", reason="semabs_ros needs ROS 2")
    done = run(sys.executable, "-c", f"import {package} as p; print(*p.__path__, sep='\\n')")
    assert done.stdout.splitlines() == [str(ROOT / package)], done.stderr


def test_a_second_set_up_has_nothing_to_do():
    """The environment that runs this test is up to date: its script comes back at once."""
    folder = Path(os.environ.get("VIRTUAL_ENV", "/")).parent
    distro, _, kind = folder.name.partition("-py")
    if folder.parent != ROOT / ".semabs" or "-" in distro:
        pytest.skip("not in an environment that this tree's scripts/environment.py made alone")
    plain = {"PYTHONPATH": "", "AMENT_PREFIX_PATH": ""}
    wanted = ["--distro", distro, "--versions", kind.partition("-")[2] or "tested"]
    done = run(sys.executable, str(ROOT / "scripts/environment.py"), *wanted, **plain)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("/env.sh")
    assert "colcon" not in done.stderr


def test_another_checkouts_environment_is_no_ros_of_the_machine(tmp_path):
    """Its shell may be the one in which this checkout is set up."""
    if ".semabs" not in os.environ.get("AMENT_PREFIX_PATH", ""):
        pytest.skip("not in an environment that scripts/environment.py made without a ROS")
    for file in (ROOT / "scripts").glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import machine as m; "
    done = run(sys.executable, "-c", code + "print(m.native_distro())")
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


@pytest.mark.parametrize("version", ["(3, 9, 18)", "(3, 14, 0)"])
def test_another_python_is_refused_with_the_remedy(version):
    code = "import runpy, sys; sys.argv = ['environment.py']; sys.version_info = VERSION; "
    code += f"sys.path.insert(0, {str(ROOT / 'scripts')!r}); "
    code += f"runpy.run_path({str(ROOT / 'scripts/environment.py')!r}, run_name='__main__')"
    done = run(sys.executable, "-c", code.replace("VERSION", version))
    assert done.returncode == 1
    assert "Python 3.10 to 3.13 is needed, this is" in done.stderr
    assert done.stderr.strip().endswith("add PYTHON=python3.13")
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("word", "option", "text"),
    [
        ("ASK", "--ask", 'the "big" mug'),
        ("ASK", "--ask", "it's $HOME, $5, $(x) and `y` \\ #1"),
        ("SCENE", "--scene", "/scenes/my room.npz"),
        ("RGB", "--rgb", "-odd"),
    ],
)
def test_the_makefile_hands_words_on_as_they_are(tmp_path, word, option, text):
    environment = tmp_path / "env.sh"
    environment.write_text(f"PATH={tmp_path}/bin:$PATH\n")
    setup = write_program(tmp_path / "setup", f"#!/bin/sh\necho {environment}\n")
    write_program(tmp_path / "bin/python", "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    make = ["make", "-s", "-C", str(ROOT), "demo", f"PYTHON={setup}"]
    told = run(*make, f"{word}={text}")
    assert told.stdout.splitlines() == ["-m", "semabs_ros.demo", f"{option}={text}"], told.stderr
    known = run(*make, **{word: text})
    assert known.stdout == told.stdout
    assert run(*make).stdout.splitlines() == ["-m", "semabs_ros.demo"]


PIP = """#!/bin/sh
for last; do :; done
cat "$last" >> "$0.limits"
echo end >> "$0.limits"
grep -q torch "$last" || exit 0
echo "ERROR: No matching distribution found for torch==9.9.9" >&2
exit 1
"""


def test_an_index_without_the_tested_versions_costs_one_line(toy, capfd):
    write_program(toy.python, PIP)
    toy._pip(["some-package"], ["torch==9.9.9", "numpy==1.26.4"])
    assert capfd.readouterr().err == (
        "[semabs setup] not in the tested versions (No matching distribution found for "
        "torch==9.9.9); by the bounds of pyproject.toml\n"
    )
    asked = toy.python.with_name("python.limits").read_text()
    assert asked.split() == ["torch==9.9.9", "numpy==1.26.4", "end", "end"]


def test_the_oldest_versions_are_not_replaced_by_others(toy):
    write_program(toy.python, PIP)
    toy.versions = "oldest"
    with pytest.raises(SystemExit):
        toy._pip(["some-package"], ["torch==9.9.9"])


def test_the_numpy_of_a_sourced_ros_stays(scripts, toy, monkeypatch):
    """With the tested versions and without them; nor is anything else of the system pinned."""
    there = {"numpy": "1.26.4", "pyyaml": "6.0.1"}
    monkeypatch.setattr(scripts.environment, "system_packages", lambda: there)
    toy.native = True
    write_program(toy.python, PIP)
    toy._pip(["some-package"], scripts.versions.constraints("tested", there))
    first, second = toy.python.with_name("python.limits").read_text().split("end\n")[:2]
    assert second.split() == ["numpy==1.26.4"]
    names = [line.partition("==")[0] for line in first.split()]
    assert names.count("numpy") == 1
    assert "torch" in names
    assert "pyyaml" not in names


def test_headers_are_named_where_they_are(toy):
    """CMake refuses the folders of the machine that built the wheels."""
    include, arrays = toy.venv / "include", toy.venv / "numpy/_core/include"
    write_program(toy.python, f'#!/bin/sh\necho "{include}"\necho "{arrays}"\n')
    (toy.folder / "packages.stamp").write_text("some key")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    builder = "/opt/python/cp{0}{1}-cp{0}{1}".format(*sys.version_info[:2])
    export = write_program(
        toy.venv / "share/rclpy/cmake/rclpyExport.cmake",
        f'"{builder}/include/{version};{builder}/lib/{version}/site-packages/numpy/_core/include"',
    )
    toy._mend_exports()
    assert export.read_text() == f'"{include};{arrays}"'


def test_colcons_script_is_told_of_a_python_without_spaces(toy):
    """It does not quote the one that it would take by itself, that of the virtual environment."""
    (toy.install / "setup.bash").write_text('$COLCON_PYTHON_EXECUTABLE -c "print(7)"\n')
    command = f'source {shlex.quote(str(toy._write_script()))}; echo "[$COLCON_PYTHON_EXECUTABLE]"'
    assert run("bash", "-c", command).stdout.splitlines() == ["7", "[]"]


def test_a_home_that_cannot_be_written_is_no_obstacle(toy):
    """The script of any folder can be sourced, and rclpy's log goes where it can be written."""
    (toy.install / "setup.bash").write_text("")
    script = toy._write_script()
    command = f'source {shlex.quote(str(script))} && echo "$VIRTUAL_ENV" && echo "$ROS_LOG_DIR"'
    bash = ["env", "-u", "ROS_LOG_DIR", "-u", "ROS_HOME", "bash", "-c", command]
    done = run(*bash, HOME="/proc/none")
    assert done.stdout.splitlines() == [str(toy.venv), str(toy.folder / "ros-log")], done.stderr
    done = run(*bash, HOME=str(toy.folder))
    assert done.stdout.splitlines() == [str(toy.venv), ""], done.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            ["weights", "convert", "/nowhere", "/tmp/x"],
            "semabs: there is no checkpoint folder /nowhere",
        ),
        (
            ["localize", "/nowhere.npz", "mug on table"],
            "semabs: there is no scene file /nowhere.npz",
        ),
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
