"""Images between messages and NumPy arrays: semabs' stand-in for `cv_bridge`.

Same names, same arguments and same conversions as the real package, by the OpenCV of PyPI. Only for
environments whose ROS comes from PyPI, which lacks `cv_bridge`.
"""

from cv_bridge.core import CvBridge
from cv_bridge.display import cvtColorForDisplay
from cv_bridge.encodings import CvBridgeError, getCvType

__semabs_stand_in__ = True

__all__ = ["CvBridge", "CvBridgeError", "cvtColorForDisplay", "getCvType"]

_NOT_HERE = ("boost",)


def __getattr__(name: str) -> object:
    text = (
        f"semabs' stand-in for cv_bridge has no {name!r}; if the real package has it, install that "
        "(apt: ros-$ROS_DISTRO-cv-bridge)"
    )
    # `from cv_bridge import X` replaces the text of an AttributeError by its own
    raise ImportError(text) if name in _NOT_HERE else AttributeError(text)
