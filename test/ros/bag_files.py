"""Recordings for tests, in every storage that there is."""

from geometry_msgs.msg import TransformStamped
from rclpy.serialization import serialize_message
from rosbags import rosbag1, rosbag2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from semabs_ros.convert import depth_to_image, matrix_to_transform, rgb_to_image
from semabs_ros.player import camera_info

START_NS = 1_000_000_000_000
STEP_NS = 100_000_000
COLOR, DEPTH, INFO = (
    "/cam/color/image_raw",
    "/cam/aligned_depth/image_raw",
    "/cam/color/camera_info",
)


def header(stamp_ns, frame="optical"):
    made = Header(frame_id=frame)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, 10**9)
    return made


def transforms(room, stamp_ns, frame="optical"):
    one = TransformStamped(
        header=header(stamp_ns, "map"), child_frame_id=frame,
        transform=matrix_to_transform(room.T_world_camera[0]),
    )  # fmt: skip
    return TFMessage(transforms=[one])


def recording(room, count=3, stamp=lambda time_ns: time_ns, tf=True, frame="optical"):
    """(topic, time, message) of a camera; `stamp` makes stamps from times of recording."""
    messages = []
    for i in range(count):
        time_ns = START_NS + i * STEP_NS
        head = header(stamp(time_ns), frame)
        messages += [
            (COLOR, time_ns, rgb_to_image(room.rgb[0], head)),
            (DEPTH, time_ns, depth_to_image(room.depth_m[0], head, "16UC1")),
            (INFO, time_ns, camera_info(room, head)),
        ]
        if tf:
            messages.append(("/tf", time_ns, transforms(room, stamp(time_ns), frame)))
    return messages


def compressed(messages, bridge):
    """The images of a recording as image_transport compresses them."""
    made = []
    for topic, time_ns, message in messages:
        if topic == COLOR:
            image = bridge.cv2_to_compressed_imgmsg(bridge.imgmsg_to_cv2(message, "bgr8"), "png")
            image.header, image.format = message.header, "rgb8; png compressed bgr8"
            made.append((f"{COLOR}/compressed", time_ns, image))
        elif topic == DEPTH:
            png = bridge.cv2_to_compressed_imgmsg(bridge.imgmsg_to_cv2(message), "png")
            data = bytes(12) + bytes(png.data)
            depth = CompressedImage(
                header=message.header, format="16UC1; compressedDepth png", data=data
            )
            made.append((f"{DEPTH}/compressedDepth", time_ns, depth))
        else:
            made.append((topic, time_ns, message))
    return made


def type_name(message):
    return f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"


def write_bag(path, messages, storage="SQLITE3", compression=None, raw=None):
    """A rosbag2 folder; `raw` maps the number of a message to the bytes that stand in its place."""
    store = get_typestore(Stores.ROS2_JAZZY)
    plugin = rosbag2.StoragePlugin[storage]
    writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
    if compression:
        writer.set_compression(rosbag2.CompressionMode[compression], rosbag2.CompressionFormat.ZSTD)
    with writer:
        known = {}
        for number, (topic, time_ns, message) in enumerate(messages):
            if topic not in known:
                known[topic] = writer.add_connection(topic, type_name(message), typestore=store)
            data = (raw or {}).get(number) or serialize_message(message)
            writer.write(known[topic], time_ns, data)
    return path


def write_ros1(path, messages, tf_type="tf2_msgs/msg/TFMessage"):
    """A ROS 1 bag."""
    store, installed = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_JAZZY)
    text = "geometry_msgs/TransformStamped[] transforms"
    store.register(get_types_from_msg(text, tf_type))
    with rosbag1.Writer(path) as writer:
        known = {}
        for topic, time_ns, message in messages:
            name = tf_type if isinstance(message, TFMessage) else type_name(message)
            if topic not in known:
                known[topic] = writer.add_connection(topic, name, typestore=store)
            data = installed.cdr_to_ros1(serialize_message(message), type_name(message))
            writer.write(known[topic], time_ns, data)
    return path
