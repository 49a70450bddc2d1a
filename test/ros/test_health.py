"""What the node says of itself, and what it does when work fails again and again."""

import dataclasses
import gc
import threading
import weakref

import numpy as np
import pytest
import rclpy
from asking import (
    BEHIND,
    STATUS,
    change_state,
    collect,
    diagnostics,
)
from camera import Camera
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from rclpy.executors import MultiThreadedExecutor
from semabs.msg import SemanticVoxels
from sensor_msgs.msg import PointCloud2
from support import wait_for

from semabs_core.problem import Problem
from semabs_ros.client_node import Client
from semabs_ros.node import SemabsNode
from semabs_ros.reports import REPEAT_S, Reporter
from semabs_ros.spinning import spin
from semabs_ros.worker import Worker


def test_a_problem_is_said_when_it_begins_and_every_ten_seconds():
    said, now = [], [100.0]
    reporter = Reporter(said.append, lambda: now[0])
    for second in range(25):
        now[0] = 100.0 + second
        reporter.report(f"no frame for {second}.5 s")
        reporter.report("")
    assert said == [f"no frame for {second}.5 s" for second in (0, 10, 20)]
    reporter.report("something else")
    assert said[-1] == "something else"
    # One that comes and goes is not said more often.
    now[0] += REPEAT_S / 2
    reporter.report("something else")
    assert said.count("something else") == 1


def test_problems_of_one_kind_are_one_problem():
    said = []
    reporter = Reporter(said.append, lambda: 0.0)
    for text, kind in [("a.b is late", "late"), ("c.d is late", "late"), ("c.d is gone", "gone")]:
        reporter.report(text, kind)
    assert said == ["a.b is late", "c.d is gone"]


def test_what_is_doubtful_about_frames_is_in_the_diagnostics(make_node, peer, spinner, room):
    last = diagnostics(peer)
    node = make_node(autostart=True)
    spinner.add(Camera(room, spinner.context))
    wait_for(lambda: node._frames.synced > 2, what="frames")
    node._frames = Doubtful(node._frames)
    wait_for(
        lambda: "the camera hangs in the air" in last.get("semabs: input", ("", ""))[1],
        what="the doubt in the diagnostics",
    )
    assert last["semabs: input"][0] == b"\x01"


class Doubtful:
    """A source of frames with a doubt."""

    warning = Problem("the camera hangs in the air", "doubt")

    def __init__(self, frames):
        self.frames_source = frames

    def __getattr__(self, name):
        return getattr(self.frames_source, name)


def test_spinning_outlives_what_callbacks_raise_and_says_it_once():
    class Faulty:
        left = 5

        def spin(self):
            if self.left:
                self.left -= 1
                raise RuntimeError(f"number {self.left} " + "x" * 5000)

    said = []
    spin(Faulty(), said.append)
    (text,) = said
    assert text.startswith("a callback failed: RuntimeError: number 4 x")
    assert len(text) <= 200


def test_a_callback_that_raises_does_not_end_the_spinning(context):
    faults, calls = [], []
    node = rclpy.create_node("faulty", context=context)
    executor = MultiThreadedExecutor(num_threads=2, context=context)
    executor.add_node(node)

    def fail():
        calls.append(1)
        raise RuntimeError("on purpose")

    node.create_timer(0.05, fail)
    thread = threading.Thread(target=spin, args=(executor, faults.append), daemon=True)
    thread.start()
    wait_for(lambda: len(calls) > 3, what="calls after the first fault")
    executor.shutdown(timeout_sec=5)
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert "a callback failed: RuntimeError: on purpose" in faults
    node.destroy_node()


def test_without_a_clock_the_node_works_and_names_it(make_node, peer, spinner, room):
    last = diagnostics(peer)
    node = make_node(autostart=True, use_sim_time=True)
    spinner.add(Camera(room, spinner.context))
    wait_for(
        lambda: "no /clock arrives" in last.get("semabs: input", ("", ""))[1],
        what="diagnostics that name the clock",
    )
    wait_for(lambda: node._frames.synced > 2, what="frames although time stands still")


def test_a_second_node_of_the_same_name_is_noticed(spinner):
    def make():
        named = ["--ros-args", "-r", "__node:=twin"]
        return spinner.add(SemabsNode(context=spinner.context, cli_args=named))

    first = make()
    assert first._doubts() == []
    make()
    (doubt,) = wait_for(first._doubts, what="doubt")
    assert doubt.startswith("1 more node(s) of the name /twin")


def test_the_nodes_of_one_robot_are_told_apart(make_node, peer, spinner):
    last = diagnostics(peer)
    make_node()
    spinner.add(SemabsNode(context=spinner.context, namespace="/arm"))
    wait_for(lambda: {"semabs: models", "arm/semabs: models"} <= set(last), what="both nodes")
    client = Client(context=spinner.context, namespace="/arm")
    assert client.models_status == "arm/semabs: models"
    client.destroy_node()


def test_a_fault_of_the_health_check_does_not_keep_the_diagnostics_back(make_node, peer):
    arrays = collect(peer, DiagnosticArray, "/diagnostics")
    calls, node = [], make_node()

    def fail():
        calls.append(len(arrays))
        raise RuntimeError("on purpose")

    node._goals.expire = fail
    wait_for(lambda: calls and len(arrays) >= calls[0] + 2, what="diagnostics")


def test_the_state_can_be_asked_for_while_models_load(make_node, peer, monkeypatch):
    node, states = make_node(), []
    client = peer.create_client(GetState, "/semabs/get_state")
    assert client.wait_for_service(timeout_sec=60)

    def ask(_check):
        future = client.call_async(GetState.Request())
        wait_for(future.done, what="state while configuring")
        states.append(future.result().current_state.label)

    monkeypatch.setattr("semabs_ros.node.check_classes", ask)
    change_state(peer, Transition.TRANSITION_CONFIGURE)
    assert states == ["configuring"]
    assert node.state == "inactive"


class Broken:
    """Makes the node's completion fail, and notes which frames were tried."""

    def __init__(self, node):
        wait_for(lambda: node._worker, what="active node")
        self.tried, self.error = [], RuntimeError("CUDA out of memory " + "x" * 5000)
        self.scene, self.complete = node._scene, node._scene.complete
        node._scene.complete = self

    def __call__(self, *arguments):
        self.tried.append(self.scene._state.frame)
        if self.error:
            raise self.error
        return self.complete(*arguments)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("semabs_ros.worker.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("semabs_ros.worker.LONGEST_PAUSE_S", 0.05)


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_a_frame_that_failed_is_not_tried_again(make_node, peer, spinner, room, impatient, error):
    last = diagnostics(peer)
    node = make_node(autostart=True)
    broken = Broken(node)
    broken.error = error("CUDA out of memory " + "x" * 300)
    camera = spinner.add(Camera(room, spinner.context))
    voxels = collect(peer, SemanticVoxels, "/semabs/completion/voxels")
    wait_for(lambda: len(broken.tried) >= 3, what="three frames that failed")
    assert node._worker.failed >= 2
    assert all(a is not b for a, b in zip(broken.tried, broken.tried[1:]))
    wait_for(
        lambda: "out of memory" in last.get("semabs: models", ("", ""))[1],
        what="the fault in the diagnostics",
    )
    assert last["semabs: models"][0] == b"\x01"
    broken.error = None
    wait_for(lambda: voxels, what="a completion after the fault")
    camera.timer.cancel()


def test_a_fault_of_frames_ends_when_nobody_waits_for_them(
    make_node, peer, spinner, room, impatient
):
    node = make_node(autostart=True)
    Broken(node)
    spinner.add(Camera(room, spinner.context))
    topic = "/semabs/completion/voxels"
    subscription = peer.create_subscription(SemanticVoxels, topic, lambda _: None, 10)
    wait_for(lambda: node._worker.fault, what="fault")
    peer.destroy_subscription(subscription)
    wait_for(lambda: not node._worker.fault, what="end of the fault")


def test_after_an_unexpected_error_the_pauses_grow(make_node, monkeypatch):
    node = make_node()
    assert node.trigger_configure().name == "SUCCESS"
    worker = Worker(
        node._scene, node._frames, node._goals, node._outputs, node._config, node.get_logger()
    )
    pauses = []
    for _ in range(7):
        monkeypatch.setattr("semabs_ros.worker.time.monotonic", lambda: 1000.0)
        worker._give_up_frame(RuntimeError("out of memory"))
        monkeypatch.undo()
        pauses.append(worker._resume_at - 1000.0)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_clouds_far_from_the_origin_say_that_they_are_coarse(
    make_node, peer, localize, spinner, room
):
    moved = np.array(room.T_world_camera)
    moved[:, :3, 3] += [500_000.0, 5_400_000.0, 0.0]
    last = diagnostics(peer)
    make_node(autostart=True)
    spinner.add(Camera(dataclasses.replace(room, T_world_camera=moved), spinner.context))
    status, result = localize.ask(**BEHIND, timeout_s=60.0)
    assert status == STATUS.STATUS_SUCCEEDED
    assert "points of clouds are 0.5 m apart" in result.message
    assert "set world_frame to a frame near the robot" in result.message
    assert result.pose.pose.position.y == pytest.approx(5_400_000, abs=10)
    wait_for(
        lambda: "points of clouds are" in last.get("semabs: input", ("", ""))[1],
        what="diagnostics that tell of it",
    )


def test_cleaning_up_lets_everything_go(make_node, peer, spinner, room):
    node = make_node()
    spinner.add(Camera(room, spinner.context))
    collect(peer, PointCloud2, "/semabs/completion/points")
    gone, counts = [], []
    for _ in range(3):
        assert change_state(peer, Transition.TRANSITION_CONFIGURE)
        assert change_state(peer, Transition.TRANSITION_ACTIVATE)
        wait_for(lambda: node._worker.completed, what="a completed frame")
        gone += [weakref.ref(node._scene), weakref.ref(node._worker)]
        assert change_state(peer, Transition.TRANSITION_DEACTIVATE)
        assert change_state(peer, Transition.TRANSITION_CLEANUP)
        counts.append([
            len(list(kind))
            for kind in (node.publishers, node.subscriptions, node.timers, node.services,
                         node.waitables, node.guards, node.clients)
        ])  # fmt: skip
    gc.collect()
    wait_for(lambda: not any(reference() for reference in gone), what="freed models")
    assert counts[0] == counts[1] == counts[2]
