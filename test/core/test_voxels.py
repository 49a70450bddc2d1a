"""Scattering, sampling and grids by hand."""

import numpy as np
import torch

from semabs_core.voxels import (
    dense_grid,
    grid_index,
    sample_volume,
    sampling_coordinates,
    scatter_mean,
)

LOWER, UPPER = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 4.0])


def test_index_by_hand_and_clamped():
    points = torch.tensor([[0.5, 0.5, 1.0], [-1.0, 3.0, 4.0]])
    index = grid_index(points, LOWER, UPPER, (3, 5, 9))
    torch.testing.assert_close(index, torch.tensor([[1.0, 1.0, 2.0], [0.0, 4.0, 8.0]]))


def test_scatter_takes_the_mean_per_cell_and_scene():
    features = torch.tensor([[[1.0], [3.0], [10.0]], [[5.0], [6.0], [7.0]]])
    index = torch.tensor([[[0.2, 0, 0], [0.9, 0, 0], [1, 1, 1]], [[1, 1, 1]] * 3]).float()
    volume = scatter_mean(features, index, (2, 2, 2))
    expected = torch.zeros(2, 1, 2, 2, 2)
    expected[0, 0, 0, 0, 0], expected[0, 0, 1, 1, 1], expected[1, 0, 1, 1, 1] = 2.0, 10.0, 6.0
    torch.testing.assert_close(volume, expected)


def test_aligned_sampling_reproduces_a_linear_field_on_an_uneven_grid():
    shape = (3, 5, 9)
    axes = [torch.linspace(float(LOWER[i]), float(UPPER[i]), shape[i]) for i in range(3)]
    volume = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
    points = torch.rand(1, 40, 3) * (UPPER - LOWER)
    coordinates = sampling_coordinates(grid_index(points, LOWER, UPPER, shape), shape, "aligned")
    torch.testing.assert_close(sample_volume(volume, coordinates, "aligned"), points)


def test_dense_grid_includes_both_ends_and_runs_z_fastest():
    grid = dense_grid(np.array([[-1, -1, -0.1], [1, 1, 1.9]]), 5)
    assert grid.shape == (125, 3)
    np.testing.assert_allclose(grid[0], [-1, -1, -0.1])
    np.testing.assert_allclose(grid[1], [-1, -1, 0.4], atol=1e-6)
    np.testing.assert_allclose(grid[-1], [1, 1, 1.9])
