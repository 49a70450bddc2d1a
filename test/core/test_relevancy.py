"""Relevancy against the published implementation, plain autograd and hand-made geometry."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import RELEVANCY_FIXTURES

from semabs_core.encoder import load_encoder
from semabs_core.relevancy import DEFAULT_PROMPTS, RENDER_PROMPTS, RelevancyExtractor
from semabs_core.tiling import PRESETS, Preset, tile_grids

PROMPTS = [*DEFAULT_PROMPTS, *RENDER_PROMPTS]


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def load(name):
    with np.load(RELEVANCY_FIXTURES / name / "expected.npz") as archive:
        return {key: archive[key] for key in archive.files}


@pytest.fixture
def picture():
    return load("wide")["rgb"]


@pytest.mark.parametrize("name", ["wide", "tall"])
@pytest.mark.parametrize(
    ("preset", "dtype", "bound"),
    [
        ("ours", torch.float32, 5e-3),
        ("chefer_et_al", torch.float32, 5e-3),
        # One scale: tiles do not depend on the number format, and a CPU may be slow in half.
        ("chefer_et_al", torch.float16, 5e-3),
        ("chefer_et_al", torch.bfloat16, 2e-2),
    ],
    ids=["ours-fp32", "chefer_et_al-fp32", "chefer_et_al-fp16", "chefer_et_al-bf16"],
)
def test_agrees_with_published(name, preset, dtype, bound):
    expected = load(name)
    encoder = load_encoder(f"local-dir:{RELEVANCY_FIXTURES / name}", dtype=dtype)
    extractor = RelevancyExtractor(encoder, preset, tiling="published", augmentations=0)
    labels = [str(label) for label in expected["labels"]]
    maps = extractor(expected["rgb"], labels, PROMPTS)
    assert maps.dtype == np.float32
    assert distance(maps, expected[f"maps_{preset}"]) < bound


@pytest.mark.parametrize("name", ["wide", "tall"])
def test_text_features_agree_with_published(name):
    expected = load(name)
    encoder = load_encoder(f"local-dir:{RELEVANCY_FIXTURES / name}")
    features = encoder.label_features([str(label) for label in expected["labels"]], PROMPTS)
    np.testing.assert_allclose(features.numpy(), expected["label_features"], atol=1e-5)


def autograd_relevancy(encoder, tiles, text):
    """The definition, by autograd through the whole last block, one label at a time."""
    visual = encoder.tower._visual
    blocks = visual.transformer.resblocks
    tokens = visual._embeds(tiles)
    for block in blocks[:-1]:
        tokens = block(tokens)
    block = blocks[-1]
    attn, normed = block.attn, block.ln_1(tokens)
    parts = F.linear(normed, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    query, key, value = (p.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for p in parts)
    attention = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
    attention = attention.detach().requires_grad_()
    context = (attention @ value).transpose(1, 2).flatten(2)
    tokens = tokens + attn.out_proj(context)
    tokens = tokens + block.mlp(block.ln_2(tokens))
    image = F.normalize(visual.ln_post(tokens)[:, 0] @ visual.proj, dim=-1)
    maps = []
    for direction in text:
        logit = (100 * image @ direction).sum()
        (gradient,) = torch.autograd.grad(logit, attention, retain_graph=True)
        maps.append((attention * gradient).clamp(min=0).mean(dim=1)[:, 0, 1:])
    return torch.stack(maps, dim=1).detach().unflatten(-1, encoder.patch_grid)


def test_closed_form_is_the_gradient_through_the_whole_block(encoder):
    torch.manual_seed(0)
    tiles = torch.randn(3, 3, encoder.image_size, encoder.image_size)
    text = encoder.label_features(["red lamp", "floor", "mug", "sofa"], PROMPTS)
    expected = autograd_relevancy(encoder, tiles, text)
    result = encoder.tile_relevancy(encoder.embed_tiles(tiles), text)
    assert expected.abs().max() > 0
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-7)
    rolled = encoder.tile_relevancy_rollout(tiles, text, layers=1)
    torch.testing.assert_close(rolled, expected, rtol=1e-4, atol=1e-7)


def test_rollout_over_more_layers_differs_and_is_defined(encoder, picture):
    maps = RelevancyExtractor(encoder, "chefer_et_al", rollout_layers=3)(picture, ["lamp"])
    single = RelevancyExtractor(encoder, "chefer_et_al")(picture, ["lamp"])
    assert np.isfinite(maps).all()
    assert (maps >= 0).all()
    assert distance(maps, single) > 0.05


def test_state_agrees_with_the_plain_forward(encoder):
    torch.manual_seed(1)
    tiles = torch.randn(2, 3, encoder.image_size, encoder.image_size)
    state = encoder.embed_tiles(tiles)
    features = encoder.tower.finish(state.context, state.residual)
    torch.testing.assert_close(features, encoder.encode_image(tiles), rtol=1e-4, atol=1e-5)


def test_the_maps_are_of_the_scales_that_count(encoder, picture, monkeypatch):
    square, words = np.ascontiguousarray(picture[:96, :96]), ["lamp", "box"]
    extractor = RelevancyExtractor(encoder, "mosaic")
    counts = [len(grid) for grid in tile_grids(96, 96, PRESETS["mosaic"])]
    for scales in (6, 3, 1):
        large = Preset(PRESETS["mosaic"].fractions[:scales], 0, False, strides=1)
        monkeypatch.setitem(PRESETS, "large", large)
        expected = RelevancyExtractor(encoder, "large")(square, words)
        weights = np.float32(np.arange(6) < scales).repeat(counts)
        found = extractor(square, words, tile_weights=weights)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_a_tile_that_does_not_count_changes_its_place_alone(encoder, picture):
    """Its pixels have the mean of the other scales; the second scale has four tiles."""
    square, words = np.ascontiguousarray(picture[:96, :96]), ["lamp", "box"]
    extractor = RelevancyExtractor(encoder, "mosaic")
    tiles = list(extractor.embed(square))
    weights = np.ones(sum(len(grid) for grid in tile_grids(96, 96, extractor.preset)), np.float32)
    every = extractor.maps(tiles, (96, 96), words)
    weights[2] = 0
    without = extractor.maps(tiles, (96, 96), words, tile_weights=weights)
    weights[:] = np.arange(len(weights)) == 2
    weights[0] = 1
    two = extractor.maps(tiles, (96, 96), words, tile_weights=weights)
    weights[2] = 0
    whole = extractor.maps(tiles, (96, 96), words, tile_weights=weights)
    place, sixth = (slice(None), slice(48), slice(48, 96)), 2 * two - whole
    np.testing.assert_allclose(5 * without[place], (6 * every - sixth)[place], rtol=1e-3, atol=1e-6)
    elsewhere = np.ones((96, 96), bool)
    elsewhere[place[1:]] = False
    np.testing.assert_allclose(without[:, elsewhere], every[:, elsewhere], rtol=1e-4, atol=1e-7)
    assert np.abs(without - every).max() > 1e-3


def test_sums_of_labels_are_weighted_as_their_maps_are(encoder, picture):
    extractor = RelevancyExtractor(encoder, "mosaic", augmentations=1)
    tiles, shape, words = list(extractor.embed(picture)), picture.shape[:2], ["lamp", "box"]
    rng = np.random.default_rng(0)
    weights = rng.random(sum(map(len, tile_grids(*shape, extractor.preset))), np.float32)
    lamp, box = extractor.maps(tiles, shape, words, tile_weights=weights)
    mix = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    found = extractor.maps(tiles, shape, words, mix=mix, tile_weights=weights)
    np.testing.assert_allclose(found, [box, (lamp + box) / 2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda weights: weights[:-1], "must be 102 finite numbers"),
        (lambda weights: weights[None], "must be 102 finite numbers"),
        (lambda weights: -weights, "not negative"),
        (lambda weights: weights * np.nan, "finite"),
        (lambda weights: weights * 0, "not be 0 for the largest"),
    ],
    ids=["short", "wrong-shape", "negative", "nan", "none"],
)
def test_wrong_weights_of_tiles_are_said(encoder, picture, wrong, message):
    square, extractor = picture[:96, :96], RelevancyExtractor(encoder, "mosaic")
    weights = np.ones(sum(map(len, tile_grids(96, 96, extractor.preset))), np.float64)
    with pytest.raises(ValueError, match=message):
        extractor(square, ["lamp"], tile_weights=wrong(weights))
    assert np.isfinite(extractor(square, ["lamp"], tile_weights=weights)).all()


@pytest.mark.parametrize("tile_batch", [1, 7, 1000])
def test_the_batch_size_changes_nothing(encoder, picture, tile_batch):
    expected = RelevancyExtractor(encoder, "fast")(picture, ["lamp", "box"])
    maps = RelevancyExtractor(encoder, "fast", tile_batch=tile_batch)(picture, ["lamp", "box"])
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-6)


def test_other_labels_change_nothing_and_kept_tiles_answer_new_ones(encoder, picture):
    extractor = RelevancyExtractor(encoder, "fast")
    together = extractor(picture, ["lamp", "box", "floor"])
    tiles = list(extractor.embed(picture))
    np.testing.assert_allclose(
        extractor.maps(tiles, picture.shape[:2], ["floor"])[0], together[2], rtol=1e-4, atol=1e-7
    )


def test_distractors_subtract_their_mean_map(encoder, picture):
    extractor = RelevancyExtractor(encoder, "chefer_et_al")
    maps = extractor(picture, ["lamp", "box", "floor"])
    result = extractor(picture, ["lamp"], distractors=["box", "floor"])
    np.testing.assert_allclose(result[0], maps[0] - (maps[1] + maps[2]) / 2, atol=1e-6)


def test_jitter_is_seeded_and_leaves_the_global_state_alone(encoder, picture):
    def maps(seed, augmentations=2):
        extractor = RelevancyExtractor(
            encoder, "chefer_et_al", augmentations=augmentations, seed=seed
        )
        return extractor(picture, ["lamp"])

    state = torch.get_rng_state()
    first = maps(3)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_array_equal(first, maps(3))
    assert distance(maps(4), first) > 1e-3
    assert distance(maps(3, augmentations=0), first) > 1e-3


def test_mirrored_preset_is_equivariant(encoder, picture):
    square = np.ascontiguousarray(picture[:96, :96])
    extractor = RelevancyExtractor(encoder, "ours", augmentations=0)
    mirrored = extractor(np.ascontiguousarray(square[:, ::-1]), ["lamp"])
    np.testing.assert_allclose(
        mirrored[..., ::-1], extractor(square, ["lamp"]), rtol=1e-3, atol=1e-6
    )


def test_progress_is_reported_and_can_stop(encoder, picture):
    class StopError(Exception):
        pass

    seen = []

    def hook(stage, fraction):
        seen.append((stage, fraction))
        if fraction > 0.3:
            raise StopError

    with pytest.raises(StopError):
        RelevancyExtractor(encoder, "fast", tile_batch=8)(picture, ["lamp"], on_progress=hook)
    assert seen[0] == ("relevancy", 0.0)
    assert [f for _, f in seen] == sorted(f for _, f in seen)


@pytest.mark.gpu
@pytest.mark.parametrize("preset", ["fast", "mosaic"])
def test_gpu_agrees_with_cpu(encoder, picture, preset):
    gpu = load_encoder(f"local-dir:{RELEVANCY_FIXTURES / 'wide'}", device="cuda")
    near = np.full(picture.shape[:2], 0.5, np.float32)
    near[:, : near.shape[1] // 2] = 2
    extractor, other = RelevancyExtractor(encoder, preset), RelevancyExtractor(gpu, preset)
    weights = extractor.tile_weights(near, np.diag([100.0, 100.0, 1.0]))
    expected = extractor(picture, ["lamp"], tile_weights=weights)
    assert distance(other(picture, ["lamp"], tile_weights=weights), expected) < 1e-2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (dict(preset="mosaic", tiling="published"), "holes with the preset mosaic: use full"),
        (dict(preset="best"), "preset must be one of ours, chefer_et_al, fast, sparse, mosaic"),
        (dict(tiling="half"), "tiling must be one of full, published"),
        (dict(rollout_layers=0), r"rollout_layers must be 1..12, got 0"),
        (dict(augmentations=-1), "augmentations must not be negative"),
        (dict(tile_batch=0), "tile_batch must be at least 1"),
    ],
)
def test_options_are_checked(encoder, options, match):
    with pytest.raises(ValueError, match=match):
        RelevancyExtractor(encoder, **options)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (dict(image=np.zeros((96, 96), np.uint8)), r"image must be \(H, W, 3\) uint8"),
        (dict(image=np.zeros((96, 96, 3), np.float32)), "uint8 with values 0..255, got float32"),
        (dict(image=np.zeros((8, 96, 3), np.uint8)), "at least 16 pixels"),
        (dict(labels=[]), "labels must not be empty"),
        (dict(labels=["mug", "  "]), "labels must be words, got '  '"),
        (dict(prompts=[]), "prompts must not be empty"),
        (dict(prompts=["a photograph"]), "must hold one {}"),
    ],
)
def test_inputs_are_checked(encoder, arguments, match):
    values = dict(image=np.zeros((96, 96, 3), np.uint8), labels=["mug"]) | arguments
    with pytest.raises(ValueError, match=match):
        RelevancyExtractor(encoder, "chefer_et_al")(**values)
