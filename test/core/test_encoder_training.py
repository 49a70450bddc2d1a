"""The training of a small encoder: losses, starts, runs that are cut off, faults."""

import dataclasses

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from encoder_toy import COLORS, SMALL, configure, write_colored_rooms
from safetensors.torch import load_file
from scene_toy import CABINET, WALL

from semabs_core.config import ConfigError
from semabs_core.data.crops import CropDataset, CropOptions
from semabs_core.data.hdf5 import SceneFileError
from semabs_core.encoder import EncoderError, load_encoder, save_encoder
from semabs_core.training import TrainingError
from semabs_core.training.encoder import EncoderTrainer, train_encoder
from semabs_core.training.encoder_losses import (
    draw_relevancy_phrases,
    image_features,
    phrase_loss,
    relevancy_loss,
)
from semabs_core.training.starting import start_encoder
from semabs_core.vocabulary import Vocabulary, read_vocabulary


@pytest.fixture
def folder(tmp_path):
    return write_colored_rooms(tmp_path)


def test_phrase_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0, 9.0], [0.0, 0.0, 0.0]])
    covered = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]])
    unknown = torch.tensor([[False, False, True], [False, False, False]])
    # The third phrase is not known to be false, and the second row shows nothing.
    found = phrase_loss(logits, covered, unknown, torch.ones(2))
    assert float(found) == pytest.approx(np.log(2))


def test_image_features_are_those_of_the_tower(folder, tmp_path):
    data = CropDataset(folder, "unseen_instances", CropOptions(32, batch=4), 1)
    trainer = EncoderTrainer(configure(folder, tmp_path / "run", steps=1), data)
    visual, images = trainer.model.visual, torch.rand(4, 3, 32, 32)
    found = image_features(trainer.tower, images)
    torch.testing.assert_close(found.crops, visual(images))
    assert found.patches.shape == found.values.shape == (4, 16, 16)
    attn = visual.transformer.resblocks[-1].attn
    with torch.no_grad():  # every value is the same: attention to one patch is attention to all
        attn.in_proj_weight[64:] = 0
        attn.in_proj_bias[64:] = 0.5
    found = image_features(trainer.tower, images)
    torch.testing.assert_close(found.crops[:, None].expand_as(found.values), found.values)


def test_relevancy_in_training_is_that_of_the_encoder(folder, tmp_path):
    data = CropDataset(folder, "unseen_instances", CropOptions(32, batch=4), 1)
    trainer = EncoderTrainer(configure(folder, tmp_path / "run", steps=1), data)
    save_encoder(trainer.model, trainer.config.shape.model_config(), tmp_path / "model")
    encoder = load_encoder(f"local-dir:{tmp_path / 'model'}")
    images = torch.rand(4, 3, 32, 32)
    text = F.normalize(torch.randn(3, 16), dim=-1)
    expected = encoder.tile_relevancy(encoder.embed_tiles(images), text)
    visual = trainer.model.visual
    state = image_features(trainer.tower, images).state
    found = trainer.tower.relevancy(state, text[:, None].expand(-1, 4, -1), create_graph=True)
    torch.testing.assert_close(found, expected.flatten(2))
    found.sum().backward()
    assert visual.conv1.weight.grad.abs().sum() > 0


def test_relevancy_is_asked_of_what_is_there_and_of_what_is_not():
    covered = torch.tensor([[0.5, 0.2, 0.0, 0.0, 0.0]]).repeat(200, 1)
    unknown = torch.tensor([[False, False, True, False, False]]).repeat(200, 1)
    weights, generator = torch.ones(5), torch.Generator().manual_seed(0)
    asked = draw_relevancy_phrases(covered, unknown, weights, 4, generator)
    assert asked.shape == (200, 4)
    assert set(asked[:, :2].flatten().tolist()) == {0, 1}
    assert set(asked[:, 2:].flatten().tolist()) == {3, 4}
    covered[:, :] = 0.2  # nothing is absent
    unknown[:, :] = False
    assert draw_relevancy_phrases(covered, unknown, weights, 8, generator).shape == (200, 4)


def test_relevancy_loss_rewards_relevancy_where_the_phrase_is():
    covered = torch.zeros(1, 2, 4)
    covered[0, 0, 1] = 1
    right, wrong = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    right[0, 0, 1] = wrong[0, 1, 2] = 0.1
    nothing = float(relevancy_loss(torch.zeros(1, 2, 4), covered))
    assert (
        float(relevancy_loss(right, covered))
        < 0.1
        < nothing
        < float(relevancy_loss(wrong, covered))
    )


def test_an_encoder_learns_what_things_are_called(folder, tmp_path):
    data = {"folder": str(folder), "random_colors": 0}
    config = configure(folder, tmp_path / "run", steps=200, learning_rate=5e-3, data=data)
    train_encoder(config)
    encoder = load_encoder(f"local-dir:{tmp_path / 'run'}")
    assert encoder.embed_dim == 16
    learnt = Vocabulary(classes=("cabinet", "mug", "wall"), colors=("red",))
    assert read_vocabulary(f"local-dir:{config.out}") == learnt
    colors = torch.tensor([COLORS[WALL], COLORS[CABINET]]) / 255
    pictures = colors[:, :, None, None].expand(-1, -1, 32, 32)
    mean, std = (torch.tensor(values)[:, None, None] for values in (encoder.mean, encoder.std))
    features = F.normalize(encoder.encode_image((pictures - mean) / std), dim=-1)
    words = F.normalize(encoder.encode_text(["wall", "cabinet"]), dim=-1)
    likeness = features @ words.T
    assert likeness.argmax(dim=1).tolist() == [0, 1]
    with pytest.raises(EncoderError, match="cannot start from"):
        train_encoder(configure(folder, tmp_path / "other", start=str(tmp_path)))
    more = configure(folder, tmp_path / "more", steps=5, max_steps=1, start=config.out)
    train_encoder(more)
    again = load_encoder(f"local-dir:{more.out}").encode_text(["wall"])
    torch.testing.assert_close(again, encoder.encode_text(["wall"]), atol=0.1, rtol=0.1)


def test_a_run_starts_from_an_encoder_of_coarser_patches(folder, tmp_path):
    data = CropDataset(folder, "unseen_instances", CropOptions(32, batch=4), 1)
    coarse = EncoderTrainer(configure(folder, tmp_path / "coarse", steps=1), data).model
    save_encoder(coarse, configure(folder, tmp_path).shape.model_config(), tmp_path / "coarse")
    shape = {**SMALL["shape"], "image_size": 48}
    start = str(tmp_path / "coarse")
    fine = configure(folder, tmp_path / "fine", shape=shape, steps=1, start=start)
    model = EncoderTrainer(fine, data).model
    old, new = coarse.visual.positional_embedding, model.visual.positional_embedding
    assert new.shape == (37, 32)
    torch.testing.assert_close(new[0], old[0])
    torch.testing.assert_close(new[1:].mean(dim=0), old[1:].mean(dim=0), atol=0.01, rtol=0.2)
    torch.testing.assert_close(model.visual.conv1.weight, coarse.visual.conv1.weight)
    other = configure(folder, tmp_path, shape={**shape, "patch_size": 4}).shape
    with pytest.raises(EncoderError, match=r"cannot start from .*all else must be the same"):
        start_encoder(open_clip.CLIP(**other.model_config()), tmp_path / "coarse")


def test_layers_that_a_deeper_encoder_has_besides_change_nothing_at_first(folder, tmp_path):
    data = CropDataset(folder, "unseen_instances", CropOptions(32, batch=4), 1)
    first = configure(folder, tmp_path / "first", steps=1)
    shallow = EncoderTrainer(first, data).model
    save_encoder(shallow, first.shape.model_config(), first.out)
    shape = {**SMALL["shape"], "layers": 5}
    deep = configure(folder, tmp_path / "deep", shape=shape, steps=9, start=first.out)
    trainer = EncoderTrainer(deep, data)
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(trainer.model.encode_image(images), shallow.encode_image(images))
    old, new = shallow.visual.transformer.resblocks, trainer.model.visual.transformer.resblocks
    torch.testing.assert_close(new[0].mlp.c_fc.weight, old[0].mlp.c_fc.weight)
    torch.testing.assert_close(new[4].mlp.c_fc.weight, old[1].mlp.c_fc.weight)
    trainer.train_step(data[0])
    assert all(new[layer].attn.out_proj.weight.abs().sum() > 0 for layer in (1, 2, 3)), "they learn"


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(folder, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_encoder(configure(folder, whole, steps=6, save_every_steps=3))
    config = configure(folder, parts, steps=6, save_every_steps=3)

    class CutOffError(Exception):
        pass

    def stop(self, batch, step=EncoderTrainer.train_step):
        if self.step == 4:
            raise CutOffError
        step(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncoderTrainer, "train_step", stop)
        with pytest.raises(CutOffError):
            train_encoder(config)
    with pytest.raises(TrainingError, match="already holds a run; set resume"):
        train_encoder(config)
    train_encoder(dataclasses.replace(config, resume=True))
    names = "open_clip_model.safetensors"
    assert (parts / names).read_bytes() == (whole / names).read_bytes()
    for change, text in (
        ({"steps": 7}, "steps: 6 there, 7 now"),
        ({"batch": 4}, "batch: 8 there, 4 now"),
        ({"seed": 1}, "seed: 0 there, 1 now"),
    ):
        with pytest.raises(TrainingError, match=f"other options:\n  {text}\nresume"):
            train_encoder(dataclasses.replace(config, resume=True, **change))


def test_an_encoder_leaves_out_steps_that_are_not_finite(folder, tmp_path, monkeypatch, caplog):
    clip, calls = torch.nn.utils.clip_grad_norm_, []

    def poison(parameters, limit):
        parameters = list(parameters)
        calls.append(1)
        if len(calls) > 1:
            parameters[0].grad[:] = float("nan")
        return clip(parameters, limit)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", poison)
    out = tmp_path / "run"
    config = configure(folder, out, steps=9, save_every_steps=1, max_skipped_steps=3)
    with pytest.raises(TrainingError, match=r"3 steps in a row .*step 4 is left out: its loss is"):
        train_encoder(config)
    assert "step 2 is left out" in caplog.text
    assert torch.load(out / "training_state.pt", weights_only=True)["step"] == 3
    weights = load_file(out / "open_clip_model.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_wrong_data_is_named(folder, tmp_path):
    with pytest.raises(SceneFileError, match="has no split 'train', but unseen_instances"):
        CropDataset(folder, "train", CropOptions(), 1)
    (folder / "room_0.hdf5").write_bytes(b"damaged")
    data = CropDataset(folder, "unseen_instances", CropOptions(32, batch=2), 1)
    assert list(data.skipped) == ["room_0.hdf5"]
    with pytest.raises(TrainingError, match="out must name a folder"):
        train_encoder(configure(folder, ""))
    with pytest.raises(ConfigError, match="image_size must be a multiple of patch_size"):
        configure(folder, "out", shape={"image_size": 30})
    (folder / "room_1.hdf5").write_bytes(b"damaged")
    with pytest.raises(SceneFileError, match=r"nothing to learn from: .*room_0"):
        CropDataset(folder, "unseen_instances", CropOptions(32, batch=2), 1)


def test_an_encoder_is_trained_by_one_process(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        train_encoder(configure(folder, tmp_path / "run"))
