"""How a picture is cut into tiles, which of them count, and how they are put together."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from semabs_core.tiling import PRESETS, assemble, placement, tile_grids, tile_weights


@pytest.mark.parametrize("shape", [(480, 640), (720, 1280), (97, 61), (640, 480), (64, 64)])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_full_tiling_covers_every_pixel_at_every_scale(shape, preset):
    for grid in tile_grids(*shape, PRESETS[preset], "full"):
        for starts, length in ((grid.rows, shape[0]), (grid.columns, shape[1])):
            assert min(starts) == 0
            assert max(starts) + grid.size == length
            assert len(set(starts)) == len(starts)
            assert max(np.diff(starts), default=0) <= grid.size // PRESETS[preset].strides


def test_published_tiling_has_the_grid_of_the_published_code():
    grids = tile_grids(480, 640, PRESETS["ours"], "published")
    # The 120-pixel scale: columns start every 30 pixels below 480, rows up to 360.
    assert grids[-1].size == 120
    assert grids[-1].columns == tuple(range(0, 480, 30))
    assert grids[-1].rows == tuple(range(0, 361, 30))


def test_preset_sizes_and_tile_counts():
    grids = tile_grids(480, 640, PRESETS["fast"])
    assert [grid.size for grid in grids] == [480, 320, 240, 120]
    # Columns at (640 - size) / stride + 1, one more where that leaves a rest.
    assert [len(grid) for grid in grids] == [1 * 3, 3 * 5, 5 * 8, 13 * 19]
    sparse = tile_grids(480, 640, PRESETS["sparse"])
    assert [grid.size for grid in sparse] == [480, 320, 240, 120]
    assert [len(grid) for grid in sparse] == [1 * 2, 2 * 3, 3 * 5, 7 * 10]
    mosaic = tile_grids(480, 640, PRESETS["mosaic"])
    assert [grid.size for grid in mosaic] == [480, 240, 160, 120, 96, 80]
    assert [len(grid) for grid in mosaic] == [1 * 2, 2 * 3, 3 * 4, 4 * 6, 5 * 7, 6 * 8]


def test_tiles_that_show_too_little_do_not_count():
    """At the left 1 m is seen, at the right 3 m; with a focal length of 100 pixels."""
    mosaic, K = PRESETS["mosaic"], np.diag([100.0, 100.0, 1.0])
    depth = np.full((96, 192), 1.0, np.float32)
    depth[:, 96:] = 3
    depth[40:45] = np.float32([0, np.nan, np.inf, -1, 900])[:, None]
    grids = tile_grids(96, 192, mosaic)
    shows = [grid.size * near / 100 for grid in grids for near in (1, 3)]
    assert shows == [0.96, 2.88, 0.48, 1.44, 0.32, 0.96, 0.24, 0.72, 0.19, 0.57, 0.16, 0.48]
    weights = np.split(
        tile_weights(depth, K, mosaic), np.cumsum([len(grid) for grid in grids])[:-1]
    )
    for grid, found in zip(grids, weights, strict=True):
        at_left = grid.size / 100 >= 0.35
        by_column = [start + grid.size / 2 > 96 or at_left for start in grid.columns]
        np.testing.assert_array_equal(
            found.reshape(len(grid.rows), -1), [by_column] * len(grid.rows)
        )
    assert tile_weights(depth, K, PRESETS["sparse"]).all()


def test_of_tiles_hardly_read_the_rest_of_the_picture_says_how_far_they_are():
    mosaic, K = PRESETS["mosaic"], np.diag([100.0, 100.0, 1.0])
    depth = np.zeros((96, 192), np.float32)
    assert tile_weights(depth, K, mosaic).all()
    depth[:9] = 1
    depth[20::20, ::20] = 9
    weights = tile_weights(depth, K, mosaic)
    sizes = [grid.size for grid in tile_grids(96, 192, mosaic) for _ in range(len(grid))]
    np.testing.assert_array_equal(weights, np.array(sizes) >= 35)


def test_a_large_depth_picture_is_read_coarsely_but_right():
    mosaic, K = PRESETS["mosaic"], np.diag([1000.0, 1000.0, 1.0])
    depth = np.tile(np.float32([[1, 9]]).repeat(800, axis=1), (1000, 1))
    weights = tile_weights(depth, K, mosaic)
    coarse = tile_weights(depth[::10, ::10], K / 10, mosaic)
    np.testing.assert_array_equal(weights, coarse)
    assert 0 < weights.mean() < 1


def test_what_does_not_count_may_be_nan():
    grids = tile_grids(96, 96, PRESETS["mosaic"])
    tiles = torch.rand(sum(map(len, grids)), 2, 4, 4)
    weights = np.ones(len(tiles), np.float32)
    weights[5:] = 0
    expected = assemble(tiles, grids, (96, 96), weights)
    tiles[5:] = float("nan")
    torch.testing.assert_close(assemble(tiles, grids, (96, 96), weights), expected)


def test_placement_averages_where_tiles_overlap():
    # Two tiles of 4 pixels and one patch each, at 0 and 2, on a line of 7.
    matrix = placement([0, 2], 4, 1, 7)
    expected = [[1, 0], [1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1], [0, 1], [0, 0]]
    torch.testing.assert_close(matrix, torch.tensor(expected))


def test_placement_is_bilinear_without_aligned_corners():
    values = torch.tensor([1.0, 5.0, 2.0])
    expected = F.interpolate(values[None, None], size=8, mode="linear")[0, 0]
    torch.testing.assert_close(placement([0], 8, 3, 8) @ values, expected)
