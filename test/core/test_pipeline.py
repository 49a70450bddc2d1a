"""SceneUnderstanding on a scene whose geometry is known exactly, and on a real one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pipeline_toy import CLASSES, build, configure, move, roll
from scipy.spatial.transform import Rotation

from semabs_core import geometry
from semabs_core.config import parse_config
from semabs_core.data.analytic import render_room, room_view
from semabs_core.data.scene_file import load_scene
from semabs_core.description import DescriptionError, RelationError
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import FREE, UNKNOWN, FrameError


@pytest.fixture(scope="module")
def scene(room):
    scene = build()
    scene.set_frame(room.frame(0))
    return scene


def test_everything_is_upright_and_the_camera_outside_the_region(scene, room):
    T = scene._state.T_world_scene
    np.testing.assert_allclose(T[:3, 2] / np.linalg.norm(T[:3, 2]), [0, 0, 1], atol=1e-12)
    camera = geometry.transform_points(geometry.invert(T), room.T_world_camera[0][:3, 3])
    np.testing.assert_allclose(camera, [-1.5, 0, 0.8], atol=1e-6)


def test_depth_of_the_room_is_exact():
    view = room_view(160, 120)
    _, depth = render_room(view)
    # A pixel of the floor: the ray (x, y, 1) of the camera meets z = 0 at 1.5 m / its fall.
    v, u = 110, 30
    ray = view.T_world_camera[:3, :3] @ np.linalg.inv(view.camera.K) @ [u, v, 1]
    assert depth[v, u] == pytest.approx(-1.5 / ray[2], rel=1e-5)


def test_completion_labels_follow_the_masks(scene, room):
    completion = scene.complete(CLASSES)
    assert completion.labels.shape == (24, 24, 24)
    assert set(np.unique(completion.labels)) <= {FREE, UNKNOWN, 1, 2, 3}
    frame = room.frame(0)
    for label in (FREE, UNKNOWN, 1, 2, 3):
        points, _ = completion.points_of(label)
        seen = geometry.in_frustum(points, frame.camera, frame.T_world_camera)
        assert seen.all() if label != UNKNOWN else not seen.any()
    occupied = np.concatenate([completion.points_of(i)[0] for i in (1, 2, 3)])
    view, margin = (frame.depth_m, frame.camera, frame.T_world_camera), 0.05
    free = occupied[geometry.seen_free(occupied, *view, margin_m=margin)]
    readings = geometry.transform_points(
        frame.T_world_camera, geometry.back_project(frame.depth_m, frame.K).reshape(-1, 3)
    )
    half = completion.voxel_size_m / 2 + 1e-6
    holds = [(np.abs(readings - middle).max(axis=1) < half).any() for middle in free]
    assert len(free) < len(occupied)
    assert all(holds), "only what is thinner than a voxel has its middle in the open"
    assert (completion.scores[completion.labels == UNKNOWN] == 0).all()


def test_grid_frame_puts_voxel_centres_on_the_query_points(scene):
    completion = scene.complete(CLASSES)
    T, size = completion.T_world_grid, completion.voxel_size_m
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert size == pytest.approx(10 / 3 / 23)
    index = np.array([[0, 0, 0], [23, 5, 7]])
    centres = geometry.transform_points(T, (index + 0.5) * size)
    grid = scene._state.grid(scene.config.completion)
    flat = np.ravel_multi_index(tuple(index.T), (24, 24, 24))
    np.testing.assert_allclose(centres, grid.world(flat), atol=1e-6)


def test_answers_do_not_depend_on_what_was_asked_before(scene, room):
    fresh = build()
    fresh.set_frame(room.frame(0))
    alone = fresh.complete(["table"])
    scene.complete(["floor", "table"])
    scene.localize("mug", "behind", "table")
    again = scene.complete(["table"])
    np.testing.assert_array_equal(again.labels, alone.labels)
    np.testing.assert_allclose(again.scores, alone.scores, atol=1e-5)


def test_relevancy_is_the_map_minus_the_mean_of_the_vocabulary_times_50(scene, room):
    words = scene.chosen.mean_vocabulary
    maps = scene.extractor(room.rgb[0], ["lamp", *words])
    expected = 50 * (maps[0] - maps[1:].mean(axis=0))
    np.testing.assert_allclose(scene.relevancy(["lamp"])[0], expected, rtol=1e-3, atol=1e-5)


def test_localization_answers_in_the_world(scene, room):
    result = scene.localize("mug", "to the left of", "the lamp")
    assert result.points_m.shape == (len(result.scores), 3)
    assert 0 <= result.score <= 1
    assert result.score == pytest.approx(result.scores.max())
    assert (np.linalg.norm(result.points_m - result.position_m, axis=1) < 1e-9).any()
    size = 10 / 3 / 23
    np.testing.assert_allclose(result.extent_m, np.ptp(result.points_m, axis=0) + size)
    frame = room.frame(0)
    assert geometry.in_frustum(result.points_m, frame.camera, frame.T_world_camera).all()


def test_a_thing_alone_is_where_the_completion_sees_it_best(scene, room):
    scene.set_frame(room.frame(0))
    found, seen = scene.localize("the table"), scene.complete(["table"])
    assert found.score == pytest.approx(seen.scores.max())
    best = np.unravel_index(seen.scores.argmax(), seen.scores.shape)
    T = seen.T_world_grid
    place = T[:3, :3] @ ((np.array(best) + 0.5) * seen.voxel_size_m) + T[:3, 3]
    highest = found.points_m[found.scores.argmax()]
    np.testing.assert_allclose(highest, place, atol=1e-5)
    assert (np.linalg.norm(found.points_m - found.position_m, axis=1) < 1e-9).any()


def test_a_wider_margin_gives_a_larger_region(scene):
    core = scene.config
    sizes = []
    for margin in (0.0, 2.0, 50.0):
        scene.reconfigure(
            replace(core, localization=replace(core.localization, region_margin=margin))
        )
        sizes.append(len(scene.localize("mug", "on", "table").points_m))
    scene.reconfigure(core)
    assert sizes[0] < sizes[1] < sizes[2]
    grid = scene._state.grid(core.localization)
    assert sizes[2] == len(grid.open)


def test_a_region_goes_as_far_as_was_found_best_for_its_relation(room):
    scene = build()
    scene.set_frame(room.frame(0))
    scene.localization.metadata = {"margins": {"": 0.2, "on": 50.0}}
    everything = len(scene._state.grid(scene.config.localization).open)
    assert len(scene.localize("mug", "on", "table").points_m) == everything
    assert len(scene.localize("mug", "behind", "table").points_m) < everything
    wanted = replace(scene.config.localization, region_margin=0.0)
    scene.reconfigure(replace(scene.config, localization=wanted))
    assert len(scene.localize("mug", "on", "table").points_m) < everything


def test_a_thing_alone_ends_at_the_cutoff_of_completion(room):
    scene = build(completion={"cutoff": -50.0})
    scene.set_frame(room.frame(0))
    everything = len(scene._state.grid(scene.config.localization).open)
    assert len(scene.localize("the table").points_m) == everything
    strict = replace(scene.config.completion, cutoff=50.0)
    scene.reconfigure(replace(scene.config, completion=strict))
    assert 0 < len(scene.localize("the table").points_m) < everything


@pytest.mark.parametrize(("yaw", "shift"), [(2.0, (0, 0, 0)), (-0.5, (4.0, -7.0, 0))])
def test_answers_move_with_the_world(scene, room, yaw, shift):
    frame = room.frame(0)
    scene.set_frame(frame)
    here = scene.complete(CLASSES)
    scene.set_frame(move(frame, yaw, shift))
    there = scene.complete(CLASSES)
    scene.set_frame(frame)
    assert (here.labels == there.labels).mean() > 0.999
    turned = Rotation.from_euler("z", yaw).apply(here.T_world_grid[:3, 3]) + shift
    np.testing.assert_allclose(there.T_world_grid[:3, 3], turned, atol=1e-9)


def test_answers_are_the_same_in_a_frame_with_large_coordinates(scene, room):
    """UTM: half a million metres east, four and a half million north."""
    here = scene.complete(CLASSES)
    found = scene.localize("mug", "on", "table")
    far = np.array([5e5, 4.5e6, 100.0])
    there = build(region={"floor_z_m": far[2]})
    there.set_frame(move(room.frame(0), shift=far))
    labels = there.complete(CLASSES)
    assert (here.labels == labels.labels).mean() > 0.999
    shift = labels.T_world_grid[:3, 3] - here.T_world_grid[:3, 3]
    np.testing.assert_allclose(shift, far, atol=1e-6)
    position = there.localize("mug", "on", "table").position_m
    np.testing.assert_allclose(position - far, found.position_m, atol=1e-5)


THINGS = ["floor", "wall", "table", "box"]


@pytest.fixture(scope="module")
def shipped_scene(room):
    """The models that ship, with the fastest relevancy, and their labels of the upright room."""
    untrained = {"checkpoint": "untrained"}
    relevancy = {"preset": "chefer_et_al"}
    values = {"device": "cpu", "encoder": {"precision": "fp32"}, "relevancy": relevancy}
    values |= {"completion": {"resolution": 20}, "localization": untrained}
    scene = SceneUnderstanding.from_config(parse_config(values))
    scene.set_frame(room.frame(0))
    return scene, scene.complete(THINGS).labels


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_labels_are_those_of_the_upright_camera(shipped_scene, room, turns):
    """Rolled by 90, 180 (mounted upside down) and 270 degrees, with the pose that says so."""
    scene, upright = shipped_scene
    occupied = (upright != FREE) & (upright != UNKNOWN)
    assert occupied.sum() > 200
    scene.set_frame(roll(room.frame(0), turns))
    rolled = scene.complete(THINGS).labels
    assert (rolled == upright)[occupied].mean() > 0.95
    # Without the turn they are not: the encoder knows things the right way up.
    scene.set_frame(roll(room.frame(0), turns))
    scene._state.turns = 0
    assert (scene.complete(THINGS).labels == upright)[occupied].mean() < 0.95


def test_floor_height_and_region_move_the_grid(room):
    frame = room.frame(0)
    scene = build(region={"floor_z_m": 0.7, "region_size_m": 1.0, "region_min_m": [1.8, -0.5, 0.0]})
    scene.set_frame(frame)
    completion = scene.complete(["lamp"])
    centre = geometry.transform_points(
        completion.T_world_grid, np.full(3, completion.voxel_size_m / 2)
    )
    np.testing.assert_allclose(centre, [1.8, -0.5, 0.7], atol=1e-9)
    assert completion.voxel_size_m == pytest.approx(1 / 23)


def test_points_are_subsampled_with_a_seed(room):
    first, second = build(num_input_points=500), build(num_input_points=500)
    other = build(num_input_points=500, seed=1)
    for scene in (first, second, other):
        scene.set_frame(room.frame(0))
    assert first._state.input_xyz.shape == (500, 3)
    assert torch.equal(first._state.input_xyz, second._state.input_xyz)
    assert not torch.equal(first._state.input_xyz, other._state.input_xyz)


def test_unusable_frames_and_words_say_why(scene, room):
    frame = room.frame(0)
    with pytest.raises(FrameError, match="no valid reading"):
        scene.set_frame(replace(frame, depth_m=np.full_like(frame.depth_m, np.nan)))
    with pytest.raises(FrameError, match=r"no depth reading falls into the region.*region_min_m"):
        scene.set_frame(replace(frame, depth_m=np.full_like(frame.depth_m, 30.0)))
    with pytest.raises(FrameError, match="there is no frame yet"):
        build().complete(["mug"])
    scene.set_frame(frame)
    with pytest.raises(ValueError, match="classes must differ, repeated: mug"):
        scene.complete(["mug", "the mug"])
    with pytest.raises(ValueError, match="1 to 254 classes, got 0"):
        scene.complete([])
    with pytest.raises(ValueError, match="classes must be a list of names"):
        scene.complete("mug")
    with pytest.raises(DescriptionError, match="class name has no words"):
        scene.complete(["mug", " "])
    with pytest.raises(RelationError, match="unknown relation 'beneath'"):
        scene.localize("mug", "beneath", "table")


def test_a_region_out_of_view_is_an_error(room):
    scene = build(localization={"free_space_margin_m": 0.0})
    frame = room.frame(0)
    # All of the view is free up to 30 m, but a pixel in a corner: its voxel has its middle outside.
    depth = np.full_like(frame.depth_m, 30.0)
    depth[-1, 0] = 1.7
    scene.set_frame(replace(frame, depth_m=depth))
    core = scene.config
    scene.reconfigure(replace(core, localization=replace(core.localization, resolution=4)))
    with pytest.raises(FrameError, match="no voxel of the region is in view"):
        scene.localize("mug", "on", "table")


def test_the_real_scene_is_upright(real_scene):
    frame = load_scene(real_scene).frame(0)
    assert frame.T_world_camera[2, 3] == pytest.approx(1.5, abs=0.05)
    scene = build()
    scene.set_frame(frame)
    T = geometry.invert(scene._state.T_world_scene)
    camera = geometry.transform_points(T, frame.T_world_camera[:3, 3])
    assert camera[0] < scene.bounds[0, 0]
    points = geometry.transform_points(
        frame.T_world_camera, geometry.back_project(frame.depth_m, frame.K)
    )
    # The carpet: the middle of the lowest rows of the image.
    carpet = points[-25:, 70:120].reshape(-1, 3)
    assert abs(np.median(carpet[:, 2])) < 0.02
    # The wall behind: upright to about 5 degrees in this data.
    wall = points[20:60, 60:150].reshape(-1, 3)
    _, _, axes = np.linalg.svd(wall - wall.mean(axis=0), full_matrices=False)
    assert abs(axes[2][2]) < np.sin(np.radians(8))


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(room):
    results = []
    for device in ("cpu", "cuda"):
        scene = SceneUnderstanding.from_config(configure(), device=device)
        scene.set_frame(room.frame(0))
        results.append(scene.complete(CLASSES))
    assert (results[0].labels == results[1].labels).mean() > 0.99
