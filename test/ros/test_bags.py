"""Recordings of every kind are read; what is damaged is left out and said."""

import shutil

import numpy as np
import pytest
from bag_files import (
    COLOR,
    DEPTH,
    INFO,
    START_NS,
    STEP_NS,
    compressed,
    recording,
    write_bag,
    write_ros1,
)
from cv_bridge import CvBridge
from rclpy.serialization import serialize_message
from sensor_msgs.msg import LaserScan

from semabs_core.data.scene_file import SceneError
from semabs_core.readers.camera_topics import choose_camera
from semabs_core.readers.messages import depth_to_metres, image_to_rgb
from semabs_core.readers.recording import TF
from semabs_ros.bags import Bag

FRAME = 4
"""Messages of one moment in a recording."""


def silent(text):
    raise AssertionError(text)


def sqlite(path, messages):
    return write_bag(path / "bag", messages)


def mcap(path, messages):
    return write_bag(path / "bag", messages, "MCAP")


def file_of_a_bag(path, messages):
    return next(mcap(path, messages).glob("*.mcap"))


def compressed_files(path, messages):
    return write_bag(path / "bag", messages, compression="FILE")


def compressed_messages(path, messages):
    return write_bag(path / "bag", messages, compression="MESSAGE")


def compressed_storage(path, messages):
    return write_bag(path / "bag", messages, "MCAP", compression="STORAGE")


def without_metadata(path, messages):
    folder = sqlite(path, messages)
    (folder / "metadata.yaml").unlink()
    return folder


def parts(path, messages, *arguments):
    """Two files in one folder without metadata, as a split bag that lost it."""
    (path / "whole").mkdir()
    for name, some in (("a", messages[:FRAME]), ("b", messages[FRAME:])):
        file = next(write_bag(path / name, some, *arguments).glob(f"{name}.*"))
        shutil.copy(file, path / "whole")
    return path / "whole"


def mcap_parts(path, messages):
    return parts(path, messages, "MCAP")


def ros1(path, messages):
    return write_ros1(path / "one.bag", messages)


def ros1_parts(path, messages):
    (path / "bags").mkdir()
    write_ros1(path / "bags" / "a.bag", messages[:FRAME])
    write_ros1(path / "bags" / "b.bag", messages[FRAME:])
    return path / "bags"


def old_tf(path, messages):
    return write_ros1(path / "one.bag", messages, "tf/msg/tfMessage")


@pytest.mark.parametrize(
    "write",
    [sqlite, mcap, file_of_a_bag, compressed_files, compressed_messages, compressed_storage,
     without_metadata, parts, mcap_parts, ros1, ros1_parts, old_tf],
)  # fmt: skip
def test_every_kind_of_recording_is_read(room, tmp_path, write):
    messages = recording(room)
    bag = Bag(write(tmp_path, messages))
    trio = choose_camera(bag.describe())
    assert (trio.rgb.name, trio.depth.name, trio.info.name) == (COLOR, DEPTH, INFO)
    assert trio.rgb.frame == "optical"
    assert (trio.info.width, trio.info.height) == room.rgb.shape[2:0:-1]
    assert bag.start_ns == START_NS
    assert bag.of_type(TF) == ["/tf"]
    read = list(bag.read([COLOR, "/tf"], silent))
    bag.close()
    assert [(one.topic, one.time_ns) for one in read] == [
        (topic, START_NS + i * STEP_NS) for i in range(3) for topic in (COLOR, "/tf")
    ]
    np.testing.assert_array_equal(image_to_rgb(read[0].message), room.rgb[0])
    assert read[2].stamps_ns == [START_NS + STEP_NS]
    pose = read[1].message.transforms[0]
    assert (pose.header.frame_id, pose.child_frame_id) == ("map", "optical")
    assert pose.transform.translation.z == pytest.approx(room.T_world_camera[0][2, 3])


@pytest.mark.parametrize("write", [sqlite, ros1])
def test_compressed_images_are_a_camera(room, tmp_path, write):
    bag = Bag(write(tmp_path, compressed(recording(room), CvBridge())))
    trio = choose_camera(bag.describe())
    assert trio.rgb.name == f"{COLOR}/compressed"
    assert trio.depth.name == f"{DEPTH}/compressedDepth"
    assert (trio.rgb.width, trio.rgb.height) == room.rgb.shape[2:0:-1]
    color, depth = (bag.first(topic.name).message for topic in (trio.rgb, trio.depth))
    bag.close()
    np.testing.assert_array_equal(image_to_rgb(color), room.rgb[0])
    expected = np.where(room.depth_m[0] > 0, room.depth_m[0], np.nan)
    np.testing.assert_allclose(depth_to_metres(depth), expected, atol=6e-4)


def test_damaged_messages_are_left_out(room, tmp_path):
    messages = recording(room)
    whole = serialize_message(messages[4][2])
    huge = bytearray(whole)
    huge[12:16] = (2**31).to_bytes(4, "little")
    raw = {0: whole[:20], 4: bytes(huge)}
    bag = Bag(write_bag(tmp_path / "bag", messages, raw=raw))
    said = []
    read = list(bag.read([COLOR], said.append))
    assert [one.time_ns for one in read] == [START_NS + 2 * STEP_NS]
    assert len(said) == 2
    assert f"a message of {COLOR} 0.1 s after the start is damaged and left out" in said[1]
    # What describes the camera is the first message that is whole.
    assert choose_camera(bag.describe()).rgb.frame == "optical"
    bag.close()


def test_a_damaged_file_is_played_up_to_its_damage(room, tmp_path):
    folder = compressed_storage(tmp_path, recording(room, 10))
    file = next(folder.glob("*.mcap"))
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = b"\x55" * 40
    file.write_bytes(data)
    said = []
    bag = Bag(folder)
    read = list(bag.read([COLOR], said.append))
    bag.close()
    assert len(read) < 10
    assert len(said) == 1
    assert "the rest of" in said[0]
    assert "is damaged" in said[0]


def test_types_that_are_not_installed_do_no_harm(room, tmp_path):
    messages = recording(room)
    messages.insert(0, ("/scan", START_NS, LaserScan()))
    bag = Bag(write_bag(tmp_path / "bag", messages))
    bag.topics["/odd"] = "my_msgs/msg/Odd"
    described = {topic.name: topic for topic in bag.describe()}
    assert described["/odd"].role == described["/scan"].role == ""
    assert choose_camera(bag.describe()).rgb.name == COLOR
    bag.close()


def empty_folder(path):
    (path / "none").mkdir()
    return path / "none"


def other_file(path):
    (path / "a.txt").write_text("x")
    return path / "a.txt"


def unfinished(path):
    (path / "a.bag.active").write_text("x")
    return path / "a.bag.active"


def packed_without_metadata(path):
    (path / "packed").mkdir()
    (path / "packed" / "a.db3.zstd").write_text("x")
    return path / "packed"


def no_bag(path):
    (path / "a.mcap").write_bytes(b"nothing")
    return path / "a.mcap"


def no_ros1_bag(path):
    (path / "a.bag").write_bytes(b"nothing")
    return path / "a.bag"


def wrong_metadata(path):
    (path / "wrong").mkdir()
    (path / "wrong" / "metadata.yaml").write_text("a: [")
    return path / "wrong"


def no_messages(path):
    return write_bag(path / "bag", [])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (empty_folder, "holds neither metadata.yaml nor files that end in .mcap, .db3, .bag"),
        (other_file, "it must be a folder or end in .mcap, .db3, .bag"),
        (unfinished, "rosbag reindex makes a bag of a.bag.active"),
        (packed_without_metadata, "ros2 bag reindex makes a bag of a.db3.zstd"),
        (no_bag, "a.mcap is no readable bag"),
        (no_ros1_bag, "a.bag is no readable bag"),
        (wrong_metadata, "wrong is no readable bag"),
        (no_messages, "bag holds no message"),
        (lambda path: path / "none", "there is no scene file or bag"),
    ],
)
def test_what_is_no_recording_is_one_line(tmp_path, make, match):
    with pytest.raises(SceneError, match=match) as caught:
        Bag(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_only_first_messages_are_read_to_find_the_camera(room, tmp_path):
    """A topic without any message is no candidate."""
    bag = Bag(sqlite(tmp_path, recording(room)))
    bag.topics["/never/image_raw"] = "sensor_msgs/msg/Image"
    assert "/never/image_raw" not in [topic.name for topic in bag.describe()]
    assert bag.of_type("sensor_msgs/msg/Image") == sorted([COLOR, DEPTH, "/never/image_raw"])
    bag.close()
