"""Recordings of a small room, written without ROS; each option can hold a fault."""

from functools import cache

import numpy as np
from rosbags import rosbag2
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from semabs_core.data.analytic import analytic_scene

STORE = get_typestore(Stores.ROS2_JAZZY)
START_S, STEP_S = 1000.0, 0.1
OPTICAL, BODY = "camera_color_optical_frame", "camera_link"
RGB, DEPTH, INFO = "/cam/color/image_raw", "/cam/aligned_depth/image_raw", "/cam/color/camera_info"


@cache
def room():
    """The analytic room, 320x240: 1.5 m above a floor at 0."""
    return analytic_scene(320, 240)


def make(name, **values):
    return STORE.types[name](**values)


def header(stamp_s, frame):
    sec, nanosec = divmod(round(stamp_s * 1e9), 10**9)
    stamp = make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def image(values, encoding, stamp_s, frame):
    values = np.ascontiguousarray(values)
    return make(
        "sensor_msgs/msg/Image", header=header(stamp_s, frame), height=values.shape[0],
        width=values.shape[1], encoding=encoding, is_bigendian=0,
        step=values.nbytes // values.shape[0], data=values.view(np.uint8).ravel(),
    )  # fmt: skip


def info(K, width, height, stamp_s, frame, d=(0.0,) * 5):
    roi = make(
        "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0,
        do_rectify=False,
    )  # fmt: skip
    return make(
        "sensor_msgs/msg/CameraInfo", header=header(stamp_s, frame), height=height, width=width,
        distortion_model="plumb_bob", d=np.array(d), k=K.ravel().astype(float),
        r=np.eye(3).ravel(), p=np.hstack([K, np.zeros((3, 1))]).ravel(), binning_x=0, binning_y=0,
        roi=roi,
    )  # fmt: skip


def transform(parent, child, T, stamp_s):
    x, y, z, w = Rotation.from_matrix(T[:3, :3]).as_quat()
    one = make(
        "geometry_msgs/msg/TransformStamped", header=header(stamp_s, parent), child_frame_id=child,
        transform=make(
            "geometry_msgs/msg/Transform",
            translation=make("geometry_msgs/msg/Vector3", **dict(zip("xyz", map(float, T[:3, 3])))),
            rotation=make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
        ),
    )  # fmt: skip
    return make("tf2_msgs/msg/TFMessage", transforms=[one])


T_BODY_OPTICAL = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])


def messages(
    count=4, rgb=None, depth=None, encoding="16UC1", frame=OPTICAL, depth_frame=None, K=None,
    depth_late_s=0.0, tf=lambda i: True, raised_m=0.0, d=(0.0,) * 5,
):  # fmt: skip
    """(topic, time, message): map -> camera_link moves with every image, the optical frame in it.

    Args:
        count: images of each kind.
        rgb: other colours than the room's.
        depth: other depth, metres.
        encoding: 16UC1 (millimetres), or 32FC1, which takes `depth` as it is.
        frame: frame_id of the images.
        depth_frame: of depth, where it is another.
        K: other intrinsics than the room's.
        depth_late_s: how much later depth is stamped.
        tf: whether the transform of an image is there.
        raised_m: how much higher the world frame's origin is than the floor.
        d: distortion.
    """
    scene = room()
    rgb = scene.rgb[0] if rgb is None else rgb
    metres = np.nan_to_num(scene.depth_m[0] if depth is None else depth)
    stored = (metres * 1000).round().astype("<u2") if encoding == "16UC1" else metres.astype("<f4")
    K = scene.K if K is None else K
    T_map_body = scene.T_world_camera[0] @ np.linalg.inv(T_BODY_OPTICAL)
    T_map_body = T_map_body.copy()
    T_map_body[2, 3] -= raised_m
    made = [("/tf_static", START_S, transform(BODY, OPTICAL, T_BODY_OPTICAL, START_S))]
    for i in range(count):
        t = START_S + STEP_S * i
        size = rgb.shape[1], rgb.shape[0]
        made += [
            (RGB, t, image(rgb, "rgb8", t, frame)),
            (DEPTH, t, image(stored, encoding, t + depth_late_s, depth_frame or frame)),
            (INFO, t, info(K, *size, t, frame, d)),
        ]
        if tf(i):
            made.append(("/tf", t, transform("map", BODY, T_map_body, t)))
    return made


def write(path, made, storage="SQLITE3", compression=None):
    """A rosbag2 folder."""
    writer = rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[storage])
    if compression:
        writer.set_compression(rosbag2.CompressionMode[compression], rosbag2.CompressionFormat.ZSTD)
    with writer:
        known = {}
        for topic, time_s, message in sorted(made, key=lambda one: one[1]):
            kind = message.__msgtype__
            if topic not in known:
                known[topic] = writer.add_connection(topic, kind, typestore=STORE)
            data = STORE.serialize_cdr(message, kind)
            writer.write(known[topic], round(time_s * 1e9), data)
    return path
