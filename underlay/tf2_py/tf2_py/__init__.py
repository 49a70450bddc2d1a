"""The transform tree of tf2, in Python: semabs' stand-in for `tf2_py` in pip-only installs.

Same names, same arguments and same answers as the real package (a C++ extension) for the part that
robots' Python nodes use. Only for environments whose ROS comes from PyPI, which lacks `tf2_py`.
"""

from tf2_py.buffer_core import BufferCore
from tf2_py.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
)

__semabs_stand_in__ = True

__all__ = [
    "BufferCore",
    "ConnectivityException",
    "ExtrapolationException",
    "InvalidArgumentException",
    "LookupException",
    "TimeoutException",
    "TransformException",
]


def __getattr__(name: str) -> object:
    raise AttributeError(
        f"semabs' stand-in for tf2_py has no {name!r}; if the real package has it, install that "
        "(apt: ros-$ROS_DISTRO-tf2-py)"
    )
