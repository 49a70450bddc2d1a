"""Faults of a camera and of TF."""

from __future__ import annotations

import array

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image

from benchmarks.faults.kinds import HEALTHY, Spoil, SpoilTransform, StreamFault, Trio
from semabs_ros.convert import depth_to_image

ODD_NAMES = ("a: b", "- x", "{", "3.5", "null", "[camera", "tab\there", "名前", "x" * 3000)


def set_fields(which: str, **values: object) -> Spoil:
    """Overwrite fields of the colour image, the depth image or camera_info."""

    def spoil(_rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
        message = {"rgb": rgb, "depth": depth, "info": info}[which]
        for name, value in values.items():
            *path, last = name.split("__")
            place = message
            for step in path:
                place = getattr(place, step)
            setattr(place, last, value)
        return rgb, depth, info

    return spoil


def withhold(*which: str) -> Spoil:
    """Messages that do not come."""

    def spoil(_rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
        messages = {"rgb": rgb, "depth": depth, "info": info}
        kept = [None if name in which else message for name, message in messages.items()]
        return kept[0], kept[1], kept[2]

    return spoil


def truncate(which: str) -> Spoil:
    """Data that ends somewhere."""

    def spoil(rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
        message = rgb if which == "rgb" else depth
        message.data = message.data[: int(rng.integers(len(message.data)))]
        return rgb, depth, info

    return spoil


def fill_depth(value: float, encoding: str = "32FC1") -> Spoil:
    """Depth that is the same everywhere, in the encoding's own unit."""

    def spoil(_rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
        kind = "<f4" if encoding == "32FC1" else "<u2"
        pixels = np.full((depth.height, depth.width), value).astype(kind)
        depth.encoding, depth.step = encoding, pixels.itemsize * depth.width
        depth.data = array.array("B", pixels.tobytes())
        return rgb, depth, info

    return spoil


def smaller_depth(_rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
    """Depth of another size."""
    pixels = np.ones((depth.height // 2, depth.width // 2), dtype=np.float32)
    return rgb, depth_to_image(pixels, depth.header, "32FC1"), info


def tiny(_rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
    """Images of 8 x 6 pixels."""
    rgb.height, rgb.width, rgb.step = 6, 8, 24
    rgb.data = array.array("B", bytes(6 * 24))
    info.width, info.height = 8, 6
    return rgb, depth_to_image(np.ones((6, 8), np.float32), depth.header, "32FC1"), info


def move_stamps(*which: str, seconds: float, jitter: float = 0.0) -> Spoil:
    """Stamps that are off."""

    def spoil(rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
        for name, message in (("rgb", rgb), ("depth", depth), ("info", info)):
            if name in which:
                stamp = message.header.stamp
                off = seconds + jitter * rng.standard_normal()
                nanoseconds = stamp.sec * 10**9 + stamp.nanosec + int(off * 1e9)
                message.header.stamp = time_message(max(nanoseconds, 0))
        return rgb, depth, info

    return spoil


def random_bytes(rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
    """Noise for colour and depth: every bit pattern of a float."""
    rgb.data = array.array("B", rng.bytes(len(rgb.data)))
    depth.data = array.array("B", rng.bytes(len(depth.data)))
    return rgb, depth, info


def every_second(_rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
    """Depth at half of colour's rate."""
    keep = rgb.header.stamp.nanosec // 10**6 % 2
    return rgb, depth if keep else None, info


def time_message(nanoseconds: int) -> Time:
    """Nanoseconds to a stamp."""
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def rename(which: str, frame_id: str) -> Spoil:
    """Another frame_id; ``all`` for all three."""

    def spoil(_rng: np.random.Generator, rgb: Image, depth: Image, info: CameraInfo) -> Trio:
        for name, message in (("rgb", rgb), ("depth", depth), ("info", info)):
            if which in (name, "all"):
                message.header.frame_id = frame_id
        return rgb, depth, info

    return spoil


# --- TF -------------------------------------------------------------------------------------------


def no_transform(_rng: np.random.Generator, _transform: TransformStamped) -> list:
    """TF is silent."""
    return []


def set_transform(**values: float) -> SpoilTransform:
    """Overwrite x, y, z (translation) or qx, qy, qz, qw (rotation)."""

    def spoil(_rng: np.random.Generator, transform: TransformStamped) -> list[TransformStamped]:
        for name, value in values.items():
            part = transform.transform.rotation if name[0] == "q" else None
            setattr(part or transform.transform.translation, name[-1], value)
        return [transform]

    return spoil


def turn(degrees: tuple[float, float, float]) -> SpoilTransform:
    """The camera turned about its own axes (x right, y down, z forward)."""

    def spoil(_rng: np.random.Generator, transform: TransformStamped) -> list[TransformStamped]:
        q = transform.transform.rotation
        turned = Rotation.from_quat([q.x, q.y, q.z, q.w]) * Rotation.from_euler(
            "xyz", degrees, degrees=True
        )
        q.x, q.y, q.z, q.w = map(float, turned.as_quat())
        return [transform]

    return spoil


def add_link(parent: str, child: str) -> SpoilTransform:
    """One more transform beside the camera's."""

    def spoil(_rng: np.random.Generator, transform: TransformStamped) -> list[TransformStamped]:
        other = TransformStamped(child_frame_id=child)
        other.header.stamp, other.header.frame_id = transform.header.stamp, parent
        other.transform.rotation.w = 1.0
        return [transform, other]

    return spoil


def odd_names(rng: np.random.Generator, transform: TransformStamped) -> list[TransformStamped]:
    """Frames whose names break naive writers and readers."""
    name = str(rng.choice(ODD_NAMES))
    return [transform, *add_link("map", name)(rng, transform)[1:]]


def move_transform(seconds: float) -> SpoilTransform:
    """A transform with another stamp."""

    def spoil(_rng: np.random.Generator, transform: TransformStamped) -> list[TransformStamped]:
        stamp = transform.header.stamp
        nanoseconds = stamp.sec * 10**9 + stamp.nanosec + int(seconds * 1e9)
        transform.header.stamp = time_message(max(nanoseconds, 0))
        return [transform]

    return spoil


def random_transform(
    rng: np.random.Generator, transform: TransformStamped
) -> list[TransformStamped]:
    """Numbers of any size, NaN and infinity among them."""
    for part, names in (
        (transform.transform.translation, "xyz"),
        (transform.transform.rotation, "xyzw"),
    ):
        for name in names:
            choices = [np.nan, np.inf, 1e308, -1e-308, 0.0, float(rng.standard_normal())]
            setattr(part, name, float(rng.choice(choices)))
    return [transform]


NAN = float("nan")
NO_TF = "no transform"
OUTSIDE = "no depth reading falls into the region"

FAULTS: tuple[StreamFault, ...] = (
    # colour
    StreamFault("colour truncated", "colour image is truncated", truncate("rgb")),
    StreamFault("colour without data", "colour image is truncated",
                set_fields("rgb", data=array.array("B"))),
    StreamFault("colour 0 x 0", "colour image is empty", set_fields("rgb", width=0, height=0)),
    StreamFault("colour with step 0", "colour image", set_fields("rgb", step=0)),
    StreamFault("depth given as colour", "encoding '16UC1'.*no colour",
                set_fields("rgb", encoding="16UC1")),
    StreamFault("colour encoding empty", "encoding ''", set_fields("rgb", encoding="")),
    StreamFault("colour encoding of 5000 letters", "encoding 'zzz",
                set_fields("rgb", encoding="z" * 5000)),
    StreamFault("colour claims 4 gigapixels", "colour image",
                set_fields("rgb", width=65536, height=65536)),
    StreamFault("colour claims 2^32-1 rows", "colour image", set_fields("rgb", height=2**32 - 1)),
    StreamFault("images of 8 x 6", "must be at least 16 pixels", tiny),
    StreamFault("colour withheld", "rgb/image.*nothing arrives", withhold("rgb")),
    StreamFault("noise for images", HEALTHY, random_bytes),
    # depth
    StreamFault("depth truncated", "depth image is truncated", truncate("depth")),
    StreamFault("depth in rgb8", "depth image has the encoding 'rgb8'",
                set_fields("depth", encoding="rgb8")),
    StreamFault("depth of another size", "registered to the colour camera", smaller_depth),
    StreamFault("depth all NaN", "no valid reading", fill_depth(NAN)),
    StreamFault("depth all 0", "no valid reading", fill_depth(0.0)),
    StreamFault("depth negative", "no valid reading", fill_depth(-1.0)),
    StreamFault("depth infinite", "no valid reading", fill_depth(float("inf"))),
    StreamFault("depth 65535 mm", OUTSIDE, fill_depth(65535, "16UC1")),
    StreamFault("metres in 16UC1", OUTSIDE, fill_depth(2, "16UC1")),
    StreamFault("millimetres in 32FC1", OUTSIDE, fill_depth(2000.0)),
    StreamFault("depth of another frame", "frame_id is 'infra'.*not registered",
                rename("depth", "infra")),
    StreamFault("depth withheld", "depth/image.*nothing arrives", withhold("depth")),
    StreamFault("depth at half the rate", HEALTHY, every_second),
    # calibration
    StreamFault("K all 0", "no usable K", set_fields("info", k=[0.0] * 9)),
    StreamFault("K of NaN", "no usable K", set_fields("info", k=[NAN] * 9)),
    StreamFault("negative focal length", "no usable K",
                set_fields("info", k=[-50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0])),
    StreamFault("calibration of another shape", "no scaled version", set_fields("info", width=7)),
    StreamFault("calibration without height", "set both or none", set_fields("info", height=0)),
    StreamFault("distortion of NaN", "distortion that is not finite",
                set_fields("info", d=[NAN] * 5)),
    StreamFault("distortion of 3 numbers", "distortion coefficients",
                set_fields("info", d=[0.1, 0.1, 0.1])),
    StreamFault("unknown distortion model", "distortion of the model 'fancy'",
                set_fields("info", distortion_model="fancy", d=[0.1] * 5)),
    StreamFault("region of interest outside", "region of interest",
                set_fields("info", roi__x_offset=1000, roi__width=10, roi__height=10)),
    StreamFault("binning of another size", "camera_info describes an image",
                set_fields("info", binning_x=3, binning_y=3)),
    StreamFault("calibration of another camera", "camera_info's frame_id is 'other'",
                rename("info", "other")),
    # stamps and frames
    StreamFault("no stamps", "no usable stamp",
                set_fields("rgb", header__stamp=Time())),
    StreamFault("negative stamps", "no usable stamp",
                set_fields("depth", header__stamp=Time(sec=-5))),
    StreamFault("depth a second late", "stamps do not match",
                move_stamps("depth", seconds=-1.0)),
    StreamFault("colour from the future", "stamps do not match.*ahead",
                move_stamps("rgb", seconds=1000.0)),
    StreamFault("all from the past", NO_TF, move_stamps("rgb", "depth", "info", seconds=-500.0)),
    StreamFault("all from the future", NO_TF, move_stamps("rgb", "depth", "info", seconds=500.0)),
    StreamFault("stamps that jitter by a minute", "stamps|no transform",
                move_stamps("rgb", "depth", "info", seconds=0.0, jitter=60.0), seconds=20.0),
    StreamFault("stamps that differ by 20 ms", HEALTHY, move_stamps("depth", seconds=-0.02)),
    StreamFault("frame_id empty", "empty frame_id", rename("all", "")),
    StreamFault("frame_id with a slash", HEALTHY, rename("all", "/optical")),
    StreamFault("frame_id unknown to TF", "no transform.*'nowhere'", rename("all", "nowhere")),
    StreamFault("frame_id of 10000 letters", "no transform", rename("all", "f" * 10_000)),
    StreamFault("frame_id of control characters", "no transform",
                rename("all", "a\x07\nb\x1b[31m")),
    # TF
    StreamFault("no TF", NO_TF, transform=no_transform),
    StreamFault("translation of NaN", "no transform", transform=set_transform(x=NAN)),
    StreamFault("translation of 1e300", "no transform|no depth reading|not finite",
                transform=set_transform(x=1e300)),
    StreamFault("quaternion of zeros", "no transform",
                transform=set_transform(qx=0.0, qy=0.0, qz=0.0, qw=0.0)),
    StreamFault("any numbers in TF", "no transform|no depth reading|below|upwards",
                transform=random_transform),
    StreamFault("a loop above the camera", "loop", transform=add_link("optical", "map")),
    StreamFault("a frame that is its own parent", HEALTHY, transform=add_link("map", "map")),
    StreamFault("odd frame names", HEALTHY, transform=odd_names),
    StreamFault("TF 0.2 s early", HEALTHY, transform=move_transform(0.2)),
    StreamFault("TF 3 s late", NO_TF, transform=move_transform(-3.0)),
    StreamFault("optical axis to the ceiling", "looks .* upwards|no depth",
                transform=turn((90.0, 0.0, 0.0))),
    StreamFault("camera far below the floor", "below the floor|no depth",
                transform=set_transform(z=-0.8)),
    # QoS
    StreamFault("best effort", HEALTHY, qos={"reliable": False}),
    StreamFault("a camera that restarts", HEALTHY, qos={"reliable": True}),
    StreamFault("calibration latched, once", HEALTHY, qos={"latched_info": True}),
    StreamFault("colour with another type", "is published as sensor_msgs/msg/CompressedImage",
                qos={"wrong_type": True}),
    StreamFault("no camera", "no publisher", qos={"closed": True}),
)  # fmt: skip
