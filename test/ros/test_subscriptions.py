"""Topics that are missing, odd or latched, and subscriptions that fail at first."""

import numpy as np
import pytest
import rclpy
from camera import Camera
from sensor_msgs.msg import CameraInfo
from support import wait_for

from semabs_ros.node_config import NodeConfig
from semabs_ros.subscriptions import INFO, Subscriptions


def test_camera_info_that_is_published_once_works(watch, spinner, room):
    spinner.add(Camera(room, spinner.context, latched_info=True))
    late = watch()
    for _ in range(3):
        late.frame()
    assert late.source.topics[2].durable
    assert late.source.topics[2].received == 1
    assert late.source.reason == late.source.problem() == ""


def test_topics_that_are_missing_are_named_and_the_others_are_heard(watch, spinner, room):
    camera = Camera(room, spinner.context)
    camera.destroy_publisher(camera.topics.pop())
    spinner.add(camera)
    source = watch()
    wait_for(lambda: source.look() is not None and source.source.topics[0].received, what="colour")
    reason = source.reason("/rgb/camera_info has no publisher")
    assert "/rgb/image" not in reason
    assert "socket buffers" not in reason


def test_images_whose_topic_is_called_rectified_are_not_rectified_again(watch, spinner, room):
    camera = spinner.add(Camera(room, spinner.context))

    def distorted(rgb, depth, info):
        info.d = [0.3, 0.0, 0.0, 0.0, 0.0]
        info.p = [99.0, 0, 80, 0, 0, 98, 60, 0, 0, 0, 1, 0]
        return rgb, depth, info

    camera.change = distorted
    source = watch()
    wait_for(lambda: not np.array_equal(source.frame().frame.rgb, room.rgb[0]), what="warped")
    assert not source.source.topics[0].rectified
    source.source.topics[0].name = "/cam/image_rect_color"
    frame = source.frame().frame
    np.testing.assert_array_equal(frame.rgb, room.rgb[0])
    np.testing.assert_array_equal(frame.K, [[99, 0, 80], [0, 98, 60], [0, 0, 1]])


def test_a_subscription_that_could_not_be_made_is_tried_again(context, monkeypatch):
    node = rclpy.create_node("follower", context=context)
    node.create_publisher(CameraInfo, INFO, 1)
    make, faults = node.create_subscription, [RuntimeError("on purpose")]

    def make_or_fail(*arguments, **options):
        if faults:
            raise faults.pop()
        return make(*arguments, **options)

    monkeypatch.setattr(node, "create_subscription", make_or_fail)
    subscriptions = Subscriptions(node, NodeConfig, {INFO: print})
    with pytest.raises(RuntimeError, match="on purpose"):
        wait_for(subscriptions.follow, what="publisher")
    subscriptions.follow()
    assert f"/{INFO}" in [one.topic for one in node.subscriptions]
    node.destroy_node()


def test_a_topic_of_another_type_is_named(watch, spinner):
    node = rclpy.create_node("odd", context=spinner.context)
    node.create_publisher(CameraInfo, "rgb/image", 1)
    spinner.add(node)
    watch().reason("/rgb/image is published as sensor_msgs/msg/CameraInfo, not sensor_msgs/msg/Im")
