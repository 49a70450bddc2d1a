"""The node over DDS: lifecycle, streaming, goals, faults."""

import time

import numpy as np
import pytest
from asking import (
    BEHIND,
    RESULT,
    STATUS,
    Slow,
    ask_when_active,
    call,
    change_state,
    collect,
    diagnostics,
    set_parameter,
)
from camera import Camera
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import DescribeParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from semabs.msg import Labels, SemanticVoxels
from semabs.srv import SetClasses
from sensor_msgs.msg import Image, PointCloud2
from sensor_msgs_py import point_cloud2
from support import NETWORK_FIXTURES, wait_for
from visualization_msgs.msg import Marker, MarkerArray

from semabs_ros.answers import read_voxels


@pytest.fixture
def camera(spinner, room):
    return spinner.add(Camera(room, spinner.context))


def test_streams_every_output(make_node, peer, camera, room):
    messages = {
        name: collect(peer, kind, f"/semabs/{name}")
        for name, kind in (
            ("completion/voxels", SemanticVoxels),
            ("completion/points", PointCloud2),
            ("completion/markers", MarkerArray),
            ("relevancy/image", Image),
        )
    }
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    labels = collect(peer, Labels, "/semabs/labels", latched)
    make_node(autostart=True)
    for name, received in messages.items():
        wait_for(lambda r=received: r, what=name)
    voxels = messages["completion/voxels"][0]
    assert voxels.header.frame_id == "map"
    assert (voxels.header.stamp.sec, voxels.header.stamp.nanosec) in camera.stamps
    assert list(voxels.classes) == ["floor", "table", "lamp"]
    assert list(voxels.shape) == [16, 16, 16]
    assert voxels.voxel_size == pytest.approx(10 / 3 / 15)
    completion = read_voxels(voxels)
    same = [c for c in messages["completion/points"] if c.header.stamp == voxels.header.stamp]
    cloud = point_cloud2.read_points(wait_for(lambda: same or messages["completion/points"])[0])
    assert set(cloud.dtype.names) == {"x", "y", "z", "rgb", "label", "score"}
    assert len(cloud) == np.isin(completion.labels, [1, 2, 3]).sum()
    markers = messages["completion/markers"][0].markers
    assert markers[0].action == Marker.DELETEALL
    boxes = [m for m in markers if m.type == Marker.CUBE_LIST]
    assert {m.ns for m in boxes} == {"completion"}
    assert {m.text for m in markers if m.type == Marker.TEXT_VIEW_FACING} <= set(voxels.classes)
    assert list(wait_for(lambda: labels)[0].classes) == ["floor", "table", "lamp"]
    assert list(labels[0].ids) == [1, 2, 3]
    image = messages["relevancy/image"][0]
    assert image.header.frame_id == "optical"
    assert image.height > room.rgb.shape[1]


def test_completes_with_an_attention_pooled_tower(make_node, complete, camera, pooled_encoder):
    make_node(encoder__model=pooled_encoder, autostart=True)
    status, result = ask_when_active(complete, classes=["table", "lamp"])
    assert (status, result.error_code) == (STATUS.STATUS_SUCCEEDED, RESULT.NONE)
    assert np.isin(read_voxels(result.voxels).labels, [1, 2]).any()


def test_does_nothing_while_nobody_listens(make_node, camera):
    node = make_node(autostart=True)
    wait_for(lambda: node._worker is not None, what="worker")
    wait_for(lambda: node._frames.synced > 5, what="synced frames")
    assert node._worker.completed == 0
    assert node._frames.frames == 0


def test_localizes_with_feedback(make_node, localize, peer, camera):
    make_node(autostart=True)
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    status, result = ask_when_active(localize, **BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED
    assert result.error_code == RESULT.NONE
    assert result.pose.header.frame_id == "map"
    stamp = result.pose.header.stamp
    assert (stamp.sec, stamp.nanosec) in camera.stamps
    region = point_cloud2.read_points(result.region)
    assert set(region.dtype.names) == {"x", "y", "z", "score"}
    position = result.pose.pose.position
    points = np.stack([region[axis] for axis in "xyz"], axis=-1)
    nearest = np.linalg.norm(points - [position.x, position.y, position.z], axis=1).min()
    assert nearest < 1e-5
    assert result.score == pytest.approx(region["score"].max(), abs=1e-6)
    assert {"queued", "relevancy"} <= {f.stage for f in localize.feedback}
    assert all(0 <= f.progress <= 1 for f in localize.feedback)
    # Late listeners see the last answer.
    markers = collect(peer, MarkerArray, "/semabs/localization/markers", qos)
    points = collect(peer, PointCloud2, "/semabs/localization/points", qos)
    wait_for(lambda: markers and points, what="the last answer")


def test_a_sentence_is_as_good_as_three_parts(make_node, localize, camera):
    make_node(autostart=True)
    _, parts = ask_when_active(localize, **BEHIND)
    status, sentence = localize.ask(sentence="Where is the mug behind the lamp?")
    assert status == STATUS.STATUS_SUCCEEDED
    assert sentence.pose.pose == parts.pose.pose


def test_a_thing_alone_is_localized_too(make_node, localize, camera):
    make_node(autostart=True)
    status, alone = ask_when_active(localize, target="mug")
    assert status == STATUS.STATUS_SUCCEEDED
    assert point_cloud2.read_points(alone.region).size > 0
    _, sentence = localize.ask(sentence="Where is the mug?")
    assert sentence.pose.pose == alone.pose.pose


def test_completes_with_given_and_with_current_classes(make_node, complete, camera):
    make_node(autostart=True)
    status, result = ask_when_active(complete, classes=["sofa", "the mug"])
    assert status == STATUS.STATUS_SUCCEEDED
    assert list(result.voxels.classes) == ["sofa", "mug"]
    counts = read_voxels(result.voxels).voxels_per_class()
    assert list(result.voxels_per_class) == list(counts.values())
    _, result = complete.ask()
    assert list(result.voxels.classes) == ["floor", "table", "lamp"]


@pytest.mark.parametrize(
    ("goal", "code", "message"),
    [
        (BEHIND | dict(relation="beneath"), RESULT.UNKNOWN_RELATION, "unknown relation 'beneath'"),
        (BEHIND | dict(target="  "), RESULT.INVALID_GOAL, "the target has no words"),
        (BEHIND | dict(reference=""), RESULT.INVALID_GOAL, "the reference has no words"),
        (dict(), RESULT.INVALID_GOAL, "the target has no words"),
        (dict(sentence="mug left side of"), RESULT.INVALID_GOAL, "no known spatial relation in"),
        (dict(sentence="cat under a sofa"), RESULT.UNKNOWN_RELATION, "unknown relation 'under'"),
        (BEHIND | dict(sentence="mug on table"), RESULT.INVALID_GOAL, "either a sentence or"),
        (
            BEHIND | dict(timeout_s=-1.0),
            RESULT.INVALID_GOAL,
            "timeout_s must be a number of seconds, 0 or more, got -1",
        ),
        (BEHIND | dict(timeout_s=float("nan")), RESULT.INVALID_GOAL, "timeout_s must be a number"),
    ],
)
def test_invalid_goals_are_aborted_with_a_reason(make_node, localize, goal, code, message):
    make_node()
    status, result = localize.ask(**goal)
    assert status == STATUS.STATUS_ABORTED
    assert result.error_code == code
    assert message in result.message


def test_repeated_classes_are_aborted_with_a_reason(make_node, complete):
    make_node()
    status, result = complete.ask(classes=["mug", "a mug"])
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.INVALID_GOAL)
    assert "repeated: mug" in result.message


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


def test_lifecycle(make_node, localize, peer, camera):
    node = make_node()
    _, result = localize.ask(**BEHIND)
    assert result.error_code == RESULT.NOT_ACTIVE
    assert result.message == "the node is unconfigured: configure and activate it"
    assert change_state(peer, Transition.TRANSITION_CONFIGURE)
    _, result = localize.ask(**BEHIND)
    assert result.error_code == RESULT.NOT_ACTIVE
    assert result.message == "the node is inactive: activate it"
    assert change_state(peer, Transition.TRANSITION_ACTIVATE)
    assert localize.ask(**BEHIND)[0] == STATUS.STATUS_SUCCEEDED
    slow = Slow(node)
    handle = localize.send(target="ball", relation="on", reference="floor")
    wait_for(lambda: slow.entered, what="running goal")
    assert change_state(peer, Transition.TRANSITION_DEACTIVATE)
    status, result = localize.outcome(handle)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.NOT_ACTIVE)
    assert camera.count_subscribers("/rgb/image") == 0 or wait_for(
        lambda: camera.count_subscribers("/rgb/image") == 0, what="released subscriptions"
    )
    slow.open = True
    assert change_state(peer, Transition.TRANSITION_ACTIVATE)
    assert localize.ask(**BEHIND)[0] == STATUS.STATUS_SUCCEEDED
    assert change_state(peer, Transition.TRANSITION_DEACTIVATE)
    assert change_state(peer, Transition.TRANSITION_CLEANUP)
    assert node._scene is None


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        (dict(encoder__model="local-dir:/nowhere"), "no open_clip_config.json in that folder"),
        (dict(encoder__model="ViT-X"), "open_clip knows no model 'ViT-X'"),
        (dict(completion__checkpoint="/nowhere"), "there is no checkpoint folder /nowhere"),
        (
            dict(completion__checkpoint=str(NETWORK_FIXTURES / "vool_semabs")),
            "holds a localization network",
        ),
        (dict(device="cuda:77"), "device 'cuda:77' is not there"),
        (dict(relevancy__preset="best"), "relevancy.preset"),
        (dict(completion__resolution="many"), "completion.resolution"),
        (dict(completion__cutoff=-1000.0), "completion.cutoff"),
        (dict(config_file="/nowhere.yaml"), "cannot read the config /nowhere.yaml"),
    ],
)
def test_a_failed_configuration_is_published_and_the_node_lives(make_node, peer, parameters, match):
    last = diagnostics(peer)
    make_node(**parameters)
    assert not change_state(peer, Transition.TRANSITION_CONFIGURE)
    level, _ = wait_for(
        lambda: match in last.get("semabs: models", ("", ""))[1] and last["semabs: models"],
        what=f"diagnostics with {match!r}",
    )
    assert level == b"\x02"


def test_a_repaired_configuration_works(make_node, peer):
    make_node(completion__checkpoint="/nowhere")
    assert not change_state(peer, Transition.TRANSITION_CONFIGURE)
    assert set_parameter(peer, "completion.checkpoint", "untrained").successful
    assert change_state(peer, Transition.TRANSITION_CONFIGURE)


def test_parameters_are_validated_and_described(make_node, peer, localize, camera):
    node = make_node(autostart=True)
    ask_when_active(localize, **BEHIND)
    for name, value, reason in [
        ("completion.cutoff", 1000.0, "completion.cutoff"),
        ("completion.resolution", 1, "completion.resolution"),
        ("goal_policy", "perhaps", "goal_policy"),
        ("relevancy.preset", "ours", "takes effect when the node is configured"),
        ("classes", ["mug", "mug"], "repeated: mug"),
        ("sync_slop_s", 1.0, "takes effect when the node is configured"),
    ]:
        result = set_parameter(peer, name, value)
        assert not result.successful, name
        assert reason in result.reason, result.reason
    assert set_parameter(peer, "localization.resolution", 8).successful
    assert set_parameter(peer, "completion.cutoff", 2).successful
    status, result = localize.ask(**BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED
    assert node._scene.config.localization.resolution == 8
    assert node._scene.config.completion.cutoff == 2.0
    request = DescribeParameters.Request(names=["region.region_size_m", "goal_policy"])
    size, policy = call(
        peer, DescribeParameters, "/semabs/describe_parameters", request
    ).descriptors
    assert size.description.endswith("[m]")
    assert size.floating_point_range[0].to_value == 100
    assert "one of queue, preempt, reject" in policy.additional_constraints


def test_classes_change_by_service(make_node, peer, camera):
    voxels = collect(peer, SemanticVoxels, "/semabs/completion/voxels")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    labels = collect(peer, Labels, "/semabs/labels", latched)
    make_node(autostart=True)
    wait_for(lambda: voxels, what="voxels")
    request = SetClasses.Request(classes=["harry potter book"])
    response = call(peer, SetClasses, "/semabs/set_classes", request)
    assert response.success, response.message
    wait_for(lambda: list(voxels[-1].classes) == ["harry potter book"], what="new classes")
    wait_for(lambda: list(labels[-1].classes) == ["harry potter book"], what="new labels")
    response = call(peer, SetClasses, "/semabs/set_classes", SetClasses.Request(classes=[" "]))
    assert not response.success
    assert "has no words" in response.message
