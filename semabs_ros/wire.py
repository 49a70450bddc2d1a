"""Markers with many points as the bytes that are sent, without a Python object per point."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from visualization_msgs.msg import MarkerArray

STAND_INS = 5
"""Points that stand for a marker's until the message is bytes."""
STRANGE = -1.2345e300
"""Their coordinates, as no other number in the message is."""


def markers_to_bytes(array: MarkerArray, points: Mapping[int, NDArray]) -> bytes:
    """A serialized message, which publishers take as they take a message.

    rclpy keeps points as Python objects, a microsecond each. In CDR (OMG DDS-XTypes 1.3, 7.4) a
    sequence of points is their number and their coordinates, aligned to at most 8 bytes, and a
    point has 24: whatever their number, what follows stays aligned.

    Args:
        array: the message; the points of the markers below are set by this.
        points: (n, 3) by the number of the marker, n at least 1.
    """
    for number in sorted(points):
        mark = STRANGE * (1 + number)
        array.markers[number].points = [Point(x=mark, y=mark, z=mark)] * STAND_INS
    data = serialize_message(array)
    order = "<" if data[1] & 1 else ">"
    pieces: list[bytes | memoryview] = []
    done = 0
    for number in sorted(points):
        mark = STRANGE * (1 + number)
        stand_ins = struct.pack(f"{order}{3 * STAND_INS}d", *[mark] * 3 * STAND_INS)
        place = data.index(stand_ins, done)
        count = next(
            at for at in (place - 4, place - 8)
            if struct.unpack_from(f"{order}I", data, at) == (STAND_INS,)
        )  # fmt: skip
        values = np.ascontiguousarray(points[number], dtype=f"{order}f8")
        pieces += [data[done:count], struct.pack(f"{order}I", len(values))]
        pieces += [data[count + 4 : place], values.data]
        done = place + len(stand_ins)
    return b"".join([*pieces, data[done:]])
