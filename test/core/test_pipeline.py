"""SceneUnderstanding on a scene whose geometry is known exactly, and on a real one."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pipeline_toy import CLASSES, build, configure, move, roll
from scipy.spatial.transform import Rotation
from support import NETWORK_FIXTURES, ROOT

from semabs_core import geometry, grid_answers
from semabs_core.checkpoint import save_network
from semabs_core.config import ConfigError, parse_config
from semabs_core.data.analytic import render_room, room_view
from semabs_core.data.scene_file import load_scene
from semabs_core.description import DescriptionError, RelationError
from semabs_core.frame_state import Stopwatch
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network
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


def test_cutoff_and_masks_can_be_changed_between_requests(room):
    scene = build()
    scene.set_frame(room.frame(0))
    loose = scene.complete(CLASSES)
    core = scene.config
    scene.reconfigure(replace(core, completion=replace(core.completion, cutoff=100.0)))
    assert not np.isin(scene.complete(CLASSES).labels, [1, 2, 3]).any()
    off = replace(core.completion, mask_frustum=False, mask_free_space=False, cutoff=-100.0)
    scene.reconfigure(replace(core, completion=off))
    assert np.isin(scene.complete(CLASSES).labels, [1, 2, 3]).all()
    scene.reconfigure(core)
    np.testing.assert_array_equal(scene.complete(CLASSES).labels, loose.labels)


def test_answers_do_not_depend_on_what_was_asked_before(scene, room):
    fresh = build()
    fresh.set_frame(room.frame(0))
    alone = fresh.complete(["table"])
    scene.complete(["floor", "table"])
    scene.localize("mug", "behind", "table")
    again = scene.complete(["table"])
    np.testing.assert_array_equal(again.labels, alone.labels)
    np.testing.assert_allclose(again.scores, alone.scores, atol=1e-5)


def test_labels_do_not_depend_on_how_many_are_asked_together(room, monkeypatch):
    """However little memory there is for volumes, and however small a batch of points is."""
    frame, answers = room.frame(0), []
    for together, limits in (
        (5, {}), (5, {"volume_cache_mb": 0}), (2, {"volume_cache_mb": 2}), (1, {}),
        (5, {"query_batch": 1024}),
    ):  # fmt: skip
        monkeypatch.setattr(grid_answers, "TABLE_BYTES", together * 4 * 8 * 32**3)
        scene = build(**limits)
        scene.set_frame(frame)
        answers.append(scene.complete([*CLASSES, "lamp", "wall"]))
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.labels, answers[0].labels)
        np.testing.assert_allclose(answer.scores, answers[0].scores, atol=1e-5)


def test_known_names_cost_only_the_decoding(room):
    scene = build()
    scene.set_frame(room.frame(0))
    calls = []
    embed = scene.extractor.embed
    scene.extractor.embed = lambda *a, **k: calls.append("embed") or embed(*a, **k)
    encode = scene.completion.encode_volume
    scene.completion.encode_volume = lambda *a: calls.append("volume") or encode(*a)
    first = scene.complete(["floor", "table"])
    assert first.timings_s.keys() == {"relevancy", "volumes", "decode"}
    assert calls == ["embed", "volume", "volume"]
    assert scene.complete(["table"]).timings_s.keys() == {"decode"}
    scene.complete(["table", "lamp"])  # a new word: no new pass of the image tower
    assert calls == ["embed", "volume", "volume", "volume"]


def test_ten_descriptions_over_six_names_cost_six_volumes(room):
    scene = build()
    scene.set_frame(room.frame(0))
    calls = []
    encode = scene.localization.encode_volume
    scene.localization.encode_volume = lambda *a: calls.append("volume") or encode(*a)
    cells = scene.localization.cells
    scene.localization.cells = lambda *a: calls.append("cells") or cells(*a)
    names = ["mug", "table", "box", "lamp", "chair", "book"]
    pairs = [(i, j) for i in range(6) for j in range(i)][:10]
    assert {name for pair in pairs for name in pair} == set(range(5))
    for number, (i, j) in enumerate([*pairs[:9], (5, 0)]):
        scene.localize(names[i], ("behind", "on")[number % 2], names[j])
    assert calls.count("volume") == 6
    assert calls.count("cells") == 1


@pytest.mark.parametrize("keep_tiles", [True, False])
def test_kept_tiles_change_nothing(room, keep_tiles):
    scene = build(relevancy={"keep_tiles": keep_tiles})
    scene.set_frame(room.frame(0))
    scene.complete(["floor"])
    maps = scene.relevancy(["floor", "lamp"])
    fresh = build()
    fresh.set_frame(room.frame(0))
    np.testing.assert_allclose(maps, fresh.relevancy(["floor", "lamp"]), rtol=1e-3, atol=1e-5)


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


def test_another_region_costs_no_pass_of_the_image_tower(room):
    scene = build()
    scene.set_frame(room.frame(0))
    before = scene.relevancy(CLASSES)
    features = scene._reader.image_features(scene._state, Stopwatch(None))
    calls = []
    embed = scene.extractor.embed
    scene.extractor.embed = lambda *a, **k: calls.append("embed") or embed(*a, **k)
    region = replace(scene.config.region, region_size_m=1.5, region_min_m=(1.5, -0.7, 0.0))
    scene.reconfigure(replace(scene.config, region=region))
    found = scene.complete([*CLASSES, "lamp"])
    np.testing.assert_array_equal(scene.relevancy(CLASSES), before)
    assert scene._reader.image_features(scene._state, Stopwatch(None)) is features
    assert calls == []
    fresh = build(region={"region_size_m": 1.5, "region_min_m": [1.5, -0.7, 0.0]})
    fresh.set_frame(room.frame(0))
    expected = fresh.complete([*CLASSES, "lamp"])
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.T_world_grid, expected.T_world_grid)


def test_what_cannot_change_while_models_are_loaded_is_refused(room):
    scene = build()
    core = scene.config
    wanted = replace(
        core,
        relevancy=replace(core.relevancy, preset="fast"),
        completion=replace(core.completion, checkpoint="elsewhere", resolution=16),
    )
    with pytest.raises(ConfigError, match=r"relevancy.preset, completion.checkpoint cannot change"):
        scene.reconfigure(wanted)
    assert scene.config == core


def test_after_a_frame_that_fails_there_is_none(room):
    scene, frame = build(), room.frame(0)
    scene.set_frame(frame)
    with pytest.raises(FrameError, match="no depth reading falls into the region"):
        scene.set_frame(replace(frame, depth_m=np.full_like(frame.depth_m, 30.0)))
    with pytest.raises(FrameError, match="there is no frame"):
        scene.complete(CLASSES)
    scene.set_frame(frame)
    elsewhere = replace(scene.config.region, region_min_m=(50.0, 0.0, 0.0))
    with pytest.raises(FrameError, match="no depth reading falls into the region"):
        scene.reconfigure(replace(scene.config, region=elsewhere))
    assert scene.config.region == elsewhere
    for call in (lambda: scene.complete(CLASSES), lambda: scene.localize("mug", "on", "table")):
        with pytest.raises(FrameError, match="there is no frame"):
            call()
    scene.reconfigure(configure())
    scene.set_frame(frame)
    assert scene.complete(CLASSES).classes == CLASSES


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


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("vool_semabs", "localization"),
        ("vool_clipspatial", "localization"),
        ("ovssc_semabs", "completion"),
    ],
)
def test_published_checkpoints_run_through_the_pipeline(room, name, task):
    config = configure(**{task: {"checkpoint": str(NETWORK_FIXTURES / name)}})
    scene = SceneUnderstanding.from_config(config)
    assert scene.untrained == [{"completion": "localization", "localization": "completion"}[task]]
    scene.set_frame(room.frame(0))
    assert scene.complete(CLASSES).labels.shape == (24, 24, 24)
    assert np.isfinite(scene.localize("mug", "on", "table").position_m).all()


def test_networks_and_encoder_must_fit():
    with pytest.raises(ConfigError, match="text features of width 512, but .* gives 32"):
        build(completion={"checkpoint": str(NETWORK_FIXTURES / "ovssc_semaware")})
    with pytest.raises(ConfigError, match="completion.checkpoint .* holds a localization network"):
        build(completion={"checkpoint": str(NETWORK_FIXTURES / "vool_semabs")})


def test_stopping_a_request_leaves_the_scene_usable(room):
    class StopError(Exception):
        pass

    def stop_at(stage):
        def hook(name, fraction):
            if name == stage:
                raise StopError

        return hook

    scene = build()
    scene.set_frame(room.frame(0))
    for stage in ("relevancy", "volumes", "decode", "completion"):
        with pytest.raises(StopError):
            scene.complete(CLASSES, on_progress=stop_at(stage))
    fresh = build()
    fresh.set_frame(room.frame(0))
    expected = fresh.complete(CLASSES)
    np.testing.assert_array_equal(scene.complete(CLASSES).labels, expected.labels)


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


def test_the_core_never_imports_ros():
    code = (
        "import sys, pkgutil, importlib, semabs_core\n"
        "for m in pkgutil.walk_packages(semabs_core.__path__, 'semabs_core.'):\n"
        "    try:\n"
        "        importlib.import_module(m.name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        assert error.name in ('gradio', 'rerun'), error  # of optional parts\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in "
        "('rclpy', 'semabs', 'semabs_ros', 'sensor_msgs', 'tf2_ros', 'cv_bridge', 'launch')]\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(room):
    results = []
    for device in ("cpu", "cuda"):
        scene = SceneUnderstanding.from_config(configure(), device=device)
        scene.set_frame(room.frame(0))
        results.append(scene.complete(CLASSES))
    assert (results[0].labels == results[1].labels).mean() > 0.99


@pytest.mark.parametrize(
    ("approach", "inputs"),
    [
        ("semantic_abstraction", ("patch_masks", "rgb", "tsdf")),
        ("semantic_abstraction", ("saliency", "tsdf")),
        ("semantic_aware", ("rgb", "tsdf")),
    ],
)
def test_networks_with_other_inputs(room, tmp_path, approach, inputs):
    torch.manual_seed(0)
    size = {"voxel_shape": (16, 16, 16), "levels": 2, "channels": 8, "f_maps": 8, "hidden": 8}
    for task in ("completion", "localization"):
        config = NetworkConfig(
            task, approach, network_inputs=inputs, text_dim=32, pointing_dim=8, **size
        )
        save_network(build_network(config), tmp_path / task)
    scene = build(
        completion={"checkpoint": str(tmp_path / "completion")},
        localization={"checkpoint": str(tmp_path / "localization")},
    )
    assert scene.completion.config.network_inputs == inputs
    scene.set_frame(room.frame(0))
    first = scene.complete(CLASSES)
    found = scene.localize("ball", "behind", "table")
    assert np.isfinite([first.scores.sum(), found.score]).all()
    nearer = replace(room.frame(0), depth_m=room.frame(0).depth_m * np.float32(0.99))
    scene._state.frame = nearer
    scene._state.volumes.clear()
    scene._state.tsdfs.clear()
    changed = scene.complete(CLASSES)
    assert not np.array_equal(first.scores, changed.scores), "the distance field is not read"


def test_what_a_config_leaves_open_is_as_the_networks_were_trained(room, tmp_path):
    size = {"voxel_shape": (16, 16, 16), "levels": 2, "channels": 8, "f_maps": 8, "hidden": 8}
    trained = {
        "preset": "chefer_et_al",
        "prompts": ["a render of a {}."],
        "augmentations": 0,
        "mean_vocabulary": ["wall", "door"],
        "cutoff": -1.5,
    }
    checkpoints = {}
    for task in ("completion", "localization"):
        save_network(build_network(NetworkConfig(task, **size)), tmp_path / task, trained)
        checkpoints[task] = {"checkpoint": str(tmp_path / task)}
    scene = build(relevancy={"preset": None}, **checkpoints)
    assert vars(scene.chosen) == {k: v for k, v in trained.items() if k != "cutoff"}
    assert scene.judgement.cutoff == -1.5
    wanted = {"preset": "fast", "prompts": ["{}"], "mean_vocabulary": ["sofa"]}
    checkpoints["completion"]["cutoff"] = -2.0
    scene = build(relevancy=wanted, **checkpoints)
    assert vars(scene.chosen) == wanted | {"augmentations": None}
    assert scene.judgement.cutoff == -2.0
    network = build_network(NetworkConfig("localization", **size))
    save_network(network, tmp_path / "localization", trained | {"prompts": ["{}"]})
    with pytest.raises(ConfigError, match=r"different prompts: .*; set relevancy\.prompts to one"):
        build(relevancy={"preset": None}, **checkpoints)
    save_network(network, tmp_path / "localization", {})
    assert build(relevancy={"preset": None}, **checkpoints).chosen.prompts == ["a render of a {}."]
    save_network(network, tmp_path / "localization", trained)
    free = NetworkConfig("completion", normalization="evidence", **size)
    save_network(build_network(free), tmp_path / "completion", {"preset": "fast"})
    scene = build(relevancy={"preset": None}, **checkpoints)
    assert scene.chosen.preset == "chefer_et_al", "evidence can be made of any relevancy"
    assert scene.chosen.augmentations == 0
