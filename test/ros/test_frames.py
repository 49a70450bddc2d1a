"""Cameras as they are: late, restarted, broken; and what the node says of them."""

import threading

import numpy as np
import pytest
import rclpy
from asking import BEHIND, RESULT, STATUS, ask_when_active, collect, diagnostics
from camera import Camera
from rclpy.executors import MultiThreadedExecutor
from rclpy.qos import ReliabilityPolicy
from semabs.msg import SemanticVoxels
from support import wait_for

from semabs_ros.convert import depth_to_image
from semabs_ros.spinning import spin


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


def test_late_transforms_are_awaited_without_starving(make_node, peer, spinner, room):
    """At 10 Hz with transforms 0.25 s late, the newest frame never has one: older ones must do."""
    voxels = collect(peer, SemanticVoxels, "/semabs/completion/voxels")
    spinner.add(Camera(room, spinner.context, tf_delay=0.25))
    node = make_node(autostart=True)
    wait_for(lambda: len(voxels) >= 3, what="completions")
    assert node._frames.dropped == 0


def test_a_missing_transform_is_reported_and_the_frame_dropped(
    make_node, localize, peer, spinner, room
):
    last = diagnostics(peer)
    camera = spinner.add(Camera(room, spinner.context, tf=False))
    make_node(autostart=True, tf_timeout_s=0.2)
    _, result = ask_when_active(localize, **BEHIND, timeout_s=2.0)
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
    make_node(autostart=True, world_frame="moon", tf_timeout_s=0.2)
    _, result = ask_when_active(localize, **BEHIND, timeout_s=2.0)
    assert result.error_code == RESULT.NO_FRAME
    assert "to 'moon'" in result.message


def small_depth(rgb, depth, info):
    half = depth_to_image(np.ones((60, 80), np.float32), depth.header, "32FC1")
    return rgb, half, info


def bad_encoding(rgb, depth, info):
    depth.encoding = "8UC1"
    return rgb, depth, info


def bad_color(rgb, depth, info):
    rgb.encoding = "32FC1"
    return rgb, depth, info


def unknown_color(rgb, depth, info):
    rgb.encoding = "octarine8"
    return rgb, depth, info


def no_reading(rgb, depth, info):
    nothing = np.full((depth.height, depth.width), np.nan, np.float32)
    return rgb, depth_to_image(nothing, depth.header, "32FC1"), info


def no_intrinsics(rgb, depth, info):
    info.k = [0.0] * 9
    return rgb, depth, info


def truncated(rgb, depth, info):
    rgb.data = rgb.data[:100]
    return rgb, depth, info


def odd_lens(rgb, depth, info):
    info.d, info.distortion_model = [0.1, 0.0, 0.0, 0.0, 0.0], "fancy"
    return rgb, depth, info


def no_stamp(rgb, depth, info):
    for message in (rgb, depth, info):
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    return rgb, depth, info


def before_time(rgb, depth, info):
    rgb.header.stamp.sec = -5
    return rgb, depth, info


def half_a_size(rgb, depth, info):
    info.width = 0
    return rgb, depth, info


def short_lens(rgb, depth, info):
    info.d = [0.1, 0.0, 0.0]
    return rgb, depth, info


def cropped(rgb, depth, info):
    info.roi.x_offset = 10
    return rgb, depth, info


def far_away(rgb, depth, info):
    far = np.full((depth.height, depth.width), 50, np.float32)
    return rgb, depth_to_image(far, depth.header, "32FC1"), info


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (small_depth, "the depth image is 80x60 but the colour image is 160x120"),
        (bad_encoding, "the depth image has the encoding '8UC1'; it must be 32FC1"),
        (bad_color, "the colour image has the encoding '32FC1', which is no colour"),
        (unknown_color, "the colour image has the encoding 'octarine8'"),
        (no_reading, "the depth image has no valid reading"),
        (no_intrinsics, "camera_info has no usable K"),
        (truncated, "the colour image is truncated: 100 bytes"),
        (odd_lens, "distortion of the model 'fancy'"),
        (no_stamp, "have no usable stamp (0.000000000)"),
        (before_time, "have no usable stamp (-5."),
        (half_a_size, "camera_info has the size 0x120"),
        (short_lens, "camera_info has 3 distortion coefficients"),
        (cropped, "camera_info has binning or a region of interest"),
        (far_away, "no depth reading falls into the region"),
    ],
)
def test_bad_frames_are_named_and_the_node_goes_on(
    make_node, localize, peer, spinner, room, fault, match
):
    camera = Camera(room, spinner.context)
    good, camera.change = camera.change, fault
    spinner.add(camera)
    node = make_node(autostart=True, max_frame_age_s=0.3)
    _, result = ask_when_active(localize, **BEHIND, timeout_s=2.0)
    assert result.error_code in (RESULT.NO_FRAME, RESULT.BAD_FRAME)
    assert match in result.message
    camera.change = good
    wait_for(lambda: localize.ask(**BEHIND)[0] == STATUS.STATUS_SUCCEEDED, what="recovery")
    assert node._worker.fault == ""


def test_a_callback_that_raises_does_not_end_the_spinning(context):
    faults, calls = [], []
    node = rclpy.create_node("faulty", context=context)
    executor = MultiThreadedExecutor(num_threads=2, context=context)
    executor.add_node(node)

    def fail():
        calls.append(1)
        raise RuntimeError("on purpose")

    node.create_timer(0.05, fail)
    thread = threading.Thread(target=spin, args=(executor, faults.append), daemon=True)
    thread.start()
    wait_for(lambda: len(calls) > 3, what="calls after the first fault")
    executor.shutdown(timeout_sec=5)
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert "a callback failed: RuntimeError: on purpose" in faults
    node.destroy_node()
