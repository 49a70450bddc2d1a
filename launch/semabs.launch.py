"""Start the semabs node beside a camera driver.

ros2 launch semabs semabs.launch.py rgb:=/camera/camera/color/image_raw \
    depth:=/camera/camera/aligned_depth_to_color/image_raw \
    camera_info:=/camera/camera/color/camera_info
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchDescription
from semabs_ros import launch_arguments

SHARE = Path(__file__).resolve().parent.parent

ARGUMENTS = {
    "config": (
        str(SHARE / "config" / "semabs.yaml"),
        "model config (YAML of semabs_core), a path or the name of one that ships",
    ),
    "params": ("", "ROS parameter file; it overrides the other arguments"),
    "namespace": ("", "namespace of the node and its topics"),
    "name": ("semabs", "name of the node"),
    "autostart": ("true", "configure and activate without a lifecycle manager"),
    "classes": ("", "names for the continuous completion, separated by commas"),
    "world_frame": (
        "",
        "gravity-aligned frame of all outputs; empty: root of the camera's TF tree",
    ),
    "device": ("", "auto, cpu, cuda or cuda:N; empty: the config's"),
    "rgb": ("rgb/image", "topic of the colour image"),
    "depth": ("depth/image", "topic of the depth image, registered to colour"),
    "camera_info": ("rgb/camera_info", "topic of the colour camera's calibration"),
    "use_sim_time": ("false", "take time from /clock"),
    "log_level": ("info", "debug, info, warn or error"),
}
REMAPPED = {"rgb/image": "rgb", "depth/image": "depth", "rgb/camera_info": "camera_info"}


def make_node(context):
    """The node, once the arguments' values are known."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {
        "config_file": launch_arguments.config_file(value["config"], SHARE / "config"),
        "autostart": launch_arguments.truth("autostart", value["autostart"]),
        "use_sim_time": launch_arguments.truth("use_sim_time", value["use_sim_time"]),
    }
    classes = launch_arguments.names(value["classes"])
    if classes:
        parameters["classes"] = classes
    for name in ("world_frame", "device"):
        if value[name]:
            parameters[name] = value[name]
    files = []
    if value["params"]:
        files = [launch_arguments.existing_file("params", value["params"])]
    logger = launch_arguments.logger_name(value["namespace"], value["name"])
    remappings = [
        (topic, value[argument]) for topic, argument in REMAPPED.items() if value[argument] != topic
    ]
    return [
        LifecycleNode(
            package="semabs",
            executable="semabs_node",
            name=value["name"],
            namespace=launch_arguments.namespace(value["namespace"]),
            parameters=[parameters, *files],
            remappings=remappings,
            arguments=["--ros-args", "--log-level", f"{logger}:={value['log_level']}"],
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=make_node)])
