"""Every kind of image tower against plain autograd through open_clip's model as it is."""

import dataclasses
from functools import partial
from unittest import mock

import open_clip
import pytest
import timm
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import QuickGELU, VisionTransformer
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from timm.models.vision_transformer_relpos import VisionTransformerRelPos
from torch import nn

from semabs_core.config import parse_config
from semabs_core.encoder import EncoderError, load_encoder, save_encoder
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.towers import LOGIT_SCALE, TOWERS, ImageTower, choose_tower, read_out
from semabs_core.towers.pooling import QueryTower
from semabs_core.types import FREE, UNKNOWN

EDGE, PATCHES, WIDTH = 32, 16, 8
OWN = dict(
    image_size=EDGE, patch_size=8, width=32, layers=3, heads=2, mlp_ratio=2, output_dim=WIDTH
)
TIMM = dict(img_size=EDGE, patch_size=8, embed_dim=32, depth=3, num_heads=2, num_classes=0)
ROPE = dict(use_rot_pos_emb=True, ref_feat_shape=(4, 4))
COCA = dict(attentional_pool=True, attn_pooler_queries=4, attn_pooler_heads=2)
EVA02 = dict(
    qkv_fused=False, swiglu_mlp=True, scale_mlp=True, scale_attn_inner=True, init_values=0.2
)
PE = dict(
    attn_type="rope", use_pre_transformer_norm=True, attn_pool_num_heads=4, rope_grid_offset=1.0
)


def wrapped(trunk):
    """A transformer of timm in open_clip's adapter, with a projection."""
    visual = TimmModel("test_vit", WIDTH, image_size=EDGE, pool="token", proj=None)
    visual.trunk, visual.head = trunk, nn.Linear(32, WIDTH)
    return visual


def without_biases(visual):
    """A transformer whose layers add nothing."""
    for layer in visual.modules():
        for name in ("bias", "in_proj_bias"):
            if isinstance(getattr(layer, name, None), nn.Parameter):
                setattr(layer, name, None)
    return visual


KINDS = {
    "CLS token": lambda: VisionTransformer(**OWN),
    "CLS token, layer scale": lambda: VisionTransformer(**OWN, ls_init_value=0.1, no_ln_pre=True),
    "CLS token, QuickGELU, layer scale": lambda: VisionTransformer(
        **OWN, act_layer=QuickGELU, ls_init_value=0.1
    ),
    "CLS token, no biases, GELU by tanh": lambda: without_biases(
        VisionTransformer(**OWN, act_layer=partial(nn.GELU, approximate="tanh"))
    ),
    "CLS token, pixels that no patch holds": lambda: VisionTransformer(
        **{**OWN, "image_size": EDGE + 5}
    ),
    "CLIPA": lambda: VisionTransformer(**OWN, pool_type="avg", final_ln_after_pool=True),
    "average of normed tokens": lambda: VisionTransformer(**OWN, pool_type="avg"),
    "CoCa": lambda: VisionTransformer(**OWN, **COCA, output_tokens=True),
    "CoCa, keys as wide as queries": lambda: VisionTransformer(**{**OWN, "output_dim": 32}, **COCA),
    "SigLIP": lambda: wrapped(TimmTransformer(**TIMM, class_token=False, global_pool="map")),
    "attention pooling beside a CLS token and registers": lambda: wrapped(
        TimmTransformer(**TIMM, reg_tokens=2, qk_norm=True, init_values=0.1, global_pool="map")
    ),
    "PE-Core": lambda: wrapped(
        Eva(**TIMM, global_pool="map", rope_grid_indexing="xy", **PE, **ROPE)
    ),
    "MobileCLIP2-L": lambda: wrapped(TimmTransformer(**TIMM, pre_norm=True, global_pool="token")),
    "CLS token and a register, any image size": lambda: wrapped(
        TimmTransformer(**TIMM, reg_tokens=1, global_pool="token", dynamic_img_size=True)
    ),
    "EVA02": lambda: wrapped(Eva(**TIMM, global_pool="token", **EVA02, **ROPE)),
    "EVA02-E": lambda: wrapped(Eva(**TIMM, global_pool="token", use_post_norm=True)),
    "average of patches": lambda: wrapped(
        TimmTransformer(**TIMM, class_token=False, global_pool="avg")
    ),
    "average of all tokens": lambda: wrapped(
        TimmTransformer(**TIMM, fc_norm=False, pool_include_prefix=True, global_pool="avg")
    ),
    "average, rotary positions, any image size": lambda: wrapped(
        Eva(**TIMM, global_pool="avg", attn_type="rope", dynamic_img_size=True, **ROPE)
    ),
}


class Model(nn.Module):
    def __init__(self, visual):
        super().__init__()
        self.visual = visual


def build(kind, dtype=torch.float32):
    """A model of a kind with random weights, its tower, tiles and texts."""
    torch.manual_seed(0)
    model = Model(KINDS[kind]()).eval().to(dtype)
    for weight in model.parameters():
        nn.init.normal_(weight, mean=0.5 if weight.ndim == 1 else 0.0, std=0.2)
    tower = choose_tower(model.requires_grad_(False), "this model")
    tiles = torch.randn(3, 3, tower.image_size, tower.image_size, dtype=dtype)
    text = F.normalize(torch.randn(4, tower.embed_dim, dtype=dtype), dim=-1)
    return model, tower, tiles, text


def by_autograd(visual, tiles, text, layers=1):
    """The definition, by autograd through the whole model: rows of the last attention.

    Returns features (T, D), and for each of the last layers ``C`` (L, T, queries, keys).
    """
    seen = []

    def attention(query, key, value, *_, **__):
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
        seen.append(weights)
        return weights @ value

    visual.requires_grad_(True)
    with mock.patch.object(F, "scaled_dot_product_attention", attention):
        features = visual(tiles)
    visual.requires_grad_(False)
    features = features[0] if isinstance(features, tuple) else features
    logits = (LOGIT_SCALE * F.normalize(features, dim=-1) @ text.T).sum(dim=0)
    found = []
    for layer in seen[-layers:]:
        slopes = [torch.autograd.grad(logit, layer, retain_graph=True)[0] for logit in logits]
        found.append(torch.stack([(layer * slope).clamp(min=0).mean(1) for slope in slopes]))
    return features.detach(), [weights.detach() for weights in found]


def distance(found, expected):
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("kind", KINDS)
def test_relevancy_is_the_gradient_through_the_whole_model(kind, dtype, bound):
    model, tower, tiles, text = build(kind, dtype)
    features, (weights,) = by_autograd(model.visual, tiles, text)
    # Tokens that the image feature is not read from have no slope: all rows may be summed.
    expected = weights.sum(dim=2)[..., -PATCHES:].transpose(0, 1)
    assert (expected > 0).double().mean() > 0.1
    state = tower.embed(tiles)
    assert distance(tower.relevancy(state, text[:, None]), expected) < bound
    assert distance(tower.rollout(tiles, text, 1), expected) < bound
    assert distance(tower.recall(state), features) < bound
    assert distance(tower.features(tiles), features) < bound


@pytest.mark.parametrize("kind", ["CLS token", "CLS token, QuickGELU, layer scale"])
@pytest.mark.parametrize("rows", [1, 12, 2**15])
def test_texts_of_each_tile_and_shares_of_the_tiles(kind, rows, monkeypatch):
    monkeypatch.setattr(read_out, "CPU_ROWS", rows)
    _, tower, tiles, text = build(kind, torch.float64)
    state = tower.embed(tiles)
    own = torch.stack([text, text.flip(0), text.roll(1, 0)], dim=1)  # (L, T, D)
    found = tower.relevancy(state, own)
    together = tower.relevancy(state, text[:, None])
    expected = torch.stack([together[0], together[1].flip(0), together[2].roll(1, 0)])
    assert distance(found, expected) < 1e-12
    assert distance(QueryTower.relevancy(tower, state, own), expected) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_rollout_over_two_layers_is_the_product_over_both(kind):
    model, tower, tiles, text = build(kind, torch.float64)
    _, (first, last) = by_autograd(model.visual, tiles, text, layers=2)
    reads = last.shape[-1]  # a pooling layer may leave out the tokens before the patches
    step = torch.eye(first.shape[-1], dtype=first.dtype) + first
    product = last @ step[..., -reads:, :]
    if not tower.POOLING_LAYERS:  # what was read stays where it was, too
        rows = (last.sum(dim=(0, 1, 3)) > 0)[:, None]
        product = product + rows * first
    expected = product.sum(dim=2)[..., -PATCHES:].transpose(0, 1)
    assert distance(tower.rollout(tiles, text, 2), expected) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_close(kind):
    model, tower, tiles, text = build(kind)
    expected = tower.relevancy(tower.embed(tiles), text[:, None])
    half = choose_tower(model.bfloat16(), "this model")
    found = half.relevancy(half.embed(tiles.bfloat16()), text[:, None])
    assert found.dtype == torch.float32
    assert distance(found, expected) < 0.1  # of eight bits, through three blocks


@pytest.mark.parametrize("kind", KINDS)
def test_kept_tiles_hold_no_more_memory_than_they_say(kind):
    _, tower, tiles, _ = build(kind)
    state = tower.embed(tiles)
    for field in dataclasses.fields(state):
        kept = getattr(state, field.name)
        assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size(), field.name


def test_every_kind_is_among_those_tested():
    assert {type(build(kind)[1]) for kind in KINDS} == set(TOWERS)


@pytest.mark.parametrize("kind", TOWERS)
def test_every_kind_of_tower_answers_all_questions(kind):
    assert issubclass(kind, ImageTower)
    assert not kind.__abstractmethods__
    assert kind.KIND
    assert not kind.fits(None)


@pytest.mark.parametrize("kind", TOWERS)
def test_every_example_in_a_message_is_a_model_of_the_installed_open_clip(kind):
    """Run with the lowest open_clip that is allowed, too: newer models are no example."""
    examples = kind.KIND.partition("(")[2].rstrip(")").split(", ")
    assert set(examples) <= set(open_clip.list_models())


def test_layers_count_the_pooling_where_it_attends():
    for kind, layers in (("CLS token", 3), ("CLIPA", 3), ("CoCa", 4), ("PE-Core", 4)):
        assert build(kind)[1].layers == layers, kind


def test_sigmoid_models_are_asked_with_their_own_scale():
    model, tower, tiles, text = build("SigLIP")
    model.logit_scale, model.logit_bias = torch.tensor(50.0).log(), torch.tensor(-10.0)
    own = choose_tower(model, "this model")
    found = own.relevancy(own.embed(tiles), text[:, None])
    expected = tower.relevancy(tower.embed(tiles), text[:, None]) / 2
    torch.testing.assert_close(found, expected)
    assert (tower.scale, own.scale) == (LOGIT_SCALE, pytest.approx(50.0))


@pytest.mark.parametrize(
    ("visual", "match"),
    [
        (VisionTransformer(**OWN, block_type="custom"), "has attention blocks of another make"),
        (VisionTransformer(**OWN, pool_type="none"), "has a way of pooling that is not known"),
        (VisionTransformer(**{**OWN, "image_size": (32, 64)}), "reads pictures of 32 x 64"),
        (ModifiedResNet((1, 1, 1, 1), 8, 2, 32, 4), "has a ModifiedResNet image tower, of conv"),
        (wrapped(timm.create_model("test_convnext")), "has a ConvNeXt image tower, of conv"),
        (wrapped(timm.create_model("fastvit_t8")), "has a FastVit image tower, of convolutions"),
        (
            wrapped(VisionTransformerRelPos(**TIMM)),
            "has a VisionTransformerRelPos image tower whose",
        ),
        (None, "has no image tower"),
    ],
)
def test_other_towers_are_refused_with_what_is_supported(visual, match):
    with pytest.raises(EncoderError, match=f"this model {match}.*; take one of these: .*PE-Core"):
        choose_tower(Model(visual), "this model")


def test_attention_that_is_not_fused_is_named():
    _, tower, tiles, _ = build("SigLIP")
    tower._trunk.attn_pool.fused_attn = False
    with pytest.raises(EncoderError, match="unset TIMM_FUSED_ATTN"):
        tower.embed(tiles)


@pytest.mark.parametrize("kind", ["SigLIP", "EVA02", "average of patches"])
@pytest.mark.parametrize("unfused", ["one layer", "all layers"])
def test_attention_that_is_not_fused_is_named_in_a_rollout_too(kind, unfused):
    _, tower, tiles, text = build(kind)
    layers = [part for part in tower._trunk.modules() if hasattr(part, "fused_attn")]
    for layer in layers[-1:] if unfused == "one layer" else layers:
        layer.fused_attn = False
    with pytest.raises(EncoderError, match="unset TIMM_FUSED_ATTN"):
        tower.rollout(tiles, text, 2)


def test_a_checkpoint_file_is_normalised_as_the_published_weights(monkeypatch, tmp_path):
    asked = {}
    (tmp_path / "my.pt").touch()

    def create_model(name, **options):
        asked[name] = options["force_preprocess_cfg"]
        raise OSError("stop here")

    monkeypatch.setattr(open_clip, "create_model", create_model)
    for name, weights in (("ViT-B-16-SigLIP2", str(tmp_path / "my.pt")), ("ViT-B-32", "openai")):
        with pytest.raises(EncoderError, match="stop here"):
            load_encoder(name, weights)
    half = (0.5, 0.5, 0.5)
    assert asked == {"ViT-B-16-SigLIP2": {"mean": half, "std": half}, "ViT-B-32": None}


def test_a_missing_tokenizer_is_named_with_the_remedy(pooled_config, tmp_path):
    text = {**pooled_config["text_cfg"], "hf_tokenizer_name": "a"}
    config = {**pooled_config, "custom_text": True, "text_cfg": text}
    save_encoder(open_clip.CustomTextCLIP(**pooled_config), config, tmp_path)
    with pytest.raises(EncoderError, match="cannot load the tokenizer of local-dir:.*`pip install"):
        load_encoder(f"local-dir:{tmp_path}")


def test_the_networks_for_any_encoder_complete_with_an_attention_pooled_tower(pooled_encoder, room):
    """Random weights: what is asked is that relevancy gets through, not what the answer is."""
    config = parse_config(
        {
            "device": "cpu",
            "encoder": {"model": pooled_encoder, "precision": "fp32"},
            "relevancy": {"preset": "chefer_et_al"},
            "completion": {
                "checkpoint": "shipped:completion_any",
                "resolution": 16,
                "cutoff": 0.0,
            },
            "localization": {"checkpoint": "shipped:localization_any", "resolution": 16},
        }
    )
    scene = SceneUnderstanding.from_config(config)
    scene.set_frame(room.frame(0))
    words = ["floor", "table", "lamp"]
    maps = scene.relevancy(words)
    assert maps.std(axis=(1, 2)).min() > 0
    assert abs(maps[0] - maps[1]).max() > 0
    labels = scene.complete(words).labels
    assert ((labels != FREE) & (labels != UNKNOWN)).any()
    assert torch.isfinite(torch.from_numpy(scene.localize("lamp", "on", "table").position_m)).all()
    assert scene.extractor.encoder.mean == (0.5, 0.5, 0.5)
