"""The node over DDS: lifecycle, streaming, answers, parameters, faults."""

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

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


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
    labels = collect(peer, Labels, "/semabs/labels", LATCHED)
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


def test_labels_are_those_of_the_completion_that_is_shown(make_node, complete, peer, camera):
    """A goal's classes are not the node's: its points would be read by the wrong names."""
    labels = collect(peer, Labels, "/semabs/labels", LATCHED)
    make_node(autostart=True)
    _, result = ask_when_active(complete, classes=["sofa", "mug"])
    shown = wait_for(lambda: labels and list(labels[-1].classes) == ["sofa", "mug"] and labels[-1])
    assert shown.header.stamp == result.voxels.header.stamp
    complete.ask()
    wait_for(lambda: list(labels[-1].classes) == ["floor", "table", "lamp"], what="labels again")
    complete.ask()
    assert len(labels) == 3, "what is no news is not said again"


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
    labels = collect(peer, Labels, "/semabs/labels", LATCHED)
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
