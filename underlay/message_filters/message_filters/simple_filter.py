"""The base of all filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SimpleFilter:
    """Has an output that callbacks connect to."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., None], *args: Any) -> int:
        """Connect a callback.

        Args:
            cb: gets the messages of each output, then `args`.
            args: passed on with each call.

        Returns:
            The number of the connection.
        """
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Call all callbacks, in order of their connection."""
        for cb, args in list(self.callbacks.values()):
            cb(*msg, *args)
