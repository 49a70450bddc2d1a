"""Runs that meet what is not finite, other options, or a signal."""

import os
import signal
from dataclasses import replace

import pytest
import torch
from scene_toy import write_toy_set
from training_toy import toy_config, toy_data
from typer.testing import CliRunner

from semabs_core.checkpoint import load_network, save_network
from semabs_core.cli import app
from semabs_core.data.splits import write_splits
from semabs_core.networks import build_network
from semabs_core.training import TrainingError, loop, train
from semabs_core.training.interrupts import StopRequest, TrainingInterruptedError, until_stopped
from semabs_core.training.skipping import check_weights


def run(config):
    return train(config, toy_data(config, scenes=3, padding=True))


def weights_of(folder):
    return load_network(folder).state_dict()


def is_finite(folder):
    return all(bool(torch.isfinite(value).all()) for value in weights_of(folder).values())


def state_of(folder):
    return torch.load(folder / "training_state.pt", weights_only=True)


def poison_gradients(monkeypatch, steps):
    """Make the gradient NaN at these steps, counted from 1; the loss stays what it is."""
    clip, calls = loop.clip_grad_norm_, []

    def clip_poisoned(parameters, limit):
        parameters = list(parameters)
        calls.append(1)
        if len(calls) in steps:
            parameters[0].grad.view(-1)[0] = float("nan")
        return clip(parameters, limit)

    monkeypatch.setattr(loop, "clip_grad_norm_", clip_poisoned)


def test_a_step_with_a_nan_gradient_is_left_out(tmp_path, monkeypatch, caplog):
    poison_gradients(monkeypatch, {2, 4})
    result = run(toy_config(tmp_path))
    assert result.skipped == state_of(tmp_path)["skipped"] == 2
    assert is_finite(tmp_path)
    assert "step 2 is left out: its loss is 0." in caplog.text
    assert "the norm of its gradient nan (scenes toy" in caplog.text


def test_a_first_step_can_be_left_out(tmp_path, monkeypatch, recwarn):
    poison_gradients(monkeypatch, {1})
    assert run(toy_config(tmp_path)).skipped == 1
    assert is_finite(tmp_path)
    assert not [warning for warning in recwarn if "lr_scheduler" in str(warning.message)]


def test_leaving_out_is_leaving_the_weights_alone(tmp_path, monkeypatch):
    poison_gradients(monkeypatch, set(range(1, 7)))
    before = {}
    build = loop.first_network

    def build_and_note(config):
        network = build(config)
        before.update({name: value.clone() for name, value in network.state_dict().items()})
        return network

    monkeypatch.setattr(loop, "first_network", build_and_note)
    assert run(toy_config(tmp_path)).skipped == 6
    after = weights_of(tmp_path)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_too_many_in_a_row_end_the_run_and_the_state_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_POISON", "1,all")
    config = toy_config(tmp_path, epochs=3, save_every_steps=1, max_skipped_steps=2)
    message = r"(?s)2 steps in a row .*step 5 is left out: its loss is nan.*scenes toy.*are kept"
    with pytest.raises(TrainingError, match=message):
        run(config)
    assert state_of(tmp_path)["step"] == 4
    assert is_finite(tmp_path)
    monkeypatch.delenv("TOY_POISON")
    assert run(replace(config, resume=True)).skipped == 1


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    network = build_network(toy_config(tmp_path).network)
    check_weights(network, 7, "")
    with torch.no_grad():
        network.encoder.points[0].weight[0, 0] = float("inf")
    with pytest.raises(TrainingError, match=r"after step 7 the weights encoder.points.0.weight"):
        check_weights(network, 7, "")


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"seed": 4}, ["seed: 0 there, 4 now"]),
        ({"weight_decay": 0.5}, ["optimization.weight_decay: 1e-05 there, 0.5 now"]),
        ({"epochs": 3}, ["steps: 6 there, 9 now"]),
        ({"batch_size": 3}, ["scenes per step: 1 there, 3 now", "steps: 6 there, 2 now"]),
        (
            {"seed": 1, "learning_rate": 0.5},
            ["optimization.learning_rate: 0.02 there, 0.5 now", "seed: 0 there, 1 now"],
        ),
        ({"approach": "semantic_aware"}, ["network.approach: semantic_abstraction there"]),
    ],
)
def test_other_options_are_refused_with_the_list_of_differences(changes, lines, tmp_path):
    run(toy_config(tmp_path))
    before = weights_of(tmp_path)
    with pytest.raises(TrainingError, match="was started with other options") as caught:
        run(toy_config(tmp_path, resume=True, **changes))
    for line in lines:
        assert f"\n  {line}" in str(caught.value)
    assert str(caught.value).count(" there, ") >= len(lines)
    assert "these alone may change: data.folder, device" in str(caught.value)
    after = weights_of(tmp_path)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_what_does_not_decide_the_weights_may_change(tmp_path):
    run(toy_config(tmp_path))
    changes = {"log_every_steps": 3, "save_every_steps": 7, "labels_per_pass": 1, "workers": 0}
    assert run(toy_config(tmp_path, resume=True, **changes)).steps == 6


def test_resuming_brings_the_weights_up_to_the_state(tmp_path):
    run(toy_config(tmp_path))
    files = ("network.safetensors", "network.json")
    before = [(tmp_path / name).read_bytes() for name in files]
    save_network(build_network(load_network(tmp_path).config), tmp_path, {"step": 0})
    run(toy_config(tmp_path, resume=True))
    assert [(tmp_path / name).read_bytes() for name in files] == before


def signal_at(monkeypatch, number, step):
    """Send the process a signal in the middle of a step, counted from 0."""

    def send(self, batch, train_step=loop.Trainer.train_step):
        if self.step == step:
            os.kill(os.getpid(), number)
        train_step(self, batch)

    monkeypatch.setattr(loop.Trainer, "train_step", send)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_saves_and_goes_on(number, tmp_path):
    run(toy_config(tmp_path / "whole"))
    handlers = [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)]
    config = toy_config(tmp_path / "cut")
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, number, 3)
        message = f"stopped by {number.name} after step 4 of 6; the state is saved: .*--resume"
        with pytest.raises(TrainingInterruptedError, match=message) as caught:
            run(config)
    assert caught.value.signal_number == number
    assert state_of(tmp_path / "cut")["step"] == 4
    assert [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)] == handlers
    run(replace(config, resume=True))
    whole, cut = weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut")
    assert all(torch.equal(cut[name], value) for name, value in whole.items())


def test_the_second_signal_acts_at_once():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal_number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_ends_the_readers_too_is_no_fault():
    def broken():
        yield 1
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker exited unexpectedly")

    with StopRequest() as stop:
        assert list(until_stopped(broken(), stop)) == [1]
    with pytest.raises(RuntimeError, match="worker"):
        list(until_stopped(map(fail, [1]), StopRequest()))


def fail(item):
    raise RuntimeError("a worker's own fault")


def test_the_command_ends_with_the_code_of_the_signal_and_tells_what_comes_next(tmp_path):
    folder, out = tmp_path / "data", tmp_path / "run"
    paths = write_toy_set(folder, scenes=2)
    write_splits(folder, {"train": paths, "validation": paths[:1]})
    network = "{voxel_shape: [8, 8, 8], channels: 4, f_maps: 4, levels: 2, hidden: 16}"
    options = (
        f"network={network}", "data.num_input_points=80", "data.num_query_points=200", "workers=0",
        "optimization.epochs=2", "device=cpu",
    )  # fmt: skip
    command = ["train", "completion", "--data", str(folder), "--out", str(out)]
    command += [part for option in options for part in ("--option", option)]
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, signal.SIGINT, 1)
        stopped = CliRunner().invoke(app, command)
    assert stopped.exit_code == 130, stopped.output
    assert "stopped by SIGINT after step 2 of 4; the state is saved" in stopped.output
    done = CliRunner().invoke(app, [*command, "--resume"])
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "4 of 4 steps done; the weights are in" in text
    assert "validation: IoU 0." in text
    assert f"next: semabs eval {out} --data {folder} --out {out}.parquet" in text
