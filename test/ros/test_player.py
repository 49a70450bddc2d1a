"""The player as a program: a camera with TF, whatever it plays; bad input is one line."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from asking import collect
from bag_files import COLOR, DEPTH, STEP_NS, compressed, recording, write_bag, write_ros1
from cv_bridge import CvBridge
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from support import ROOT, wait_for
from tf2_ros import Buffer, TransformException, TransformListener

from semabs_core.readers.messages import depth_to_metres, image_to_rgb
from semabs_core.readers.poses import parse_pose
from semabs_ros.bag_player import rectified_info


class Viewer:
    """What a node sees of the camera."""

    def __init__(self, peer):
        self.images = collect(peer, Image, "/rgb/image")
        self.depths = collect(peer, Image, "/depth/image")
        self.infos = collect(peer, CameraInfo, "/rgb/camera_info")
        self.buffer = Buffer()
        self.listener = TransformListener(self.buffer, peer)
        self.peer = peer

    def wait(self, count):
        wait_for(
            lambda: min(len(self.images), len(self.depths)) >= count and self.infos, what="images"
        )

    def pose(self, number):
        """The camera's position in map at the stamp of an image, of that number or a later one.

        TF may be discovered seconds after the images: the stamps of the first ones are then before
        all that its buffer holds, and stay so.
        """

        def look_up():
            for image in reversed(self.images[number:]):
                header = image.header
                try:
                    return self.buffer.lookup_transform("map", header.frame_id, header.stamp)
                except TransformException:
                    continue
            return None

        t = wait_for(look_up, what="transform at the stamp").transform.translation
        return np.array([t.x, t.y, t.z])

    @property
    def stamps(self):
        return [i.header.stamp.sec * 10**9 + i.header.stamp.nanosec for i in self.images]

    @property
    def now(self):
        return self.peer.get_clock().now().nanoseconds


@pytest.fixture
def viewer(peer):
    return Viewer(peer)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_a_scene_is_a_camera_with_tf(start, viewer, room, scene_file, encoding):
    start("semabs_ros.player", {"scene": f"'{scene_file}'", "depth_encoding": encoding})
    viewer.wait(3)
    np.testing.assert_array_equal(image_to_rgb(viewer.images[0]), room.rgb[0])
    assert viewer.depths[0].encoding == encoding
    np.testing.assert_allclose(depth_to_metres(viewer.depths[0]), room.depth_m[0], atol=6e-4)
    np.testing.assert_allclose(np.array(viewer.infos[0].k).reshape(3, 3), room.K)
    assert viewer.images[0].header.stamp == viewer.depths[0].header.stamp
    assert viewer.stamps[2] > viewer.stamps[1]
    np.testing.assert_allclose(viewer.pose(2), room.T_world_camera[0][:3, 3], atol=1e-9)


def plain(path, room):
    return write_bag(path / "bag", recording(room))


def old_and_compressed(path, room):
    """ROS 1, compressed images, frames with a leading slash."""
    messages = compressed(recording(room, frame="/optical"), CvBridge())
    return write_ros1(path / "a.bag", messages, "tf/msg/tfMessage")


@pytest.mark.parametrize("write", [plain, old_and_compressed])
def test_a_recording_is_played_as_if_it_happened_now(start, viewer, room, tmp_path, write):
    start("semabs_ros.player", {"scene": f"'{write(tmp_path, room)}'"})
    viewer.wait(7)  # into the third pass
    np.testing.assert_array_equal(image_to_rgb(viewer.images[0]), room.rgb[0])
    expected = np.where(room.depth_m[0] > 0, room.depth_m[0], np.nan)
    np.testing.assert_allclose(depth_to_metres(viewer.depths[0]), expected, atol=6e-4)
    np.testing.assert_allclose(np.array(viewer.infos[0].k).reshape(3, 3), room.K)
    assert viewer.images[0].header.frame_id == "optical"
    stamps = viewer.stamps
    assert abs(viewer.now - stamps[-1]) < 20e9
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
    np.testing.assert_allclose(viewer.pose(6), room.T_world_camera[0][:3, 3], atol=1e-9)


def test_simulated_stamps_at_another_speed(start, viewer, room, tmp_path):
    """Stamps that count from the simulator's start; it ran at half of real time."""
    messages = recording(room, 5, stamp=lambda time_ns: 10**9 + (time_ns - 10**12) // 2)
    bag = write_bag(tmp_path / "bag", messages)
    start("semabs_ros.player", {"scene": f"'{bag}'", "speed": "2.0"})
    viewer.wait(12)  # at least one whole pass
    steps = np.diff(viewer.stamps)
    # 0.1 s of recording are 0.05 s of simulation, of which speed 2 makes 0.025 s; there is more
    # between two passes.
    assert np.isclose(steps, STEP_NS / 4, atol=10).sum() >= 4
    assert steps.min() > 0
    assert abs(viewer.now - viewer.stamps[-1]) < 40e9
    np.testing.assert_allclose(viewer.pose(11), room.T_world_camera[0][:3, 3], atol=1e-9)


def test_a_recording_without_tf_needs_a_pose(start, viewer, room, tmp_path):
    bag = write_bag(tmp_path / "bag", recording(room, tf=False))
    process = start("semabs_ros.player", {"scene": f"'{bag}'"})
    assert process.popen.wait(120) == 2
    assert "bag holds no TF" in process.text
    assert "give camera_pose" in process.text
    start("semabs_ros.player", {"scene": f"'{bag}'", "camera_pose": "'0.5 -1 1.5 0 10 90'"})
    viewer.wait(1)
    np.testing.assert_allclose(viewer.pose(0), [0.5, -1, 1.5], atol=1e-9)


def test_damaged_messages_are_said_and_the_others_played(start, viewer, room, tmp_path):
    bag = write_bag(tmp_path / "bag", recording(room), raw={4: b"\0\1\0\0" + bytes(9)})
    process = start("semabs_ros.player", {"scene": f"'{bag}'"})
    viewer.wait(3)
    assert process.text.count(f"a message of {COLOR} 0.1 s after the start is damaged") == 1


def several(path, room):
    other = [(topic.replace("/cam/", "/rear/"), *rest) for topic, *rest in recording(room)]
    return write_bag(path / "bag", [*recording(room), *other])


def unregistered(path, room):
    messages = recording(room)
    for topic, _, message in messages:
        if topic == DEPTH:
            message.header = Header(stamp=message.header.stamp, frame_id="depth_optical")
    return write_bag(path / "bag", messages)


@pytest.mark.parametrize(
    ("write", "match"),
    [
        (several, f"there are several cameras.*RGB={COLOR} DEPTH=.* or RGB=/rear/color/image_raw"),
        (unregistered, "there is no complete camera.*must be in the frame and of the size"),
    ],
)
def test_what_is_not_clear_is_asked(start, room, tmp_path, write, match):
    process = start("semabs_ros.player", {"scene": f"'{write(tmp_path, room)}'"})
    assert process.popen.wait(120) == 2
    lines = process.text.splitlines()
    assert len(lines) == 1
    assert re.search(match, lines[0])


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"scene": "/nowhere.npz"}, "there is no scene file /nowhere.npz"),
        ({"scene": "/nowhere"}, "there is no scene file, folder or bag /nowhere"),
        ({"scene": f"'{ROOT / 'config'}'"}, "is nothing that can be read. Looked for"),
        ({"read": "up=w"}, "read options: up"),
        ({"read": "intrinsics='1 1 1 1'"}, "intrinsics does not apply to this (scene file)"),
        ({"depth_encoding": "8UC1"}, "depth_encoding must be 32FC1 or 16UC1"),
        ({"rate_hz": "0"}, "rate_hz must be positive"),
        ({"speed": ".inf"}, "speed must be positive"),
        ({"rate_hz": "fast"}, "rate_hz must be a number"),
        ({"camera_pose": "'1 2 3'"}, "camera_pose must be six numbers"),
        ({"rgb": "/a"}, "unknown parameter 'rgb'"),
    ],
)
def test_wrong_parameters_are_one_line(start, parameters, match):
    process = start("semabs_ros.player", parameters)
    assert process.popen.wait(120) == 2
    assert match in process.text
    assert len(process.text.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "match"),
    [(["--help"], 0, "rgb_topic"), (["room.npz"], 2, "unknown argument 'room.npz'")],
)
def test_the_command_line(arguments, code, match):
    command = [sys.executable, "-m", "semabs_ros.player", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == code
    assert match in done.stdout + done.stderr


def test_a_pose_in_words_of_the_body():
    """Yaw 90 degrees looks along +y, pitch 90 degrees straight down."""
    T = parse_pose("1, 2, 3, 0, 0, 90")
    np.testing.assert_allclose(T[:3, 3], [1, 2, 3])
    np.testing.assert_allclose(T[:3, 2], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(T[:3, 1], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(parse_pose("0 0 0 0 90 0")[:3, 2], [0, 0, -1], atol=1e-12)


def test_rectified_images_have_the_calibration_of_the_matrix_p():
    info = CameraInfo(d=[0.1] * 5, k=[9.0, 0, 9, 0, 9, 9, 0, 0, 1])
    assert rectified_info(CameraInfo(d=[0.1])).d[0] == 0.1  # no P: not calibrated
    info.p = [5.0, 0, 3, -0.1, 0, 6, 2, 0, 0, 0, 1, 0]
    rectified = rectified_info(info)
    assert list(rectified.k) == [5, 0, 3, 0, 6, 2, 0, 0, 1]
    assert list(rectified.d) == [0] * 5
    np.testing.assert_array_equal(np.reshape(rectified.r, (3, 3)), np.eye(3))
