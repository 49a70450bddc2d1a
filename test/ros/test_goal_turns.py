"""Goals over DDS that wait, for a frame or for each other: whose turn it is and what ends them."""

import time

from asking import BEHIND, RESULT, STATUS, Slow, ask_when_active, collect
from camera import Camera
from semabs.msg import SemanticVoxels
from support import wait_for


def test_a_goal_before_any_frame_waits_for_it(make_node, localize, spinner, room):
    node = make_node(autostart=True)
    wait_for(lambda: node._worker, what="worker")
    handle = localize.send(**BEHIND, timeout_s=20.0)
    wait_for(lambda: any(f.stage == "frame" for f in localize.feedback), what="feedback")
    spinner.add(Camera(room, spinner.context))
    status, _ = localize.outcome(handle)
    assert status == STATUS.STATUS_SUCCEEDED


def test_a_goal_without_a_frame_says_what_is_missing(make_node, localize):
    node = make_node(autostart=True)
    wait_for(lambda: node._worker, what="worker")
    status, result = localize.ask(**BEHIND, timeout_s=1.0)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.NO_FRAME)
    assert "no RGB-D frame came in time" in result.message


def test_an_old_frame_is_not_good_enough(make_node, localize, spinner, room):
    node = make_node(autostart=True, max_frame_age_s=0.5)
    camera = spinner.add(Camera(room, spinner.context))
    status, _ = ask_when_active(localize, **BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED
    camera.timer.cancel()
    # What still waits in the node is too old as well.
    wait_for(lambda: time.monotonic() - node._frames._last_synced > 1.0, what="silence")
    _, result = localize.ask(**BEHIND, timeout_s=1.0)
    assert result.error_code == RESULT.NO_FRAME
    assert "max_frame_age_s" in result.message


def test_cancel_of_a_running_goal(make_node, localize, camera):
    slow = Slow(make_node(autostart=True))
    handle = localize.send(**BEHIND)
    wait_for(lambda: slow.entered, what="running goal")
    cancelled = handle.cancel_goal_async()
    wait_for(cancelled.done, what="answer to the cancellation")
    assert len(cancelled.result().goals_canceling) == 1
    status, result = localize.outcome(handle)
    assert (status, result.error_code) == (STATUS.STATUS_CANCELED, RESULT.CANCELED)
    slow.open = True
    status, _ = localize.ask(**BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED


def test_queue_runs_goals_of_both_actions_in_order_and_cancels_at_once(
    make_node, localize, complete, camera
):
    slow = Slow(make_node(autostart=True, max_queued_goals=2))
    first = localize.send(**BEHIND)
    wait_for(lambda: slow.entered, what="running goal")
    second, third = complete.send(classes=["mug"]), localize.send(**BEHIND)
    status, result = localize.ask(**BEHIND)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.QUEUE_FULL)
    cancelled = third.cancel_goal_async()
    wait_for(cancelled.done, what="answer to the cancellation")
    status, result = localize.outcome(third)  # while the first still runs
    assert (status, result.error_code) == (STATUS.STATUS_CANCELED, RESULT.CANCELED)
    slow.open = True
    assert localize.outcome(first)[0] == STATUS.STATUS_SUCCEEDED
    assert complete.outcome(second)[0] == STATUS.STATUS_SUCCEEDED


def test_a_waiting_goal_times_out_in_time(make_node, localize, camera):
    slow = Slow(make_node(autostart=True))
    first = localize.send(**BEHIND)
    wait_for(lambda: slow.entered, what="running goal")
    status, result = localize.ask(**BEHIND, timeout_s=1.0)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.TIMEOUT)
    slow.open = True
    assert localize.outcome(first)[0] == STATUS.STATUS_SUCCEEDED


def test_a_running_goal_times_out(make_node, localize, camera):
    node = make_node(autostart=True)
    slow = Slow(node)
    wait_for(lambda: node._frames.synced, what="frames")
    status, result = localize.ask(**BEHIND, timeout_s=3.0)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.TIMEOUT)
    assert "stage relevancy" in result.message
    slow.open = True


def test_preempt_gives_way_to_the_newest(make_node, localize, camera):
    slow = Slow(make_node(autostart=True, goal_policy="preempt"))
    first = localize.send(**BEHIND)
    wait_for(lambda: slow.entered, what="running goal")
    second = localize.send(**BEHIND)
    status, result = localize.outcome(first)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.PREEMPTED)
    slow.open = True
    assert localize.outcome(second)[0] == STATUS.STATUS_SUCCEEDED


def test_reject_refuses_while_a_goal_runs(make_node, localize, camera):
    node = make_node(autostart=True, goal_policy="reject")
    slow = Slow(node)
    first = localize.send(**BEHIND)
    wait_for(lambda: slow.entered, what="running goal")
    assert not localize.send(**BEHIND).accepted
    assert node._goals.refused == 1
    slow.open = True
    assert localize.outcome(first)[0] == STATUS.STATUS_SUCCEEDED
    assert localize.ask(**BEHIND)[0] == STATUS.STATUS_SUCCEEDED


def test_goals_go_before_streaming(make_node, localize, peer, camera):
    collect(peer, SemanticVoxels, "/semabs/completion/voxels")
    slow = Slow(make_node(autostart=True))
    wait_for(lambda: slow.entered, what="streaming")
    handle = localize.send(**BEHIND)
    wait_for(lambda: any(f.stage == "relevancy" for f in localize.feedback), what="goal's turn")
    slow.open = True
    assert localize.outcome(handle)[0] == STATUS.STATUS_SUCCEEDED


def test_after_a_long_answer_comes_the_newest_frame(make_node, peer, camera):
    answers = collect(peer, SemanticVoxels, "/semabs/completion/voxels")
    node = make_node(autostart=True)
    slow = Slow(node)
    wait_for(lambda: slow.entered, what="a frame in work")
    held = len(camera.stamps)
    wait_for(lambda: len(camera.stamps) > held + 5, what="frames that come meanwhile")
    camera.timer.cancel()
    sec, nanosec = camera.stamps[-1]

    def newest_is_there():
        with node._frames._lock:
            entry = node._frames._settle()
        return entry is not None and entry.pair.stamp_ns == sec * 10**9 + nanosec

    wait_for(newest_is_there, what="the last frame and its transform")
    before = len(answers)
    slow.open = True
    wait_for(lambda: len(answers) == before + 2, what="that frame and another")
    stamp = answers[-1].header.stamp
    assert (stamp.sec, stamp.nanosec) == (sec, nanosec)
