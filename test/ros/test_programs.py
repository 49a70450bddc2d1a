"""The programs as a user starts them: player, node, client, demo; good input and bad."""

import itertools
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from asking import collect, diagnostics
from PIL import Image as Picture
from sensor_msgs.msg import CameraInfo, Image
from support import ROOT, wait_for
from tf2_ros import Buffer, TransformListener

from semabs_core.checkpoint import CONFIG_FILE
from semabs_core.data.scene_file import save_scene
from semabs_ros.convert import depth_to_metres, image_to_rgb
from semabs_ros.player import guess_topics

CONFIG = str(ROOT / "config" / "demo.yaml")


@pytest.fixture
def scene_file(room, tmp_path):
    path = tmp_path / "room.npz"
    save_scene(room, path)
    return path


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_the_player_is_a_camera_with_tf(start, peer, room, scene_file, encoding):
    images = collect(peer, Image, "/rgb/image")
    depths = collect(peer, Image, "/depth/image")
    infos = collect(peer, CameraInfo, "/rgb/camera_info")
    buffer = Buffer()
    TransformListener(buffer, peer)
    start("semabs_ros.player", {"scene": f"'{scene_file}'", "depth_encoding": encoding})
    wait_for(lambda: len(images) > 2 and len(depths) > 2 and infos, what="images")
    np.testing.assert_array_equal(image_to_rgb(images[0]), room.rgb[0])
    assert depths[0].encoding == encoding
    np.testing.assert_allclose(depth_to_metres(depths[0]), room.depth_m[0], atol=6e-4)
    np.testing.assert_allclose(np.array(infos[0].k).reshape(3, 3), room.K)
    assert images[0].header.stamp == depths[0].header.stamp
    stamp = images[2].header.stamp
    assert stamp != images[1].header.stamp

    def pose():
        try:
            return buffer.lookup_transform("map", images[2].header.frame_id, stamp)
        except Exception:
            return None

    translation = wait_for(pose, what="transform at the stamp").transform.translation
    np.testing.assert_allclose(
        [translation.x, translation.y, translation.z], room.T_world_camera[0][:3, 3], atol=1e-9
    )


def test_the_player_plays_a_bag_as_if_it_happened_now(start, peer, room, tmp_path):
    bag = tmp_path / "bag"
    write_bag(bag, room)
    images = collect(peer, Image, "/rgb/image")
    start("semabs_ros.player", {"scene": f"'{bag}'"})
    wait_for(lambda: len(images) >= 5, what="images of the second loop")
    np.testing.assert_array_equal(image_to_rgb(images[0]), room.rgb[0])
    stamps = [i.header.stamp.sec + i.header.stamp.nanosec * 1e-9 for i in images]
    now = peer.get_clock().now().nanoseconds * 1e-9
    assert abs(now - stamps[-1]) < 5
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (
            {
                "/camera/color/image_raw": "sensor_msgs/msg/Image",
                "/camera/color/camera_info": "sensor_msgs/msg/CameraInfo",
                "/camera/depth/image_rect_raw": "sensor_msgs/msg/Image",
                "/camera/depth/camera_info": "sensor_msgs/msg/CameraInfo",
                "/camera/aligned_depth_to_color/image_raw": "sensor_msgs/msg/Image",
                "/camera/infra1/image_rect_raw": "sensor_msgs/msg/Image",
                "/tf": "tf2_msgs/msg/TFMessage",
            },
            ("/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw",
             "/camera/color/camera_info"),
        ),
        (
            {"/head/rgb": "sensor_msgs/msg/Image", "/head/depth": "sensor_msgs/msg/Image"},
            ("/head/rgb", "/head/depth", ""),
        ),
        ({"/scan": "sensor_msgs/msg/LaserScan"}, ("", "", "")),
    ],
)  # fmt: skip
def test_a_bags_topics_are_guessed(topics, expected):
    assert tuple(guess_topics(topics).values()) == expected


def write_bag(path, room):
    from rclpy.serialization import serialize_message
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_typestore
    from std_msgs.msg import Header

    from semabs_ros.convert import rgb_to_image

    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(path, version=9) as writer:
        connection = writer.add_connection(
            "/cam/color/image_raw", "sensor_msgs/msg/Image", typestore=store
        )
        for i in range(3):
            header = Header(frame_id="optical")
            header.stamp.sec, header.stamp.nanosec = 1000, i * 200_000_000
            data = serialize_message(rgb_to_image(room.rgb[0], header))
            writer.write(connection, 1_000_000_000_000 + i * 200_000_000, data)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"scene": "/nowhere.npz"}, "there is no scene file /nowhere.npz"),
        ({"scene": "/nowhere"}, "there is no scene file or bag /nowhere"),
        ({"scene": f"'{ROOT / 'config'}'"}, "is no readable rosbag2 or mcap"),
        ({"depth_encoding": "8UC1"}, "depth_encoding must be 32FC1 or 16UC1"),
        ({"rate_hz": "0"}, "rate_hz must be positive"),
    ],
)
def test_the_player_refuses_in_one_line(start, parameters, match):
    process = start("semabs_ros.player", parameters)
    assert process.popen.wait(30) == 2
    assert match in process.text
    assert "Traceback" not in process.text


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_programs_end_cleanly_on_signals(start, sig):
    player = start("semabs_ros.player", {"rate_hz": "2.0"})
    node = start("semabs_ros.node", {"autostart": "true", "config_file": f"'{CONFIG}'"})
    wait_for(lambda: "subscribed to" in node.text, 40, "running node")
    for process in (node, player):
        code = process.stop(sig)
        assert code in (0, -sig), process.text
        assert "Traceback" not in process.text, process.text


def test_the_node_ends_while_its_models_load(start, peer, tmp_path):
    os.mkfifo(tmp_path / CONFIG_FILE)  # reading it never ends
    last = diagnostics(peer)
    parameters = {"autostart": "true", "completion.checkpoint": f"'{tmp_path}'"}
    node = start("semabs_ros.node", parameters)
    wait_for(
        lambda: last.get("semabs: models", ("", ""))[1] == "configuring", 60, "node that loads"
    )
    code = node.stop()
    assert code in (0, -signal.SIGINT), node.text
    assert "Traceback" not in node.text, node.text


HIDDEN_BOTTLE = (1.20, 0.71, 0.21)
"""Where the wine bottle is that the fridge of the built-in room hides, world frame, metres."""
PLANNER = """
import runpy, sys
sys.argv = ["planner", sys.argv[1]]
try:
    runpy.run_path("examples/ask_from_planner.py", run_name="__main__")
finally:
    loaded = [m for m in sys.modules if m.startswith(("torch", "semabs_core", "semabs_ros"))]
    assert not loaded, loaded
"""


def plan(sentence):
    return subprocess.run(
        [sys.executable, "-c", PLANNER, sentence],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_planner_needs_nothing_but_the_interfaces(start):
    start("semabs_ros.player")
    # The goal comes while the models load, and waits.
    start("semabs_ros.node", {"autostart": "true", "config_file": f"'{CONFIG}'"})
    done = plan("the wine bottle in the fridge")
    assert done.returncode == 0, done.stderr
    place, message = done.stdout.strip().split(" in map: ")
    assert np.linalg.norm(np.subtract([float(v) for v in place.split()], HIDDEN_BOTTLE)) < 0.8
    assert message
    done = plan("the wine bottle under the fridge")
    assert done.returncode == 1
    assert "unknown relation 'under'" in done.stderr


def run_demo(tmp_path, *arguments, timeout=200):
    return subprocess.run(
        [sys.executable, "-m", "semabs_ros.demo", "--out", str(tmp_path / "out"), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def test_the_demo_writes_pictures_and_meshes(tmp_path, scene_file):
    done = run_demo(tmp_path, "--scene", str(scene_file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "untrained" not in done.stdout
    assert "red mug behind blue box" in done.stdout
    out = tmp_path / "out"
    for name in ("relevancy.png", "completion.png", "localization.png"):
        picture = np.asarray(Picture.open(out / name))
        assert picture.std() > 10
    for name in ("measured.ply", "completion.ply", "completion.obj", "localization.ply"):
        assert (out / name).stat().st_size > 200
    assert not list(out.glob("*part*"))


@pytest.mark.parametrize(
    ("arguments", "match", "code"),
    [
        (["--scene", "/nowhere.npz"], "there is no scene file /nowhere.npz", 2),
        (["--config", "/nowhere.yaml"], "cannot read the config /nowhere.yaml", 1),
    ],
)
def test_the_demo_says_what_is_wrong(tmp_path, arguments, match, code):
    done = run_demo(tmp_path, *arguments)
    assert done.returncode == code
    assert match in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
