"""The grid that networks are asked on, by hand and against all its points at once."""

from dataclasses import replace

import numpy as np
import pytest
from pipeline_toy import BOUNDS, CPU, configure, dense_grid, frame_state, move

from semabs_core import geometry, query_grid
from semabs_core.config import QueryConfig
from semabs_core.frame_state import make_frame_state


def options(**changes):
    return replace(configure().completion, **changes)


@pytest.mark.parametrize(("frustum", "free"), [(True, True), (True, False), (False, True)])
def test_masks_are_those_of_all_points_at_once(room, frustum, free):
    frame = room.frame(0)
    state = frame_state(frame, region={"input_margin_m": 0.0})
    grid = state.grid(options(resolution=21, mask_frustum=frustum, mask_free_space=free))
    points = dense_grid(BOUNDS, 21)
    world = geometry.transform_points(state.T_world_scene, points.astype(float))
    view = (frame.camera, frame.T_world_camera)
    seen = geometry.in_frustum(world, *view) if frustum else np.ones(len(points), bool)
    margin = QueryConfig.free_space_margin_m
    is_open = seen & ~(geometry.seen_free(world, frame.depth_m, *view, margin) & free)
    held = grid.open[grid.surface]
    assert is_open[held].all() != free, "what is thin, or lies at the border of its voxel"
    is_open[held] = True
    np.testing.assert_array_equal(grid.seen, seen)
    np.testing.assert_array_equal(grid.open, np.flatnonzero(is_open))
    assert 0 < len(grid.open) <= 21**3
    np.testing.assert_allclose(grid.world(grid.open), world[grid.open], atol=1e-12)


def low_camera(frame, height_m):
    """The room from near the floor, where the floor is seen at a grazing angle."""
    from semabs_core.data.analytic import room_mesh
    from semabs_core.visualize.render import cast, look_at

    view = look_at(np.array([0, 0, height_m]), np.array([2.3, 0, 0.2]), 160, 120, 58.0)
    depth = cast(room_mesh(), view).depth_m.astype(np.float32)
    return replace(frame, depth_m=depth, K=view.camera.K, T_world_camera=view.T_world_camera)


@pytest.mark.parametrize("height_m", [1.5, 0.3])
@pytest.mark.parametrize("error_m", [-0.02, 0.02])
def test_the_floors_voxels_stay_open_whatever_the_cameras_height(room, height_m, error_m):
    frame = low_camera(room.frame(0), height_m)
    floor = []
    for error in (0.0, error_m):
        grid = frame_state(move(frame, shift=(0, 0, error))).grid(options(resolution=32))
        floor.append(set(grid.open[grid.open % 32 == 0]))
    assert len(floor[0] & floor[1]) > 0.95 * len(floor[0]) > 500


def test_below_a_region_in_the_air_nothing_is_opened(room):
    """Only a surface within the margin keeps the lowest voxels from being free."""
    region = {"region_min_m": [2.5 / 3, -5 / 3, 0.3]}
    frame = room.frame(0)
    wide = frame_state(frame, region=region).grid(options(resolution=24))
    strict = frame_state(frame, region=region | {"input_margin_m": 0.0})
    more = np.setdiff1d(wide.open, strict.grid(options(resolution=24)).open)
    below = wide.world(more) - [0, 0, 0.05]
    view = (frame.camera, frame.T_world_camera)
    margin = QueryConfig.free_space_margin_m
    assert not geometry.seen_free(below, frame.depth_m, *view, margin).any()
    assert len(more) < 0.05 * 24**2


def test_a_fine_grid_takes_few_bytes_per_voxel(room):
    state = make_frame_state(room.frame(0), configure(), BOUNDS, CPU)
    grid = state.grid(options(resolution=128))
    held = grid.seen.nbytes + grid.open.nbytes + grid.axes.nbytes
    assert held < 5 * 128**3
    assert grid.world(grid.open[-1:]).shape == (1, 3)


def test_voxels_that_hold_readings_are_asked_behind_the_surface(room):
    """Each inside its voxel, a quarter of a voxel farther along the ray than its mean reading."""
    frame = room.frame(0)
    state = frame_state(frame)
    grid = state.grid(options(resolution=21))
    spacing = float(grid.axes[0, 1] - grid.axes[0, 0])
    asked, voxels = grid.surface_xyz, grid.open[grid.surface]
    assert (np.diff(voxels) > 0).all()
    middles = dense_grid(BOUNDS, 21)[voxels]
    assert len(asked) > 300
    assert np.abs(asked - middles).max() <= spacing / 2 + 1e-6
    assert np.abs(asked - middles).max() > spacing / 4
    readings = geometry.back_project(frame.depth_m, frame.K)
    readings = geometry.transform_points(state.T_scene_camera, readings.reshape(-1, 3))
    cell = np.floor((readings - BOUNDS[0]) / spacing + 0.5).astype(int)
    flat = (cell * [21**2, 21, 1]).sum(axis=1)
    flat[((cell < 0) | (cell > 20)).any(axis=1)] = -1
    assert set(voxels) == set(flat) & set(grid.open)
    for number in (0, len(asked) // 2, len(asked) - 1):
        mean = readings[flat == voxels[number]].mean(axis=0)
        ray = mean - state.T_scene_camera[:3, 3]
        moved = mean + 0.25 * spacing * ray / np.linalg.norm(ray)
        half = spacing / 2
        moved = moved.clip(middles[number] - half, middles[number] + half)
        np.testing.assert_allclose(asked[number], moved, atol=1e-5)


def test_a_cameras_view_of_a_grid_is_worked_out_once(room, monkeypatch):
    """Also where the camera moves with the robot; not for another camera, region or resolution."""
    made = []
    view = query_grid.view_of_grid
    monkeypatch.setattr(query_grid, "view_of_grid", lambda *a: made.append(a) or view(*a))
    views, frame = query_grid.GridViews(), room.frame(0)

    def look(frame, resolution=16, **region):
        state = frame_state(frame, region=region)
        state.views = views
        grid = state.grid(options(resolution=resolution))
        alone = frame_state(frame, region=region).grid(options(resolution=resolution))
        np.testing.assert_array_equal(grid.open, alone.open)
        np.testing.assert_array_equal(grid.seen, alone.seen)
        made.pop()  # of the one that knows no other
        return grid

    first = look(frame)
    assert len(made) == 1
    nearer = replace(frame, depth_m=(frame.depth_m * 0.8).astype(np.float32))
    assert len(look(nearer).open) != len(first.open)
    look(move(frame, yaw=0.3, shift=(2.0, 1.0, 0.0)))
    assert len(made) == 1
    look(move(frame, shift=(0, 0, 0.01)))
    look(frame, region_size_m=3.0)
    look(frame, resolution=17)
    look(replace(frame, K=frame.K * [[1.01], [1], [1]]))
    assert len(made) == 5


def piece_by_hand(voxels, start):
    """From neighbour to neighbour: none more than three steps away, and that along one axis."""
    found, todo = {start}, [start]
    while todo:
        steps = np.abs(voxels - voxels[todo.pop()])
        near = ((steps <= 3).all(axis=1)) & ((steps == 3).sum(axis=1) <= 1)
        todo += set(np.flatnonzero(near).tolist()) - found
        found |= set(np.flatnonzero(near).tolist())
    return np.isin(np.arange(len(voxels)), list(found))


@pytest.mark.parametrize("count", [1, 12, 60])
def test_what_hangs_together_is_found_step_by_step(count):
    rng = np.random.default_rng(count)
    voxels = np.unique(rng.integers(0, 16, (count, 3)), axis=0)
    flat = np.ravel_multi_index(voxels.T, (16, 16, 16)).astype(np.int32)
    sizes = set()
    for start in range(len(voxels)):
        found = query_grid.piece_of(flat, start, 16)
        np.testing.assert_array_equal(found, piece_by_hand(voxels, start))
        sizes.add(int(found.sum()))
    assert len(sizes) > 1 or count == 1, "else nothing was told apart"
