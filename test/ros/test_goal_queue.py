"""The queue of goals: policies, cancellations at any moment, closing; without DDS."""

import threading

import pytest

from semabs_ros import goals
from semabs_ros.goals import CODES, Goal, GoalQueue


def make_goal(key=b"1", timeout_s=60.0, cancelled=lambda: False):
    begun = []
    goal = Goal("localize", None, timeout_s, lambda: begun.append(1), cancelled, print, key)
    goal.begun = begun
    return goal


@pytest.fixture
def queue():
    queue = GoalQueue()
    queue.open("nothing hinders")
    return queue


def test_not_found_is_an_outcome():
    assert CODES["NOT_FOUND"] == 11


def test_a_goal_for_a_closed_queue_ends_at_once():
    queue, goal = GoalQueue(), make_goal()
    queue.close("NOT_ACTIVE", "asleep")
    queue.submit(goal, "queue", 8)
    assert (goal.code, goal.message, goal.begun) == ("NOT_ACTIVE", "asleep", [1])


def test_closing_ends_waiting_goals_and_stops_the_running_one(queue):
    running, waiting = make_goal(b"1"), make_goal(b"2")
    queue.submit(running, "queue", 8)
    assert queue.next() is running
    queue.submit(waiting, "queue", 8)
    queue.close("NOT_ACTIVE", "over")
    assert waiting.code == "NOT_ACTIVE"
    with pytest.raises(goals.GoalEndedError, match="over"):
        running.check()


def test_only_one_of_many_callers_gets_the_place(queue):
    start = threading.Barrier(16)
    got = []

    def ask():
        start.wait()
        got.append(queue.reserve())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 15 + [True]
    assert queue.refused == 15


def test_a_place_is_kept_until_its_goal_comes(queue):
    assert queue.reserve()
    goal = make_goal()
    queue.submit(goal, "reject", 8)
    queue.arrived()
    assert not queue.reserve()
    queue.finish(queue.next())
    assert queue.reserve()


def test_the_place_of_a_client_that_went_away_is_given_to_another(queue, monkeypatch):
    assert queue.reserve()
    monkeypatch.setattr(goals, "RESERVATION_S", 0.0)
    assert queue.reserve()


def test_reject_never_lets_two_in_even_if_both_were_accepted(queue):
    first, second = make_goal(b"1"), make_goal(b"2")
    queue.submit(first, "reject", 8)
    queue.submit(second, "reject", 8)
    assert not first.done.is_set()
    assert (second.code, second.message) == (
        "QUEUE_FULL", "another goal is running (goal_policy reject)"
    )  # fmt: skip


@pytest.mark.parametrize("taken", [False, True], ids=["waiting", "running"])
def test_a_cancelled_goal_ends(queue, taken):
    goal = make_goal(b"7")
    queue.submit(goal, "queue", 8)
    if taken:
        assert queue.next() is goal
    queue.cancel(b"7")
    if taken:
        with pytest.raises(goals.GoalEndedError, match="cancelled"):
            goal.check()
    else:
        assert goal.code == "CANCELED"
        assert queue.next() is None


def test_a_running_goal_sees_a_cancellation_that_nobody_told_the_queue(queue):
    asked = []
    goal = make_goal(cancelled=lambda: bool(asked))
    goal.check()
    asked.append(True)
    with pytest.raises(goals.GoalEndedError) as ended:
        goal.check()
    assert ended.value.code == "CANCELED"


def test_an_overdue_goal_says_what_it_waited_for():
    queue = GoalQueue()
    queue.open("the models are still loading")
    goal = make_goal(timeout_s=0.0)
    queue.submit(goal, "queue", 8)
    queue.expire()
    assert goal.code == "TIMEOUT"
    assert goal.message.endswith("the models are still loading")


def test_a_goal_whose_time_is_up_before_its_turn_ends(queue):
    goal = make_goal(timeout_s=0.0)
    queue.submit(goal, "queue", 8)
    assert queue.next() is None
    assert (goal.code, goal.message) == ("TIMEOUT", "not done within 0 s")


def test_only_the_first_outcome_counts_and_begins_the_goal_once():
    goal = make_goal()
    goal.begin()
    goal.end("NONE", "first")
    goal.end("TIMEOUT", "second")
    assert (goal.code, goal.message, goal.begun) == ("NONE", "first", [1])
