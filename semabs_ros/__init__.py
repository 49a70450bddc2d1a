"""ROS 2 nodes around semabs_core."""

from importlib.util import find_spec


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
