"""A GPU whose memory does not suffice, played on the CPU; labels that go through together."""

import os

import numpy as np
import pytest
import torch
from pipeline_toy import CLASSES, build

from semabs_core import devices, portions
from semabs_core.portions import LEAST_QUERIES
from semabs_core.types import InferenceError

DESCRIBED = ("blue box", "on", "table")


def ready(room, **changes):
    scene = build(**changes)
    scene.set_frame(room.frame(0))
    return scene


def refuse(monkeypatch, owner, name, size, most):
    """Let a method find that memory does not suffice where it is given more than so much.

    Args:
        monkeypatch: undoes it.
        owner: of the method.
        name: of the method.
        size: how much its arguments are.
        most: so much goes.
    """
    real, sizes = getattr(owner, name), []

    def refusing(*args):
        sizes.append(size(*args))
        if sizes[-1] > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(*args)

    monkeypatch.setattr(owner, name, refusing)
    return sizes


def test_a_container_may_have_less_memory_than_the_machine(tmp_path, monkeypatch):
    machine = tmp_path / "machine", tmp_path / "no such file"
    machine[0].write_text("max\n")
    monkeypatch.setattr(devices, "CONTAINER_LIMITS", machine)
    assert devices.host_memory() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    machine[0].write_text("1048576\n")
    assert devices.host_memory() == 2**20


@pytest.mark.parametrize("stage", ["tiles", "queries"])
def test_what_does_not_fit_is_halved_until_it_does(room, monkeypatch, caplog, stage):
    monkeypatch.setattr(portions, "LEAST_QUERIES", 100)
    relevancy = {"preset": "fast", "still_tolerance": 0.0}
    expected = ready(room, relevancy=relevancy).complete(CLASSES)
    scene = ready(room, relevancy=relevancy)
    owner, name, size, most = {
        "tiles": (scene.extractor, "_embed", len, 2),
        "queries": (scene.completion, "answer_together", lambda s, _: s.shape[-2], 500),
    }[stage]
    sizes = refuse(monkeypatch, owner, name, size, most)
    answer = scene.complete(CLASSES)
    assert max(sizes) > most
    np.testing.assert_array_equal(answer.labels, expected.labels)
    np.testing.assert_allclose(answer.scores, expected.scores, atol=1e-5)
    assert "the GPU's memory did not suffice: now" in caplog.text
    assert caplog.text.count("memory did not suffice") == scene.portions.halvings > 0
    assert f"{scene.portions.queries} queries at once" in scene.portions.shortage

    caplog.clear()
    sizes.clear()
    scene.set_frame(room.frame(0))  # what was found out is kept
    np.testing.assert_array_equal(scene.complete(CLASSES).labels, expected.labels)
    assert max(sizes) <= most
    assert not caplog.text


def test_what_was_cached_makes_room(room, monkeypatch):
    scene = ready(room)
    scene.complete(CLASSES)
    assert scene._state.tiles
    assert len(scene._state.volumes)
    refuse(monkeypatch, scene.localization, "encode_volume", lambda *_: len(seen), most=0)
    seen = [1]
    real_room = scene.make_room

    def make_room():
        real_room()
        assert scene._state.tiles is None
        assert not len(scene._state.volumes)
        seen.clear()

    monkeypatch.setattr(scene, "make_room", make_room)
    assert len(scene.localize(*DESCRIBED).points_m)
    assert scene.portions.halvings == 1


@pytest.mark.parametrize("request_of", ["complete", "localize", "relevancy"])
def test_where_the_least_does_not_fit_an_error_says_so(room, monkeypatch, request_of):
    scene = ready(room)
    ask = {
        "complete": lambda: scene.complete(CLASSES),
        "localize": lambda: scene.localize(*DESCRIBED),
        "relevancy": lambda: scene.relevancy(CLASSES),
    }[request_of]
    with monkeypatch.context() as patch:
        sizes = refuse(patch, scene.extractor, "_embed", len, most=0)
        with pytest.raises(InferenceError, match=f"one tile and {LEAST_QUERIES} queries at once"):
            ask()
    assert min(sizes) == 1
    assert not scene.portions.shortage, "it did not help, so nothing is changed"
    ask()  # it outlives that


def test_other_errors_are_nobodys_memory(room, monkeypatch):
    scene = ready(room)

    def fails(*_):
        raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")

    monkeypatch.setattr(scene.completion, "encode_volume", fails)
    with pytest.raises(RuntimeError, match="EXECUTION_FAILED"):
        scene.complete(CLASSES)
    assert not scene.portions.halvings


def test_labels_go_one_by_one_where_nothing_else_is_left_to_shrink(room, monkeypatch):
    """Such as after the advice was followed."""
    scene = ready(room, query_batch=2000, relevancy={"tile_batch": 1})
    scene.portions._volume_bytes = 2**40
    sizes = refuse(
        monkeypatch, scene.completion, "encode_volume", lambda _, f, *__: f.shape[1], most=1
    )
    expected = ready(room).complete(CLASSES)
    np.testing.assert_array_equal(scene.complete(CLASSES).labels, expected.labels)
    assert sizes == [3, 1, 1, 1]


def test_fewer_queries_than_the_least_stay_as_they_are(room, monkeypatch):
    scene = ready(room, query_batch=2000)
    with monkeypatch.context() as patch:
        refuse(patch, scene.extractor, "_embed", len, most=0)
        with pytest.raises(InferenceError, match="2000 queries"):
            scene.complete(CLASSES)


def test_labels_together_answer_as_one_after_the_other(room, monkeypatch):
    alone, together = ready(room), ready(room)
    one = alone.portions.labels(alone.completion.config)
    assert one == 1, "a CPU is kept busy by one"
    monkeypatch.setattr(together.portions, "labels", lambda config: 2)
    counts = refuse(
        monkeypatch, together.completion, "encode_volume", lambda _, f, *__: f.shape[1], most=9
    )
    words = ["floor", "table", "blue box", "lamp", "sofa"]
    expected, answer = alone.complete(words), together.complete(words)
    assert counts == [2, 2, 1]
    np.testing.assert_allclose(answer.scores, expected.scores, atol=1e-4)
    assert (answer.labels == expected.labels).mean() > 0.999
    kept = together._state.volumes
    assert len(kept) == 5
    sizes = [(volume.untyped_storage().nbytes(), volume.nbytes) for volume in kept._kept.values()]
    assert all(held == own for held, own in sizes), "none keeps the others' memory"


def test_labels_together_in_a_cache_that_holds_one(room, monkeypatch):
    scene = ready(room, volume_cache_mb=1)  # a volume is 1 MiB
    expected = scene.complete(CLASSES)
    scene.set_frame(room.frame(0))
    monkeypatch.setattr(scene.portions, "labels", lambda config: 2)
    counts = refuse(
        monkeypatch, scene.completion, "encode_volume", lambda _, f, *__: f.shape[1], most=9
    )
    np.testing.assert_allclose(scene.complete(CLASSES).scores, expected.scores, atol=1e-4)
    assert counts == [2, 1]
