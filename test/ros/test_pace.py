"""The rate and the stages, by a clock that is set by hand."""

from types import SimpleNamespace

import pytest
import torch

from semabs_core.config import SemabsConfig
from semabs_ros.diagnostics import slowness
from semabs_ros.pace import RATE_FOR_S, Pace


def test_stages_add_up_and_the_rate_ends():
    clock = [100.0]
    pace = Pace(lambda: clock[0])
    assert pace.rate_hz == 0
    for _ in range(3):
        arrived = clock[0]
        clock[0] += 0.5
        started = clock[0]
        clock[0] += 0.25
        pace.begin(started)
        clock[0] += 1.0
        pace.step("relevancy")
        clock[0] += 0.125
        pace.step("output")
        clock[0] += 2.0
        pace.step("other", {"relevancy": 0.5, "decode": 1.0})
        clock[0] += 0.125
        pace.step("output")
        pace.end(arrived)
    assert pace.stages_s == {
        "input": 0.25, "relevancy": 1.5, "output": 0.25, "decode": 1.0, "other": 0.5,
    }  # fmt: skip
    assert pace.frame_seconds == pytest.approx(3.5)
    assert pace.latency_s == pytest.approx(4.0)
    assert pace.rate_hz == pytest.approx(1 / 4.0)
    clock[0] += RATE_FOR_S + 3.6
    assert pace.rate_hz == 0


@pytest.mark.parametrize(
    ("preset", "normalizations", "advised"),
    [
        ("ours", ("evidence", "evidence"), "sparse"),
        ("fast", ("evidence", "evidence"), "sparse"),
        ("sparse", ("evidence", "evidence"), None),
        ("mosaic", ("evidence", "evidence"), None),
        ("ours", ("gain", "gain"), "fast"),
        ("fast", ("evidence", "gain"), None),
    ],
)
def test_a_slow_node_advises_a_preset_that_its_networks_take(preset, normalizations, advised):
    completion, localization = (
        SimpleNamespace(config=SimpleNamespace(normalization=kind)) for kind in normalizations
    )
    scene = SimpleNamespace(
        encoder=SimpleNamespace(device=torch.device("cpu")),
        chosen=SimpleNamespace(preset=preset),
        completion=completion,
        localization=localization,
    )
    parameters = SimpleNamespace(
        core_config=SemabsConfig(), node_config=SimpleNamespace(classes=["mug"])
    )
    worker = SimpleNamespace(pace=SimpleNamespace(frame_seconds=6.0))
    said = slowness(worker, scene, parameters)
    assert said.startswith("a frame takes 6.0 s; faster: use a GPU (device), ")
    assert ("relevancy.preset" in said) == (advised is not None)
    assert advised is None or f"set relevancy.preset to {advised}, " in said
