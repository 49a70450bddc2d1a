"""SemabsClient over DDS: from threads, callbacks and asyncio; with nobody there; given up."""

import asyncio
import subprocess
import sys
import threading

import numpy as np
import pytest
import rclpy
from asking import BEHIND, STATUS, Slow
from rclpy.action import ActionServer
from rclpy.action.client import ClientGoalHandle
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from semabs.action import Localize
from support import wait_for

from semabs_ros.client import NoNodeError, SemabsClient, SemabsError

SENTENCE = "the mug behind the lamp"


@pytest.fixture
def client(context):
    with SemabsClient(context=context) as client:
        yield client


def refusal(answer):
    with pytest.raises(SemabsError) as raised:
        answer.result()
    return raised.value


def test_answers_come_as_typed_values_in_the_world_frame(make_node, camera, client):
    node = make_node(autostart=True)
    stages = []
    place = client.localize(SENTENCE, on_feedback=lambda stage, part: stages.append((stage, part)))
    assert place.found
    assert place.frame == "map"
    assert place.position_m.shape == place.extent_m.shape == (3,)
    assert np.isclose(place.points_m, place.position_m, atol=1e-5).all(axis=1).any()
    assert np.isnan(place.probability)  # no calibration
    assert place.message
    assert ("queued", 0.0) in stages
    assert all(0 <= part <= 1 for _, part in stages)
    by_parts = client.localize(**BEHIND)
    np.testing.assert_array_equal(by_parts.position_m, place.position_m)
    completion = client.complete(["table", "lamp"])
    assert completion.classes == ["table", "lamp"]
    assert completion.labels.shape == (16, 16, 16)
    assert completion.frame == "map"
    assert completion.voxel_size_m > 0.01
    assert set(completion.voxels_per_class()) == {"table", "lamp"}
    assert client.complete().classes == ["floor", "table", "lamp"]
    client.set_classes(["mug"])
    assert node.parameters.node_config.classes == ["mug"]


@pytest.mark.parametrize(
    ("asked", "code", "match"),
    [
        (dict(sentence="the mug under the lamp"), "UNKNOWN_RELATION", "under"),
        (dict(), "INVALID_GOAL", "localize: "),
        (dict(sentence=SENTENCE, target="mug"), "INVALID_GOAL", "either a sentence or"),
        (BEHIND, "NOT_ACTIVE", "is unconfigured"),
    ],
)
def test_what_the_node_refuses_is_an_error_with_its_code(make_node, client, asked, code, match):
    make_node()
    with pytest.raises(SemabsError, match=match) as raised:
        client.localize(**asked)
    assert raised.value.code == code


def test_classes_that_the_node_does_not_take_are_an_error(make_node, client):
    make_node()
    with pytest.raises(SemabsError, match="mug") as raised:
        client.set_classes(["mug", "mug"])
    assert raised.value.code == "REFUSED"
    with pytest.raises(ValueError, match="a list of names, got the text 'mug'"):
        client.set_classes("mug")


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(client, timeout_s):
    with pytest.raises(ValueError, match="timeout_s must be a number of seconds above 0"):
        client.localize(SENTENCE, timeout_s=timeout_s)


def test_without_a_node_the_error_names_the_remedy(client, spinner):
    with pytest.raises(NoNodeError, match="no semabs node /semabs within 0.2 s: start it") as said:
        client.localize(SENTENCE, timeout_s=0.2)
    assert said.value.code == "NO_NODE"
    assert "ROS_DOMAIN_ID" in str(said.value)
    with pytest.raises(NoNodeError):
        client.set_classes(["mug"], timeout_s=0.2)
    other = Node("semabs", namespace="/arm", context=spinner.context)
    ActionServer(other, Localize, "~/localize", lambda goal: Localize.Result())
    spinner.add(other)

    def hinted():
        error = refusal(client.localize_async(SENTENCE, timeout_s=0.2))
        return "there is /arm/semabs: SemabsClient(node='/arm/semabs')" in str(error)

    wait_for(hinted, what="hint at the other node")


def test_a_node_that_comes_later_is_waited_for(make_node, camera, client):
    answer = client.localize_async(SENTENCE)
    assert not answer.done()
    make_node(autostart=True)
    assert answer.result().found


def silent_server(spinner):
    """Accepts goals and never answers."""
    node, asleep = Node("semabs", context=spinner.context), threading.Event()
    ActionServer(node, Localize, "~/localize", lambda goal: asleep.wait(60) and Localize.Result())
    spinner.add(node)
    return asleep


def test_a_node_that_hangs_is_not_waited_for_ever(spinner, client):
    asleep = silent_server(spinner)
    error = refusal(client.localize_async(SENTENCE, timeout_s=2.0))
    assert error.code == "TIMEOUT"
    assert "although the node is there" in str(error)
    asleep.set()


def test_a_node_that_goes_away_is_not_waited_for(spinner, client, monkeypatch):
    asleep = silent_server(spinner)
    answer = client.localize_async(SENTENCE, timeout_s=60.0)
    wait_for(lambda: answer._call._handle, what="accepted goal")
    with monkeypatch.context() as patch:  # for a moment it is not to be seen
        patch.setattr(answer._call, "ready", lambda: False)
        wait_for(lambda: answer._call._missing_since, what="a look at it")
    wait_for(lambda: answer._call._missing_since is None, what="another look")
    assert not answer.done()
    monkeypatch.setattr(answer._call, "ready", lambda: False)
    error = refusal(answer)
    assert isinstance(error, NoNodeError)
    assert "went away while localize was under way" in str(error)
    asleep.set()


def test_it_may_wait_inside_a_callback_of_a_single_threaded_executor(make_node, camera, client):
    make_node(autostart=True)
    context = rclpy.Context()
    rclpy.init(context=context)
    planner, executor = Node("planner", context=context), SingleThreadedExecutor(context=context)
    executor.add_node(planner)
    places = []

    def plan():
        places.append(client.localize(SENTENCE))
        timer.cancel()

    timer = planner.create_timer(0.01, plan)
    while not places:
        executor.spin_once(timeout_sec=1.0)
    assert places[0].found
    executor.shutdown()
    planner.destroy_node()
    rclpy.shutdown(context=context)


def test_its_own_callbacks_must_not_wait_for_it(make_node, camera, client):
    make_node(autostart=True)
    told = []

    def ask_again(answer):
        told.append(refusal(client.localize_async(SENTENCE)))

    client.localize_async(SENTENCE).add_done_callback(ask_again)
    (error,) = wait_for(lambda: told, what="callback")
    assert "use the _async method" in str(error)


def test_answers_can_be_awaited_in_asyncio(make_node, camera, client):
    make_node(autostart=True)

    async def ask_both():
        return await asyncio.gather(
            client.localize_async(SENTENCE), client.complete_async(["lamp"])
        )

    place, completion = asyncio.run(ask_both())
    assert place.found
    assert completion.classes == ["lamp"]


def test_an_await_that_is_cancelled_cancels_the_question(make_node, camera, client):
    slow = Slow(make_node(autostart=True))
    answer = client.localize_async(SENTENCE)

    async def wait():
        return await answer

    async def give_up():
        waiting = asyncio.create_task(wait())
        await asyncio.to_thread(wait_for, lambda: slow.entered, what="running goal")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(give_up())
    assert refusal(answer).code == "CANCELED"
    slow.open = True
    assert client.localize(SENTENCE).found


def test_several_clients_in_several_threads_at_once(make_node, camera, context):
    make_node(autostart=True, max_queued_goals=100)
    found = []

    def ask():
        with SemabsClient(context=context) as own:
            found.extend(own.localize(SENTENCE).frame for _ in range(3))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == ["map"] * 12


def test_running_waiting_and_unsent_questions_can_be_cancelled(context, make_node, camera, client):
    with SemabsClient("nobody", context=context) as lonely:  # `client` may still see an older node
        unsent = lonely.localize_async(SENTENCE)
        unsent.cancel()
        assert "before it was sent" in str(refusal(unsent))
    slow = Slow(make_node(autostart=True))
    running = client.localize_async(SENTENCE)
    wait_for(lambda: slow.entered, what="running goal")
    waiting = client.localize_async(SENTENCE)
    waiting.cancel()
    assert refusal(waiting).code == "CANCELED"
    running.cancel()
    assert refusal(running).code == "CANCELED"
    slow.open = True
    assert client.localize(SENTENCE).found


def test_a_time_that_runs_out_at_the_node_comes_with_the_nodes_reason(make_node, client):
    make_node(autostart=True)  # and no camera
    error = refusal(client.localize_async(SENTENCE, timeout_s=3.0))
    assert error.code in ("NO_FRAME", "TIMEOUT")
    assert "although the node is there" not in str(error)


def test_a_refused_goal_says_which_policy(make_node, camera, client):
    slow = Slow(make_node(autostart=True, goal_policy="reject"))
    first = client.localize_async(SENTENCE)
    wait_for(lambda: slow.entered, what="running goal")
    error = refusal(client.localize_async(SENTENCE))
    assert (error.code, "goal_policy is reject" in str(error)) == ("REFUSED", True)
    slow.open = True
    assert first.result().found


def test_a_result_that_is_no_longer_kept_is_an_error(make_node, camera, client, monkeypatch):
    """rclpy then says: status unknown, error code 0, the pose (0, 0, 0)."""
    make_node(autostart=True)
    nothing = Localize.Impl.GetResultService.Response(status=STATUS.STATUS_UNKNOWN)

    def forgotten(handle):
        future = rclpy.task.Future()
        future.set_result(nothing)
        return future

    monkeypatch.setattr(ClientGoalHandle, "get_result_async", forgotten)
    error = refusal(client.localize_async(SENTENCE))
    assert "ended with status 0, without a result" in str(error)


def test_closing_ends_what_is_open_and_refuses_more(make_node, camera, context):
    slow = Slow(make_node(autostart=True))
    client = SemabsClient(context=context)
    answer = client.localize_async(SENTENCE)
    wait_for(lambda: slow.entered, what="running goal")
    client.close()
    assert refusal(answer).code == "CANCELED"
    with pytest.raises(SemabsError, match="the client was closed"):
        client.localize(SENTENCE)
    slow.open = True
    client.close()


def test_ros_that_is_shut_down_leaves_nobody_waiting():
    own = rclpy.Context()
    rclpy.init(context=own)
    client = SemabsClient(context=own)
    answer = client.localize_async(SENTENCE, timeout_s=600.0)
    threading.Timer(0.2, lambda: rclpy.shutdown(context=own)).start()
    assert refusal(answer).code == "CLOSED"
    client.close()


def test_without_rclpy_init_it_has_a_context_of_its_own(make_node, camera):
    assert not rclpy.ok()
    make_node(autostart=True)
    with SemabsClient() as client:
        assert client.localize(SENTENCE).found
    assert not rclpy.ok()


def test_an_interruption_cancels_the_question(make_node, camera, client, monkeypatch):
    slow = Slow(make_node(autostart=True))
    answer = client.localize_async(SENTENCE)
    wait_for(lambda: slow.entered, what="running goal")
    future = answer._call.future

    def interrupted(timeout):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            answer.result()
    assert refusal(answer).code == "CANCELED"
    slow.open = True


def test_the_client_loads_neither_torch_nor_open3d():
    code = (
        "import sys, semabs_ros.client; "
        "print(sorted({'torch', 'open3d', 'open_clip', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr
