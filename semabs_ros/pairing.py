"""Colour and depth images of the same moment, and the calibration that belongs to them."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from message_filters import ApproximateTimeSynchronizer, SimpleFilter
from rclpy.duration import Duration
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from semabs_core.readers.messages import nanoseconds

CALIBRATIONS = 30
"""How many messages of camera_info are remembered to find the one of an image."""
NEAREST = 0.55
"""The image of a moment is nearer than this part of the interval between images; with some slack
for exposures that lie half an interval apart."""

ImageMessage = Image | CompressedImage


@dataclass(frozen=True)
class Pair:
    """A colour and a depth image of one moment.

    Attributes:
        rgb: the colour image.
        depth: the depth image.
        stamp_ns: stamp of the colour image.
    """

    rgb: ImageMessage
    depth: ImageMessage
    stamp_ns: int


@dataclass
class _Stream:
    """What came on one topic.

    Attributes:
        input: of the synchronizer.
        stamps: of the last images, in order of arrival, nanoseconds.
        unpaired: how many have come since the last pair.
    """

    input: SimpleFilter = field(default_factory=SimpleFilter)
    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=10))
    unpaired: int = 0

    def interval_ns(self) -> int | None:
        """The usual gap between the stamps of consecutive images; None until there is one.

        It is the lower quartile: where images are lost gaps are longer, and a stray one is short.
        """
        gaps = sorted(b - a for a, b in itertools.pairwise(self.stamps) if b > a)
        return gaps[len(gaps) // 4] if gaps else None


class Pairing:
    """Pairs colour with depth images, and images with camera_info.

    Images are paired by message_filters' approximate synchronizer, and two of its rules need care.
    It drops the image with the oldest stamp when its queue is full, so images with stamps from the
    future would stay for ever and leave no room for the others: where a queue's length of images of
    both kinds has found no partner, it starts afresh. And it takes the first partner within the
    slop, so one lost image would pair each of the following with its neighbour: the slop is never
    wider than what tells an image from its neighbours.

    The camera_info of an image is the one whose stamp fits; where none does, as with drivers that
    publish it once, the one that came last. It outlives :meth:`clear`.

    Args:
        queue_size: how many images of each kind wait for their partners.
        slop_s: how far the stamps of what belongs together may lie apart, seconds.
    """

    def __init__(self, queue_size: int, slop_s: float) -> None:
        self._size, self._slop_ns = queue_size, round(slop_s * 1e9)
        self._infos: deque[CameraInfo] = deque(maxlen=CALIBRATIONS)
        self.restarts = 0
        """How often images without partners have made it start afresh."""
        self.clear()

    def clear(self) -> None:
        """Forget all images."""
        self._rgb, self._depth = _Stream(), _Stream()
        self._synchronize()

    def _synchronize(self) -> None:
        """Begin with empty queues."""
        self._found: Pair | None = None
        for stream in (self._rgb, self._depth):
            stream.input, stream.unpaired = SimpleFilter(), 0
        inputs = [self._rgb.input, self._depth.input]
        self._sync = ApproximateTimeSynchronizer(inputs, self._size, 0.0)
        self._sync.registerCallback(self._on_pair)

    def _on_pair(self, rgb: ImageMessage, depth: ImageMessage) -> None:
        self._found = Pair(rgb, depth, nanoseconds(rgb.header.stamp))
        self._rgb.unpaired = self._depth.unpaired = 0

    def add_rgb(self, message: ImageMessage) -> Pair | None:
        """Take a colour image; returns the pair that can be made now."""
        return self._add(self._rgb, message)

    def add_depth(self, message: ImageMessage) -> Pair | None:
        """Take a depth image; returns the pair that can be made now."""
        return self._add(self._depth, message)

    def _add(self, stream: _Stream, message: ImageMessage) -> Pair | None:
        if min(self._rgb.unpaired, self._depth.unpaired) >= self._size:
            self._synchronize()
            self.restarts += 1
        self._found = None
        stream.stamps.append(nanoseconds(message.header.stamp))
        stream.unpaired += 1
        # The synchronizer wants stamps to be less than the slop apart; here they may be just that.
        self._sync.slop = Duration(nanoseconds=self._slop() + 1)
        stream.input.signalMessage(message)
        return self._found

    def _slop(self) -> int:
        """How far stamps may lie apart, nanoseconds: an image's neighbours are no partners."""
        intervals = [self._rgb.interval_ns(), self._depth.interval_ns()]
        shortest = min((interval for interval in intervals if interval), default=None)
        return self._slop_ns if shortest is None else min(self._slop_ns, round(NEAREST * shortest))

    def add_info(self, message: CameraInfo) -> None:
        """Take a camera_info."""
        self._infos.append(message)

    @property
    def calibrated(self) -> bool:
        """Whether a camera_info has come."""
        return bool(self._infos)

    def info_for(self, stamp_ns: int) -> CameraInfo | None:
        """The camera_info of the image with a stamp; None while none has come."""
        if not self._infos:
            return None
        infos = list(self._infos)[::-1]
        nearest = min(infos, key=lambda info: abs(nanoseconds(info.header.stamp) - stamp_ns))
        fits = abs(nanoseconds(nearest.header.stamp) - stamp_ns) <= self._slop_ns
        return nearest if fits else infos[0]

    def ahead_s(self) -> float:
        """How far the last colour image's stamp is ahead of the last depth image's, seconds."""
        if not (self._rgb.stamps and self._depth.stamps):
            return 0.0
        return (self._rgb.stamps[-1] - self._depth.stamps[-1]) * 1e-9
