"""A camera's messages that belong together: while they wait, and as a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from semabs_core.types import RGBDFrame
from semabs_ros.pairing import Pair


@dataclass
class Waiting:
    """A pair of images that may still wait for its transform.

    Attributes:
        pair: the images.
        arrived: when it was complete, monotonic seconds.
        wanted: the ``world_frame`` that the pose was looked up for; None while there is no pose.
        world: its TF frame.
        T_world_camera: (4, 4), once it is there.
    """

    pair: Pair
    arrived: float
    wanted: str | None = None
    world: str = ""
    T_world_camera: NDArray[np.float64] | None = None

    @property
    def header(self) -> Header:
        """The colour image's."""
        return self.pair.rgb.header


@dataclass(frozen=True)
class Source:
    """A frame and where it belongs in ROS.

    Attributes:
        frame: the RGB-D frame.
        world_frame: TF frame of all results.
        header: the colour image's exact stamp and frame.
        arrived: when it came, monotonic seconds.
        doubt: what makes its pose doubtful; empty when nothing.
    """

    frame: RGBDFrame
    world_frame: str
    header: Header
    arrived: float
    doubt: str = ""
