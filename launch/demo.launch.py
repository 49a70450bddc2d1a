"""A recorded scene, the semabs node and RViz.

ros2 launch semabs demo.launch.py scene:=/path/to/scene.npz
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

SHARE = Path(__file__).resolve().parent.parent

ARGUMENTS = {
    "scene": ("", ".npz/.hdf5 scene, rosbag2 folder or .mcap; empty: the built-in room"),
    "config": (str(SHARE / "config" / "demo.yaml"), "model config (YAML of semabs_core)"),
    "classes": (
        "floor, wall, cabinet, countertop, fridge, stove, door, basket ball",
        "names, separated by commas",
    ),
    "namespace": ("", "namespace of all nodes"),
    "rgb_topic": ("", "colour topic of a bag; empty: guessed"),
    "depth_topic": ("", "depth topic of a bag; empty: guessed"),
    "info_topic": ("", "camera_info topic of a bag; empty: guessed"),
    "rate_hz": ("5.0", "frames per second of a scene file"),
    "depth_encoding": ("32FC1", "32FC1 or 16UC1"),
    "rviz": ("true", "show RViz"),
}


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    shared = ("config", "classes", "namespace")
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "semabs.launch.py")),
        launch_arguments={name: LaunchConfiguration(name) for name in shared}.items(),
    )
    player = Node(
        package="semabs",
        executable="player",
        name="player",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {name: LaunchConfiguration(name) for name in ("scene", "depth_encoding")},
            {"rate_hz": LaunchConfiguration("rate_hz")},
        ],
        output="screen",
        emulate_tty=True,
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(SHARE / "config" / "semabs.rviz")],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*declared, player, node, rviz])
