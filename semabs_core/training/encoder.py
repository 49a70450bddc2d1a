"""A small vision-language model from scratch: crops of scenes against the words of what they show.

Three image losses are added, each the cross-entropy of a softmax over all phrases of the step
against the share that each covers. One is on the CLS token of a crop. One is on every patch token,
which learns several times faster. One is on every patch's *value*: what the CLS token would say if
it attended to that patch alone, which is what relevancy asks of the last block (Chefer et al.,
arXiv 2103.15679). A sentence is learnt as the sum of the two phrases in it: models of CLIP's kind
read a sentence as a bag of its words (Yuksekgonul et al., arXiv 2210.01936).
"""

from __future__ import annotations

import math
import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from semabs_core.config import save_config
from semabs_core.data.crops import CropBatch, CropDataset, CropOptions, keep_batch
from semabs_core.data.phrases import MATCH, UNKNOWN, draw_sentences, prompted
from semabs_core.encoder import save_encoder
from semabs_core.precision import mixed_precision
from semabs_core.towers import ClsTokenTower
from semabs_core.training.batches import make_loader
from semabs_core.training.checkpointing import (
    TrainingError,
    TrainingState,
    save_state,
    state_to_resume,
)
from semabs_core.training.config import forward_dtype, training_device
from semabs_core.training.encoder_config import CHANGEABLE, EncoderTrainingConfig
from semabs_core.training.encoder_losses import (
    ImageFeatures,
    draw_relevancy_phrases,
    image_features,
    phrase_loss,
    relevancy_loss,
)
from semabs_core.training.interrupts import StopRequest, interrupted, until_stopped
from semabs_core.training.loop import CONFIG_FILE
from semabs_core.training.optimizer import advance, rate_factor
from semabs_core.training.reporting import Reporter
from semabs_core.training.settings import require_equal_settings, settings_of
from semabs_core.training.skipping import SkippedSteps, check_weights
from semabs_core.training.starting import start_encoder
from semabs_core.weights.shipped import LOCAL, resolve_weights

MAX_LOGIT_SCALE = math.log(100.0)
REMEDY = "Train in another folder with a lower learning_rate or with precision=fp32"


@dataclass(frozen=True)
class EncoderResult:
    """What a run came to.

    Attributes:
        folder: of the model.
        step: steps done.
        steps: of the whole run.
        skipped: those that were left out.
        losses: means over the last entries in the log, by name.
    """

    folder: Path
    step: int
    steps: int
    skipped: int
    losses: dict[str, float]


class EncoderTrainer:
    """One training run of an encoder.

    Args:
        config: the options.
        data: the crops.
    """

    def __init__(self, config: EncoderTrainingConfig, data: CropDataset) -> None:
        self.config, self.data = config, data
        self.folder = Path(config.out)
        self.device = training_device(config.device, 0)
        self.dtype = forward_dtype(config.precision, self.device)
        if self.dtype == torch.float16:
            self.dtype = torch.float32  # a GPU without bfloat16: there is no loss scaling here
        torch.manual_seed(config.seed)
        shape = config.shape
        self.model: Any = open_clip.CLIP(**shape.model_config()).to(self.device)
        self.tower = ClsTokenTower(self.model.visual)
        state = state_to_resume(self.folder, config.resume)
        if config.start and state is None:
            start_encoder(self.model, resolve_weights(config.start).removeprefix(LOCAL))
        self.tokenizer = open_clip.SimpleTokenizer(context_length=shape.context_length)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_factor(step, config.warmup_steps, config.steps)
        )
        self.mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN, device=self.device)[:, None, None]
        self.std = torch.tensor(open_clip.OPENAI_DATASET_STD, device=self.device)[:, None, None]
        self.weights = data.weights.to(self.device)
        self.step = 0
        self.sums: dict[str, float] = {}
        self.summed = 0
        self.means: dict[str, float] = {}
        self.skips = SkippedSteps(config.max_skipped_steps)
        if state is not None:
            self._restore(state)

    def run(self) -> None:
        """All steps that are left, then the model."""
        config = self.config
        last = min(config.steps, config.max_steps or config.steps)
        left = range(self.step, last)
        loader = make_loader(self.data, keep_batch, config.workers, False, sampler=left)
        with Reporter(self.folder, True, self.step, last) as reporter, StopRequest() as stop:
            for batch in until_stopped(loader, stop):
                self.train_step(batch)
                self.step += 1
                reporter.advance(self.step, 0)
                if self.step % config.log_every_steps == 0:
                    self._log(reporter)
                if self.step % config.save_every_steps == 0 or self.step == last:
                    self._save()
                if stop.signal_number:
                    break
            if self.step < last:
                self._save()
                raise interrupted(stop.signal_number, self.step, last)

    def _log(self, reporter: Reporter) -> None:
        """The means of the steps that were taken since the last entry."""
        self.means = {name: value / self.summed for name, value in self.sums.items()}
        rate = float(self.schedule.get_last_lr()[0])
        values = {**self.means, "learning_rate": rate, "skipped": float(self.skips.total)}
        reporter.write("train", values, self.step)
        self.sums, self.summed = {}, 0

    def train_step(self, batch: CropBatch) -> None:
        """One optimizer step on the crops of a step."""
        # Of short sequences, a CPU computes plain attention in a fraction of the fused one's time.
        backends = [SDPBackend.MATH] if self.device.type == "cpu" else None
        with sdpa_kernel(backends) if backends else nullcontext():
            with mixed_precision(self.device, self.dtype):
                losses = self.losses(batch)
            loss = torch.stack(list(losses.values())).sum()
            loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip).item()
        if math.isfinite(loss.item()) and math.isfinite(norm):
            self._take_step({"loss": loss, **losses})
        else:
            crops = f"crops of item {self.step}"
            self.skips.skipped(self.step + 1, loss.item(), norm, crops, REMEDY)
        advance(self.schedule)
        self.optimizer.zero_grad(set_to_none=True)

    def _take_step(self, losses: dict[str, Tensor]) -> None:
        """The weights follow the gradient; the losses are noted."""
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.item()
        self.summed += 1
        self.skips.taken()

    def losses(self, batch: CropBatch) -> dict[str, Tensor]:
        """The losses of a step by name."""
        config, vocabulary = self.config, self.data.phrases
        rng = np.random.default_rng([config.seed, self.step, 1])
        phrases = vocabulary.draw(config.colored_phrases, rng)
        texts = [phrase.text for phrase in phrases]
        sentences, pairs = draw_sentences(texts, config.sentences, rng)
        tokens = self.tokenizer([*prompted(texts, rng), *prompted(sentences, rng)])
        encoded = F.normalize(self.model.encode_text(tokens.to(self.device)).float(), dim=-1)
        words, wholes = encoded[: len(texts)], encoded[len(texts) :]
        tables = [
            torch.from_numpy(vocabulary.matches(phrases, use_colors)).to(self.device)
            for use_colors in (True, False)
        ]
        covered, unknown = self._truth(batch, tables)
        rare = (self.weights[:, None] * (tables[0] == MATCH)).amax(dim=0)
        images = (batch.images.to(self.device) - self.mean) / self.std
        features = image_features(self.tower, images)
        weights = batch.coverage.to(self.device) @ self.weights
        found = self._phrase_losses(features, words, covered, unknown, weights, rare)
        if config.relevancy_phrases:
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            shares = covered.mean(dim=1)
            asked = draw_relevancy_phrases(
                shares, unknown.any(dim=1), rare, config.relevancy_phrases, generator
            )
            maps = self.tower.relevancy(
                features.state, words[asked].transpose(0, 1), create_graph=True
            )
            truth = covered.gather(2, asked[:, None].expand(-1, covered.shape[1], -1))
            found["relevancy"] = relevancy_loss(maps, truth.transpose(1, 2))
        if sentences:
            both = F.normalize(words[pairs].sum(dim=1), dim=-1).detach()
            found["sentences"] = (1 - (wholes * both).sum(dim=-1)).mean()
        return found

    def _phrase_losses(
        self,
        features: ImageFeatures,
        words: Tensor,
        covered: Tensor,
        unknown: Tensor,
        weights: Tensor,
        rare: Tensor,
    ) -> dict[str, Tensor]:
        """The losses of crops, patches and values.

        Args:
            features: of the crops.
            words: (T, D) normalised, of the phrases.
            covered: (B, patches, T) share of each patch that a phrase covers.
            unknown: (B, patches, T) bool, where nobody knows.
            weights: (B, patches) how much each patch counts.
            rare: (T,) how much each phrase counts.
        """
        scale = self.model.logit_scale.exp()

        def logits(seen: Tensor) -> Tensor:
            return scale * F.normalize(seen.float(), dim=-1) @ words.T

        whole = covered.mean(dim=1).sqrt() * rare
        ones = torch.ones_like(whole[:, 0])
        return {
            "crops": phrase_loss(logits(features.crops), whole, unknown.any(dim=1), ones),
            "patches": phrase_loss(logits(features.patches), covered, unknown, weights),
            "values": phrase_loss(logits(features.values), covered, unknown, weights),
        }

    def _truth(self, batch: CropBatch, tables: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Shares (B, patches, T) of patches that phrases cover, and where that is unknown.

        Args:
            batch: the crops.
            tables: what the phrases say of names, in natural colours and in others: (names, T).
        """
        coverage = batch.coverage.to(self.device)
        natural = batch.natural.to(self.device)[:, None, None]
        true, other = (coverage @ (table == MATCH).float() for table in tables)
        unknown, unsaid = (coverage @ (table == UNKNOWN).float() > 0 for table in tables)
        return torch.where(natural, true, other), torch.where(natural, unknown, unsaid)

    def _save(self) -> None:
        """The state of the run and then the model as it is."""
        check_weights(self.model, self.step, REMEDY)
        state = TrainingState(
            step=self.step,
            settings=settings_of(self.config, CHANGEABLE),
            skipped=self.skips.total,
            best=-1.0,
            validation={},
            network=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            scaler={},
            rng=torch.get_rng_state(),
            average={},
        )
        save_state(state, self.folder)
        self._save_model()

    def _save_model(self) -> None:
        save_encoder(self.model, self.config.shape.model_config(), self.folder)

    def _restore(self, state: TrainingState) -> None:
        """Carry on from a state, and bring the model in the folder up to it.

        Raises:
            TrainingError: if it is of a run with other options.
        """
        settings = settings_of(self.config, CHANGEABLE)
        require_equal_settings(state.settings, settings, self.folder, CHANGEABLE)
        self.model.load_state_dict(state.network)
        self.optimizer.load_state_dict(state.optimizer)
        self.schedule.load_state_dict(state.schedule)
        torch.set_rng_state(state.rng)
        self.step, self.skips.total = state.step, state.skipped
        self._save_model()


def train_encoder(config: EncoderTrainingConfig) -> EncoderResult:
    """Train an encoder; ``config.out`` then is a folder for ``local-dir:``, with the state.

    Args:
        config: the options.

    Raises:
        TrainingError: if the run cannot start or go on.
        TrainingInterruptedError: if it was asked to stop by SIGINT or SIGTERM.
        SceneFileError: if there is nothing to learn from.
    """
    if not config.out:
        raise TrainingError("out must name a folder for the weights")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError("an encoder is trained by one process; start it without torchrun")
    folder = Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    options = CropOptions(
        config.shape.image_size,
        config.shape.patch_size,
        config.batch,
        random_colors=config.data.random_colors,
        recolored=config.data.recolored,
    )
    data = CropDataset(config.data.folder, config.data.split, options, config.steps, config.seed)
    trainer = EncoderTrainer(config, data)
    save_config(config, folder / CONFIG_FILE)
    data.phrases.vocabulary.save(folder)
    trainer.run()
    return EncoderResult(folder, trainer.step, config.steps, trainer.skips.total, trainer.means)
