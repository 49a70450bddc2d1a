"""Work side by side on the cores of a CPU."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from pipeline_toy import build

from semabs_core import cores, portions
from semabs_core.cores import ROUNDS, side_by_side

CORES = 2
MANY = ROUNDS * CORES
WORDS = ["floor", "table", "blue box", "lamp", "shelf", "bed"]


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_pieces() -> None:
    later = threading.Event()

    def first() -> int:
        assert later.wait(30)  # the second one ends before the first
        return 0

    def second() -> int:
        later.set()
        return 1

    rest = [lambda number=number: number for number in range(2, 20)]
    assert list(side_by_side([first, second, *rest], 20)) == list(range(20))


def test_every_piece_has_one_core_and_the_caller_keeps_all() -> None:
    threads = list(side_by_side([torch.get_num_threads] * 10, 10))
    assert threads == [1] * 10
    assert torch.get_num_threads() == CORES
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [CORES]


def test_few_pieces_are_the_caller_s_with_all_cores() -> None:
    where = list(side_by_side([threading.get_ident] * (MANY - 1), MANY - 1))
    assert set(where) == {threading.get_ident()}
    where = list(side_by_side([threading.get_ident] * MANY, MANY))
    assert threading.get_ident() not in where


def test_one_core_needs_no_other_thread() -> None:
    torch.set_num_threads(1)
    where = list(side_by_side([threading.get_ident] * MANY, MANY))
    assert set(where) == {threading.get_ident()}


def test_pieces_compute_as_the_caller_does() -> None:
    def modes() -> tuple[bool, bool]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert set(side_by_side([modes] * MANY, MANY)) == {(True, False)}
    with torch.no_grad():
        assert set(side_by_side([modes] * MANY, MANY)) == {(False, False)}
    with torch.inference_mode():
        assert set(side_by_side([modes] * MANY, MANY)) == {(False, True)}


def test_what_a_piece_raises_comes_at_its_turn_and_the_pool_goes_on() -> None:
    def broken() -> int:
        raise ValueError("the third one")

    pieces = [lambda: 0, lambda: 1, broken, *[lambda: 3] * 10]
    results = side_by_side(pieces, len(pieces))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="the third one"):
        next(results)
    assert list(side_by_side([lambda: 4] * MANY, MANY)) == [4] * MANY


def test_a_caller_that_stops_begins_no_more() -> None:
    begun: list[int] = []
    results = side_by_side((lambda: begun.append(1) for _ in range(1000)), 1000)
    next(results)
    results.close()
    assert list(side_by_side([lambda: 4] * MANY, MANY)) == [4] * MANY  # behind what has begun
    assert 1 <= len(begun) <= 1 + CORES


def test_pieces_are_taken_only_a_little_ahead() -> None:
    taken: list[int] = []

    def pieces() -> Iterator:
        for number in range(1000):
            taken.append(number)
            yield lambda: None

    results = side_by_side(pieces(), 1000)
    for asked in range(1, 5):
        next(results)
        assert len(taken) <= asked + CORES
    results.close()


def test_a_stop_between_pieces_reaches_the_caller() -> None:
    def pieces() -> Iterator:
        yield from [lambda: 0] * 6
        raise KeyboardInterrupt

    results = side_by_side(pieces(), 7)
    with pytest.raises(KeyboardInterrupt):
        list(results)


def test_a_frame_is_the_same_on_one_core_and_on_two(room) -> None:
    scene = build(relevancy={"preset": "fast", "still_tolerance": 6.0})
    torch.set_num_threads(1)
    scene.set_frame(room.frame(0))
    alone = scene.complete(WORDS)
    torch.set_num_threads(CORES)
    scene.forget_frame()
    scene.set_frame(room.frame(0))
    both = scene.complete(WORDS)
    np.testing.assert_array_equal(both.labels, alone.labels)
    np.testing.assert_allclose(both.scores, alone.scores, atol=1e-5)
    assert len(scene._state.volumes) == len(WORDS)


def test_a_frame_that_is_stopped_on_two_cores_is_done_later(room) -> None:
    scene = build(relevancy={"preset": "fast"})
    scene.set_frame(room.frame(0))
    expected = scene.complete(WORDS)
    for stage in ("relevancy", "volumes"):
        scene.forget_frame()
        scene.set_frame(room.frame(0))

        def stop(now: str, fraction: float, stage: str = stage) -> None:
            if now == stage and fraction > 0.3:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            scene.complete(WORDS, on_progress=stop)
        again = scene.complete(WORDS)
        np.testing.assert_array_equal(again.labels, expected.labels)


def test_a_still_camera_s_tiles_are_the_same_on_two_cores(room) -> None:
    relevancy = {"preset": "fast", "still_tolerance": 6.0}
    scene, other = build(relevancy=relevancy), build(relevancy=relevancy)
    frame = room.frame(0)
    picture = frame.rgb.copy()
    picture[:60] = 255 - picture[:60]
    changed = replace(frame, rgb=picture)
    scene.set_frame(frame)
    scene.complete(WORDS)
    scene.set_frame(changed)
    torch.set_num_threads(1)
    other.set_frame(changed)
    np.testing.assert_array_equal(scene.complete(WORDS).labels, other.complete(WORDS).labels)


def test_a_completion_that_is_stopped_makes_no_more_volumes(room, monkeypatch) -> None:
    """However long what was raised is kept, and the frames that it went through with it."""
    scene = build()
    words = [f"thing {number}" for number in range(40)]
    scene.set_frame(room.frame(0))
    made: list[int] = []
    encode = scene.completion.encode_volume
    monkeypatch.setattr(
        scene.completion, "encode_volume", lambda *given: made.append(1) or encode(*given)
    )

    def stop(stage: str, fraction: float) -> None:
        if stage == "completion" and fraction > 0:
            raise InterruptedError

    try:
        scene.complete(words, on_progress=stop)
    except InterruptedError as error:
        kept = error
    assert list(side_by_side([lambda: 4] * MANY, MANY)) == [4] * MANY  # behind what has begun
    assert 1 <= len(made) <= 2 + CORES
    assert kept.__traceback__


def test_where_no_thread_can_start_nothing_stays_waiting(monkeypatch) -> None:
    submit, left = ThreadPoolExecutor.submit, [1]

    def refuse(pool, *given):
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        return submit(pool, *given)

    torch.set_num_threads(3)  # no other test has made threads for so many
    before = threading.active_count()
    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        list(side_by_side([lambda: 0] * 6, 6))
    monkeypatch.undo()
    assert torch.get_num_threads() == 3
    assert list(side_by_side([lambda: 0] * 6, 6)) == [0] * 6
    assert threading.active_count() <= before + 3


def test_many_cores_are_shared_out_among_fewer_threads(monkeypatch) -> None:
    monkeypatch.setattr(cores, "MOST_THREADS", 2)
    torch.set_num_threads(5)
    assert set(side_by_side([torch.get_num_threads] * 4, 4)) == {2}
    assert torch.get_num_threads() == 5


def test_volumes_that_do_not_fit_side_by_side_are_made_in_turn(room, monkeypatch) -> None:
    scene = build()
    config = scene.completion.config

    def where() -> set[int]:
        pieces = [threading.get_ident] * MANY
        return set(scene.portions.run_volumes(pieces, MANY, config))

    assert threading.get_ident() not in where()
    monkeypatch.setattr(portions, "host_memory", lambda: 2**20)
    assert where() == {threading.get_ident()}
