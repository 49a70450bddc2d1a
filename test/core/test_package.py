"""What pip installs: nothing is left out, the metadata are true, it answers without the tree."""

import email
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from support import ROOT

import semabs_core
from semabs_core.config import ConfigError, load_config
from semabs_core.config_files import FOLDERS, config_names, find_config

NOT_SOURCES = shutil.ignore_patterns(
    ".git", ".semabs", "out", "build", "install", "log", "dist", "*.egg-info", "__pycache__",
    "*.pyc", "*.part", ".*_cache", ".hypothesis",
)  # fmt: skip


def build(kind, folder, out):
    """Build ``sdist`` or ``wheel`` of the sources in a folder, without a network."""
    out.mkdir()
    code = f"import sys, setuptools.build_meta as b; b.build_{kind}(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(out)],
        capture_output=True, text=True, timeout=300, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Names in the sdist, and the wheel that was built from nothing but the sdist, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT, folder / "tree", ignore=NOT_SOURCES)
    archive = build("sdist", folder / "tree", folder / "sdist")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "unpacked")
    (unpacked,) = (folder / "unpacked").iterdir()
    wheel = build("wheel", unpacked, folder / "wheel")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "site")
    return unpacked, folder / "site"


@pytest.fixture(scope="module")
def metadata(built):
    (file,) = built[1].glob("semabs-*.dist-info/METADATA")
    return email.message_from_string(file.read_text(encoding="utf-8"))


def files_below(folder):
    shown = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in shown}


def test_the_source_distribution_is_whole(built, tmp_path):
    shutil.copytree(ROOT, tmp_path / "tree", ignore=NOT_SOURCES)
    assert files_below(tmp_path / "tree") - files_below(built[0]) == set()


def test_the_wheel_has_every_file_of_the_packages(built, tmp_path):
    for name in ("semabs_core", "semabs_ros"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=NOT_SOURCES)
    found = files_below(built[1])
    assert files_below(tmp_path) - found == set()
    assert {name.partition("/")[0] for name in found if "dist-info" not in name} == {
        "semabs_core",
        "semabs_ros",
    }


def test_the_configs_are_in_the_wheel_and_no_second_time_in_the_tree(built):
    copied = built[1] / "semabs_core" / "configs"
    for name in config_names():
        assert (copied / name).read_bytes() == (ROOT / "config" / name).read_bytes()
    assert not FOLDERS[0].exists()


def test_the_metadata(metadata):
    assert metadata["Version"] == semabs_core.__version__
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert (ROOT / "README.md").read_text(encoding="utf-8").strip() in metadata.get_payload()
    assert {"Typing :: Typed", "Operating System :: POSIX :: Linux"} <= set(
        metadata.get_all("Classifier")
    )
    assert any(url.startswith("Paper, ") for url in metadata.get_all("Project-URL"))


def test_the_pythons_that_are_allowed_are_those_of_the_classifiers(metadata):
    allowed = SpecifierSet(metadata["Requires-Python"])
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier")))
    assert [f"3.{minor}" for minor in range(40) if f"3.{minor}" in allowed] == named


def test_the_package_of_ros_has_the_same_version():
    text = (ROOT / "package.xml").read_text(encoding="utf-8")
    assert f"<version>{semabs_core.__version__}</version>" in text


def requirements(metadata):
    lines = [*metadata.get_all("Requires-Dist")]
    for line in (ROOT / "requirements/pip-only.txt").read_text().splitlines():
        lines += [line] if line and not line.startswith("#") else []
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def pins(lines):
    return {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, lines)}


def test_the_tested_versions_are_allowed_and_name_everything(metadata, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import versions

    tested = pins(versions.tested())
    for name, requirement in requirements(metadata).items():
        assert name in tested, f"requirements/constraints.txt lacks {name}"
        assert tested[name].removeprefix("==") in requirement.specifier, name


def test_the_oldest_versions_are_the_lower_bounds(metadata, monkeypatch):
    """Every package that the core imports has one; those that break by major have an end too."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import versions

    bounds = {
        name: {bound.operator: bound.version for bound in requirement.specifier}
        for name, requirement in requirements(metadata).items()
    }
    assert pins(versions.oldest()) == {
        name: f"=={ends['>=']}" for name, ends in bounds.items() if ">=" in ends
    }
    for line in metadata.get_all("Requires-Dist"):
        requirement = Requirement(line)
        assert requirement.marker or ">=" in bounds[canonicalize_name(requirement.name)], line
    for name in ("torch", "open-clip-torch", "timm", "numpy", "pydantic"):
        assert "<" in bounds[name]


def run_installed(site, *command, folder):
    """A command where only the unpacked wheel and the dependencies can be imported."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, cwd=folder, env=environment
    )


def hide(*names):
    """Code after which modules cannot be imported."""
    return f"import sys; sys.modules.update(dict.fromkeys({names!r})); "


def test_the_wheel_answers_in_an_empty_folder(built, tmp_path):
    """`semabs demo`: pictures, meshes and answers, with neither a ROS nor the tree at hand."""
    code = (
        hide("rclpy", "semabs")
        + "sys.argv = ['semabs', 'demo', '--no-video']; from semabs_core.cli import main; main()"
    )
    done = run_installed(built[1], sys.executable, "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "wine bottle in fridge" in done.stdout
    assert "NOTE" not in done.stdout
    assert files_below(tmp_path) == {
        f"out/{name}"
        for name in (
            "scene.npz", "relevancy.png", "measured.ply", "completion.json", "completion.npz",
            "completion.png", "completion.ply", "completion.obj", "completion.mtl",
            "localization.json", "localization.npz", "localization.png", "localization.ply",
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    ("package", "configs"),
    [
        ("site-packages/semabs_core", "site-packages/semabs_core/configs"),
        ("tree/semabs_core", "tree/config"),
        ("install/lib/python3.12/site-packages/semabs_core", "install/share/semabs/config"),
    ],
)
def test_configs_are_found_by_name_however_it_is_installed(tmp_path, package, configs):
    file = tmp_path / package / "config_files.py"
    file.parent.mkdir(parents=True)
    shutil.copy(ROOT / "semabs_core/config_files.py", file)
    shutil.copytree(ROOT / "config", tmp_path / configs)
    found = runpy.run_path(str(file))
    assert found["config_names"]() == config_names()
    assert found["find_config"]("clip.yaml") == tmp_path / configs / "clip.yaml"


def test_a_file_of_the_working_directory_goes_before_the_packages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("semabs.yaml") == ROOT / "config" / "semabs.yaml"
    (tmp_path / "semabs.yaml").write_text(yaml.safe_dump({"seed": 7}))
    assert load_config("semabs.yaml").seed == 7


def test_an_unknown_config_is_told_which_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"sembas\.yaml: No such file .*clip\.yaml, demo\.yaml"):
        load_config("sembas.yaml")


@pytest.mark.parametrize(
    ("hidden", "match"),
    [
        ("rclpy", "semabs_ros needs ROS 2, and this Python has no rclpy: source ROS 2"),
        ("semabs", "semabs_ros needs the messages of the ROS package semabs"),
    ],
)
def test_the_nodes_without_ros_say_so(hidden, match, tmp_path):
    """In one line with ``python -m``."""
    if hidden == "semabs":
        pytest.importorskip("rclpy", reason="what is said without rclpy is the other case")
    code = hide(hidden) + "import runpy; runpy._run_module_as_main('semabs_ros.node')"
    done = run_installed(ROOT, sys.executable, "-c", code, folder=tmp_path)
    assert done.returncode == 1
    assert match in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
