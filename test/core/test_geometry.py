"""Frames, projection, what the camera sees: answers worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from semabs_core import geometry
from semabs_core.types import Camera, FrameError, RGBDFrame

K = np.array([[100.0, 0, 49.5], [0, 100.0, 39.5], [0, 0, 1]])
CAMERA = Camera(K, 100, 80)
# A level camera 1.5 m up that looks along +x: x right = -y, y down = -z, z forward = +x.
LEVEL = np.array([[0, 0, 1, 0.0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])


def test_back_projection_and_projection_are_inverse():
    depth = np.random.default_rng(0).uniform(0.5, 5, (80, 100)).astype(np.float32)
    uv, z = geometry.project(geometry.back_project(depth, K), K)
    v, u = np.mgrid[0:80, 0:100]
    np.testing.assert_allclose(uv, np.stack([u, v], axis=-1), atol=1e-9)
    np.testing.assert_allclose(z, depth)


def test_back_projection_honours_skew():
    skewed = K.copy()
    skewed[0, 1] = 7.0
    uv, _ = geometry.project(geometry.back_project(np.ones((80, 100), np.float32), skewed), skewed)
    np.testing.assert_allclose(uv[3, 5], [5, 3], atol=1e-9)


def test_a_pixel_to_the_world_by_hand():
    depth = np.full((80, 100), 2.0, np.float32)
    world = geometry.transform_points(LEVEL, geometry.back_project(depth, K))
    # Pixel (u, v) = (0, 0): 0.495 * 2 m to the left and 0.395 * 2 m up.
    np.testing.assert_allclose(world[0, 0], [2.0, 0.99, 1.5 + 0.79], atol=1e-9)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.5])
@pytest.mark.parametrize("pitch", [0.0, 0.6, -0.4])
def test_viewer_frame_follows_yaw_only(yaw, pitch):
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("ZY", [yaw, pitch]).as_matrix()
    turn[:3, 3] = [3, -2, 0.2]
    T = geometry.viewer_frame(turn @ LEVEL, floor_z_m=0.1)
    np.testing.assert_allclose(T[:3, 0], [np.cos(yaw), np.sin(yaw), 0], atol=1e-9)
    np.testing.assert_allclose(T[:3, 2], [0, 0, 1], atol=1e-9)
    position = turn[:3, :3] @ LEVEL[:3, 3] + turn[:3, 3]
    np.testing.assert_allclose(T[:3, 3], [position[0], position[1], 0.1], atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize(("tilt_deg", "leads"), [(79.0, "axis"), (81.0, "up"), (90.0, "up")])
def test_a_camera_that_looks_down_uses_the_images_up_direction(tilt_deg, leads):
    tilt = np.eye(4)
    tilt[:3, :3] = Rotation.from_euler("y", tilt_deg, degrees=True).as_matrix()
    T = geometry.viewer_frame(tilt @ LEVEL)
    np.testing.assert_allclose(T[:3, 0], [1, 0, 0], atol=1e-9)
    roll = np.eye(4)
    roll[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    rolled = geometry.viewer_frame(tilt @ LEVEL @ roll)
    # Turned about its axis, the image's up points to the world's left; the axis does not turn.
    expected = [1, 0, 0] if leads == "axis" else [0, -1, 0]
    np.testing.assert_allclose(np.abs(rolled[:3, 0]), np.abs(expected), atol=1e-9)


def test_default_region_is_the_published_scene_scale():
    bounds = np.array([[-1, -1, -0.1], [1, 1, 1.9]])
    T = geometry.region_to_bounds(np.array([2.5 / 3, -5 / 3, 0]), 10 / 3, bounds)
    assert T[0, 0] == pytest.approx(0.6)
    # The published camera: (-1.5, 0, 0.8) in the scene, 1.5 m up in the viewer frame.
    np.testing.assert_allclose(geometry.transform_points(T, np.array([0, 0, 1.5])), [-1.5, 0, 0.8])


@pytest.mark.parametrize("scale", [1.0, 0.6])
@pytest.mark.parametrize("mirrored", [False, True])
def test_scale_and_reflection_are_taken_out_of_poses(scale, mirrored):
    rotation = Rotation.from_euler("xyz", [0.3, -0.2, 1.0]).as_matrix()
    flip = np.diag([1.0, -1.0 if mirrored else 1.0, 1.0])
    T = np.eye(4)
    T[:3, :3] = scale * flip @ rotation
    T[:3, 3] = scale * flip @ [1.0, 2.0, 3.0]
    rigid, found = geometry.split_similarity(T)
    assert found == pytest.approx(scale)
    np.testing.assert_allclose(rigid[:3, :3], rotation, atol=1e-9)
    np.testing.assert_allclose(rigid[:3, 3], [1, 2, 3], atol=1e-9)


def test_a_pose_that_is_no_similarity_is_refused():
    with pytest.raises(ValueError, match="rotation times a scale"):
        geometry.split_similarity(np.diag([1.0, 2.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match=r"finite \(4, 4\) matrix"):
        geometry.split_similarity(np.full((4, 4), np.nan))


def test_frustum_by_hand():
    points = np.array([[2.0, 0, 1.5], [-2.0, 0, 1.5], [2.0, 0.999, 1.5], [2.0, 1.001, 1.5]])
    # At 2 m the left border of the image (u = -0.5) is at 0.5 / 1 * 2 = 1 m.
    inside = geometry.in_frustum(points, CAMERA, LEVEL)
    np.testing.assert_array_equal(inside, [True, False, True, False])


def test_free_space_by_hand():
    depth = np.full((80, 100), 2.0, np.float32)
    depth[:, :50] = np.nan  # no reading in the left half
    points = np.array([[1.0, -0.2, 1.5], [1.95, -0.2, 1.5], [2.5, -0.2, 1.5], [1.0, 0.2, 1.5]])
    free = geometry.seen_free(points, depth, CAMERA, LEVEL, margin_m=0.1)
    np.testing.assert_array_equal(free, [True, False, False, False])


def frame(**changes):
    values = dict(
        rgb=np.zeros((80, 100, 3), np.uint8),
        depth_m=np.ones((80, 100), np.float32),
        K=K,
        T_world_camera=LEVEL,
    )
    return RGBDFrame(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (dict(rgb=np.zeros((80, 100), np.uint8)), r"rgb must be \(H, W, 3\) uint8"),
        (dict(rgb=np.zeros((80, 100, 3))), r"rgb must be .* uint8, got .* float64"),
        (dict(depth_m=np.ones((80, 100), np.uint16)), "depth_m must be .* metres"),
        (dict(depth_m=np.ones((40, 50), np.float32)), "depth is 50x40 but rgb is 100x80"),
        (dict(K=np.zeros((3, 3))), "positive focal lengths, got fx=0, fy=0"),
        (dict(K=np.full((3, 3), np.nan)), "K must be finite"),
        (dict(K=np.eye(4)), r"K must be \(3, 3\)"),
        (dict(T_world_camera=2 * np.eye(4)), "T_world_camera must be rigid"),
        (dict(T_world_camera=np.diag([1.0, 1, -1, 1])), "T_world_camera must be rigid"),
        (dict(T_world_camera=np.full((4, 4), np.inf)), "T_world_camera must be finite"),
    ],
)
def test_frames_are_checked(changes, match):
    with pytest.raises(FrameError, match=match):
        frame(**changes)


def test_truncated_signed_distance_by_hand():
    camera = Camera(np.array([[10.0, 0, 4.5], [0, 10.0, 4.5], [0, 0, 1]]), width=10, height=10)
    depth = np.full((10, 10), 2.0, np.float32)
    depth[:, 5:] = 0
    z = np.array([0.5, 1.9, 2.0, 2.05, 2.1, 2.3])
    left = np.stack([-0.1 * z, 0 * z, z], axis=1)
    expected = [1.0, 0.5, 0.0, -0.25, -0.5, 1.0]
    turn = np.diag([0.6, -0.6, 0.6, 1.0])  # a scale and a reflection, as scene files have them
    for T in (np.eye(4), turn):
        points = geometry.transform_points(T, left)
        at = geometry.pixels_of(points, camera, T)
        values = geometry.projective_tsdf(*at, depth, truncation_m=0.2)
        np.testing.assert_allclose(values, expected, atol=1e-6)
        nowhere = np.array([[0.1, 0, 1.95], [50, 0, 1], [0, 0, -1]])  # no reading, out of view
        at = geometry.pixels_of(geometry.transform_points(T, nowhere), camera, T)
        assert (geometry.projective_tsdf(*at, depth, 0.2) == 1).all()


def test_a_grid_is_seen_as_its_points_are():
    """From inside it, by a camera that is turned, scaled and reflected."""
    camera = Camera(np.array([[9.0, 0.3, 7.5], [0, 11.0, 4.5], [0, 0, 1]]), width=16, height=10)
    axes = [np.linspace(-1, 2, 17), np.linspace(-2, 2, 15), np.linspace(-1.5, 1, 16)]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for factor in (0.7, -0.7):
        T = np.eye(4)
        T[:3] = np.column_stack([factor * turn, [0.31, 0.17, -0.23]])
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        pixel, z = geometry.pixels_of(points, camera, T)
        planes = list(geometry.pixels_of_grid(axes, camera, T))
        np.testing.assert_array_equal(np.concatenate([found for found, _ in planes]), pixel)
        np.testing.assert_allclose(np.concatenate([at for _, at in planes]), z, atol=1e-12)
        assert 10 < (pixel >= 0).sum() < len(points) - 10
