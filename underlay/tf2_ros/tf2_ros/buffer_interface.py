"""What all buffers have in common: transforming and converting stamped objects."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header


class TypeException(Exception):  # noqa: N818 (upstream's name)
    """No function is registered for a type."""

    def __init__(self, errstr: str) -> None:
        super().__init__(errstr)
        self.errstr = errstr


class NotImplementedException(Exception):  # noqa: N818 (upstream's name)
    """A buffer class lacks one of the methods that it has to bring."""

    def __init__(self) -> None:
        self.errstr = "this buffer class does not say how to look up transforms"
        super().__init__(self.errstr)


class TransformRegistration:
    """Which function transforms objects of which type; one table for the whole process.

    Packages such as tf2_geometry_msgs fill it when they are imported.
    """

    _functions: dict[Any, Callable[[Any, TransformStamped], Any]] = {}

    def add(self, key: Any, callback: Callable[[Any, TransformStamped], Any]) -> None:
        self._functions[key] = callback

    def get(self, key: Any) -> Callable[[Any, TransformStamped], Any]:
        return _look_up(self._functions, key)

    def print_me(self) -> None:
        print(self._functions)


class ConvertRegistration:
    """Which functions convert between types, directly or by way of a message."""

    _to_message: dict[Any, Callable[[Any], Any]] = {}
    _from_message: dict[Any, Callable[[Any], Any]] = {}
    _direct: dict[tuple[Any, Any], Callable[[Any], Any]] = {}

    def add_from_msg(self, key: Any, callback: Callable[[Any], Any]) -> None:
        self._from_message[key] = callback

    def add_to_msg(self, key: Any, callback: Callable[[Any], Any]) -> None:
        self._to_message[key] = callback

    def add_convert(self, key: tuple[Any, Any], callback: Callable[[Any], Any]) -> None:
        """Register a direct conversion; `key` is (from type, to type)."""
        self._direct[key] = callback

    def get_from_msg(self, key: Any) -> Callable[[Any], Any]:
        return _look_up(self._from_message, key)

    def get_to_msg(self, key: Any) -> Callable[[Any], Any]:
        return _look_up(self._to_message, key)

    def get_convert(self, key: tuple[Any, Any]) -> Callable[[Any], Any]:
        return _look_up(self._direct, key)


def _look_up(functions: dict[Any, Callable], key: Any) -> Callable:
    try:
        return functions[key]
    except KeyError:
        raise TypeException(
            f"nothing is registered for {key}; import the package that brings it"
        ) from None


def convert(a: Any, b_type: Any) -> Any:
    """Convert an object to another type; one of the same type is copied.

    Raises:
        TypeException: nothing is registered that would lead from one type to the other.
    """
    registered = ConvertRegistration()
    try:
        return registered.get_convert((type(a), b_type))(a)
    except TypeException:
        if type(a) is b_type:
            return deepcopy(a)
        return registered.get_from_msg(b_type)(registered.get_to_msg(type(a))(a))


def Stamped(obj: Any, stamp: Any, frame_id: str) -> Any:
    """Give an object a header, in place, and return it."""
    obj.header = Header(frame_id=frame_id, stamp=stamp)
    return obj


class BufferInterface:
    """Base of the buffers: they look transforms up, this applies them to objects."""

    def __init__(self) -> None:
        self.registration = TransformRegistration()

    def transform(
        self,
        object_stamped: Any,
        target_frame: str,
        timeout: Duration | None = None,
        new_type: Any = None,
    ) -> Any:
        """Bring a stamped object into another frame, at the time of its stamp.

        Args:
            object_stamped: has a header; its type has to be registered (import tf2_geometry_msgs).
            target_frame: the frame of the answer.
            timeout: how long to wait for the transform.
            new_type: converts the answer to this type.

        Raises:
            TypeException: the type is not registered.
            TransformException: the transform could not be had.
        """
        apply = self.registration.get(type(object_stamped))
        header = object_stamped.header
        transform = self.lookup_transform(
            target_frame, header.frame_id, header.stamp, timeout or Duration()
        )
        result = apply(object_stamped, transform)
        return result if new_type is None else convert(result, new_type)

    def transform_full(
        self,
        object_stamped: Any,
        target_frame: str,
        target_time: Time,
        fixed_frame: str,
        timeout: Duration | None = None,
        new_type: Any = None,
    ) -> Any:
        """Bring a stamped object into another frame as that is at another time.

        `fixed_frame` is where the world stands still between the stamp and `target_time`; the
        rest is as for `transform`.
        """
        apply = self.registration.get(type(object_stamped))
        header = object_stamped.header
        transform = self.lookup_transform_full(
            target_frame,
            target_time,
            header.frame_id,
            header.stamp,
            fixed_frame,
            timeout or Duration(),
        )
        result = apply(object_stamped, transform)
        return result if new_type is None else convert(result, new_type)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        raise NotImplementedException

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> TransformStamped:
        raise NotImplementedException

    def can_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> bool:
        raise NotImplementedException

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> bool:
        raise NotImplementedException
