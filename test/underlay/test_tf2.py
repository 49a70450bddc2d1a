"""The stand-in of tf2_py: trees of transforms, answers worked out by hand."""

# ruff: noqa: E402 (what is imported decides whether the tests apply)

import math
import threading

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
tf2_ros = pytest.importorskip("tf2_ros", reason="needs the underlay to be built and sourced")
if not getattr(tf2_ros, "__semabs_stand_in__", False):
    pytest.skip("the real tf2_ros is installed, not the stand-in", allow_module_level=True)

import tf2_py
from builtin_interfaces.msg import Time as TimeMessage
from tf2_messages import DEADLINE_S, LATEST, at, edge, numbers, seconds_of

# The tree


@pytest.mark.parametrize(
    ("target", "source", "xyz", "yaw"),
    [
        ("map", "base", (1, 2, 0), 90),
        ("map", "camera", (1, 3, 0), 90),
        ("camera", "map", (-3, 1, 0), -90),
        ("lidar", "camera", (-1, 1, 0), 180),
        ("camera", "lidar", (-1, 1, 0), 180),
        ("base", "base", (0, 0, 0), 0),
    ],
)
def test_paths_up_down_and_across(robot, target, source, xyz, yaw):
    answer = robot.lookup_transform_core(target, source, at(1.5))
    got_xyz, got_yaw = numbers(answer)
    assert got_xyz == pytest.approx(xyz, abs=1e-12)
    assert math.remainder(got_yaw - yaw, 360) == pytest.approx(0, abs=1e-9)
    assert (answer.header.frame_id, answer.child_frame_id) == (target, source)
    assert seconds_of(answer) == 1.5


def test_random_tree_agrees_with_matrices(core):
    """Any two of 30 frames: the product of 4x4 matrices from one to the root and down again."""
    rng = np.random.default_rng(0)
    to_root = {"frame_0": np.eye(4)}
    for index in range(1, 30):
        parent, child = f"frame_{rng.integers(index)}", f"frame_{index}"
        message = edge(parent, child, 1.0, rng.normal(size=3))
        w, x, y, z = q = (lambda v: v / np.linalg.norm(v))(rng.normal(size=4))
        rotation = message.transform.rotation
        rotation.w, rotation.x, rotation.y, rotation.z = map(float, q)
        matrix = np.eye(4)
        matrix[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        t = message.transform.translation
        matrix[:3, 3] = t.x, t.y, t.z
        to_root[child] = to_root[parent] @ matrix
        core.set_transform_static(message, "test")
    for _ in range(100):
        target, source = (f"frame_{i}" for i in rng.integers(30, size=2))
        expected = np.linalg.inv(to_root[target]) @ to_root[source]
        answer = core.lookup_transform_core(target, source, LATEST).transform
        t, q = answer.translation, answer.rotation
        assert (t.x, t.y, t.z) == pytest.approx(expected[:3, 3], abs=1e-12)
        # trace of a rotation = 4 w^2 - 1, and w is not negative
        assert q.w == pytest.approx(math.sqrt(max(0, np.trace(expected))) / 2, abs=1e-7)


def test_unconnected_trees(robot):
    robot.set_transform_static(edge("moon", "rover", 0), "test")
    with pytest.raises(tf2_py.ConnectivityException, match="not part of the same tree"):
        robot.lookup_transform_core("map", "rover", LATEST)
    with pytest.raises(tf2_py.ConnectivityException):
        robot.lookup_transform_core("map", "rover", at(1.5))


def test_loop_is_reported_and_not_followed_for_ever(core):
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a"), ("x", "y")):
        core.set_transform_static(edge(parent, child, 0), "test")
    with pytest.raises(tf2_py.LookupException, match="loop"):
        core.lookup_transform_core("y", "a", at(1.0))


def test_unknown_frame(robot):
    with pytest.raises(tf2_py.LookupException, match=r"elbow.*does not exist"):
        robot.lookup_transform_core("map", "elbow", LATEST)
    assert robot.can_transform_core("map", "elbow", LATEST)[0] == 0


def test_frame_in_itself_needs_no_data(core):
    assert core.can_transform_core("nowhere", "nowhere", at(5.0)) == (1, "")
    assert numbers(core.lookup_transform_core("nowhere", "nowhere", at(5.0))) == ((0, 0, 0), 0)


@pytest.mark.parametrize(
    ("name", "text"), [("", "must not be empty"), ("/map", "must not start with a '/'")]
)
def test_bad_names_in_lookups(robot, name, text):
    with pytest.raises(tf2_py.InvalidArgumentException, match=text):
        robot.lookup_transform_core(name, "base", LATEST)
    possible, why = robot.can_transform_core("base", name, LATEST)
    assert not possible
    assert text in why


def test_leading_slash_is_taken_off_when_storing(core):
    core.set_transform_static(edge("/map", "/base", 0, (1, 0, 0)), "test")
    assert numbers(core.lookup_transform_core("map", "base", LATEST))[0] == (1, 0, 0)


def test_times_may_be_messages(robot):
    answer = robot.lookup_transform_core("map", "base", TimeMessage(sec=1, nanosec=500_000_000))
    assert seconds_of(answer) == 1.5
    with pytest.raises(TypeError, match="sec and nanosec, or nanoseconds"):
        robot.lookup_transform_core("map", "base", 1.5)


# What is refused


@pytest.mark.parametrize(
    ("parent", "child", "x", "quaternion"),
    [
        ("map", "", 0.0, (0, 0, 0, 1)),
        ("", "base", 0.0, (0, 0, 0, 1)),
        ("base", "base", 0.0, (0, 0, 0, 1)),
        ("/base", "base", 0.0, (0, 0, 0, 1)),
        ("map", "base", math.nan, (0, 0, 0, 1)),
        ("map", "base", 0.0, (0, math.nan, 0, 1)),
        ("map", "base", 0.0, (0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("store", ["set_transform", "set_transform_static"])
def test_unusable_transforms_are_ignored(core, store, parent, child, x, quaternion):
    message = edge(parent, child, 1.0, (x, 0, 0))
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = map(float, quaternion)
    assert getattr(core, store)(message, "test") is None
    assert core.all_frames_as_yaml() == "[]"


def test_long_quaternions_are_normalised(core):
    """As the real package does: it goes by way of a matrix, whatever its check says later."""
    message = edge("map", "base", 1.0)
    message.transform.rotation.z = message.transform.rotation.w = 3.0
    core.set_transform(message, "test")
    assert numbers(core.lookup_transform_core("map", "base", LATEST))[1] == pytest.approx(90)


# Clearing, replacing, reporting


def test_clear_forgets_what_moves(robot):
    robot.clear()
    assert not robot.can_transform_core("map", "base", LATEST)[0]
    assert robot.can_transform_core("base", "camera", LATEST)[0]
    assert robot._frameExists("map")


def test_static_frame_that_starts_to_move(robot):
    robot.set_transform(edge("base", "camera", 1.0, (5, 0, 0)), "test")
    assert robot.can_transform_core("base", "camera", at(1.0))[0]
    assert not robot.can_transform_core("base", "camera", at(1.5))[0]


def test_reports(robot):
    assert "Frame camera exists with parent base." in robot.all_frames_as_string()
    assert robot._getFrameStrings() == ["base", "map", "camera", "lidar"]
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(robot.all_frames_as_yaml())["base"] == {
        "parent": "map",
        "broadcaster": "odometry",
        "rate": 2.0,
        "most_recent_transform": 2.0,
        "oldest_transform": 1.0,
        "buffer_length": 1.0,
    }


def test_many_threads(core):
    """Writers and readers at once; every answer is one that was stored."""
    core.set_transform(edge("map", "base", 1.0, (1, 1, 0)), "test")
    failures, ended = [], []

    def write(first):
        for step in range(300):
            value = first + step / 100
            core.set_transform(edge("map", "base", 1 + value, (value, value, 0)), "test")
        ended.append("writer")

    def read():
        for _ in range(300):
            x, y, _ = numbers(core.lookup_transform_core("map", "base", LATEST))[0]
            if x != y:
                failures.append((x, y))
        ended.append("reader")

    threads = [threading.Thread(target=write, args=(first,), daemon=True) for first in (0, 0.005)]
    threads += [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(ended) == len(threads), "a thread hangs, or raised"
    assert not failures
