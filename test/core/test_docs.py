"""What is written for people is true: links lead somewhere, code runs, the site builds."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec

import matplotlib.pyplot
import pytest
from support import ROOT

ROOT_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
PAGES = [*ROOT_PAGES, *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
PYTHON_PAGES = ("README.md", "docs/tutorials/first_minute.md", "docs/tutorials/own_data.md",
                "docs/reference/formats.md")  # fmt: skip


def anchor(title):
    """As sites and GitHub make it of a heading."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(text):
    return {anchor(title) for title in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"(https?|mailto):", link):
            continue
        target, _, heading = link.partition("#")
        file = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert file.exists(), f"{page} links to {link}"
        if heading:
            assert heading in anchors(file.read_text(encoding="utf-8")), f"{page} links to {link}"


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_on_the_pages_runs_as_pasted(page, tmp_path, monkeypatch):
    """Blocks for planners need a node, and run in test/ros."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE
    )
    blocks = [block for block in blocks if "SemabsClient" not in block]
    assert blocks
    space = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, page, "exec"), space)


def test_the_scene_that_the_tutorial_writes_can_be_read(tmp_path, monkeypatch):
    from semabs_core.data.scene_file import load_scene

    test_python_on_the_pages_runs_as_pasted("docs/tutorials/own_data.md", tmp_path, monkeypatch)
    scene = load_scene(tmp_path / "scene.npz")
    assert scene.descriptions == [("mug", "on", "table")]
    assert scene.frame(0).T_world_camera[2, 3] == 1.2


def test_the_notebook_runs(monkeypatch, capsys):
    """Its cells in their order, as Jupyter would; no result is kept in it."""
    monkeypatch.setattr(matplotlib.pyplot, "show", matplotlib.pyplot.close)
    matplotlib.pyplot.switch_backend("agg")
    notebook = json.loads((ROOT / "examples/first_look.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    space = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        assert cell["outputs"] == []
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), space)
    said = capsys.readouterr().out
    assert "found (probability" in said
    assert "['harry potter book']" in said or "['harry potter']" in said


@pytest.mark.parametrize("name", ["commands", "parameters", "interfaces", "words"])
def test_references_are_made_of_their_sources(name, monkeypatch):
    if name == "parameters":
        pytest.importorskip("rclpy", reason="the node's parameters need a ROS")
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import docs_pages

    text = docs_pages.GENERATED[name]()
    wanted = {
        "commands": (
            "## semabs\n",
            "### semabs app\n",
            "`--port` | `7860` |",
            "### semabs data rooms",
        ),
        "parameters": ("| `goal_policy` | `queue` |", "| `completion.resolution` | `64` |"),
        "interfaces": ("## Localize", "uint16 NOT_FOUND = 11", "## SemanticVoxels"),
        "words": ("basket ball", "red"),
    }[name]
    assert [part for part in wanted if part not in text] == []


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip("the site needs the extra semabs[docs]")
    pytest.importorskip("rclpy", reason="the node's parameters need a ROS")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "reference/client.html").read_text()
    assert "timeout_s" in page
    assert ":meth:" not in page
    # Nothing is loaded from elsewhere.
    for file in tmp_path.rglob("*.html"):
        text = file.read_text()
        loaded = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"(https?://[^\"]+)", text)
        assert [url for url in loaded if "canonical" not in url] == [], file
