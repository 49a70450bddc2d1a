"""Goals over DDS: many at once, at the wrong moment, cancelled early, fetched late."""

import dataclasses
import json
import math
import threading

import numpy as np
import pytest
from asking import BEHIND, RESULT, STATUS, Slow
from rclpy.action import ActionClient
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import QoSProfile
from semabs.action import Localize
from support import wait_for

from semabs_core.checkpoint import FORMAT
from semabs_core.description import RelationError
from semabs_core.network_config import RELATIONS
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import FrameError
from semabs_ros.actions import Asking, localize_request
from semabs_ros.client import SemabsClient


@pytest.fixture
def hold_loading(monkeypatch):
    """Lets the models load only when the event that it returns is set."""
    go, load = threading.Event(), SceneUnderstanding.from_config

    def held(*arguments):
        assert go.wait(60)
        return load(*arguments)

    monkeypatch.setattr(SceneUnderstanding, "from_config", held)
    yield go
    go.set()


def test_a_goal_sent_while_the_models_load_waits_for_them(
    make_node, localize, camera, hold_loading
):
    make_node(autostart=True)
    handle = localize.send(**BEHIND, timeout_s=60.0)
    wait_for(lambda: any(f.stage == "queued" for f in localize.feedback), what="queued goal")
    hold_loading.set()
    status, result = localize.outcome(handle)
    assert status == STATUS.STATUS_SUCCEEDED, result.message


def test_a_goal_whose_time_is_up_while_the_models_load_says_so(
    make_node, localize, peer, hold_loading
):
    make_node(autostart=True)
    status, result = localize.ask(**BEHIND, timeout_s=0.5)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.TIMEOUT)
    assert "the models are still loading" in result.message


def test_a_goal_ends_with_the_reason_when_autostart_fails(make_node, localize, hold_loading):
    make_node(autostart=True, completion__checkpoint="/nowhere")
    handle = localize.send(**BEHIND)
    hold_loading.set()
    status, result = localize.outcome(handle)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.NOT_ACTIVE)
    assert "there is no checkpoint folder /nowhere" in result.message
    _, result = localize.ask(**BEHIND)
    assert "there is no checkpoint folder /nowhere" in result.message


@pytest.fixture
def patient_client(spinner):
    """An action client whose own queues hold hundreds of answers."""
    node, deep = Node("patient", context=spinner.context), QoSProfile(depth=1000)
    client = ActionClient(
        node, Localize, "/semabs/localize",
        goal_service_qos_profile=deep, result_service_qos_profile=deep,
    )  # fmt: skip
    spinner.add(node)
    return client


def all_done(futures):
    wait_for(lambda: all(future.done() for future in futures), 120, "all answers")
    return [future.result() for future in futures]


def test_every_one_of_two_hundred_goals_at_once_is_answered(make_node, patient_client, camera):
    slow = Slow(make_node(autostart=True, max_queued_goals=8))
    wait_for(patient_client.server_is_ready, what="action server")
    goal = Localize.Goal(**BEHIND)
    handles = all_done([patient_client.send_goal_async(goal) for _ in range(200)])
    assert all(handle.accepted for handle in handles)
    wait_for(lambda: slow.entered, what="running goal")
    slow.open = True
    outcomes = all_done([handle.get_result_async() for handle in handles])
    codes = [outcome.result.error_code for outcome in outcomes]
    assert set(codes) == {RESULT.NONE, RESULT.QUEUE_FULL}
    assert codes.count(RESULT.NONE) >= 9
    assert all((o.status == STATUS.STATUS_SUCCEEDED) == (o.result.error_code == 0)
               for o in outcomes)  # fmt: skip


def test_reject_lets_one_of_many_goals_in_that_come_at_once(make_node, patient_client, camera):
    node = make_node(autostart=True, goal_policy="reject")
    slow = Slow(node)
    wait_for(patient_client.server_is_ready, what="action server")
    goal = Localize.Goal(**BEHIND)
    handles = all_done([patient_client.send_goal_async(goal) for _ in range(30)])
    accepted = [handle for handle in handles if handle.accepted]
    assert len(accepted) == 1
    assert node._goals.refused == 29
    slow.open = True
    (outcome,) = all_done([accepted[0].get_result_async()])
    assert outcome.status == STATUS.STATUS_SUCCEEDED


def test_a_goal_cancelled_as_soon_as_it_is_accepted_is_cancelled(make_node, patient_client, camera):
    """Some are cancelled before they are queued, some while they wait, some while they run."""
    slow = Slow(make_node(autostart=True, max_queued_goals=100))
    wait_for(patient_client.server_is_ready, what="action server")
    cancelled = []

    def cancel(future):
        cancelled.append(future.result().cancel_goal_async())

    sent = []
    for _ in range(40):
        sent.append(patient_client.send_goal_async(Localize.Goal(**BEHIND)))
        sent[-1].add_done_callback(cancel)
    handles = all_done(sent)
    outcomes = all_done([handle.get_result_async() for handle in handles])
    wait_for(lambda: len(cancelled) == 40, what="cancellations")
    assert all(len(answer.goals_canceling) == 1 for answer in all_done(cancelled))
    assert {outcome.status for outcome in outcomes} == {STATUS.STATUS_CANCELED}
    assert {outcome.result.error_code for outcome in outcomes} == {RESULT.CANCELED}
    slow.open = True


def test_long_words_are_refused_in_few(make_node, localize, complete):
    make_node()
    for asker, goal in [
        (localize, BEHIND | dict(target="x" * 10_000)),
        (localize, BEHIND | dict(relation="behind" * 2000)),
        (localize, dict(sentence="the mug behind the lamp " * 1000)),
        (complete, dict(classes=["mug", "y" * 10_000])),
    ]:
        status, result = asker.ask(**goal)
        assert status == STATUS.STATUS_ABORTED
        assert result.error_code in (RESULT.INVALID_GOAL, RESULT.UNKNOWN_RELATION)
        assert len(result.message) < 500


def test_a_result_that_is_no_longer_kept_is_no_success(make_node, localize):
    make_node(result_timeout_s=1)
    handle = localize.send(**BEHIND)
    assert localize.outcome(handle)[0] == STATUS.STATUS_ABORTED
    # What rclpy answers then: status unknown, error code 0.
    wait_for(lambda: localize.outcome(handle)[0] == STATUS.STATUS_UNKNOWN, what="forgotten result")


def test_results_are_kept_for_minutes(make_node):
    assert make_node().parameters.node_config.result_timeout_s >= 60


def test_a_frame_that_fails_a_goal_does_not_stop_the_next(make_node, localize, camera, monkeypatch):
    node = make_node(autostart=True)
    wait_for(lambda: node._worker, what="active node")
    real, faults = node._scene.localize, [RuntimeError("out of memory"), FrameError("too dark")]

    def localize_or_fail(*arguments):
        if faults:
            raise faults.pop(0)
        return real(*arguments)

    monkeypatch.setattr(node._scene, "localize", localize_or_fail)
    codes = [localize.ask(**BEHIND)[1].error_code for _ in range(3)]
    assert codes == [RESULT.INTERNAL_ERROR, RESULT.BAD_FRAME, RESULT.NONE]


def test_what_is_not_found_is_aborted_with_the_best_guess(
    make_node, localize, camera, spinner, monkeypatch
):
    node = make_node(autostart=True)
    wait_for(lambda: node._worker, what="active node")
    real = node._scene.localize
    answers = []

    def doubtful(*arguments):
        answers.append(dataclasses.replace(real(*arguments), found=False, probability=0.125))
        return answers[-1]

    monkeypatch.setattr(node._scene, "localize", doubtful)
    status, result = localize.ask(**BEHIND)
    assert (status, result.error_code) == (STATUS.STATUS_ABORTED, RESULT.NOT_FOUND)
    assert "not found (probability 0.12): the picture does not support it" in result.message
    assert result.probability == 0.125
    position = result.pose.pose.position
    np.testing.assert_allclose([position.x, position.y, position.z], answers[0].position_m)
    assert result.pose.header.frame_id == "map"
    assert result.region.width == len(answers[0].points_m)
    with SemabsClient(context=spinner.context) as client:
        guess = client.localize(**BEHIND)
    assert not guess.found
    assert guess.probability == 0.125
    assert "not found (probability 0.12)" in guess.message
    np.testing.assert_allclose(guess.position_m, answers[1].position_m)


def test_without_a_calibration_the_probability_is_no_number(make_node, localize, camera):
    make_node(autostart=True)
    status, result = localize.ask(**BEHIND)
    assert status == STATUS.STATUS_SUCCEEDED
    assert math.isnan(result.probability)


def test_relations_are_those_of_the_network_that_is_loaded(make_node, tmp_path):
    config = {"task": "localization", "relations": ["on", "under"]}
    stored = {"format": FORMAT, "network": config}
    (tmp_path / "network.json").write_text(json.dumps(stored))
    assert make_node(localization__checkpoint=str(tmp_path))._known_relations() == ("on", "under")
    node = make_node()
    assert node._known_relations() == RELATIONS
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node._known_relations() is node._scene.relations
    request = Localize.Goal(sentence="the mug under the table")
    with pytest.raises(RelationError, match="under"):
        localize_request(request, Asking(node.parameters.node_config, RELATIONS))
    wanted = localize_request(request, Asking(node.parameters.node_config, ("under", "on")))
    assert (wanted.target, wanted.relation, wanted.reference) == ("mug", "under", "table")
