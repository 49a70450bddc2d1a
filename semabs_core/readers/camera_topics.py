"""Which topics are one RGB-D camera: colour, depth that is registered to it, and its calibration.

Drivers name their topics as they like, and a robot has several cameras. So topics are put together
by what their messages say (frame, size, encoding) and, where that is not known, by what is left of
their names without the words for kinds of images. Nothing here needs ROS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

ROLES = {"rgb": "rgb/image", "depth": "depth/image", "info": "rgb/camera_info"}
"""The topics of a camera by the names that the node listens to."""
IMAGE_KINDS = ("Image", "CompressedImage")
INFO_KIND = "CameraInfo"
VIDEO = re.compile(r"packet|video|h26[45]|hevc|av1|vp[89]|theora", re.IGNORECASE)
"""In a message type or a compressed format: coded over time, one message is no picture."""
DEPTH_ENCODINGS = ("16uc1", "32fc1")
OTHER_IMAGES = re.compile(
    r"^(ir\d*|infra.*|disparity|confidence|mask|seg.*|semantic|instance|labels?|normals?|thermal"
    r"|overlay|debug|detections?|annotated|texture|snr|relevancy)$"
)
"""Words for images that are neither colour nor depth."""
RECTIFIED = re.compile(r"(^|[/_-])rect(ified)?([_-][^/]*)?$|/rect(ified)?/")
"""``image_rect``, ``image_rect_color``, or a folder ``rect``; not ``rect_robot/image_raw``."""
WARPED = re.compile(r"(rgb|colou?r)_to_(depth|ir)")
"""Colour in the depth camera's view: holes where depth has none."""
REGISTERED = re.compile(r"regist|align|depth_to_(rgb|colou?r)")
"""Depth in the colour camera's view."""
GENERIC = re.compile(
    r"^(camera|cam|image|images|img|info|raw|rect.*|rgbd?|colou?r|gr[ae]y|mono|depth.*|registered"
    r"|align(ed)?|to|hw|sw|node|sensors?|stereo|optical|map)$"
)
"""Words that say what an image is, not which camera took it."""
RESOLUTIONS = ("hd", "qhd", "sd", "fhd", "vga", "qvga")
COMFORTABLE_WIDTH = 1280
"""Pixels; larger images cost time and hold nothing that the encoder could use."""


class TopicError(ValueError):
    """No camera, or several; the message lists what there is and asks."""


@dataclass(frozen=True)
class Topic:
    """A topic and what its first message says; what is not known stays empty.

    Attributes:
        name: such as ``/camera/color/image_raw``.
        kind: message type, such as ``sensor_msgs/msg/Image``.
        frame_id: of the header.
        width: of the image, pixels, or of the images that a calibration is for.
        height: likewise.
        encoding: of an image; the format of a compressed one.
    """

    name: str
    kind: str
    frame_id: str = ""
    width: int = 0
    height: int = 0
    encoding: str = ""

    @property
    def type_name(self) -> str:
        """The message type without its package."""
        return self.kind.rsplit("/", 1)[-1]

    @property
    def frame(self) -> str:
        """The frame as tf2 knows it."""
        return self.frame_id.lstrip("/")

    @property
    def base(self) -> PurePosixPath:
        """The name without its transport."""
        path = PurePosixPath(self.name)
        return path.parent if path.name in ("compressed", "compressedDepth") else path

    @property
    def words(self) -> list[str]:
        """The words of the name without its transport, lower case."""
        return [word for word in re.split(r"[/_\-.]+", str(self.base).lower()) if word]

    @property
    def key(self) -> tuple[str, ...]:
        """What is left of the name to tell cameras and resolutions apart."""
        return tuple(word for word in self.words if not GENERIC.match(word))

    @property
    def role(self) -> str:
        """``rgb``, ``depth``, ``info``, or nothing."""
        if self.type_name == INFO_KIND:
            return "info"
        coded = self.encoding.lower()
        if self.type_name not in IMAGE_KINDS or VIDEO.search(coded):
            return ""
        if any(OTHER_IMAGES.match(word) for word in self.words):
            return ""
        warped = bool(WARPED.search(self.name.lower()))
        named_depth = any("depth" in word for word in self.words) and not warped
        if self.name.endswith("/compressedDepth"):
            return "depth" if named_depth else ""
        encoding = coded.split(";")[0].strip()
        if encoding in DEPTH_ENCODINGS:
            return "depth"
        if encoding == "mono16":
            return "depth" if named_depth else ""
        told = self.type_name == "Image" and bool(encoding)
        if named_depth:  # with a colour encoding it is a picture of depth for people
            return "" if told else "depth"
        if self.base.parent.name == "stereo" and not told:
            return "depth"
        return "rgb"

    @property
    def rectified(self) -> bool | None:
        """Whether the name says rectified or raw; None where it says nothing."""
        if RECTIFIED.search(str(self.base).lower()):
            return True
        return False if "raw" in self.words else None

    def __str__(self) -> str:
        facts = [f"frame {self.frame}"] if self.frame else []
        facts += [f"{self.width}x{self.height}"] if self.width else []
        return f"{self.name} ({', '.join(facts)})" if facts else self.name


@dataclass(frozen=True)
class Trio:
    """The topics of one camera."""

    rgb: Topic
    depth: Topic
    info: Topic

    def __str__(self) -> str:
        return f"RGB={self.rgb.name} DEPTH={self.depth.name} INFO={self.info.name}"

    @property
    def device(self) -> tuple[str, ...]:
        """Which camera it is, whatever the resolution."""
        return tuple(word for word in self.depth.key if word not in RESOLUTIONS)

    @property
    def preference(self) -> tuple:
        """The larger, the better among the trios of one device."""
        rgb, depth = self.rgb, self.depth
        width = rgb.width if rgb.width <= COMFORTABLE_WIDTH else -rgb.width
        return (
            rgb.key == depth.key,
            not WARPED.search(rgb.name.lower()),
            bool(REGISTERED.search(depth.name.lower())),
            depth.rectified is None or bool(rgb.rectified) == depth.rectified,
            bool(rgb.rectified),
            not ({"mono", "gray", "grey"} & set(rgb.words) or rgb.encoding.startswith("mono")),
            rgb.type_name == "Image",
            depth.type_name == "Image",
            depth.name.endswith("/compressedDepth"),
            width,
        )


def choose_camera(topics: Iterable[Topic], told: Mapping[str, str] | None = None) -> Trio:
    """The one camera among topics.

    Args:
        topics: all of them, of any type.
        told: topics that are given, by role (``rgb``, ``depth``, ``info``); empty where not. What
            is given is taken, whatever its frame.

    Raises:
        TopicError: if there is no complete camera, if there are several, or if a given topic is
            missing or of another type. The message lists what there is.
    """
    known = {topic.name: topic for topic in topics}
    wanted = {role: name for role, name in (told or {}).items() if name}
    found: dict[str, list[Topic]] = {}
    for role in ROLES:
        if role in wanted:
            found[role] = [_told(known, role, wanted[role])]
        else:
            found[role] = [t for _, t in sorted(known.items()) if t.role == role]
    trios = [
        Trio(rgb, depth, info)
        for rgb in found["rgb"]
        for depth in _matches(rgb, found["depth"], "depth" in wanted)
        for info in _calibration(rgb, found["info"], "info" in wanted)
    ]
    best: dict[tuple[str, ...], Trio] = {}
    for trio in trios:
        rival = best.get(trio.device)
        if rival is None or trio.preference > rival.preference:
            best[trio.device] = trio
    if not best:
        raise TopicError(_nothing(found, known.values()))
    if len(best) > 1:
        raise TopicError(
            "there are several cameras; give one of them (the parameters are rgb_topic, "
            "depth_topic and info_topic): "
            + " or ".join(str(trio) for _, trio in sorted(best.items()))
        )
    return next(iter(best.values()))


def _told(known: Mapping[str, Topic], role: str, name: str) -> Topic:
    """A topic that was given by name."""
    kinds = (INFO_KIND,) if role == "info" else IMAGE_KINDS
    if name not in known:
        fitting = sorted(t.name for t in known.values() if t.type_name in kinds)
        raise TopicError(
            f"{role}_topic {name} is not there; there are {', '.join(fitting) or 'none'}"
        )
    if known[name].type_name not in kinds:
        raise TopicError(
            f"{role}_topic {name} must be of the type {' or '.join(kinds)}, "
            f"but it is {known[name].kind}"
        )
    return known[name]


def _matches(image: Topic, others: list[Topic], told: bool) -> list[Topic]:
    """Those that belong to an image; where names tell, those of the same name go before others."""
    fitting = [other for other in others if told or _fit(image, other)]
    return [other for other in fitting if other.key == image.key] or fitting


def _fit(one: Topic, other: Topic) -> bool:
    """Whether two topics can be of one camera in one resolution."""
    if one.width and other.width and (one.width, one.height) != (other.width, other.height):
        return False
    if one.frame and other.frame:
        return one.frame == other.frame
    return one.key == other.key


def _calibration(image: Topic, infos: list[Topic], told: bool) -> list[Topic]:
    """The calibration that lies nearest to an image, among those that fit."""

    def shared(info: Topic) -> int:
        pairs = zip(image.base.parts, PurePosixPath(info.name).parts)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), len(image.base.parts))

    return sorted(_matches(image, infos, told), key=shared, reverse=True)[:1]


def _nothing(found: Mapping[str, list[Topic]], topics: Iterable[Topic]) -> str:
    """Why there is no complete camera."""
    names = {"rgb": "colour", "depth": "depth", "info": "camera_info"}
    parts = [
        f"{names[role]}: {', '.join(map(str, there)) or 'none'}" for role, there in found.items()
    ]
    text = (
        "there is no complete camera (colour, depth registered to it, camera_info). "
        + "; ".join(parts)
    )
    if all(found.values()):
        text += (
            ". Depth must be in the frame and of the size of colour: record the driver's "
            "registered or aligned depth; DEPTH= (depth_topic) takes a topic as it is"
        )
    videos = [t.name for t in topics if VIDEO.search(t.type_name) or VIDEO.search(t.encoding)]
    if videos:
        text += (
            f". {', '.join(sorted(videos))}: video (H.264 and the like) cannot be read message by "
            "message; record raw, compressed (JPEG, PNG) or compressedDepth"
        )
    return text
