"""What a fault is: what is sent, and which words must come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import CameraInfo, Image

Trio = tuple[Image | None, Image | None, CameraInfo | None]
Spoil = Callable[[np.random.Generator, Image, Image, CameraInfo], Trio]
SpoilTransform = Callable[[np.random.Generator, TransformStamped], Sequence[TransformStamped]]

HEALTHY = ""
"""Expected of a fault that the node must simply outlive: frames go on coming."""


@dataclass(frozen=True)
class StreamFault:
    """The camera or TF does something wrong for a while.

    Attributes:
        name: what.
        expected: regular expression that a diagnostic must match meanwhile; HEALTHY where frames
            must go on being completed.
        spoil: changes a trio of messages; None for a message withholds it.
        transform: what is sent to /tf in place of a camera's transform.
        qos: of the camera's publishers: options of ``Rig.open_camera``.
        seconds: how long at most, until the words have come.
    """

    name: str
    expected: str
    spoil: Spoil | None = None
    transform: SpoilTransform | None = None
    qos: dict[str, Any] = field(default_factory=dict)
    seconds: float = 10.0


@dataclass(frozen=True)
class GoalFault:
    """A goal that cannot be answered, or hardly.

    Attributes:
        name: what.
        action: ``localize`` or ``complete``.
        fields: of the goal.
        codes: names of the error codes that are right.
        expected: regular expression for the result's message.
        burst: how many are sent at once.
        cancel: whether they are cancelled at once.
    """

    name: str
    action: str
    fields: dict[str, Any]
    codes: tuple[str, ...]
    expected: str = ""
    burst: int = 1
    cancel: bool = False


@dataclass(frozen=True)
class ServiceFault:
    """A call that must be answered, whatever it says.

    Attributes:
        name: what.
        call: ``(rig) -> text`` of the answer.
        expected: regular expression for that text.
    """

    name: str
    call: Callable[[Any], str]
    expected: str


Fault = StreamFault | GoalFault | ServiceFault
