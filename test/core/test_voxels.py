"""Scattering, sampling and grids by hand."""

import numpy as np
import pytest
import torch

from semabs_core.geometry import pixels_of, projective_tsdf
from semabs_core.voxels import (
    SAMPLINGS,
    cells_of,
    corners_of,
    fill,
    grid_axes,
    grid_index,
    grid_points,
    sample_corners,
    sample_volume,
    sampling_coordinates,
    tsdf_grid,
)

LOWER, UPPER = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 4.0])


def test_index_by_hand_and_clamped():
    points = torch.tensor([[0.5, 0.5, 1.0], [-1.0, 3.0, 4.0]])
    index = grid_index(points, LOWER, UPPER, (3, 5, 9))
    torch.testing.assert_close(index, torch.tensor([[1.0, 1.0, 2.0], [0.0, 4.0, 8.0]]))


def test_cells_by_hand():
    index = torch.tensor([[1, 1, 1], [0.2, 0, 0], [0.9, 0, 0], [1, 1, 1], [0.1, 0.9, 1]])
    cells = cells_of(index, (2, 2, 2))
    assert cells.occupied.tolist() == [0, 1, 7]
    assert cells.place.tolist() == [2, 0, 0, 2, 1]
    assert cells.count.tolist() == [2, 1, 2]
    volume = fill(cells, torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    expected = torch.zeros(2, 2, 2, 2)
    expected[0, 0, 0], expected[0, 0, 1] = torch.tensor([1, 2]), torch.tensor([3, 4])
    expected[1, 1, 1] = torch.tensor([5, 6])
    torch.testing.assert_close(volume, expected)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("shape", [(3, 5, 9), (4, 4, 4), (1, 2, 3)])
def test_corners_read_what_sampling_reads(shape, sampling):
    """On the borders and outside too; the published sampling wants a cube."""
    if sampling == "published" and len(set(shape)) > 1:
        shape = (shape[1],) * 3
    torch.manual_seed(0)
    volume = torch.rand(6, *shape)
    coordinates = torch.rand(200, 3) * 2.4 - 1.2
    coordinates[:8] = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    corners = corners_of(coordinates, shape, sampling)
    assert corners.index.max() < volume[0].numel()
    torch.testing.assert_close(corners.weight.sum(dim=1), torch.ones(200))
    expected = sample_volume(volume[None], coordinates[None], sampling)[0]
    torch.testing.assert_close(sample_corners(volume, corners), expected, atol=1e-6, rtol=1e-5)


def test_aligned_sampling_reproduces_a_linear_field_on_an_uneven_grid():
    shape = (3, 5, 9)
    axes = [torch.linspace(float(LOWER[i]), float(UPPER[i]), shape[i]) for i in range(3)]
    volume = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
    points = torch.rand(1, 40, 3) * (UPPER - LOWER)
    coordinates = sampling_coordinates(grid_index(points, LOWER, UPPER, shape), shape, "aligned")
    torch.testing.assert_close(sample_volume(volume, coordinates, "aligned"), points)


def test_the_distance_field_is_that_of_the_cells_one_by_one(room):
    frame, shape = room.frame(0), (7, 9, 11)
    T = np.diag([0.6, -0.6, 0.6, 1.0]) @ frame.T_world_camera  # scale and mirror, as scene files
    bounds = np.array([[0.4, -1.2, -0.1], [2.4, 1.2, 1.3]])
    field = tsdf_grid(bounds, shape, frame.depth_m, frame.camera, T)
    axes = grid_axes(bounds, shape)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(float)
    reach_m = 5 * min((bounds[1] - bounds[0]) / shape) / 0.6
    at = pixels_of(points, frame.camera, T)
    alone = projective_tsdf(*at, frame.depth_m, reach_m).reshape(shape)
    np.testing.assert_allclose(field, alone, atol=1e-6)
    assert (field < 0).any()
    assert ((field > 0) & (field < 1)).any()


def test_a_grid_includes_both_ends_and_runs_z_fastest():
    axes = grid_axes(np.array([[-1, -1, -0.1], [1, 1, 1.9]]), 5)
    grid = grid_points(torch.from_numpy(np.stack(axes)), torch.arange(125)).numpy()
    assert grid.shape == (125, 3)
    np.testing.assert_allclose(grid[0], [-1, -1, -0.1])
    np.testing.assert_allclose(grid[1], [-1, -1, 0.4], atol=1e-6)
    np.testing.assert_allclose(grid[-1], [1, 1, 1.9])
