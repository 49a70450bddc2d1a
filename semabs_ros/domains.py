"""DDS domains of this machine that nobody uses. Needs no ROS."""

from __future__ import annotations

import contextlib
import random
import socket

DOMAINS = range(1, 102)
"""Those whose ports lie below the ones that Linux hands out by itself (from 32768)."""
FIRST_PORT = 7400
PORTS_PER_DOMAIN = 250
LISTENED = (0, *range(10, 74, 2))
"""DDSI-RTPS: a participant listens at the ports ``FIRST_PORT + PORTS_PER_DOMAIN * domain`` plus 0,
unless it is to stay on this machine, and plus 10 and twice its number in its *process*."""


def is_free(domain: int) -> bool:
    """Whether no participant on this machine listens for others of a domain."""
    for port in LISTENED:
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            try:
                probe.bind(("", FIRST_PORT + PORTS_PER_DOMAIN * domain + port))
            except OSError:
                return False
    return True


def free_domain() -> int:
    """A domain that nobody on this machine uses, chosen at random.

    Two programs that look at the same moment may get the same one, once in a hundred times. Where
    all are in use, it is a random one.
    """
    candidates = random.sample(DOMAINS, len(DOMAINS))
    return next(filter(is_free, candidates), candidates[0])
