"""Which depth readings become input points, and where they are in the networks' frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pipeline_toy import BOUNDS, REGION, frame_state, move, readings, roll

from semabs_core import geometry
from semabs_core.types import FrameError


def world_points(state):
    return geometry.transform_points(state.T_world_scene, state.input_xyz.numpy().astype(float))


def test_input_points_lie_on_the_rooms_surfaces(room):
    state = frame_state(room.frame(0))
    exact, pixels = readings(room.frame(0))
    kept = geometry.in_bounds(exact, REGION, 0.05)
    np.testing.assert_array_equal(state.pixels, pixels[kept])
    # What lies in the margin goes to the region's border. Scene coordinates are float32.
    np.testing.assert_allclose(world_points(state), exact[kept].clip(*REGION), atol=1e-5)
    on_the_floor = (np.abs(exact[kept][:, 2]) < 1e-3).sum()
    assert on_the_floor > 7000


@pytest.mark.parametrize("height_error", [0.02, 0.005, 0.0, -0.005, -0.02])
def test_the_floor_reaches_the_networks_whatever_the_cameras_height(room, height_error):
    frame = room.frame(0)
    exact, pixels = readings(frame)
    inner = geometry.in_bounds(exact[:, :2], REGION[:, :2], -0.05)
    floor = pixels[inner & (np.abs(exact[:, 2]) < 1e-3)]
    assert len(floor) > 7000
    state = frame_state(move(frame, shift=(0, 0, height_error)))
    assert np.isin(floor, state.pixels).mean() > 0.95
    assert (state.input_xyz >= torch.tensor(BOUNDS[0], dtype=torch.float32)).all()


@pytest.mark.parametrize("shape", [(120, 160), (30, 40), (15, 17)])
def test_maps_of_any_size_are_read_where_the_points_are(room, shape):
    state = frame_state(room.frame(0))
    maps = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    large = F.interpolate(maps[None], (120, 160), mode="bilinear", align_corners=False)[0]
    expected = large.flatten(1)[:, state.pixels]
    torch.testing.assert_close(state.at_points(maps), expected, atol=1e-5, rtol=0)


def test_what_lies_beyond_the_margin_is_left_out(room):
    exact, pixels = readings(room.frame(0))
    region = {"region_min_m": [2.5 / 3, -5 / 3, 0.5], "input_margin_m": 0.1}
    state = frame_state(room.frame(0), region=region)
    z = exact[np.searchsorted(pixels, state.pixels), 2]
    assert 0.4 <= z.min() < 0.41
    np.testing.assert_allclose(state.input_xyz[torch.from_numpy(z < 0.5)][:, 2], BOUNDS[0, 2])


def test_large_world_coordinates_lose_nothing(room):
    """UTM: half a million metres east, more than four million north."""
    here = frame_state(room.frame(0))
    for shift in ((5e5, 4.5e6, 100.0), (-3e5, 9.9e6, 4000.0)):
        there = frame_state(move(room.frame(0), shift=shift), region={"floor_z_m": shift[2]})
        torch.testing.assert_close(there.input_xyz, here.input_xyz, atol=1e-6, rtol=0)
        np.testing.assert_array_equal(there.pixels, here.pixels)
        back = world_points(there) - shift
        np.testing.assert_allclose(back, world_points(here), atol=1e-6)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rolled_camera_sees_the_same_points(room, turns):
    upright, rolled = frame_state(room.frame(0)), frame_state(roll(room.frame(0), turns))
    assert upright.turns == 0
    assert (rolled.turns + turns) % 4 == 0
    index = np.rot90(np.arange(120 * 160).reshape(120, 160), turns)
    same = index.ravel()[rolled.pixels.numpy()]
    order = np.argsort(same)
    np.testing.assert_array_equal(same[order], upright.pixels)
    torch.testing.assert_close(rolled.input_xyz[torch.from_numpy(order)], upright.input_xyz)


@pytest.mark.parametrize(
    ("region_min_m", "height_m"),
    [([-4.0, -1.7, 0.0], 0.0), ([0.8, 3.0, 0.0], 0.0), ([0.8, -1.7, 0.0], -5.0)],
)
def test_a_region_without_a_reading_says_so(room, region_min_m, height_m):
    """Behind the camera, beside what it sees, and seen by a camera far below the floor."""
    frame = move(room.frame(0), shift=(0, 0, height_m))
    with pytest.raises(FrameError, match=r"no depth reading falls .*region_min_m.*floor_z_m"):
        frame_state(frame, region={"region_min_m": region_min_m})


def test_readings_that_are_none_do_not_count(room):
    frame = room.frame(0)
    depth = frame.depth_m.copy()
    bad = np.array([0.0, -1.0, np.nan, np.inf, -np.inf], np.float32)
    depth.flat[:50] = np.tile(bad, 10)
    state = frame_state(replace(frame, depth_m=depth))
    assert state.pixels.min() >= 50
    assert torch.isfinite(state.input_xyz).all()
