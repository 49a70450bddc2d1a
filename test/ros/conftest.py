"""Real nodes over real DDS: own domain, localhost, deadlines everywhere."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from own_domain import own_domain

os.environ["ROS_DOMAIN_ID"] = str(own_domain())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import rclpy
from asking import Asker
from camera import Camera
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from semabs.action import Complete, Localize
from support import ENCODER, ROOT
from watching import Watch

from semabs_core.data.scene_file import save_scene
from semabs_ros.spinning import spin


@pytest.fixture(scope="session")
def context():
    """One DDS participant for all tests of this process."""
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


class Spinner:
    """Nodes spun in a thread of their own."""

    def __init__(self, context):
        self.context = context
        self.executor = MultiThreadedExecutor(num_threads=6, context=self.context)
        self.nodes, self.faults = [], []
        self.thread = threading.Thread(
            target=spin, args=(self.executor, self.faults.append), daemon=True
        )
        self.thread.start()

    def add(self, node):
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def remove(self, node):
        self.nodes.remove(node)
        self.executor.remove_node(node)
        node.destroy_node()

    def close(self):
        self.executor.shutdown(timeout_sec=5)
        for node in self.nodes:
            node.destroy_node()
        self.thread.join(timeout=10)
        assert not self.faults


@pytest.fixture
def spinner(context):
    spinner = Spinner(context)
    yield spinner
    spinner.close()


@pytest.fixture
def peer_clients(spinner):
    """A plain node of the test's own and its action clients.

    Clients are made before the node is spun: rclpy's ActionClient registers itself with the
    executor before it is whole.
    """
    node = Node("peer", context=spinner.context)
    asker = [Asker(node, Localize, "/semabs/localize"), Asker(node, Complete, "/semabs/complete")]
    return spinner.add(node), *asker


@pytest.fixture
def peer(peer_clients):
    return peer_clients[0]


@pytest.fixture
def localize(peer_clients):
    return peer_clients[1]


@pytest.fixture
def complete(peer_clients):
    return peer_clients[2]


@pytest.fixture
def camera(spinner, room):
    """A camera that publishes the analytic room."""
    return spinner.add(Camera(room, spinner.context))


@pytest.fixture
def watch(spinner):
    """Frame sources without models."""
    made = []

    def make(**options):
        made.append(Watch(spinner, **options))
        return made[-1]

    yield make
    for one in made:
        one.source.stop()


SMALL = {
    "device": "cpu",
    "encoder.model": ENCODER,
    "encoder.precision": "fp32",
    "relevancy.preset": "chefer_et_al",
    "relevancy.still_tolerance": 0.0,  # the test camera is still, and its frames are to take time
    "completion.checkpoint": "untrained",
    "completion.resolution": 16,
    "localization.checkpoint": "untrained",
    "localization.resolution": 16,
    "classes": ["floor", "table", "lamp"],
}


@pytest.fixture
def make_node(spinner):
    """The semabs node in this process, with small models."""
    from rclpy.parameter import Parameter

    from semabs_ros.node import SemabsNode

    made = []

    def make(**parameters):
        values = {**SMALL, **{key.replace("__", "."): v for key, v in parameters.items()}}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        node = SemabsNode(context=spinner.context, parameter_overrides=overrides)
        made.append(node)
        return spinner.add(node)

    yield make
    for node in made:
        node.close()


class Process:
    """One of our programs as a process."""

    def __init__(self, module, log, *arguments, **environment):
        self.log = log
        with log.open("w") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self):
        return self.log.read_text()

    def stop(self, sig=signal.SIGINT, timeout=60):
        if self.popen.poll() is None:
            self.popen.send_signal(sig)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise


@pytest.fixture
def scene_file(room, tmp_path):
    """The analytic room as a file."""
    path = tmp_path / "room.npz"
    save_scene(room, path)
    return path


@pytest.fixture
def start(tmp_path):
    """Start a program; it is stopped after the test."""
    started = []

    def begin(module, parameters=None, **environment):
        arguments = ["--ros-args"] if parameters else []
        for key, value in (parameters or {}).items():
            arguments += ["-p", f"{key}:={value}"]
        log = tmp_path / f"{module}-{len(started)}.log"
        process = Process(module, log, *arguments, **environment)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()
