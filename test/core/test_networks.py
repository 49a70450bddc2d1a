"""Networks against the published implementation and against answers worked out by hand."""

import json
import math

import pytest
import torch

from semabs_core.checkpoint import load_network, save_network
from semabs_core.network_blocks import Pointer
from semabs_core.network_config import RELATIONS, NetworkConfig
from semabs_core.networks import build_network
from semabs_core.unet3d import NormConv, ResidualUNet3D, make_unet
from semabs_core.voxels import grid_index, sample_volume, sampling_coordinates

NAMES = ["ovssc_semabs", "ovssc_semaware", "vool_semabs", "vool_semaware", "vool_clipspatial"]
TINY = dict(voxel_shape=(8, 8, 8), channels=4, f_maps=4, groups=2, levels=2, hidden=8,
            pointing_dim=6, text_dim=5)  # fmt: skip


def run_published(network, name, arrays, names):
    xyz, query = arrays["input_xyz_pts"], arrays["output_xyz_pts"]
    if name.startswith("ovssc"):
        features = arrays.get("semantic_class_features")
        return network(xyz, arrays["input_feature_pts"], query, features)
    features = {
        "vool_semabs": lambda: {
            "target": arrays["input_target_saliency_pts"],
            "reference": arrays["input_reference_saliency_pts"],
        },
        "vool_semaware": lambda: {"rgb": arrays["input_rgb_pts"]},
        "vool_clipspatial": lambda: {"description": arrays["input_description_saliency_pts"]},
    }[name]()
    return network(
        xyz,
        features,
        query,
        [names["spatial_relation_name"]],
        target_features=arrays.get("target_text_features"),
        reference_features=arrays.get("reference_text_features"),
    )


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_published(network_fixture, name):
    folder, arrays, names = network_fixture(name)
    result = run_published(load_network(folder), name, arrays, names)
    assert result.shape == arrays["expected"].shape
    assert (result - arrays["expected"]).abs().max() < 1e-4
    assert arrays["expected"].std() > 0.01


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_gpu_agrees_with_cpu(network_fixture, name):
    folder, arrays, names = network_fixture(name)
    moved = {key: value.cuda() for key, value in arrays.items()}
    result = run_published(load_network(folder, "cuda"), name, moved, names)
    assert (result.cpu() - arrays["expected"]).abs().max() < 5e-3  # TF32 convolutions


def test_published_sampling_reads_the_place_that_the_spec_names():
    shape = (8, 8, 8)
    lower, upper = torch.tensor([-1.0, -1.0, -0.1]), torch.tensor([1.0, 1.0, 1.9])
    axes = [torch.linspace(lower[i], upper[i], 8) for i in range(3)]
    volume = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
    index = grid_index(torch.tensor([[[-0.9, 0.2, 1.5]]]), lower, upper, shape)
    read = {
        sampling: sample_volume(volume, sampling_coordinates(index, shape, sampling), sampling)
        for sampling in ("aligned", "published")
    }
    torch.testing.assert_close(read["aligned"], torch.tensor([[[-0.9, 0.2, 1.5]]]))
    expected = torch.tensor([[[0.4, 0.05, -0.0125]]])
    torch.testing.assert_close(read["published"], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("task", "approach"),
    [("completion", "semantic_abstraction"), ("localization", "semantic_abstraction")],
)
def test_labels_do_not_influence_each_other(task, approach):
    torch.manual_seed(0)
    network = build_network(NetworkConfig(task=task, approach=approach, **TINY)).eval()
    xyz, query = torch.rand(2, 50, 3), torch.rand(2, 3, 20, 3)
    features, other = torch.randn(2, 3, 50, 1), torch.randn(2, 3, 50, 1)
    if task == "completion":
        together = network(xyz, features, query)
        alone = network(xyz[1:], features[1:, 2:], query[1:, 2:])
    else:
        relations = [["in", "on", "behind"]] * 2
        together = network(xyz, {"target": features, "reference": other}, query, relations)
        part = {"target": features[1:, 2:], "reference": other[1:, 2:]}
        alone = network(xyz[1:], part, query[1:, 2:], [["behind"]])
    torch.testing.assert_close(together[1:, 2:], alone, atol=1e-5, rtol=1e-5)


def test_clamps_points_outside_the_bounds():
    network = build_network(NetworkConfig(**TINY)).eval()
    xyz, features = torch.rand(1, 30, 3), torch.randn(1, 1, 30, 1)
    volume = network.encode_volume(xyz, features)
    query = torch.tensor([[[[5.0, 0.3, 0.4], [1.0, 0.3, 0.4]]]])
    outside, border = network.decode(volume, query)[0, 0]
    torch.testing.assert_close(outside, border)


@pytest.mark.parametrize(
    ("method", "expected"),
    [("cosine_sim", 1 / 0.07), ("dot_product", 8 / 2**0.5)],
)
def test_pointer(method, expected):
    pointer = Pointer(method, 2)
    logits = pointer(torch.tensor([[2.0, 2.0], [2.0, -2.0]]), torch.tensor([2.0, 2.0]))
    torch.testing.assert_close(logits, torch.tensor([expected, 0.0]))


def test_additive_pointer_is_a_weighted_tanh():
    pointer = Pointer("additive", 2)
    pointer.v.weight.data = torch.tensor([[2.0, -1.0]])
    logits = pointer(torch.tensor([[0.5, 0.0]]), torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(logits, torch.tensor([2 * math.tanh(1) - math.tanh(2)]))


@pytest.mark.parametrize("size", [(16, 16, 16), (8, 12, 20)])
def test_unet_keeps_the_size(size):
    assert ResidualUNet3D(4, 5, 4, 3, 2)(torch.rand(1, 4, *size)).shape == (1, 5, *size)


def test_full_size_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = build_network(NetworkConfig())
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(35.4e6, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(task="segmentation"), "task must be one of completion, localization"),
        (dict(approach="clip_spatial"), "approach must be one of semantic_abstraction"),
        (dict(voxel_shape=(2, 8, 8)), "three multiples of 32 for 6 levels"),
        (dict(channels=12), "channels must be positive and, above groups = 8, a multiple"),
        (dict(bounds=((0, 0, 0), (0, 1, 1))), "lower bounds must be below"),
        (dict(sampling="nearest"), "sampling must be one of aligned, published"),
        (dict(normalization="softmax"), "normalization must be one of gain, evidence"),
        (dict(network_inputs=("saliency", "rivals")), "rivals and refine need .* evidence"),
        (dict(refine=True), "rivals and refine need the normalization evidence, got gain"),
        (dict(network_inputs=("patch_masks",), normalization="evidence"), "patch_masks need"),
        (dict(fine_maps=12), "fine_maps must be positive and, above groups = 8, a multiple"),
        (dict(relations=()), "relations must be different names other than"),
        (dict(relations=("in", "in")), r"different names .*\('in', 'in'\)"),
        (dict(relations=("in", "[pad]")), r"other than \[pad\], got"),
        (dict(relations=("in", " ")), "relations must be different names"),
    ],
)
def test_config_names_what_is_wrong(changes, match):
    with pytest.raises(ValueError, match=match):
        NetworkConfig(**changes)


@pytest.mark.parametrize("approach", ["semantic_abstraction", "semantic_aware"])
def test_relations_are_those_of_the_config(approach, tmp_path):
    torch.manual_seed(0)
    options = dict(task="localization", approach=approach, **TINY)
    six = build_network(NetworkConfig(**options))
    seven = build_network(NetworkConfig(**options, relations=(*RELATIONS, "under")))
    assert six.relations.shape == (7, 6)
    assert seven.relations.shape == (8, 6)
    found = seven.relation_vectors([["under", "in", "[pad]"]])
    torch.testing.assert_close(found, seven.relations[[6, 0, 7]][None])
    save_network(seven, tmp_path)
    again = load_network(tmp_path)
    assert again.config.relations == (*RELATIONS, "under")
    torch.testing.assert_close(again.relation_vectors([["under"]]), seven.relations[6][None, None])
    with pytest.raises(ValueError, match="unknown relation 'under'; known are in, behind"):
        six.relation_vectors([["under"]])


def test_checkpoints_that_name_no_relations_know_the_published_ones(tmp_path):
    save_network(build_network(NetworkConfig(task="localization", **TINY)), tmp_path)
    content = json.loads((tmp_path / "network.json").read_text())
    assert content["network"].pop("relations") == list(RELATIONS)
    (tmp_path / "network.json").write_text(json.dumps(content))
    assert load_network(tmp_path).config.relations == RELATIONS


def test_errors_name_the_argument():
    network = build_network(NetworkConfig(task="localization", **TINY))
    xyz, query = torch.rand(1, 9, 3), torch.rand(1, 1, 4, 3)
    with pytest.raises(ValueError, match="missing: reference"):
        network(xyz, {"target": torch.rand(1, 1, 9, 1)}, query, [["in"]])
    both = {key: torch.rand(1, 1, 9, 1) for key in ("target", "reference")}
    with pytest.raises(ValueError, match="unknown relation 'beneath'; known are in, behind"):
        network(xyz, both, query, [["beneath"]])
    with pytest.raises(ValueError, match=r"features must have shape \(1, any, 9, 1\)"):
        network(xyz, {**both, "target": torch.rand(1, 1, 8, 1)}, query, [["in"]])
    aware = build_network(NetworkConfig(approach="semantic_aware", **TINY))
    with pytest.raises(ValueError, match="label_features is missing"):
        aware(xyz, torch.rand(1, 1, 9, 3), query)


def test_unet_with_a_light_finest_level_keeps_the_size_and_costs_less():
    light = make_unet(8, fine_maps=8, f_maps=16, levels=3, groups=8)
    volume = torch.rand(2, 8, 8, 12, 16, requires_grad=True)
    found = light(volume)
    assert found.shape == volume.shape
    found.sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in light.parameters())
    assert isinstance(make_unet(8, 0, 16, 3, 8), ResidualUNet3D)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_gradients_of_norms_in_bfloat16_are_torchs(layout):
    torch.manual_seed(0)
    block = NormConv(16, 8, 4)
    block.norm.weight.data.normal_()
    block.norm.bias.data.normal_()
    x = torch.randn(2, 16, 8, 8, 8).contiguous(memory_format=layout).requires_grad_()

    def gradients(forward):
        with torch.autocast("cpu", torch.bfloat16):
            result = forward(x.to(torch.bfloat16))
        assert result.dtype == torch.bfloat16
        return torch.autograd.grad(result.float().square().sum(), [x, *block.parameters()])

    found = gradients(block)
    expected = gradients(lambda x: block.conv(block.norm(x)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2 * float(other.abs().max()))


@pytest.mark.parametrize("concat_xyz", [True, False])
@pytest.mark.parametrize("approach", ["semantic_abstraction", "semantic_aware"])
def test_a_folded_decoder_answers_the_same(approach, concat_xyz):
    config = NetworkConfig(**TINY, approach=approach, concat_xyz=concat_xyz)
    torch.manual_seed(0)
    network, other = build_network(config), build_network(config)
    asked = (
        torch.rand(1, 50, 3),
        torch.rand(1, 1, 50, config.point_width),
        torch.rand(1, 2, 30, 3),
        torch.rand(1, 2, config.text_dim) if approach == "semantic_aware" else None,
    )
    if approach == "semantic_abstraction":
        asked = (*asked[:2], asked[2][:, :1], None)
    with torch.no_grad():
        before = network(*asked)
        for _ in range(2):
            network.decoder.fold(network.encoder.unet.final)
        other.load_state_dict(network.state_dict())
        assert before.std() > 1e-3
        torch.testing.assert_close(network(*asked), before, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other(*asked), before, atol=1e-5, rtol=1e-5)
