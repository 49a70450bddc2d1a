"""Points of an item: on what the camera saw, moved together, and maps read where they are."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scene_toy import BOUNDS, OUTSIDE, bare_scene

from semabs_core.data import items as items_module
from semabs_core.data.augment import random_transform, rotation
from semabs_core.data.items import make_cloud
from semabs_core.geometry import in_bounds
from semabs_core.image_points import maps_at, points_of_image


@pytest.fixture
def bare():
    return bare_scene()


# Points and maps


def test_input_points_lie_on_what_the_camera_saw(bare):
    cloud = make_cloud(bare, bare.rgb[0], 500, None, np.random.default_rng(0))
    xyz = cloud.input_xyz
    surface = np.isclose(xyz[:, 0], 0.9, atol=1e-5) | np.isclose(xyz[:, 0], 0.0, atol=1e-5)
    assert surface.all()
    # The first pixel has no reading; it is the leftmost and topmost: y and z at their largest.
    assert not ((xyz[:, 1] > 1.15) & (xyz[:, 2] > 1.65)).any()
    column = np.rint((cloud.uv[:, 0] + 1) * 16 - 0.5).astype(int)
    row = np.rint((cloud.uv[:, 1] + 1) * 12 - 0.5).astype(int)
    np.testing.assert_array_equal(cloud.colors, bare.rgb[0][row, column] / np.float32(255))
    near = bare.depth[0][row, column] < 3
    np.testing.assert_array_equal(near, np.isclose(xyz[:, 0], 0, atol=1e-5))


def test_a_reflected_pose_is_applied_as_it_is(bare):
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    mirrored = dataclasses.replace(
        bare, cam_pose=mirror @ bare.cam_pose, full_xyz_pts=bare.full_xyz_pts * [1, -1, 1]
    )
    one = make_cloud(bare, bare.rgb[0], 300, None, np.random.default_rng(0))
    other = make_cloud(mirrored, bare.rgb[0], 300, None, np.random.default_rng(0))
    np.testing.assert_allclose(other.input_xyz, one.input_xyz * [1, -1, 1], atol=1e-6)
    np.testing.assert_array_equal(one.in_view, other.in_view)


def test_maps_are_enlarged_as_interpolate_does():
    maps = np.random.default_rng(0).random((3, 5, 4), dtype=np.float32)
    height, width = 23, 31
    large = F.interpolate(
        torch.from_numpy(maps)[None], size=(height, width), mode="bilinear", align_corners=False
    )[0]
    points = points_of_image(np.arange(height * width), (height, width))
    torch.testing.assert_close(maps_at(maps, points), large.flatten(1), atol=1e-5, rtol=0)


# Augmentation


def test_rotation_about_z_turns_x_to_y():
    turned = rotation(np.array([0, 0, np.pi / 2])) @ [1, 0, 0]
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(("task", "spread"), [("completion", 0.1), ("localization", 0.2)])
def test_augmentation_has_the_published_spread(task, spread):
    """The extent is 2, so shifts have a standard deviation of 0.1 or 0.2."""
    rng = np.random.default_rng(0)
    transforms = np.stack([random_transform(BOUNDS, task, rng) for _ in range(2000)])
    centre = np.append(BOUNDS.mean(axis=0), 1)
    shifts = (transforms @ centre)[:, :3] - centre[:3]
    np.testing.assert_allclose(shifts.std(axis=0), spread, rtol=0.06)
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=0.02)
    scales = np.linalg.norm(transforms[:, :3, :3], axis=1)
    assert scales.min() >= 1
    assert scales.max() <= 1.1
    np.testing.assert_allclose(scales.mean(axis=0), 1.05, atol=0.003)
    tilt = transforms[:, 2, 1] / scales[:, 1]
    assert 0.14 < np.abs(tilt).max() <= np.sin(0.15) + 1e-9


def test_input_and_query_points_move_together(bare, monkeypatch):
    picture = bare.rgb[0]
    T = random_transform(BOUNDS, "completion", np.random.default_rng(3))
    monkeypatch.setattr(items_module, "random_transform", lambda *_: T)
    still = make_cloud(bare, picture, 50_000, None, np.random.default_rng(0))
    moved = make_cloud(bare, picture, 50_000, "completion", np.random.default_rng(0))

    def apply(points):
        return points @ T[:3, :3].T + T[:3, 3]

    np.testing.assert_allclose(moved.query_xyz, apply(still.query_xyz), atol=1e-5)
    inside = in_bounds(
        moved.input_xyz, BOUNDS + [[1e-6], [-1e-6]]
    )  # others are moved to the border
    assert inside.mean() > 0.9
    back = (moved.input_xyz[inside] - T[:3, 3]) @ np.linalg.inv(T[:3, :3]).T
    assert (np.isclose(back[:, 0], 0.9, atol=1e-5) | np.isclose(back[:, 0], 0, atol=1e-5)).all()
    np.testing.assert_array_equal(moved.in_view, still.in_view)
    outside = ~in_bounds(apply(still.query_xyz), BOUNDS) | (bare.full_objid_pts[0] == OUTSIDE)
    assert (moved.outside != outside).sum() == 0


def test_a_sample_that_would_lose_all_its_points_stays_as_it_is(bare, monkeypatch):
    away = np.eye(4)
    away[0, 3] = 100
    monkeypatch.setattr(items_module, "random_transform", lambda *_: away)
    cloud = make_cloud(bare, bare.rgb[0], 50, "completion", np.random.default_rng(0))
    np.testing.assert_array_equal(cloud.query_xyz, bare.full_xyz_pts[0])
    assert in_bounds(cloud.input_xyz, BOUNDS).all()
