"""The errors of transform lookups; catching `TransformException` catches them all."""


class TransformException(Exception):  # noqa: N818 (upstream's name)
    """A transform could not be had."""


class ConnectivityException(TransformException):
    """Both frames are known, but no path leads from one to the other."""


class LookupException(TransformException):
    """A frame is not known at all."""


class ExtrapolationException(TransformException):
    """The requested time lies outside of what is stored for an edge of the path."""


class InvalidArgumentException(TransformException):
    """A frame name is empty or starts with a slash."""


class TimeoutException(TransformException):
    """A transform did not come in time."""
