"""Maps follow the edges of colour and depth."""

import numpy as np
import pytest
import torch

from semabs_core.refinement import Refiner, _solve


def halves(rows=48, columns=64, at=32):
    """A picture and a depth image whose right part differs from the left one."""
    rgb = np.full((rows, columns, 3), 60, np.uint8)
    depth = np.full((rows, columns), 2.0, np.float32)
    rgb[:, at:], depth[:, at:] = 200, 3.0
    return rgb, depth


def blob(rows=48, columns=64, centre=(24, 28), sigma=6.0):
    v, u = np.mgrid[:rows, :columns]
    found = np.exp(-((v - centre[0]) ** 2 + (u - centre[1]) ** 2) / (2 * sigma**2))
    return torch.from_numpy(found.astype(np.float32))[None]


@pytest.mark.parametrize("which", ["both", "colour", "depth"])
def test_an_edge_of_either_stops_what_leaks_over_it(which):
    rgb, depth = halves()
    if which == "colour":
        depth[:] = 2.0
    if which == "depth":
        rgb[:] = 60
    found = blob()
    refined = Refiner(rgb, depth)(found)
    left, right = refined[0, :, :32], refined[0, :, 32:]
    assert float(left.mean()) > 1.5 * float(right.mean())
    for side, before in ((left, found[0, :, :32]), (right, found[0, :, 32:])):
        assert float(side.std()) < 0.2 * float(before.std())


def test_without_edges_values_spread_evenly():
    rgb, depth = halves()
    rgb[:], depth[:] = 60, 2.0
    refined = Refiner(rgb, depth)(blob())
    assert float(refined.max()) < 2 * float(refined.min())
    assert float(refined.mean()) == pytest.approx(float(blob().mean()), rel=1e-3)


def test_two_pixels_by_hand():
    """Minimise (y0 - 1)^2 + y1^2 + s (y0 - y1)^2: y0 - y1 = 1 / (1 + 2 s), y0 + y1 = 1."""
    found = _solve(np.array([[[1.0]], [[0.0]]], np.float32), np.array([[3.0]], np.float32))
    np.testing.assert_allclose(found[:, 0, 0], [4 / 7, 3 / 7], rtol=1e-6)


def test_a_constant_map_stays_and_maps_do_not_mix():
    rgb, depth = halves()
    depth[10:20, 5:60] = np.nan
    stack = torch.cat([torch.full((1, 48, 64), 0.3), blob()])
    refined = Refiner(rgb, depth)(stack)
    torch.testing.assert_close(refined[0], stack[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(refined[1:], Refiner(rgb, depth)(blob()))


def test_holes_in_the_depth_part_nothing():
    rgb, depth = halves()
    rgb[:], depth[:] = 60, 2.0
    holes = depth.copy()
    holes[:, 30:34] = 0
    holes[5:9] = np.nan
    torch.testing.assert_close(Refiner(rgb, holes)(blob()), Refiner(rgb, depth)(blob()))
    assert torch.isfinite(Refiner(rgb, np.zeros_like(depth))(blob())).all()


@pytest.mark.parametrize("shape", [(480, 640), (640, 480), (60, 45)])
def test_the_working_size_is_bounded_and_keeps_the_aspect(shape):
    rgb = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    refiner = Refiner(rgb, np.ones(shape, np.float32))
    refined = refiner(torch.rand(2, 128, 128))
    assert refined.shape[1:] == refiner.shape
    assert max(refiner.shape) == min(192, max(shape))
    assert refiner.shape[0] / refiner.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.02)
