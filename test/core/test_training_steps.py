"""What steps of training are made of: losses, schedule, optimizer, batches, passes."""

import math
from dataclasses import replace

import pytest
import torch
from training_toy import ToyScenes, collate, toy_config

from semabs_core.networks import NETWORKS, build_network
from semabs_core.training.batches import StepBatches, label_passes, network_arguments, take_labels
from semabs_core.training.config import OptimizationConfig
from semabs_core.training.losses import (
    confusion,
    point_iou,
    present,
    summed_loss,
    summed_overlap_loss,
)
from semabs_core.training.optimizer import make_optimizer, rate_factor

LN2 = math.log(2)


def test_summed_loss_leaves_ignored_points_out():
    logits = torch.tensor([[[0.0, 2.0, -100.0, 7.0]]])
    targets = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    ignore = torch.tensor([[[False, False, False, True]]])
    expected = LN2 + math.log1p(math.exp(2))
    assert summed_loss(logits, targets, ignore).item() == pytest.approx(expected)


def test_ignored_points_get_no_gradient():
    logits = torch.zeros(1, 1, 2, requires_grad=True)
    ignore = torch.tensor([[[False, True]]])
    summed_loss(logits, torch.ones(1, 1, 2), ignore).backward()
    assert logits.grad.tolist() == [[[-0.5, 0.0]]]


def test_overlap_loss_is_one_minus_the_iou_of_the_volume():
    """Sure answers: two of three positives, and a wrong one that stands for four points."""
    batch = {
        "targets": torch.tensor([[[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]]]),
        "ignore": torch.tensor([[[False] * 5 + [True], [False] * 6]]),
        "weights": torch.tensor([[[1.0, 1, 1, 4, 4, 4], [3.0] * 6]]),
    }
    logits = torch.tensor([[[60.0, 60, -60, 60, -60, 60], [60.0] * 6]], requires_grad=True)
    loss = summed_overlap_loss(logits, batch)
    assert loss.item() == pytest.approx(1 - 2 / 7)
    assert present(batch).item() == 1
    loss.backward()
    assert not logits.grad[0, 1].any(), "a label that is not there has no overlap"


def test_point_iou_by_hand():
    logits = torch.tensor([[[1.0, 1.0, -1.0, -1.0, 1.0]]])
    targets = torch.tensor([[[1.0, 0.0, 1.0, 0.0, 1.0]]])
    ignore = torch.tensor([[[False, False, False, False, True]]])
    counts = confusion(logits, targets, ignore)
    assert counts.tolist() == [1, 1, 1]
    assert point_iou(counts) == pytest.approx(1 / 3)
    assert math.isnan(point_iou(torch.zeros(3)))


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1 / 11), (9, 10 / 11), (10, 1.0), (60, 0.5), (110, 0.0)],
)
def test_schedule_warms_up_then_follows_a_cosine(step, factor):
    assert rate_factor(step, warmup_steps=10, total_steps=110) == pytest.approx(factor)


def test_warmup_is_at_most_a_tenth_of_the_run():
    assert rate_factor(2, warmup_steps=1024, total_steps=20) == pytest.approx(1.0)


def test_first_lamb_step_by_hand():
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = make_optimizer([weight], OptimizationConfig(learning_rate=0.1, weight_decay=0.01))
    weight.grad = torch.tensor([1.0, -2.0])
    optimizer.step()
    first, second = 0.1 * weight.grad, 0.001 * weight.grad**2
    update = first / (second.sqrt() + 1e-6) + 0.01 * torch.tensor([3.0, 4.0])
    expected = torch.tensor([3.0, 4.0]) - 0.1 * 5.0 / update.norm() * update
    # Fused multiply-adds, which some processors have, round the last digits otherwise.
    torch.testing.assert_close(weight.data, expected, atol=1e-5, rtol=1e-5)


def test_processes_share_the_scenes_of_a_step():
    alone = StepBatches(items=5, batch_size=2, rank=0, world=1, seed=3)
    shared = [StepBatches(items=5, batch_size=1, rank=rank, world=2, seed=3) for rank in (0, 1)]
    for batches in (alone, *shared):
        batches.steps = range(6)
    steps = list(alone)
    assert [[*first, *second] for first, second in zip(*shared)] == steps
    assert alone.epoch_steps == 3
    for epoch, part in enumerate((steps[:3], steps[3:])):
        assert {key for step in part for key in step} == {(epoch, index) for index in range(5)}
    assert [key[1] for key in steps[0]] != [key[1] for key in steps[3]]
    alone.steps = range(4, 6)
    assert list(alone) == steps[4:]


def test_few_scenes_fill_a_step():
    batches = StepBatches(items=1, batch_size=2, rank=1, world=2, seed=0)
    batches.steps = range(1)
    assert list(batches) == [[(0, 0), (0, 0)]]


def test_label_passes_leave_padding_out():
    ignore = torch.zeros(2, 4, 3, dtype=torch.bool)
    ignore[:, 1] = True
    ignore[0, 2] = True
    assert label_passes(ignore, 0) == [[0, 2, 3]]
    assert label_passes(ignore, 2) == [[0, 2], [3]]
    assert label_passes(torch.ones(1, 2, 3, dtype=torch.bool), 1) == [[0]]


@pytest.mark.parametrize("pair", NETWORKS, ids=" ".join)
def test_labels_in_passes_give_the_rows_of_all(pair):
    torch.manual_seed(0)
    network = build_network(replace(toy_config("", *pair).network, text_dim=6))
    batch = collate([ToyScenes(*pair, scenes=2, inputs=50, queries=30)[i] for i in (0, 1)])
    whole = network(**network_arguments(batch))
    part = take_labels(batch, [2, 0])
    # Kernels are chosen by the size of a batch and add in another order.
    found = network(**network_arguments(part))
    torch.testing.assert_close(found, whole[:, [2, 0]], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(part["targets"], batch["targets"][:, [2, 0]])
