"""``semabs doctor --live`` on a camera over real DDS."""

import numpy as np
import pytest
import rclpy
from camera import Camera
from rclpy.node import Node
from std_msgs.msg import String

from semabs_core.config import SemabsConfig
from semabs_core.data.scene_file import built_in_scene
from semabs_core.doctor.findings import Level
from semabs_core.readers.options import ReadOptions
from semabs_ros.doctor import Listener, examine_live


@pytest.fixture
def examine(context):
    made = []

    def run(seconds=2.0):
        listener = Listener(ReadOptions(), context=context)
        made.append(listener)
        result = examine_live(listener, SemabsConfig(), seconds)
        return result, {found.subject: found for found in result.report.findings}

    yield run
    for listener in made:
        listener.destroy_node()


def test_a_camera_without_faults(spinner, context, examine):
    spinner.add(Camera(built_in_scene(), context))
    result, found = examine()
    errors = [one for one in result.report.findings if one.level == Level.ERROR]
    assert errors == []
    assert "reliable" in found["topics"].text
    assert "'map' to 'optical' is known" in found["TF"].text
    assert found["floor height"].level == Level.OK
    assert result.frame.rgb.shape == built_in_scene().rgb.shape[1:]


def test_the_faults_of_a_camera_are_named(spinner, context, examine):
    camera = Camera(built_in_scene(), context)

    def spoil(rgb, depth, info):
        metres = np.frombuffer(depth.data, np.float32) * 1000
        depth.data = metres.astype(np.float32).tobytes()
        return rgb, depth, info

    camera.change = spoil
    spinner.add(camera)
    result, _ = examine()
    assert result.report.main.subject == "depth units"
    assert result.report.failed


def test_a_camera_without_tf(spinner, context, examine):
    spinner.add(Camera(built_in_scene(), context, tf=False))
    result, _ = examine()
    assert result.report.main.subject == "TF"
    assert "says nothing of the images' frame 'optical'" in result.report.main.text


def test_no_camera_at_all(spinner, context, examine):
    other = Node("other", context=context)
    other.create_publisher(String, "chatter", 1)
    spinner.add(other)
    result, _ = examine(1.0)
    assert result.report.main.subject == "topics"
    assert "there is no complete camera" in result.report.main.text
    assert rclpy.ok(context=context)
