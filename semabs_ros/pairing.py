"""Colour and depth images of the same moment, and the calibration that belongs to them."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

CALIBRATIONS = 30
"""How many messages of camera_info are remembered to find the one of an image."""

ImageMessage = Image | CompressedImage


def nanoseconds(stamp: Time) -> int:
    """A stamp as one number."""
    return stamp.sec * 10**9 + stamp.nanosec


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
    """The images of one topic that wait for their partners, in order of arrival."""

    queue: deque[tuple[int, ImageMessage]]
    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=10))

    def add(self, stamp_ns: int, message: ImageMessage) -> None:
        self.queue.append((stamp_ns, message))
        self.stamps.append(stamp_ns)

    def interval_ns(self) -> int | None:
        """The shortest gap between the stamps of consecutive images; None until there is one."""
        stamps = list(self.stamps)
        gaps = [b - a for a, b in itertools.pairwise(stamps) if b > a]
        return min(gaps, default=None)

    def drop_through(self, stamp_ns: int) -> None:
        """Forget an image and all that came before it."""
        while self.queue.popleft()[0] != stamp_ns:
            pass


class Pairing:
    """Pairs colour with depth images, and images with camera_info.

    Unlike message_filters' approximate synchronizer, where the queue is full the image that *came*
    first makes room, not the one with the oldest stamp: images with stamps from the future would
    stay for ever and leave no room for the others. And a pair is made only when no image that is
    yet to come can fit better: the one that is there is nearer than half of the topic's interval,
    or a later one has come. Else one lost image would pair each of the following with its
    neighbour.

    The camera_info of an image is the one whose stamp fits; where none does, as with drivers that
    publish it once, the one that came last. It outlives :meth:`clear`.

    Args:
        queue_size: how many images of each kind wait for their partners.
        slop_s: how far the stamps of what belongs together may lie apart, seconds.
    """

    def __init__(self, queue_size: int, slop_s: float) -> None:
        self._size, self._slop_ns = queue_size, round(slop_s * 1e9)
        self._infos: deque[CameraInfo] = deque(maxlen=CALIBRATIONS)
        self.clear()

    def clear(self) -> None:
        """Forget all images."""
        self._rgb = _Stream(deque(maxlen=self._size))
        self._depth = _Stream(deque(maxlen=self._size))

    def add_rgb(self, message: ImageMessage) -> Pair | None:
        """Take a colour image; returns the pair that can be made now."""
        self._rgb.add(nanoseconds(message.header.stamp), message)
        return self._match()

    def add_depth(self, message: ImageMessage) -> Pair | None:
        """Take a depth image; returns the pair that can be made now."""
        self._depth.add(nanoseconds(message.header.stamp), message)
        return self._match()

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

    def _match(self) -> Pair | None:
        """The newest pair, taken out together with all that came before it."""
        for stamp, rgb in reversed(self._rgb.queue):
            near = [(abs(other - stamp), other, depth) for other, depth in self._depth.queue]
            gap, other, depth = min(near, key=lambda item: item[0], default=(0, 0, None))
            if depth is not None and gap <= self._slop_ns and self._is_final(gap, stamp, other):
                self._rgb.drop_through(stamp)
                self._depth.drop_through(other)
                return Pair(rgb, depth, stamp)
        return None

    def _is_final(self, gap: int, rgb_ns: int, depth_ns: int) -> bool:
        """Whether no image that is yet to come can be a better partner."""
        if gap == 0:
            return True
        # The stream whose image is the older one has a later image to come.
        late, target = (self._depth, rgb_ns) if depth_ns < rgb_ns else (self._rgb, depth_ns)
        interval = late.interval_ns()
        return interval is None or gap <= interval / 2 or late.stamps[-1] >= target
