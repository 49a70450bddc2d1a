"""Transforms over ROS topics: semabs' stand-in for `tf2_ros` in pip-only installs.

Same names, same arguments and same behaviour as the real package for buffer, listener and
broadcasters. Only for environments whose ROS comes from PyPI, which lacks `tf2_ros`.
"""

from tf2_py import (
    BufferCore,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TimeoutException,
    TransformException,
)

from tf2_ros.buffer import Buffer
from tf2_ros.buffer_interface import (
    BufferInterface,
    ConvertRegistration,
    NotImplementedException,
    Stamped,
    TransformRegistration,
    TypeException,
    convert,
)
from tf2_ros.static_transform_broadcaster import StaticTransformBroadcaster
from tf2_ros.transform_broadcaster import TransformBroadcaster
from tf2_ros.transform_listener import TransformListener

__semabs_stand_in__ = True

__all__ = [
    "Buffer",
    "BufferCore",
    "BufferInterface",
    "ConnectivityException",
    "ConvertRegistration",
    "ExtrapolationException",
    "InvalidArgumentException",
    "LookupException",
    "NotImplementedException",
    "Stamped",
    "StaticTransformBroadcaster",
    "TimeoutException",
    "TransformBroadcaster",
    "TransformException",
    "TransformListener",
    "TransformRegistration",
    "TypeException",
    "convert",
]

_NOT_HERE = ("BufferClient", "BufferServer")


def __getattr__(name: str) -> object:
    text = (
        f"semabs' stand-in for tf2_ros has no {name!r}; if the real package has it, install that "
        "(apt: ros-$ROS_DISTRO-tf2-ros-py)"
    )
    # `from tf2_ros import X` replaces the text of an AttributeError by its own
    raise ImportError(text) if name in _NOT_HERE else AttributeError(text)
