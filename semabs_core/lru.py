"""A cache with a budget of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def num_bytes(value: Any) -> int:
    """Bytes of an array or a tensor; of a view its own elements, so keep copies of views."""
    return int(value.nbytes)


class LruCache(Generic[K, V]):
    """Values by key within a budget of bytes; the least recently used ones are dropped.

    Args:
        limit_bytes: the budget. A value larger than that is not kept at all.
        size: how many bytes a value holds.
    """

    def __init__(self, limit_bytes: int, size: Callable[[V], int] = num_bytes) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        """Whether a key is there; it does not count as used by that."""
        return key in self._kept

    def get(self, key: K) -> V | None:
        """The value of a key, now the most recently used one; None where it is not there."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: K, value: V) -> None:
        """Keep a value, in place of an older one of the same key."""
        self.drop(key)
        size = self._size(value)
        if size > self.limit_bytes:
            return
        while self.used_bytes + size > self.limit_bytes:
            self.drop(next(iter(self._kept)))
        self._kept[key] = value
        self.used_bytes += size

    def drop(self, key: K) -> None:
        """Forget a key, if it is there."""
        if key in self._kept:
            self.used_bytes -= self._size(self._kept.pop(key))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.used_bytes = 0
