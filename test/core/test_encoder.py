"""Which models load, and what is said of those that do not."""

import open_clip
import pytest
import torch
from open_clip.transformer import VisionTransformer
from support import ENCODER
from torch import nn

from semabs_core.encoder import EncoderError, load_encoder
from semabs_core.lru import LruCache
from semabs_core.towers import choose_tower

TOWER = dict(image_size=32, patch_size=8, width=16, layers=2, heads=2, mlp_ratio=2, output_dim=8)


class Model(nn.Module):
    def __init__(self, visual):
        super().__init__()
        self.visual = visual


def test_attributes_come_from_the_model(encoder):
    assert (encoder.image_size, encoder.patch_grid, encoder.embed_dim) == (96, (6, 6), 32)
    assert encoder.layers == 12
    assert encoder.mean == pytest.approx(open_clip.OPENAI_DATASET_MEAN)


def test_layer_scale_and_plain_gelu_towers_are_accepted():
    visual = VisionTransformer(**TOWER, ls_init_value=0.1, no_ln_pre=True)
    tower = choose_tower(Model(visual), "this model")
    assert (tower.image_size, tower.patch_grid, tower.layers) == (32, (4, 4), 2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("ViT-B-33",), "open_clip knows no model 'ViT-B-33'"),
        (("ViT-B-32",), r"ViT-B-32 needs `pretrained`: a tag \("),
        (("ViT-B-32", "/nowhere/weights.pt"), r"\(/nowhere/weights.pt\): .* nor a file"),
        (("ViT-B-32", "nonesuch"), r"nonesuch is neither a tag \(openai, .*\) nor a file"),
        (("local-dir:/nowhere",), "no open_clip_config.json in that folder"),
    ],
)
def test_missing_models_are_named(arguments, match):
    with pytest.raises(EncoderError, match=match):
        load_encoder(*arguments)


def test_damaged_weights_are_named(tmp_path):
    for name in ("open_clip_config.json", "open_clip_model.safetensors"):
        source = ENCODER.removeprefix("local-dir:")
        with open(f"{source}/{name}", "rb") as stream:
            content = stream.read()
        (tmp_path / name).write_bytes(content[:5000] if "model" in name else content)
    with pytest.raises(EncoderError, match=f"cannot load local-dir:{tmp_path}"):
        load_encoder(f"local-dir:{tmp_path}")


def test_dtype_is_checked():
    with pytest.raises(EncoderError, match="dtype must be float32, bfloat16 or float16"):
        load_encoder(ENCODER, dtype=torch.float64)


def test_text_features_are_bounded_and_right_when_they_were_dropped(encoder, monkeypatch):
    words = [f"thing {number}" for number in range(12)]
    expected = encoder.label_features(words, ["a {}."])
    kept = LruCache(5 * encoder.embed_dim * 4)
    monkeypatch.setattr(encoder, "_texts", kept)
    for _ in range(2):
        torch.testing.assert_close(encoder.label_features(words, ["a {}."]), expected)
        assert len(kept) == 5
