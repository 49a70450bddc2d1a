"""ROS 2 nodes around semabs_core."""

import os
from importlib.util import find_spec

SPINS = "3000"
"""So long PyTorch's threads look for work before they sleep, by GNU OpenMP's count.

As many as by default are in the way of a robot's other programs, and of each other: where one of
two cores was held by another program, a frame took 1.7 times as long as with so few, and just as
long where none was. It holds for all programs that import this package before PyTorch, and their
children, unless one of the two variables is set.
"""
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = SPINS  # read when PyTorch is imported


def _missing() -> str:
    """What this package lacks of ROS, and the remedy; empty if nothing."""
    if find_spec("rclpy") is None:
        return (
            "semabs_ros needs ROS 2, and this Python has no rclpy: source ROS 2 and the built "
            "workspace, or run `make setup` in the source tree and source what it names. "
            "semabs_core and the semabs command need no ROS: try `semabs demo`"
        )
    if find_spec("semabs") is None or find_spec("semabs.msg") is None:
        return (
            "semabs_ros needs the messages of the ROS package semabs, which are not built or not "
            "sourced: `colcon build --packages-select semabs` and source install/setup.bash, or "
            "run `make setup` in the source tree and source what it names"
        )
    return ""


if _text := _missing():
    # With the package's name `python -m semabs_ros.node` says it in one line.
    raise ImportError(_text, name=__name__)
