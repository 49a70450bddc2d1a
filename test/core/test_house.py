"""The plan of the house: which way modules import, and that none grows too long."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

PACKAGES = ("semabs_core", "semabs_ros")
LONGEST = 350


def modules():
    """Dotted name to file."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return {dotted(file): file for file in files}


def dotted(file: Path):
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(file, known):
    """Modules that a file imports when it is imported, without the packages they lie in."""
    found = set()
    for statement in ast.parse(file.read_text()).body:
        if isinstance(statement, ast.ImportFrom) and statement.module in known:
            parts = {f"{statement.module}.{alias.name}" for alias in statement.names}
            inner = parts & known.keys()
            found |= inner
            if inner != parts:
                found.add(statement.module)
        elif isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names} & known.keys()
    return found


def test_no_modules_import_each_other():
    known = modules()
    edges = {name: imported(file, known) for name, file in known.items()}
    assert sum(map(len, edges.values())) > len(edges), "imports are found at all"
    free = set()
    while True:  # what imports nothing but free modules is free; a circle never is
        more = {name for name, found in edges.items() if name not in free and found <= free}
        if not more:
            break
        free |= more
    assert sorted(edges.keys() - free) == []


def test_the_core_imports_nothing_of_the_ros_side():
    known = modules()
    wrong = {
        name: sorted(found)
        for name, file in known.items()
        if name.startswith("semabs_core")
        and (found := {m for m in imported(file, known) if m.startswith("semabs_ros")})
    }
    assert wrong == {}


def test_the_core_never_imports_ros():
    code = (
        "import sys, pkgutil, importlib, semabs_core\n"
        "for m in pkgutil.walk_packages(semabs_core.__path__, 'semabs_core.'):\n"
        "    try:\n"
        "        importlib.import_module(m.name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        assert error.name in ('gradio', 'rerun'), error  # of optional parts\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in "
        "('rclpy', 'semabs', 'semabs_ros', 'sensor_msgs', 'tf2_ros', 'cv_bridge', 'launch')]\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_short_enough_to_be_read(package):
    lengths = {dotted(f): len(f.read_text().splitlines()) for f in (ROOT / package).rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}
