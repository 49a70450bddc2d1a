"""The first layers of a volume of which few cells hold anything: the same as of all of it."""

import pytest
import torch
from torch import nn

from semabs_core.models import make_fast
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network
from semabs_core.sparse_volume import WORTH_IT, SparseVolume, example_volume, norm_conv
from semabs_core.unet3d import FineUNet3D, add_doubled, pointwise
from semabs_core.voxels import cells_of


def drawn(shape, points, channels, last, seed=0):
    """Points at random, some of them in the corners and at the borders."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.rand(points, 3, generator=generator) * torch.tensor(shape)
    index = torch.minimum(index, torch.tensor(shape) - 1.0)
    index[0], index[1] = 0, torch.tensor(shape) - 1
    cells = cells_of(index, shape)
    rows = torch.randn(len(cells.occupied), channels - last, generator=generator)
    everywhere = 3 + torch.randn(shape, generator=generator) if last else None
    return SparseVolume(cells, rows, everywhere)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", [(8, 6, 10), (2, 3, 5), (16, 16, 16)])
@pytest.mark.parametrize("points", [2, 30, 1200])
def test_it_is_the_norm_and_convolution_of_the_whole_volume(shape, points, last):
    volume = drawn(shape, points, 8, last)
    norm, conv = nn.GroupNorm(4, 8), nn.Conv3d(8, 5, 3, padding=1, bias=False)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    with torch.inference_mode():
        found = norm_conv(volume, norm, conv)
        expected = conv(norm(volume.dense().movedim(-1, 0)[None]))
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_whole_volume_holds_the_rows_and_the_last_channel():
    volume = drawn((4, 3, 2), 3, 5, True)
    dense = volume.dense()
    assert dense.shape == (4, 3, 2, 5)
    torch.testing.assert_close(dense[..., 4], volume.last)
    torch.testing.assert_close(dense.view(-1, 5)[volume.cells.occupied, :4], volume.rows)
    rest = torch.ones(24, dtype=torch.bool)
    rest[volume.cells.occupied] = False
    assert not dense.view(-1, 5)[rest, :4].any()


@pytest.mark.parametrize("inputs", [["saliency"], ["saliency", "tsdf"]])
@pytest.mark.parametrize("fine_maps", [0, 4])
def test_a_networks_volumes_are_the_same_either_way(monkeypatch, inputs, fine_maps):
    """With and without the tsdf, of both kinds of U-Net, for one label and for several."""
    torch.manual_seed(3)
    config = NetworkConfig(
        voxel_shape=(16, 16, 16), channels=8, f_maps=4, levels=3, groups=4, hidden=8,
        fine_maps=fine_maps, network_inputs=inputs,
    )  # fmt: skip
    network = build_network(config).eval()
    make_fast(network, "fp32")
    lower, upper = torch.tensor(config.bounds)
    xyz = (lower + torch.rand(1, 60, 3) * (upper - lower)).float()
    features = torch.rand(1, 2, 60, config.point_width)
    tsdf = torch.rand(1, 16, 16, 16) if "tsdf" in inputs else None
    made = []
    whole = SparseVolume.dense
    monkeypatch.setattr(SparseVolume, "dense", lambda self: made.append(1) or whole(self))
    with torch.inference_mode():
        assert len(network.cells(xyz[0]).occupied) < WORTH_IT * 16**3
        sparse = network.encode_volume(xyz, features, tsdf)
        one = network.encode_volume(xyz, features[:, :1], tsdf)
        assert not made
        monkeypatch.setattr("semabs_core.sparse_volume.WORTH_IT", 0)
        dense = network.encode_volume(xyz, features, tsdf)
        assert made
    assert sparse.shape == dense.shape == (1, 2, 8, 16, 16, 16)
    torch.testing.assert_close(sparse, dense, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one, dense[:, :1], atol=1e-4, rtol=1e-4)


def test_training_reads_the_whole_volume():
    """It needs the gradient of every part, as torch knows it."""
    volume = drawn((8, 8, 8), 4, 6, False)
    with torch.no_grad():
        assert volume.worth_it
        assert not drawn((8, 8, 8), 200, 6, False).worth_it
    assert not volume.worth_it


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize(("batch", "cells"), [(1, 4096), (1, 16), (2, 16)])
def test_matrix_products_are_the_convolutions_that_they_stand_for(
    batch, cells, layout, monkeypatch
):
    """The upsampling by two and the one of 1x1x1, with and without gradients, and in slabs."""
    monkeypatch.setattr("semabs_core.unet3d.CELLS_AT_ONCE", cells)
    torch.manual_seed(4)
    up = nn.ConvTranspose3d(6, 5, 2, stride=2)
    coarse = torch.randn(batch, 6, 3, 4, 2).contiguous(memory_format=layout)
    fine = torch.randn(batch, 5, 6, 8, 4).contiguous(memory_format=layout)
    expected = fine + up(coarse)
    found = add_doubled(fine, up, coarse)
    torch.testing.assert_close(found, expected)
    given = torch.randn_like(expected)
    for made, wanted in zip(
        torch.autograd.grad(found, (up.weight, up.bias), given),
        torch.autograd.grad(expected, (up.weight, up.bias), given),
        strict=True,
    ):
        torch.testing.assert_close(made, wanted, atol=1e-4, rtol=1e-4)
    conv = nn.Conv3d(5, 3, 1)
    torch.testing.assert_close(pointwise(conv, fine), conv(fine))
    with torch.inference_mode():
        torch.testing.assert_close(add_doubled(fine.clone(), up, coarse), expected)


def test_a_unet_answers_as_it_is_trained():
    """What is worked out in place without gradients is the same."""
    torch.manual_seed(5)
    unet = FineUNet3D(6, 6, 4, 4, 3, 2)
    x = torch.randn(1, 6, 8, 8, 8)
    trained, kept = unet(x), x.clone()
    with torch.inference_mode():
        torch.testing.assert_close(unet(x), trained, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(x, kept)


def test_formats_are_measured_with_what_a_room_fills():
    volume = example_volume((32, 32, 32), 8, torch.device("cpu"))
    with torch.inference_mode():
        assert volume.worth_it
    assert volume.dense().shape == (32, 32, 32, 8)
