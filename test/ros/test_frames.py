"""Cameras as they are: broken, restarted, two at once; and what the frame source says of them."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from camera import Camera, transform
from camera_faults import (
    bad_color,
    bad_encoding,
    before_time,
    cropped,
    half_a_size,
    huge,
    no_intrinsics,
    no_stamp,
    odd_lens,
    other_frame,
    short_lens,
    small_depth,
    truncated,
    unknown_color,
)
from rosgraph_msgs.msg import Clock
from support import wait_for
from tf2_ros import StaticTransformBroadcaster

from semabs_ros.frames import FrameSource
from semabs_ros.node_config import NodeConfig


def count_up(camera, start=100, step=1.0, images=30):
    """Stamps as of a bag that is played in a loop; returns the lap that each stamp belongs to."""
    laps = []

    def now():
        index = len(laps) % images
        laps.append(len(laps) // images)
        seconds = start + index * step
        return Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))

    camera.now = now
    return laps


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (small_depth, "the depth image is 80x60 but the colour image is 160x120"),
        (other_frame, "the depth image's frame_id is 'depth_optical'"),
        (bad_color, "the colour image has the encoding '32FC1', which is no colour"),
        (unknown_color, "the colour image has the encoding 'octarine8'"),
        (no_intrinsics, "camera_info has no usable K"),
        (truncated, "the colour image is truncated: 100 bytes"),
        (huge, "more than 67108864"),
        (odd_lens, "distortion of the model 'fancy'"),
        (before_time, "have no usable stamp (-5."),
        (half_a_size, "camera_info has the size 0x120"),
        (short_lens, "camera_info has 3 distortion coefficients"),
        (cropped, "camera_info has a region of interest of 0x0 at (10, 0)"),
    ],
)
def test_bad_messages_are_named_for_as_long_as_they_come(watch, spinner, room, fault, match):
    camera = Camera(room, spinner.context)
    good, camera.change = camera.change, fault
    spinner.add(camera)
    source = watch()
    source.reason(match)
    assert source.source.take() is None
    camera.change = good
    source.frame()
    assert source.look() == source.source.reason == ""


def test_while_nobody_takes_frames_all_is_well(watch, spinner, room):
    """TF forgets fast here: a frame that was kept would lose its transform."""
    camera = spinner.add(Camera(room, spinner.context, rate=30))
    idle = watch(tf_cache_s=0.5, tf_timeout_s=0.2)
    idle.frame()
    before = idle.source.synced

    def watched():
        assert idle.look() == ""
        return idle.source.synced > before + 60

    wait_for(watched, what="60 frames")
    stamp = idle.frame().header.stamp
    assert (stamp.sec, stamp.nanosec) in camera.stamps[before + 40 :]
    assert idle.source.reason == ""


def test_stamps_that_jump_back_start_afresh(watch, spinner, room):
    """A bag of 30 s in a loop, TF in it: each lap from its first second, the static part stays."""
    camera = Camera(room, spinner.context, rate=20)
    laps = count_up(camera)
    fixed = StaticTransformBroadcaster(camera)
    fixed.sendTransform(transform("world", "map", np.eye(4), Time()))
    spinner.add(camera)
    player = watch()
    wait_for(lambda: player.frame().world_frame == "world", what="static transform")
    early = set()
    while len(early) < 3:
        frame = player.frame()
        assert frame.world_frame == "world"
        assert laps[-1] < 20, f"frames of the first seconds came in laps {early} alone"
        if laps[-1] and frame.frame.stamp_s < 105:
            early.add(laps[-1])
    assert player.source.problem() == ""


def test_ros_time_that_jumps_back_forgets_what_moves(watch, spinner, room):
    camera = Camera(room, spinner.context)
    clock = camera.create_publisher(Clock, "/clock", 10)
    spinner.add(camera)
    simulated = watch(use_sim_time=True)
    times = iter([200.0 + 0.1 * i for i in range(20)] + [5.0] * 1000)

    def tick():
        clock.publish(Clock(clock=Time(sec=int(next(times)))))

    simulated.frame()
    links = simulated.source._poses.buffer.links
    camera.create_timer(0.05, tick)
    wait_for(lambda: simulated.source._poses.buffer.links is not links, what="a fresh buffer")
    simulated.frame()


def test_two_cameras_on_one_topic_are_named(watch, spinner, room):
    first, second = (Camera(room, spinner.context, rate=20, name=f"camera{i}") for i in range(2))
    for camera, start in ((first, 100), (second, 5000)):
        count_up(camera, start, 0.05, 10_000)
        spinner.add(camera)
    confused = watch()
    wait_for(lambda: confused.look() is not None and confused.source.warning, what="warning")
    assert confused.source.warning.kind == "restless stamps"
    confused.frame()


def test_images_from_the_future_do_not_block_the_others(watch, spinner, room):
    camera = Camera(room, spinner.context, rate=20)

    def ahead(rgb, depth, info):
        rgb.header.stamp.sec += 3600
        return rgb, depth, info

    good, camera.change = camera.change, ahead
    spinner.add(camera)
    source = watch(sync_queue_size=5)
    source.reason("/rgb/image are 3.6e+03 s ahead of those of /depth/image")
    camera.change = good
    source.frame()


def test_without_a_clock_simulated_time_is_named(watch, spinner):
    watch(use_sim_time=True).reason("no /clock arrives")


def test_a_reason_ends_with_its_cause_although_nobody_takes_frames(watch, spinner, room):
    camera = Camera(room, spinner.context)
    good, camera.change = camera.change, bad_encoding
    spinner.add(camera)
    source = watch()
    assert source.reason("the encoding '8UC1'").kind == "bad frame"
    camera.change = no_stamp
    source.reason("no usable stamp")
    camera.change = good
    wait_for(lambda: source.look() == source.source.reason == "", what="end of the reason")
    assert source.source.frames == 0


def test_two_cameras_of_one_node(watch, spinner, room):
    for prefix in ("left/", "right/"):
        name = prefix[:-1]
        spinner.add(
            Camera(room, spinner.context, name=name, prefix=prefix, frame=f"{name}_optical")
        )
    both = watch(prefix="left/")
    other = FrameSource(both.node, NodeConfig, lambda: None, prefix="right/")
    other.start()
    assert both.frame().header.frame_id == "left_optical"

    def take():
        other.follow()
        return other.take()

    assert wait_for(take, what="frame of the other").header.frame_id == "right_optical"
    other.stop()
