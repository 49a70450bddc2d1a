"""The launch files, with the real launch packages of a ROS 2 installation."""

import time
from pathlib import Path

import pytest

launch_pytest = pytest.importorskip(
    "launch_pytest", reason="launch files need a real ROS 2: launch_pytest is not on PyPI"
)

import rclpy
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from rclpy.action import ActionClient
from semabs.action import Localize
from semabs.msg import SemanticVoxels

ROOT = Path(__file__).resolve().parent.parent.parent


def include(file, **arguments):
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / file))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


@launch_pytest.fixture
def node_with_remaps():
    """The node in a namespace, its topics remapped to a camera elsewhere."""
    return LaunchDescription(
        [
            Node(package="semabs", executable="player", name="player", namespace="camera"),
            include(
                "semabs.launch.py",
                config=str(ROOT / "config" / "demo.yaml"),
                namespace="robot",
                name="eyes",
                classes="sofa, harry potter book",
                world_frame="map",
                rgb="/camera/rgb/image",
                depth="/camera/depth/image",
                camera_info="/camera/rgb/camera_info",
            ),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@launch_pytest.fixture
def demo():
    """Player and node without RViz."""
    return LaunchDescription(
        [include("demo.launch.py", rviz="false"), launch_pytest.actions.ReadyToTest()]
    )


class Listener:
    """A plain node that waits with deadlines."""

    def __enter__(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("listener", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        return self

    def __exit__(self, *_):
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def wait(self, ready, timeout=60):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.1)
            if ready():
                return
        raise AssertionError("nothing came in time")

    def first(self, kind, topic):
        messages = []
        self.node.create_subscription(kind, topic, messages.append, 1)
        self.wait(lambda: messages)
        return messages[0]


@pytest.mark.launch(fixture=node_with_remaps)
def test_namespace_remaps_and_arguments():
    with Listener() as listener:
        voxels = listener.first(SemanticVoxels, "/robot/eyes/completion/voxels")
        assert list(voxels.classes) == ["sofa", "harry potter book"]
        assert voxels.header.frame_id == "map"


@pytest.mark.launch(fixture=demo)
def test_the_demo_answers():
    with Listener() as listener:
        client = ActionClient(listener.node, Localize, "/semabs/localize")
        listener.wait(client.server_is_ready)
        listener.first(SemanticVoxels, "/semabs/completion/voxels")
        future = client.send_goal_async(Localize.Goal(sentence="the wine bottle in the fridge"))
        listener.wait(future.done)
        future = future.result().get_result_async()
        listener.wait(future.done)
        assert future.result().result.error_code == Localize.Result.NONE
