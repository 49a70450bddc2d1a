"""A recorded scene, the semabs node and RViz.

ros2 launch semabs demo.launch.py scene:=/path/to/scene.npz
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from semabs_ros import launch_arguments

SHARE = Path(__file__).resolve().parent.parent

ARGUMENTS = {
    "scene": ("", "scene file, rosbag2 folder, .mcap, .db3 or .bag; empty: the built-in room"),
    "config": (str(SHARE / "config" / "demo.yaml"), "model config (YAML of semabs_core)"),
    "classes": (
        "floor, wall, cabinet, countertop, fridge, stove, door, basket ball",
        "names, separated by commas",
    ),
    "namespace": ("", "namespace of all nodes"),
    "rgb_topic": ("", "colour topic of a recording; empty: found by its camera"),
    "depth_topic": ("", "depth topic of a recording; empty: found by its camera"),
    "info_topic": ("", "camera_info topic of a recording; empty: found by its camera"),
    "camera_pose": ("", "'x y z roll pitch yaw' (metres, degrees) instead of a recording's TF"),
    "world_frame": (
        "",
        "frame of all outputs and of RViz, such as the root of a recording's TF; empty: map",
    ),
    "rate_hz": ("5.0", "frames per second of a scene file"),
    "speed": ("1.0", "how many times faster than recorded a recording is played"),
    "depth_encoding": ("32FC1", "32FC1 or 16UC1"),
    "rviz": ("true", "show RViz"),
}
PLAYED = ("scene", "rgb_topic", "depth_topic", "info_topic", "camera_pose", "depth_encoding")
"""What the player takes as it is."""
SHARED = ("config", "classes", "namespace", "world_frame")
"""What the node's launch file takes as it is."""


def make_nodes(context):
    """Player, node and RViz, once the arguments' values are known."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    frame = value["world_frame"] or "map"
    namespace = launch_arguments.namespace(value["namespace"])
    played = {name: value[name] for name in PLAYED}
    played |= {name: launch_arguments.number(name, value[name]) for name in ("rate_hz", "speed")}
    player = Node(
        package="semabs",
        executable="player",
        name="player",
        namespace=namespace,
        parameters=[{**played, "world_frame": frame}],
        output="screen",
        emulate_tty=True,
    )
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "semabs.launch.py")),
        launch_arguments={name: value[name] for name in SHARED}.items(),
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=namespace,
        arguments=["-d", str(SHARE / "config" / "semabs.rviz"), "-f", frame],
    )
    shown = [rviz] if launch_arguments.truth("rviz", value["rviz"]) else []
    return [player, node, *shown]


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_nodes)])
