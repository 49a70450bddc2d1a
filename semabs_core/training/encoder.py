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
from pathlib import Path
from typing import Any, Literal

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from semabs_core.config import mixed_precision, option, save_config, validate
from semabs_core.data.crops import CropBatch, CropDataset, CropOptions, keep_batch
from semabs_core.data.phrases import MATCH, UNKNOWN, draw_sentences, prompted
from semabs_core.encoder import (
    LOGIT_SCALE,
    TileState,
    cls_tail,
    fill_encoder,
    save_encoder,
    split_heads,
)
from semabs_core.training.batches import make_loader
from semabs_core.training.checkpointing import (
    TrainingError,
    TrainingState,
    save_state,
    state_to_resume,
)
from semabs_core.training.config import STRICT, forward_dtype, training_device
from semabs_core.training.loop import CONFIG_FILE
from semabs_core.training.optimizer import rate_factor
from semabs_core.training.reporting import Reporter
from semabs_core.weights.shipped import resolve_weights

MAX_LOGIT_SCALE = math.log(100.0)
RELEVANCY_MIDDLE, RELEVANCY_SLOPE = 0.03, 100.0
"""Relevancy that is taken for an even chance of being covered, and how fast the odds rise."""


@dataclass(frozen=True, config=STRICT)
class EncoderShape:
    """Sizes of the model, in open_clip's terms."""

    embed_dim: int = option(64, "width of image and text features", ge=8)
    image_size: int = option(64, "edge of the input", unit="pixels", ge=16)
    patch_size: int = option(8, "edge of a patch", unit="pixels", ge=2)
    width: int = option(128, "of the image tower", ge=16)
    layers: int = option(4, "of the image tower", ge=1)
    head_width: int = option(32, "of the attention heads of both towers", ge=4)
    text_width: int = option(64, "of the text tower", ge=16)
    text_layers: int = option(2, "of the text tower", ge=1)
    context_length: int = option(32, "longest text", unit="tokens", ge=8)

    def __post_init__(self) -> None:
        for name, part in (("image_size", "patch_size"), ("width", "head_width")):
            if getattr(self, name) % getattr(self, part):
                raise ValueError(f"{name} must be a multiple of {part}")
        if self.text_width % max(1, self.text_width // self.head_width):
            raise ValueError("text_width must be a multiple of head_width")

    def model_config(self) -> dict[str, Any]:
        """The model as open_clip describes it."""
        return {
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": self.image_size,
                "patch_size": self.patch_size,
                "width": self.width,
                "layers": self.layers,
                "head_width": self.head_width,
            },
            "text_cfg": {
                "context_length": self.context_length,
                "vocab_size": 49408,
                "width": self.text_width,
                "heads": max(1, self.text_width // self.head_width),
                "layers": self.text_layers,
            },
        }


@dataclass(frozen=True, config=STRICT)
class CropConfig:
    """What is read of a data set."""

    folder: str = option("", "the data set's folder")
    split: str = option("unseen_instances", "split to train on: of rooms that show every class")
    random_colors: float = option(0.3, "share of crops in random colours", ge=0, le=1)


@dataclass(frozen=True, config=STRICT)
class EncoderTrainingConfig:
    """Everything that decides the training of an encoder."""

    out: str = option("", "folder for the model, the state and TensorBoard's events")
    shape: EncoderShape = Field(default_factory=EncoderShape)
    data: CropConfig = Field(default_factory=CropConfig)
    start: str = option("", "folder of an encoder to start from; empty: seeded random weights")
    steps: int = option(14_000, "optimizer steps of the schedule", ge=1)
    max_steps: int | None = option(None, "stop after so many of them; unset: after all", ge=1)
    batch: int = option(64, "crops per step", ge=2)
    colored_phrases: int = option(48, "phrases with a colour per step", ge=0)
    sentences: int = option(32, "sentences per step", ge=0)
    asked: int = option(8, "phrases per crop whose relevancy is judged", ge=0, multiple_of=2)
    learning_rate: float = option(1.2e-3, "at its peak", gt=0)
    weight_decay: float = option(0.05, "pull of the weights towards zero", ge=0)
    warmup_steps: int = option(300, "steps of linear increase; a cosine follows", ge=0)
    gradient_clip: float = option(1.0, "largest norm of the gradient", gt=0)
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "of the forward pass; auto is bf16 on a GPU that has it and fp32 elsewhere"
    )
    seed: int = option(0, "of the first weights and of the crops", ge=0)
    device: str = option("auto", "torch device")
    workers: int = option(1, "processes that cut crops; 0: none besides the trainer", ge=0)
    resume: bool = option(False, "carry on from the state in the folder, if there is one")
    save_every_steps: int = option(500, "steps between saved states", ge=1)
    log_every_steps: int = option(50, "steps between entries in TensorBoard", ge=1)


def parse_encoder_config(values: Any, where: str = "encoder config") -> EncoderTrainingConfig:
    """A mapping to a config, see :func:`semabs_core.config.validate`."""
    return validate(EncoderTrainingConfig, values, where)


@dataclass(frozen=True, config={"arbitrary_types_allowed": True})
class ImageFeatures:
    """What a tower says of B crops, not normalised.

    Attributes:
        crops: (B, D) of the CLS token.
        patches: (B, patches, D) of the patch tokens.
        values: (B, patches, D) of a CLS token that attends to one patch alone.
        state: of the last block, for relevancy.
    """

    crops: Tensor
    patches: Tensor
    values: Tensor
    state: TileState


def image_features(visual: Any, images: Tensor) -> ImageFeatures:
    """Run a tower over crops, with gradients.

    Args:
        visual: open_clip's image tower with a CLS token.
        images: (B, 3, S, S) normalised.
    """
    tokens = visual._embeds(images)
    blocks = visual.transformer.resblocks
    for block in blocks[:-1]:
        tokens = block(tokens)
    attn = blocks[-1].attn
    query, key, value = split_heads(attn, blocks[-1].ln_1(tokens))
    scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    attention = scores.softmax(dim=-1).to(value.dtype)
    attended = (attention @ value).transpose(1, 2).flatten(2)
    features = cls_tail(visual, attended, tokens)
    values = value[:, :, 1:]
    return ImageFeatures(
        crops=features[:, 0],
        patches=features[:, 1:],
        values=cls_tail(visual, values.transpose(1, 2).flatten(2), tokens[:, :1]),
        state=TileState(attention[:, :, 0, 1:], values, attended[:, 0], tokens[:, 0]),
    )


def phrase_relevancy(visual: Any, state: TileState, text: Tensor) -> Tensor:
    """Relevancy of K phrases for each of B crops, differentiable; see ``tile_relevancy``.

    Args:
        visual: the image tower.
        state: of the crops.
        text: (B, K, D) normalised.

    Returns:
        (B, K, patches) float32, not negative.
    """
    image = F.normalize(cls_tail(visual, state.context, state.residual).float(), dim=-1)
    found = []
    for number in range(text.shape[1]):
        logits = LOGIT_SCALE * (image * text[:, number]).sum()
        (gradient,) = torch.autograd.grad(logits, state.context, create_graph=True)
        heads = gradient.float().unflatten(-1, (state.values.shape[1], -1))
        slope = torch.einsum("bhc,bhnc->bhn", heads, state.values.float())
        found.append((slope * state.attention.float()).clamp_min(0).mean(dim=1))
    return torch.stack(found, dim=1)


def draw_asked(
    covered: Tensor, unknown: Tensor, weights: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Phrases to ask of each crop: half of them of what it shows, half of what it does not.

    Args:
        covered: (B, T) how much of each crop a phrase covers.
        unknown: (B, T) bool, phrases of which nobody knows.
        weights: (T,) how much each phrase counts.
        count: phrases per crop, even.
        generator: random numbers on the CPU.

    Returns:
        (B, 2 n) int64, with n half of ``count`` or of all phrases.
    """
    half = min(count // 2, covered.shape[1] // 2)
    known = (~unknown).cpu() + 1e-9  # where too few are shown or absent, others that are known
    shown = ((covered > 0) * weights).cpu() + 1e-9 * known
    absent = (covered == 0).cpu() * known + 1e-12
    drawn = [torch.multinomial(odds, half, generator=generator) for odds in (shown, absent)]
    return torch.cat(drawn, dim=1).to(covered.device)


def relevancy_loss(relevancy: Tensor, covered: Tensor) -> Tensor:
    """Cross-entropy of patches being covered, by their relevancy; both answers count alike.

    Args:
        relevancy: (B, K, patches) of phrases.
        covered: (B, K, patches) share of each patch that the phrase covers.
    """
    logits = RELEVANCY_SLOPE * (relevancy - RELEVANCY_MIDDLE)
    loss = F.binary_cross_entropy_with_logits(logits, covered, reduction="none")
    shown = covered.sum()
    return ((loss * covered).sum() / shown.clamp_min(1e-6)) + (
        (loss * (1 - covered)).sum() / (1 - covered).sum().clamp_min(1e-6)
    )


def phrase_loss(logits: Tensor, covered: Tensor, unknown: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy of softmaxes over phrases against the shares that they cover.

    Args:
        logits: (..., T) of each phrase.
        covered: (..., T) not negative: how much each phrase is true of; all 0 where nothing is.
        unknown: (..., T) bool, phrases of which nobody knows whether they are true.
        weights: (...) how much each row counts.
    """
    total = covered.sum(dim=-1, keepdim=True)
    target = covered / total.clamp_min(1e-6)
    scores = logits.float().masked_fill(unknown & (covered == 0), -1e4).log_softmax(dim=-1)
    weights = weights * (total[..., 0] > 0)
    return -((target * scores).sum(dim=-1) * weights).sum() / weights.sum().clamp_min(1e-6)


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
        state = state_to_resume(self.folder, config.resume)
        if config.start and state is None:
            fill_encoder(self.model, resolve_weights(config.start).removeprefix("local-dir:"))
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
        if state is not None:
            self._restore(state)

    def run(self) -> None:
        """All steps that are left, then the model."""
        config = self.config
        last = min(config.steps, config.max_steps or config.steps)
        left = range(self.step, last)
        loader = make_loader(self.data, keep_batch, config.workers, False, sampler=left)
        with Reporter(self.folder, True, self.step, last) as reporter:
            for batch in loader:
                self.train_step(batch)
                self.step += 1
                reporter.advance(self.step, 0)
                if self.step % config.log_every_steps == 0:
                    means = {k: v / config.log_every_steps for k, v in self.sums.items()}
                    means["learning_rate"] = float(self.schedule.get_last_lr()[0])
                    reporter.write("train", means, self.step)
                    self.sums = {}
                if self.step % config.save_every_steps == 0 or self.step == last:
                    self._save()

    def train_step(self, batch: CropBatch) -> None:
        """One optimizer step on the crops of a step."""
        # Of short sequences, a CPU computes plain attention in a fraction of the fused one's time.
        backends = [SDPBackend.MATH] if self.device.type == "cpu" else None
        with sdpa_kernel(backends) if backends else nullcontext():
            with mixed_precision(self.device, self.dtype):
                losses = self.losses(batch)
            loss = torch.stack(list(losses.values())).sum()
            if not math.isfinite(loss.item()):
                raise TrainingError(
                    f"the loss is {loss.item()} at step {self.step}; lower learning_rate"
                )
            loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        for name, value in {"loss": loss, **losses}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.item()

    def losses(self, batch: CropBatch) -> dict[str, Tensor]:
        """The losses of a step by name."""
        config, book = self.config, self.data.book
        rng = np.random.default_rng([config.seed, self.step, 1])
        phrases = book.draw(config.colored_phrases, rng)
        texts = [phrase.text for phrase in phrases]
        sentences, pairs = draw_sentences(texts, config.sentences, rng)
        tokens = self.tokenizer([*prompted(texts, rng), *prompted(sentences, rng)])
        encoded = F.normalize(self.model.encode_text(tokens.to(self.device)).float(), dim=-1)
        words, wholes = encoded[: len(texts)], encoded[len(texts) :]
        scale = self.model.logit_scale.exp()
        tables = [
            torch.from_numpy(book.matches(phrases, use_colors)).to(self.device)
            for use_colors in (True, False)
        ]
        covered, unknown = self._truth(batch, tables)
        weights = batch.coverage.to(self.device) @ self.weights
        images = (batch.images.to(self.device) - self.mean) / self.std
        visual = self.model.visual
        features = image_features(visual, images)
        rare = (self.weights[:, None] * (tables[0] == MATCH)).amax(dim=0)
        whole = covered.mean(dim=1).sqrt() * rare
        found = {
            "crops": phrase_loss(
                scale * F.normalize(features.crops.float(), dim=-1) @ words.T,
                whole,
                unknown.any(dim=1),
                torch.ones_like(whole[:, 0]),
            )
        }
        for name, dense in (("patches", features.patches), ("values", features.values)):
            logits = scale * F.normalize(dense.float(), dim=-1) @ words.T
            found[name] = phrase_loss(logits, covered, unknown, weights)
        if config.asked:
            shares = covered.mean(dim=1)
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            asked = draw_asked(shares, unknown.any(dim=1), rare, config.asked, generator)
            maps = phrase_relevancy(visual, features.state, words[asked])
            truth = covered.gather(2, asked[:, None].expand(-1, covered.shape[1], -1))
            found["relevancy"] = relevancy_loss(maps, truth.transpose(1, 2))
        if sentences:
            both = F.normalize(words[pairs].sum(dim=1), dim=-1).detach()
            found["sentences"] = (1 - (wholes * both).sum(dim=-1)).mean()
        return found

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
        """The state of the run and the model as it is."""
        state = TrainingState(
            step=self.step,
            total_steps=self.config.steps,
            global_batch=self.config.batch,
            best=-1.0,
            validation={},
            network=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
            scaler={},
            rng=torch.get_rng_state(),
        )
        save_state(state, self.folder)
        save_encoder(self.model, self.config.shape.model_config(), self.folder)

    def _restore(self, state: TrainingState) -> None:
        """Carry on from a state, if it is of this run."""
        found = (state.total_steps, state.global_batch)
        wanted = (self.config.steps, self.config.batch)
        if found != wanted:
            raise TrainingError(
                f"the run in {self.folder} has {found[0]} steps of {found[1]} crops, not "
                f"{wanted[0]} of {wanted[1]}; resume with the same options"
            )
        try:
            self.model.load_state_dict(state.network)
        except RuntimeError as error:
            raise TrainingError(f"the model of {self.folder} has another shape: {error}") from None
        self.optimizer.load_state_dict(state.optimizer)
        self.schedule.load_state_dict(state.schedule)
        torch.set_rng_state(state.rng)
        self.step = state.step


def train_encoder(config: EncoderTrainingConfig) -> None:
    """Train an encoder; ``config.out`` then is a folder for ``local-dir:``, with the state.

    Args:
        config: the options.

    Raises:
        TrainingError: if the run cannot start or go on.
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
    )
    data = CropDataset(config.data.folder, config.data.split, options, config.steps, config.seed)
    trainer = EncoderTrainer(config, data)
    save_config(config, folder / CONFIG_FILE)
    trainer.run()
