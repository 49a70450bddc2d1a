"""The node with cameras that come late, restart or fail: what it does and what it reports."""

import numpy as np
import pytest
from asking import BEHIND, RESULT, STATUS, ask_when_active, collect, diagnostics
from builtin_interfaces.msg import Time
from camera import Camera, transform
from camera_faults import bad_encoding, far_away, no_reading, no_stamp
from rclpy.qos import ReliabilityPolicy
from semabs.msg import SemanticVoxels
from sensor_msgs.msg import Image
from support import wait_for
from tf2_ros import StaticTransformBroadcaster


@pytest.mark.parametrize("reliable", [True, False])
def test_a_camera_started_later_is_matched(make_node, localize, spinner, room, reliable):
    node = make_node(autostart=True)
    wait_for(lambda: node._worker, what="worker")
    camera = spinner.add(Camera(room, spinner.context, reliable=reliable))
    status, _ = localize.ask(**BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED
    (info,) = camera.get_subscriptions_info_by_topic("/rgb/image")
    expected = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    assert info.qos_profile.reliability == expected


def test_a_camera_restarted_with_another_reliability_is_followed(
    make_node, localize, spinner, room
):
    node = make_node(autostart=True, max_frame_age_s=1.0)
    first = spinner.add(Camera(room, spinner.context, reliable=True))
    ask_when_active(localize, **BEHIND)
    spinner.remove(first)
    before = node._frames.synced
    spinner.add(Camera(room, spinner.context, reliable=False, name="camera2"))
    wait_for(lambda: node._frames.synced > before + 3, what="frames of the second camera")
    assert not any(topic.reliable for topic in node._frames.topics)
    status, _ = localize.ask(**BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED


def test_a_forced_reliability_that_cannot_work_is_reported(make_node, peer, spinner, room):
    last = diagnostics(peer)
    node = make_node(autostart=True, reliability="reliable")
    spinner.add(Camera(room, spinner.context, reliable=False))
    wait_for(lambda: node._worker, what="worker")
    wait_for(
        lambda: "QoS does not fit" in last.get("semabs: input", ("", ""))[1],
        what="report of incompatible QoS",
    )


def test_silence_names_the_missing_topics(make_node, peer):
    last = diagnostics(peer)
    make_node(autostart=True)
    wait_for(
        lambda: "/depth/image has no publisher" in last.get("semabs: input", ("", ""))[1],
        what="report of the missing camera",
    )


def test_answers_tell_that_the_cameras_pose_is_doubtful(make_node, localize, spinner, room):
    camera = spinner.add(Camera(room, spinner.context, tf=False))
    body = np.eye(4)
    body[2, 3] = 1.5
    static = StaticTransformBroadcaster(camera)
    static.sendTransform(transform("map", "optical", body, Time()))
    make_node(autostart=True, region__region_size_m=10.0)
    status, result = ask_when_active(localize, **BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED
    assert "looks 90 degrees upwards" in result.message


def test_where_images_are_published_is_told(make_node, peer):
    last = diagnostics(peer)
    peer.create_publisher(Image, "/front/image_raw", 1)
    make_node(autostart=True)
    wait_for(
        lambda: "published are /front/image_raw" in last.get("semabs: input", ("", ""))[1],
        what="topics to choose from",
    )


def test_stamps_that_never_match_are_reported(make_node, peer, spinner, room):
    last = diagnostics(peer)
    camera = Camera(room, spinner.context)

    def late(rgb, depth, info):
        depth.header.stamp.sec -= 3
        return rgb, depth, info

    camera.change = late
    spinner.add(camera)
    make_node(autostart=True)
    wait_for(
        lambda: "do not match within sync_slop_s" in last.get("semabs: input", ("", ""))[1],
        what="report of stamps",
    )
    wait_for(
        lambda: "only arrive later, set sync_queue_size to" in last["semabs: input"][1],
        what="what to do where it is no fault of stamps",
    )


def test_late_transforms_are_awaited_without_starving(make_node, peer, spinner, room):
    """At 10 Hz with transforms 0.25 s late, the newest frame never has one: older ones must do."""
    voxels = collect(peer, SemanticVoxels, "/semabs/completion/voxels")
    spinner.add(Camera(room, spinner.context, tf_delay=0.25))
    node = make_node(autostart=True, tf_timeout_s=20.0)
    wait_for(lambda: len(voxels) >= 3, what="completions")
    assert node._frames.dropped == 0


def test_a_missing_transform_is_reported_and_the_frame_dropped(
    make_node, localize, peer, spinner, room
):
    last = diagnostics(peer)
    camera = spinner.add(Camera(room, spinner.context, tf=False))
    node = make_node(autostart=True, tf_timeout_s=0.2)
    wait_for(lambda: node._worker and node._frames.synced, what="frames")
    _, result = localize.ask(**BEHIND, timeout_s=2.0)
    assert result.error_code == RESULT.NO_FRAME
    assert "no transform from 'optical'" in result.message
    wait_for(
        lambda: "no transform from 'optical'" in last.get("semabs: input", ("", ""))[1],
        what="report of the transform",
    )
    camera.tf = True
    status, _ = localize.ask(**BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED


def test_a_world_frame_that_does_not_exist_is_reported(make_node, localize, spinner, room):
    spinner.add(Camera(room, spinner.context))
    node = make_node(autostart=True, world_frame="moon", tf_timeout_s=0.2)
    wait_for(lambda: node._worker and node._frames.synced, what="frames")
    _, result = localize.ask(**BEHIND, timeout_s=2.0)
    assert result.error_code == RESULT.NO_FRAME
    assert "to 'moon'" in result.message


@pytest.mark.parametrize(
    ("fault", "code", "match"),
    [
        (bad_encoding, "BAD_FRAME", "the depth image has the encoding '8UC1'; it must be 32FC1"),
        (no_reading, "BAD_FRAME", "the depth image has no valid reading"),
        (no_stamp, "NO_FRAME", "have no usable stamp (0.000000000)"),
        (far_away, "BAD_FRAME", "no depth reading falls into the region"),
    ],
)
def test_bad_frames_are_named_and_the_node_goes_on(
    make_node, localize, peer, spinner, room, fault, code, match
):
    camera = Camera(room, spinner.context)
    good, camera.change = camera.change, fault
    spinner.add(camera)
    node = make_node(autostart=True, max_frame_age_s=0.3)
    wait_for(lambda: node._worker and (node._frames.waiting or node._frames.reason), what="input")
    _, result = localize.ask(**BEHIND, timeout_s=2.0 if code == "NO_FRAME" else 600.0)
    assert result.error_code == getattr(RESULT, code)
    assert match in result.message
    camera.change = good
    wait_for(lambda: localize.ask(**BEHIND)[0] == STATUS.STATUS_SUCCEEDED, what="recovery")


def test_one_bad_frame_ends_no_goal(make_node, localize, spinner, room):
    """Such as a camera's first one, without any depth."""
    camera = Camera(room, spinner.context)
    good, bad = camera.change, [far_away, no_reading, far_away]
    camera.change = lambda *messages: (bad.pop() if bad else good)(*messages)
    node = make_node(autostart=True)
    wait_for(lambda: node._worker, what="worker")
    handle = localize.send(**BEHIND, timeout_s=60.0)
    wait_for(lambda: any(f.stage == "frame" for f in localize.feedback), what="waiting goal")
    spinner.add(camera)
    assert localize.outcome(handle)[0] == STATUS.STATUS_SUCCEEDED
    assert not bad


def test_the_node_says_that_a_pose_is_hardly_true(make_node, peer, spinner, room):
    last = diagnostics(peer)
    camera = spinner.add(Camera(room, spinner.context, tf=False))
    body = np.eye(4)
    body[2, 3] = 1.5
    StaticTransformBroadcaster(camera).sendTransform(transform("map", "optical", body, Time()))
    make_node(autostart=True)
    wait_for(
        lambda: "looks 90 degrees upwards" in last.get("semabs: input", ("", ""))[1],
        what="report of the pose",
    )
