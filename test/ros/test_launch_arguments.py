"""Texts of launch arguments to values, and the launch files with records in launch's place."""

import runpy
import sys
import types
from pathlib import Path

import pytest
from support import ROOT

from semabs_ros import launch_arguments


@pytest.mark.parametrize("text", ["true", "True", "1", " yes", "ON"])
def test_true(text):
    assert launch_arguments.truth("autostart", text) is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off "])
def test_false(text):
    assert launch_arguments.truth("autostart", text) is False


@pytest.mark.parametrize("text", ["", "maybe", "2"])
def test_other_spellings_are_refused(text):
    with pytest.raises(ValueError, match=f"autostart must be true or false, got '{text}'"):
        launch_arguments.truth("autostart", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ", []),
        ("sofa, harry potter book", ["sofa", "harry potter book"]),
        ("'teddy bear','mug'", ["teddy bear", "mug"]),
        ("['teddy bear', mug]", ["teddy bear", "mug"]),
        ('"salt, pepper", mug', ["salt, pepper", "mug"]),
        ("the cook's knife, mug", ["the cook's knife", "mug"]),
        ("mug [big], 42", ["mug [big]", "42"]),
    ],
)
def test_names(text, expected):
    assert launch_arguments.names(text) == expected


@pytest.mark.parametrize(
    ("text", "space", "logger"),
    [
        ("", "", "semabs"),
        ("/", "", "semabs"),
        ("robot", "robot", "robot.semabs"),
        ("/robot/", "/robot", "robot.semabs"),
        ("robot//arm/", "robot/arm", "robot.arm.semabs"),
    ],
)
def test_namespaces(text, space, logger):
    assert launch_arguments.namespace(text) == space
    assert launch_arguments.logger_name(text, "semabs") == logger


def test_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("mine.yaml", "params.yaml"):
        (tmp_path / name).touch()
    mine = launch_arguments.config_file("~/mine.yaml", ROOT / "config")
    assert mine == str(tmp_path / "mine.yaml")
    found = launch_arguments.existing_file("params", "~/params.yaml")
    assert found == str(tmp_path / "params.yaml")
    config = ROOT / "config"
    assert launch_arguments.config_file("clip", config) == str(config / "clip.yaml")
    assert launch_arguments.config_file("clip.yaml", config) == str(config / "clip.yaml")
    assert launch_arguments.config_file("/nowhere.yaml", config) == "/nowhere.yaml"
    assert launch_arguments.config_file("", config) == ""
    with pytest.raises(ValueError, match=r"params: there is no file /nowhere.yaml"):
        launch_arguments.existing_file("params", "/nowhere.yaml")
    with pytest.raises(ValueError, match="rate_hz must be a number, got 'fast'"):
        launch_arguments.number("rate_hz", "fast")


class Recorded:
    """Stands for an action or a substitution of launch: what it was made with."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def perform(self, context):
        return context[self.args[0]]


@pytest.fixture
def nodes(monkeypatch):
    """What a launch file starts, by executable, for given arguments."""
    kinds = "LaunchDescription DeclareLaunchArgument IncludeLaunchDescription OpaqueFunction"
    kinds += " PythonLaunchDescriptionSource LaunchConfiguration Node LifecycleNode"
    members = {kind: type(kind, (Recorded,), {}) for kind in kinds.split()}
    for name in (
        "launch", "launch.actions", "launch.launch_description_sources", "launch.substitutions",
        "launch_ros", "launch_ros.actions",
    ):  # fmt: skip
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)

    def load(file, **given):
        content = runpy.run_path(str(ROOT / "launch" / file))
        *declared, opaque = content["generate_launch_description"]().args[0]
        context = {one.args[0]: one.kwargs["default_value"] for one in declared}
        assert given.keys() <= context.keys()
        made = opaque.kwargs["function"]({**context, **given})
        return {
            one.kwargs.get("executable") or Path(one.args[0].args[0]).name: one.kwargs
            for one in made
        }

    return load


def test_the_demo_passes_on_what_it_declares(nodes):
    given = {
        "scene": "/a.bag", "rgb_topic": "/a", "depth_topic": "/b", "info_topic": "/c",
        "camera_pose": "0 0 1 0 0 0", "depth_encoding": "16UC1", "world_frame": "odom",
    }  # fmt: skip
    started = nodes(
        "demo.launch.py", **given, rate_hz="2", speed="3", namespace="robot/", classes="mug",
        config="clip",
    )  # fmt: skip
    assert started["player"]["parameters"] == [{**given, "rate_hz": 2.0, "speed": 3.0}]
    assert started["player"]["namespace"] == started["rviz2"]["namespace"] == "robot"
    passed = dict(started["semabs.launch.py"]["launch_arguments"])
    assert passed == {
        "classes": "mug", "config": "clip", "namespace": "robot/", "world_frame": "odom"
    }  # fmt: skip
    assert started["rviz2"]["arguments"][-2:] == ["-f", "odom"]


def test_the_demo_without_arguments(nodes):
    started = nodes("demo.launch.py")
    assert started["rviz2"]["arguments"][-2:] == ["-f", "map"]
    assert started["player"]["parameters"][0]["world_frame"] == "map"
    assert dict(started["semabs.launch.py"]["launch_arguments"])["world_frame"] == ""
    assert "rviz2" not in nodes("demo.launch.py", rviz="False")


def test_the_players_parameters_are_known_to_it(nodes):
    from semabs_ros.player_node import OPTIONS

    given = nodes("demo.launch.py")["player"]["parameters"][0]
    defaults = {option.name: option.default for option in OPTIONS}
    assert {name: type(value) for name, value in given.items()} == {
        name: type(defaults[name]) for name in given
    }


def test_the_nodes_arguments(nodes, tmp_path):
    (tmp_path / "p.yaml").write_text("")
    node = nodes(
        "semabs.launch.py", namespace="/robot/arm/", name="eyes", autostart="no", config="tabletop",
        classes="'teddy bear', mug", world_frame="odom", device="cpu", rgb="/c/image",
        use_sim_time="ON", params=str(tmp_path / "p.yaml"), log_level="debug",
    )["semabs_node"]  # fmt: skip
    assert node["namespace"] == "/robot/arm"
    assert node["parameters"] == [
        {
            "config_file": str(ROOT / "config" / "tabletop.yaml"), "autostart": False,
            "use_sim_time": True, "classes": ["teddy bear", "mug"], "world_frame": "odom",
            "device": "cpu",
        },
        str(tmp_path / "p.yaml"),
    ]  # fmt: skip
    assert node["remappings"] == [("rgb/image", "/c/image")]
    assert node["arguments"][-1] == "robot.arm.eyes:=debug"
