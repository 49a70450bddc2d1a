"""Point clouds between messages and NumPy arrays: semabs' stand-in for `sensor_msgs_py`.

Same names, same arguments and same answers as the real package, for `point_cloud2`. Only for
environments whose ROS comes from PyPI, which lacks `sensor_msgs_py`.
"""

__semabs_stand_in__ = True

_NOT_HERE = ("numpy_compat",)


def __getattr__(name: str) -> object:
    text = (
        f"semabs' stand-in for sensor_msgs_py has no {name!r}; if the real package has it, install "
        "that (apt: ros-$ROS_DISTRO-sensor-msgs-py)"
    )
    # `from sensor_msgs_py import X` replaces the text of an AttributeError by its own
    raise ImportError(text) if name in _NOT_HERE else AttributeError(text)
