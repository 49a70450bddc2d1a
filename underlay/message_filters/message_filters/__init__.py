"""Filters between topics and callbacks: semabs' stand-in for `message_filters`.

Same names, same arguments and same matching rules as the real package, for subscriber, cache and
the two time synchronizers. Only for environments whose ROS comes from PyPI, which lacks it.
"""

from message_filters.cache import Cache
from message_filters.simple_filter import SimpleFilter
from message_filters.subscriber import Subscriber
from message_filters.synchronizers import ApproximateTimeSynchronizer, TimeSynchronizer

__semabs_stand_in__ = True

__all__ = [
    "ApproximateTimeSynchronizer",
    "Cache",
    "SimpleFilter",
    "Subscriber",
    "TimeSynchronizer",
]

_NOT_HERE = (
    "Chain",
    "InputAligner",
    "LatestTimeSynchronizer",
    "TimeSequencer",
)


def __getattr__(name: str) -> object:
    text = (
        f"semabs' stand-in for message_filters has no {name!r}; if the real package has it, "
        "install that (apt: ros-$ROS_DISTRO-message-filters)"
    )
    # `from message_filters import X` replaces the text of an AttributeError by its own
    raise ImportError(text) if name in _NOT_HERE else AttributeError(text)
