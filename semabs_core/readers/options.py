"""What a reader may be told about files that do not say it themselves."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Any, Literal

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from semabs_core.config import STRICT, option
from semabs_core.text import shorten

UP_AXES = ("x", "-x", "y", "-y", "z", "-z")


@dataclass(frozen=True, config=STRICT)
class ReadOptions:
    """How to read RGB-D; what is not told is recognised, or as the format documents it."""

    depth_scale: float | None = option(
        None, "units of stored depth per metre, such as 1000 or 5000; unset: the format's", gt=0
    )
    up: Literal["auto", "estimate", "x", "-x", "y", "-y", "z", "-z"] = option(
        "auto",
        "axis of the files' world that points up; estimate: as floor and tables lie; auto: the "
        "format's, else estimated",
    )
    floor: float | Literal["auto", "estimate"] = option(
        "auto",
        "height of the floor in the upright world, which becomes 0; estimate: as it is seen; "
        "auto: 0 where the format has it there, else estimated",
        union_mode="left_to_right",
    )
    intrinsics: str = option("", "'fx fy cx cy' in pixels of the colour image, or a file with them")
    depth: str = option("", "file of the depth that belongs to a single colour image")
    camera_pose: str = option(
        "",
        "'x y z roll pitch yaw' of the camera's body (x forward, z up) in metres and degrees, for "
        "a single image or a recording without TF",
    )
    world_frame: str = option(
        "", "TF frame of a recording, z up; unset: the root of the camera's TF tree"
    )
    rgb_topic: str = option("", "colour topic of a recording; unset: found by its camera")
    depth_topic: str = option("", "depth topic of a recording; unset: found by its camera")
    info_topic: str = option("", "camera_info topic of a recording; unset: found by its camera")

    @property
    def topics(self) -> dict[str, str]:
        """The topics that are told, by role."""
        return {"rgb": self.rgb_topic, "depth": self.depth_topic, "info": self.info_topic}


OPTION_NAMES = tuple(field.name for field in fields(ReadOptions))


def parse_read_options(text: str | dict[str, Any]) -> ReadOptions:
    """``up=y depth_scale=5000 intrinsics='525 525 319.5 239.5'``, or a mapping, to options.

    Raises:
        ValueError: in one line, naming each fault.
    """
    values = text if isinstance(text, dict) else _pairs(text)
    try:
        return TypeAdapter(ReadOptions).validate_python(values)
    except ValidationError as error:
        known = ", ".join(OPTION_NAMES)
        faults = [
            f"{fault['loc'][0]} is no option (there are {known})"
            if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden")
            else f"{fault['loc'][0]}: {fault['msg']}, got {shorten(fault['input'])}"
            for fault in error.errors()
        ]
        raise ValueError(f"read options: {'; '.join(dict.fromkeys(faults))}") from None


def _pairs(text: str) -> dict[str, Any]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"read options {shorten(text)}: {error}") from None
    values: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator:
            raise ValueError(f"read options are name=value, separated by spaces, got {word!r}")
        if name in ("depth_scale", "floor"):
            values[name] = yaml.safe_load(value)
        else:
            values[name] = value
    return values
