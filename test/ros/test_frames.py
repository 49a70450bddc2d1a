"""Cameras as they are: late, restarted, broken; and what the node says of them."""

import threading

import numpy as np
import pytest
import rclpy
from asking import BEHIND, RESULT, STATUS, ask_when_active, collect, diagnostics
from builtin_interfaces.msg import Time
from camera import Camera, transform
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from semabs.msg import SemanticVoxels
from sensor_msgs.msg import CameraInfo
from support import wait_for
from tf2_ros import StaticTransformBroadcaster

from semabs_ros.convert import depth_to_image
from semabs_ros.frames import FrameSource
from semabs_ros.node_config import NodeConfig
from semabs_ros.spinning import spin
from semabs_ros.subscriptions import INFO, Subscriptions


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


def other_frame(rgb, depth, info):
    depth.header.frame_id = "depth_optical"
    return rgb, depth, info


def huge(rgb, depth, info):
    rgb.height = rgb.width = rgb.step = 2**32 - 1
    return rgb, depth, info


def far_away(rgb, depth, info):
    far = np.full((depth.height, depth.width), 50, np.float32)
    return rgb, depth_to_image(far, depth.header, "32FC1"), info


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (bad_encoding, "the depth image has the encoding '8UC1'; it must be 32FC1"),
        (no_reading, "the depth image has no valid reading"),
        (no_stamp, "have no usable stamp (0.000000000)"),
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
    wait_for(lambda: node._worker and (node._frames.waiting or node._frames.reason), what="input")
    _, result = localize.ask(**BEHIND, timeout_s=2.0)
    assert result.error_code in (RESULT.NO_FRAME, RESULT.BAD_FRAME)
    assert match in result.message
    camera.change = good
    wait_for(lambda: localize.ask(**BEHIND)[0] == STATUS.STATUS_SUCCEEDED, what="recovery")


class Watch:
    """A frame source in a node of its own, without models; `look` is what the node does."""

    def __init__(self, spinner, name="watch", prefix="", use_sim_time=False, **config):
        overrides = [Parameter("use_sim_time", value=use_sim_time)]
        self.node = rclpy.create_node(name, context=spinner.context, parameter_overrides=overrides)
        self.source = FrameSource(
            self.node, lambda: NodeConfig(**config), lambda: None, prefix=prefix
        )
        spinner.add(self.node)
        self.source.start()

    def look(self):
        self.source.follow()
        self.source.check_transform()
        return self.source.problem()

    def take(self):
        self.look()
        return self.source.take()

    def frame(self):
        return wait_for(self.take, what="frame")

    def reason(self, *parts):
        """Wait until the reason has all the parts."""

        def says():
            self.look()
            return all(part in self.source.reason for part in parts) and self.source.reason

        return wait_for(says, what=f"reason with {parts}")


@pytest.fixture
def watch(spinner):
    made = []

    def make(**options):
        made.append(Watch(spinner, **options))
        return made[-1]

    yield make
    for one in made:
        one.source.stop()


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


def test_camera_info_that_is_published_once_works(watch, spinner, room):
    spinner.add(Camera(room, spinner.context, latched_info=True))
    late = watch()
    for _ in range(3):
        late.frame()
    assert late.source.topics[2].durable
    assert late.source.topics[2].received == 1
    assert late.source.reason == late.source.problem() == ""


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


def test_a_leading_slash_is_taken_off_as_tf_does(watch, spinner, room):
    spinner.add(Camera(room, spinner.context, frame="/optical"))
    assert watch().frame().world_frame == "map"


def test_topics_that_are_missing_are_named_and_the_others_are_heard(watch, spinner, room):
    camera = Camera(room, spinner.context)
    camera.destroy_publisher(camera.topics.pop())
    spinner.add(camera)
    source = watch()
    wait_for(lambda: source.look() is not None and source.source.topics[0].received, what="colour")
    reason = source.reason("/rgb/camera_info has no publisher")
    assert "/rgb/image" not in reason
    assert "socket buffers" not in reason


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


def test_poses_that_are_hardly_true_are_warned_of(watch, spinner, room):
    camera = Camera(room, spinner.context, tf=False)
    spinner.add(camera)
    source = watch()
    body = np.eye(4)
    body[2, 3] = 1.5
    static = StaticTransformBroadcaster(camera)
    static.sendTransform(transform("map", "optical", body, Time()))
    source.frame()
    assert "looks 90 degrees upwards" in source.source.warning
    assert source.source.problem() == ""
    static.sendTransform(transform("map", "optical", room.T_world_camera[0], Time()))
    wait_for(lambda: source.frame() and not source.source.warning, what="end of the warning")


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


def test_a_loop_in_tf_is_an_error_and_no_pose(watch, spinner, room):
    camera = Camera(room, spinner.context)
    spinner.add(camera)
    source = watch(tf_timeout_s=0.2)
    source.frame()
    fixed = StaticTransformBroadcaster(camera)
    fixed.sendTransform(transform("optical", "map", np.eye(4), Time()))
    reason = source.reason("the TF frames go round in a loop", "optical -> map -> optical")
    assert reason.kind == "no transform"
    while (taken := source.source.take()) is not None:  # from before the loop
        assert taken.world_frame == "map"
    before = source.source.synced
    wait_for(lambda: source.look() is not None and source.source.synced > before + 3, what="frames")
    assert source.source.take() is None


@pytest.mark.parametrize("static", [False, True])
def test_a_transform_from_the_future_does_not_block_the_others(
    watch, spinner, room, static, monkeypatch
):
    """TF takes what comes after it for too old, and a static frame that once moved for moving."""
    monkeypatch.setattr("semabs_ros.frames.MEND_S", 1.0)
    camera = Camera(room, spinner.context, tf=not static)
    if static:
        fixed = StaticTransformBroadcaster(camera)
        fixed.sendTransform(transform("map", "optical", room.T_world_camera[0], Time()))
    spinner.add(camera)
    source = watch(tf_timeout_s=0.2)
    source.frame()
    future = Time(sec=camera.now().sec + 3600)
    camera.broadcaster.sendTransform(transform("map", "optical", np.eye(4), future))
    source.reason("no transform from 'optical' to 'map'")
    source.frame()
    wait_for(lambda: source.look() == "" and source.take(), what="frame without a problem")


def test_transforms_that_come_seldom_are_waited_for(watch, spinner, room, monkeypatch):
    """What tells the pose between two of them must not be forgotten before the second comes."""
    monkeypatch.setattr("semabs_ros.frames.MEND_S", 0.1)
    camera = Camera(room, spinner.context, tf=False)
    camera.create_timer(1.0, lambda: camera.send_transform(camera.now()))
    spinner.add(camera)
    watch(tf_timeout_s=20.0).frame()


def test_hostile_frame_ids_are_echoed_briefly(watch, spinner, room):
    spinner.add(Camera(room, spinner.context, frame="x\n\x1b" + "y" * 10_000, tf=False))
    reason = watch(tf_timeout_s=0.2).reason("no transform from 'x\\n\\x1byyy", "characters")
    assert len(reason) < 1000


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
