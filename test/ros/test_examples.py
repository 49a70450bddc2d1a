"""The examples for planners, and the Python of the README, with a running node."""

import importlib.util
import re
import runpy

import py_trees_stand_in
import pytest
from asking import Slow
from support import ROOT, wait_for

from semabs_ros import client as client_module
from semabs_ros.client import SemabsClient

SENTENCE = "the mug behind the lamp"


@pytest.fixture(params=["stand-in", "installed"])
def example(request, monkeypatch):
    """The module of the leaf, with the stand-in for py_trees and with the real one."""
    if request.param == "stand-in":
        py_trees_stand_in.install(monkeypatch)
    else:
        pytest.importorskip("py_trees", reason="py_trees is not installed")
    spec = importlib.util.spec_from_file_location("leaf", ROOT / "examples/localize_behaviour.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(context):
    with SemabsClient(context=context) as client:
        yield client


def tick_to_the_end(module, leaf):
    status, tree = module.py_trees.common.Status, module.py_trees.trees.BehaviourTree(leaf)

    def ended():
        tree.tick()
        return leaf.status != status.RUNNING

    tree.tick()
    assert leaf.status == status.RUNNING
    wait_for(ended, what="end of the leaf")
    return leaf.status.value


def test_the_leaf_of_a_behaviour_tree_finds_the_place(make_node, camera, client, example):
    make_node(autostart=True)
    leaf = example.Localize(SENTENCE, client)
    assert tick_to_the_end(example, leaf) == "SUCCESS"
    assert leaf.place.frame == "map"
    assert leaf.feedback_message == leaf.place.message


def test_the_leaf_fails_with_the_reason(make_node, client, example):
    make_node()
    leaf = example.Localize("the mug under the lamp", client)
    assert tick_to_the_end(example, leaf) == "FAILURE"
    assert leaf.feedback_message.startswith("UNKNOWN_RELATION: ")
    assert leaf.place is None


def test_a_leaf_that_is_interrupted_takes_its_question_back(make_node, camera, client, example):
    node = make_node(autostart=True)
    slow = Slow(node)
    leaf = example.Localize(SENTENCE, client)
    example.py_trees.trees.BehaviourTree(leaf).tick()
    wait_for(lambda: slow.entered, what="running goal")
    leaf.stop(example.py_trees.common.Status.INVALID)
    with pytest.raises(client_module.SemabsError) as raised:
        leaf.answer.result()
    assert raised.value.code == "CANCELED"
    slow.open = True


def test_the_program_prints_the_place(make_node, camera, monkeypatch, capsys):
    py_trees_stand_in.install(monkeypatch)
    make_node(autostart=True)
    monkeypatch.setattr("sys.argv", ["leaf", SENTENCE])
    runpy.run_path(str(ROOT / "examples/localize_behaviour.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert said.startswith("SUCCESS: ")
    assert " in map" in said


def python_blocks(page, word):
    """The Python blocks of a page that hold a word."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [block for block in blocks if word in block]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorials/planner.md"])
def test_the_lines_for_a_planner_work_as_pasted(make_node, camera, capsys, page):
    make_node(autostart=True)
    blocks = python_blocks(page, "SemabsClient")
    assert blocks, f"{page} has no lines for a planner"
    for block in blocks:
        exec(compile(block, page, "exec"), {"__name__": "__main__"})
    assert "map" in capsys.readouterr().out
