"""How our programs are started: usage, unknown options, parameters of the wrong type."""

import subprocess
import sys

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from support import ROOT

from semabs_ros.programs import OptionError, ProgramOption, read_options, start, usage

OPTIONS = [
    ProgramOption("rate_hz", 5.0, "frames per second"),
    ProgramOption("loop", True, "play again and again"),
    ProgramOption("words", [], "what to ask for"),
    ProgramOption("scene", "", "a file"),
    ProgramOption("count", 3, "how many"),
]


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_usage_names_every_parameter_its_default_and_its_meaning():
    text = usage("camera", "Plays.", OPTIONS)
    assert text.startswith("usage: camera ")
    assert "rate_hz (default: 5.0)\n      frames per second" in text
    assert "loop (default: true)" in text
    assert "words (default: [])" in text
    assert "scene (default: empty)" in text


@pytest.mark.parametrize("module", ["semabs_ros.node", "semabs_ros.client_node"])
def test_help_prints_the_usage_and_starts_nothing(module):
    done = run(module, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    assert "classes (default: [" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--verbose"], "unknown argument '--verbose' (see camera --help)"),
        (["--ros-args", "-p", "rate_h:=5.0"], "did you mean 'rate_hz'?"),
        (["--ros-args", "-p", "words:=["], "Couldn't parse parameter override rule"),
        (["--ros-args", "--params-file", "/nowhere.yaml"], "/nowhere.yaml"),
        (["--ros-args", "-p", "use_sim_time:=5"], "use_sim_time"),
        (["--ros-args", "-p", "rate_hz:=fast"], "rate_hz must be a number"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(monkeypatch, capfd, arguments, match):
    def make():
        node = Node("program")
        read_options(node, OPTIONS)

    monkeypatch.setattr(sys, "argv", ["camera", *arguments])
    with pytest.raises(SystemExit) as ended:
        start("camera", "Plays.", OPTIONS, make)
    assert ended.value.code == 2
    said = capfd.readouterr().err
    (line,) = [line for line in said.splitlines() if line.startswith("camera: ")]
    assert match in line
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ({"rate_hz": 10}, "rate_hz", 10.0),
        ({"words": ["mug", "box"]}, "words", ["mug", "box"]),
        ({"loop": False}, "loop", False),
        ({}, "scene", ""),
    ],
)
def test_options_are_read(context, given, name, expected):
    node = node_with(context, given)
    value = read_options(node, OPTIONS)[name]
    assert value == expected
    assert type(value) is type(expected)
    node.destroy_node()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"rate_hz": "fast"}, "rate_hz must be a number, got 'fast'"),
        ({"rate_hz": True}, "rate_hz must be a number, got 'True'"),
        ({"words": "mug"}, "words must be a list of texts, got 'mug'"),
        ({"words": [1, 2]}, r"words must be a list of texts, got '\[1, 2\]'"),
        ({"scene": 5}, "scene must be a text, got '5' .quote it: "),
        ({"count": 2.5}, "count must be a whole number, got '2.5'"),
        ({"loop": "yes"}, "loop must be true or false, got 'yes'"),
    ],
)
def test_an_option_of_the_wrong_type_is_an_error(context, given, match):
    node = node_with(context, given)
    with pytest.raises(OptionError, match=match):
        read_options(node, OPTIONS)
    node.destroy_node()


def node_with(context, given):
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    return Node("program", context=context, parameter_overrides=overrides)
