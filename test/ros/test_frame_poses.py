"""Frames and TF: poses that are doubtful, late, in a loop or from the future."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from camera import Camera, transform
from support import wait_for
from tf2_ros import StaticTransformBroadcaster


def test_a_leading_slash_is_taken_off_as_tf_does(watch, spinner, room):
    spinner.add(Camera(room, spinner.context, frame="/optical"))
    assert watch().frame().world_frame == "map"


def test_poses_that_are_hardly_true_are_warned_of(watch, spinner, room):
    camera = Camera(room, spinner.context, tf=False)
    spinner.add(camera)
    source = watch()
    body = np.eye(4)
    body[2, 3] = 1.5
    first = StaticTransformBroadcaster(camera)
    first.sendTransform(transform("map", "optical", body, Time()))
    assert "looks 90 degrees upwards" in source.frame().doubt
    assert "looks 90 degrees upwards" in source.source.warning
    assert source.source.problem() == ""
    # Upstream's Python broadcaster never sends another pose of a frame that it has sent before.
    second = StaticTransformBroadcaster(camera)
    second.sendTransform(transform("map", "optical", room.T_world_camera[0], Time()))
    wait_for(lambda: not source.frame().doubt, what="end of the warning")
    assert not source.source.warning


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
