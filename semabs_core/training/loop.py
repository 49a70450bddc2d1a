"""The training loop: steps, saved states, validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from semabs_core.checkpoint import save_network
from semabs_core.config import save_config
from semabs_core.networks import SpatialNetwork
from semabs_core.precision import mixed_precision
from semabs_core.training.batches import (
    EpochItems,
    StepBatches,
    label_passes,
    make_loader,
    network_arguments,
    take_labels,
    to_device,
)
from semabs_core.training.checkpointing import (
    TrainingError,
    TrainingState,
    save_state,
    state_to_resume,
)
from semabs_core.training.config import CHANGEABLE, TrainingConfig, forward_dtype
from semabs_core.training.distributed import Process, joined
from semabs_core.training.interrupts import StopRequest, interrupted, until_stopped
from semabs_core.training.losses import confusion, present, summed_loss, summed_overlap_loss
from semabs_core.training.optimizer import (
    advance,
    make_average,
    make_optimizer,
    make_schedule,
)
from semabs_core.training.reporting import Interval, Reporter
from semabs_core.training.settings import require_equal_settings, settings_of
from semabs_core.training.skipping import SkippedSteps, check_weights
from semabs_core.training.sources import TrainingData, fit_text_width, open_data
from semabs_core.training.starting import first_network
from semabs_core.training.validation import (
    TrainingResult,
    Validation,
    validate,
    validation_loader,
)

CONFIG_FILE = "training.yaml"
BEST_FOLDER = "best"
REMEDY = (
    "Train in another folder with a lower optimization.learning_rate or with "
    "optimization.precision=fp32, or look at the scenes that are named"
)


class Trainer:
    """One run in one process.

    Args:
        config: the options.
        data: what it reads.
        process: this process among all.
    """

    def __init__(self, config: TrainingConfig, data: TrainingData, process: Process) -> None:
        self.config, self.data, self.process = config, data, process
        options = config.optimization
        self.folder = Path(config.out)
        torch.manual_seed(config.seed)
        self.network = first_network(config).to(process.device)
        self.dtype = forward_dtype(options.precision, process.device)
        self.batches = StepBatches(
            len(data.items), options.batch_size, process.rank, process.world, config.seed
        )
        whole = options.epochs * self.batches.epoch_steps
        self.total_steps = min(whole, options.max_steps or whole)
        self.optimizer = make_optimizer(self.network.parameters(), options)
        self.schedule = make_schedule(self.optimizer, options, self.total_steps)
        self.average = make_average(self.network, options)
        self.scaler = torch.amp.GradScaler(process.device.type, enabled=self.dtype == torch.float16)
        self.step, self.best = 0, -1.0
        self.validation: Validation | None = None
        self.interval = Interval()
        self.skips = SkippedSteps(config.max_skipped_steps)
        self.stop, self.stop_wanted = StopRequest(), False
        if (state := state_to_resume(self.folder, config.resume)) is not None:
            self._restore(state)
        self._check_common_step()
        self.model = self._parallel()

    def _check_common_step(self) -> None:
        """All processes must have found the same state, or none of them any."""
        steps = self.process.sum(torch.tensor([self.step]))
        if int(steps) != self.step * self.process.world:
            raise TrainingError(
                f"process {self.process.rank} is at step {self.step} and others are not; "
                f"{self.folder} must be a folder that all machines share"
            )

    def run(self) -> None:
        """All steps that are left."""
        self.batches.steps = range(self.step, self.total_steps)
        items = EpochItems(self.data.items)
        loader = make_loader(
            items,
            self.data.collate,
            self.config.workers,
            self.process.device.type == "cuda",
            batch_sampler=self.batches,
        )
        validation_items = validation_loader(self.config, self.data.validation, self.process)
        enabled = self.process.is_first
        self.reporter = Reporter(self.folder, enabled, self.step, self.total_steps)
        with self.reporter, self.stop:
            clock = time.perf_counter()
            for batch in until_stopped(loader, self.stop):
                arrived = time.perf_counter()
                self.train_step(batch)
                self.interval.data_time_s += arrived - clock
                self.interval.step_time_s += time.perf_counter() - arrived
                self._end_step(validation_items)
                if self.stop_wanted:
                    break
                clock = time.perf_counter()
            if self.step < self.total_steps:
                self._save()
                self.process.wait()
                raise interrupted(self.stop.signal_number, self.step, self.total_steps)

    def _end_step(self, validation_items: DataLoader | None) -> None:
        """What is due after a step: the log, and at the end of an epoch its validation; saving."""
        config = self.config
        self.step += 1
        epoch, within = divmod(self.step, self.batches.epoch_steps)
        last = self.step == self.total_steps
        self.reporter.advance(self.step, epoch)
        if self.step % config.log_every_steps == 0:
            self.reporter.write("train", self.interval.metrics(), self.step)
            self.interval = Interval()
        whole = within == 0
        if validation_items is not None and (
            last or (whole and epoch % config.validate_every_epochs == 0)
        ):
            self._validate(validation_items)
        keep = config.keep_every_epochs
        if keep and whole and epoch % keep == 0 and self.process.is_first:
            self._save_network(self.folder / f"epoch_{epoch:04d}")
        if last or self.step % config.save_every_steps == 0:
            self._save()

    def train_step(self, batch: dict) -> None:
        """One optimizer step on a collated batch, its labels in one or more passes."""
        options = self.config.optimization
        valid = (~batch["ignore"]).sum().double().to(self.process.device)
        points = self.process.sum(valid).clamp_min(1)
        passes = label_passes(batch["ignore"], options.labels_per_pass)
        batch = to_device(batch, self.process.device)
        if options.overlap:
            labels = self.process.sum(present(batch).double()).clamp_min(1)
        sums = torch.zeros(4, dtype=torch.float64, device=self.process.device)
        for number, rows in enumerate(passes, 1):
            part = take_labels(batch, rows)
            with self._joint(number == len(passes)):
                logits = self._forward(part)
                loss = summed_loss(logits, part["targets"], part["ignore"]) / points
                if options.overlap:
                    loss = loss + options.overlap * summed_overlap_loss(logits, part) / labels
                # Gradients are averaged over the processes, but the loss is a mean over all points.
                self.scaler.scale(loss * self.process.world).backward()
            sums[0] += loss.detach()
            sums[1:] += confusion(logits.detach(), part["targets"], part["ignore"])
        sums = self.process.sum(sums).cpu()
        self.scaler.unscale_(self.optimizer)
        norm = float(clip_grad_norm_(self.network.parameters(), options.gradient_clip))
        mean = float(sums[0])
        self.interval.learning_rate = float(self.schedule.get_last_lr()[0])
        if self._agree(math.isfinite(mean) and math.isfinite(norm)):
            self.scaler.step(self.optimizer)
            if self.average is not None:
                self.average.update_parameters(self.network)
            self.interval.add(mean, sums[1:], norm)
            self.skips.taken()
        else:
            self.interval.skipped += 1
            scenes = f"scenes {', '.join(map(str, batch.get('scene_id', ())))}"
            self.skips.skipped(self.step + 1, mean, norm, scenes, REMEDY)
        self.scaler.update()
        advance(self.schedule)
        self.optimizer.zero_grad(set_to_none=True)

    def _agree(self, finite: bool) -> bool:
        """Whether the step is finite in all processes; notes whether any of them is to stop."""
        flags = [float(not finite), float(self.stop.signal_number)]
        faults, signals = self.process.sum(torch.tensor(flags, dtype=torch.float64)).tolist()
        self.stop_wanted = signals > 0
        return faults == 0

    def _forward(self, part: dict) -> Tensor:
        with mixed_precision(self.process.device, self.dtype):
            return self.model(**network_arguments(part))

    def _parallel(self) -> Callable[..., Tensor]:
        """The network, wrapped where several processes share the gradients."""
        if self.process.world == 1:
            return self.network
        cuda = self.process.device.type == "cuda"
        return DistributedDataParallel(
            self.network,
            device_ids=[self.process.device] if cuda else None,
            broadcast_buffers=False,
        )

    def _joint(self, last: bool) -> AbstractContextManager:
        """Gradients are exchanged in the last pass of a step only."""
        if last or not isinstance(self.model, DistributedDataParallel):
            return nullcontext()
        return self.model.no_sync()

    def _validate(self, validation_items: DataLoader) -> None:
        found = validate(self.result, validation_items, self.process)
        self.validation = found
        if found.iou > self.best:
            self.best = found.iou
            if self.process.is_first:
                self._save_network(self.folder / BEST_FOLDER)
        self.reporter.write("validation", {**asdict(found), "best": self.best}, self.step)

    @property
    def result(self) -> SpatialNetwork:
        """What the run is for: the network, or the moving average of its weights."""
        return self.network if self.average is None else cast(SpatialNetwork, self.average.module)

    def _save_network(self, folder: Path) -> None:
        """The weights with what their users need to know."""
        check_weights(self.network, self.step, REMEDY)
        metadata = {
            **self.data.metadata,
            "step": self.step,
            "epoch": self.step / self.batches.epoch_steps,
        }
        if self.validation is not None and self.validation.labels:
            metadata["cutoff"] = self.validation.cutoff
            metadata["validation_iou"] = self.validation.iou
        save_network(self.result, folder, metadata)

    def _save(self) -> None:
        """The state of the run and then the weights, by the first process."""
        if not self.process.is_first:
            return
        self.reporter.flush()
        check_weights(self.network, self.step, REMEDY)
        state = TrainingState(
            step=self.step,
            settings=self._settings(),
            skipped=self.skips.total,
            best=self.best,
            validation=asdict(self.validation) if self.validation else {},
            network=self.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            scaler=self.scaler.state_dict(),
            rng=torch.get_rng_state(),
            average={} if self.average is None else self.average.state_dict(),
        )
        save_state(state, self.folder)
        self._save_network(self.folder)

    def _settings(self) -> dict[str, Any]:
        """What decides the weights: options, and what follows from options, data and processes."""
        return {
            **settings_of(self.config, CHANGEABLE),
            "scenes": len(self.data.items),
            "scenes per step": self.batches.global_batch,
            "steps": self.total_steps,
        }

    def _restore(self, state: TrainingState) -> None:
        """Carry on from a state, and bring the weights in the folder up to it.

        Raises:
            TrainingError: if it is of a run with other options.
        """
        require_equal_settings(state.settings, self._settings(), self.folder, CHANGEABLE)
        self.network.load_state_dict(state.network)
        self.optimizer.load_state_dict(state.optimizer)
        self.schedule.load_state_dict(state.schedule)
        self.scaler.load_state_dict(state.scaler)
        if self.average is not None:
            self.average.load_state_dict(state.average)
        torch.set_rng_state(state.rng)
        self.step, self.best = state.step, state.best
        self.validation = Validation(**state.validation) if state.validation else None
        self.skips.total = state.skipped
        if self.process.is_first:
            self._save_network(self.folder)


def train(config: TrainingConfig, data: TrainingData | None = None) -> TrainingResult:
    """Train a network, alone or as one of torchrun's processes.

    The folder ``config.out`` then holds the network in our checkpoint format, the state to resume
    from, the effective config and TensorBoard's events; ``best/`` the weights that validated best.

    Args:
        config: the options.
        data: what to read; None for the data set in ``config.data``.

    Raises:
        TrainingError: if the run cannot start or go on.
        TrainingInterruptedError: if it was asked to stop by SIGINT or SIGTERM.
        ConfigError: if the options do not fit the machine.
    """
    if not config.out:
        raise TrainingError("out must name a folder for the weights")
    Path(config.out).mkdir(parents=True, exist_ok=True)
    data = open_data(config) if data is None else data
    if not len(data.items):
        raise TrainingError(f"there is no scene to train on in {config.data.folder or 'the data'}")
    config = fit_text_width(config, data)
    with joined(config.device) as process:
        trainer = Trainer(config, data, process)
        if process.is_first:
            save_config(config, Path(config.out) / CONFIG_FILE)
        trainer.run()
        process.wait()
    return TrainingResult(
        trainer.folder,
        trainer.total_steps,
        trainer.skips.total,
        trainer.validation,
        trainer.best,
    )
