"""SceneUnderstanding on a scene whose geometry is known exactly, and on a real one."""

import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from support import ENCODER, NETWORK_FIXTURES, ROOT

from semabs_core import geometry
from semabs_core.checkpoint import save_network
from semabs_core.config import ConfigError, parse_config
from semabs_core.data.analytic import render_room, room_view
from semabs_core.data.scene_file import load_scene
from semabs_core.description import DescriptionError, RelationError
from semabs_core.frame_state import make_frame_state
from semabs_core.network_config import NetworkConfig
from semabs_core.networks import build_network
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.types import FREE, UNKNOWN, FrameError

CLASSES = ["floor", "table", "blue box"]


def configure(**changes):
    values = {
        "device": "cpu",
        "encoder": {"model": ENCODER, "precision": "fp32"},
        "relevancy": {"preset": "chefer_et_al"},
        "completion": {"checkpoint": "untrained", "resolution": 24},
        "localization": {"checkpoint": "untrained", "resolution": 24},
    }
    for key, value in changes.items():
        values[key] = values.get(key, {}) | value if isinstance(value, dict) else value
    return parse_config(values)


def build(**changes):
    return SceneUnderstanding.from_config(configure(**changes))


@pytest.fixture(scope="module")
def scene(room):
    scene = build()
    scene.set_frame(room.frame(0))
    return scene


BOUNDS = np.array([[-1, -1, -0.1], [1, 1, 1.9]])


def frame_state(frame, region):
    """Only the input points, without networks."""
    return make_frame_state(frame, region, BOUNDS, 80_000, 0, torch.device("cpu"))


def world_points(scene):
    state = scene._state
    return geometry.transform_points(state.T_world_scene, state.input_xyz.numpy().astype(float))


def move(frame, yaw, shift):
    """The same frame in a world that is turned about z and shifted."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    T[:3, 3] = shift
    return replace(frame, T_world_camera=T @ frame.T_world_camera)


def readings(frame):
    """World points (N, 3) of all valid pixels, and their flat pixel indices."""
    points = geometry.transform_points(
        frame.T_world_camera, geometry.back_project(frame.depth_m, frame.K)
    ).reshape(-1, 3)
    pixels = np.flatnonzero(geometry.valid_depth(frame.depth_m))
    return points[pixels], pixels


REGION = np.array([[2.5 / 3, -5 / 3, 0.0], [2.5 / 3 + 10 / 3, 5 / 3, 10 / 3]])
"""The default region of the analytic room's camera, in the world."""


def test_input_points_lie_on_the_rooms_surfaces(scene, room):
    exact, pixels = readings(room.frame(0))
    kept = geometry.in_bounds(exact, REGION, 0.05)
    np.testing.assert_array_equal(scene._state.pixels, pixels[kept])
    # What lies in the margin goes to the region's border. Scene coordinates are float32.
    np.testing.assert_allclose(world_points(scene), exact[kept].clip(*REGION), atol=1e-5)
    on_the_floor = (np.abs(exact[kept][:, 2]) < 1e-3).sum()
    assert on_the_floor > 7000


@pytest.mark.parametrize("height_error", [0.02, 0.005, 0.0, -0.005, -0.02])
def test_the_floor_reaches_the_networks_whatever_the_cameras_height(room, height_error):
    frame = room.frame(0)
    exact, pixels = readings(frame)
    inner = geometry.in_bounds(exact[:, :2], REGION[:, :2], -0.05)
    floor = pixels[inner & (np.abs(exact[:, 2]) < 1e-3)]
    assert len(floor) > 7000
    wrong = move(frame, 0.0, (0, 0, height_error))
    state = frame_state(wrong, configure().region)
    assert np.isin(floor, state.pixels).mean() > 0.95
    assert (state.input_xyz >= torch.tensor(BOUNDS[0], dtype=torch.float32)).all()


def test_what_lies_beyond_the_margin_is_left_out(room):
    frame = room.frame(0)
    exact, pixels = readings(frame)
    region = replace(configure().region, region_min_m=(2.5 / 3, -5 / 3, 0.5), input_margin_m=0.1)
    state = frame_state(frame, region)
    z = exact[np.searchsorted(pixels, state.pixels), 2]
    assert 0.4 <= z.min() < 0.41
    np.testing.assert_allclose(state.input_xyz[torch.from_numpy(z < 0.5)][:, 2], BOUNDS[0, 2])


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
    free = geometry.seen_free(
        occupied, frame.depth_m, frame.camera, frame.T_world_camera, margin_m=0.1
    )
    assert len(occupied)
    assert not free.any()
    assert (completion.scores[completion.labels == UNKNOWN] == 0).all()
    assert completion.timings_s.keys() == {"relevancy", "volumes", "decode"} or scene._state.maps


def test_grid_frame_puts_voxel_centres_on_the_query_points(scene):
    completion = scene.complete(CLASSES)
    T, size = completion.T_world_grid, completion.voxel_size_m
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert size == pytest.approx(10 / 3 / 23)
    index = np.array([[0, 0, 0], [23, 5, 7]])
    centres = geometry.transform_points(T, (index + 0.5) * size)
    grid = scene._state.grid(scene.config.completion)
    flat = np.ravel_multi_index(tuple(index.T), (24, 24, 24))
    np.testing.assert_allclose(centres, grid.world[flat], atol=1e-6)


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


def test_known_names_cost_only_the_decoding(room):
    scene = build()
    scene.set_frame(room.frame(0))
    calls = []
    embed = scene.extractor.embed
    scene.extractor.embed = lambda *a, **k: calls.append("embed") or embed(*a, **k)
    encode = scene.completion.encode_volume
    scene.completion.encode_volume = lambda *a: calls.append("volume") or encode(*a)
    scene.complete(["floor", "table"])
    assert calls == ["embed", "volume", "volume"]
    assert scene.complete(["table"]).timings_s.keys() == {"decode"}
    scene.complete(["table", "lamp"])  # a new word: no new pass of the image tower
    assert calls == ["embed", "volume", "volume", "volume"]


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


def test_the_mean_of_the_request_can_be_asked_for(room):
    scene = build(relevancy={"mean": "request", "mean_vocabulary": []})
    scene.set_frame(room.frame(0))
    maps = scene.relevancy(["lamp", "table"])
    np.testing.assert_allclose(maps[0], -maps[1], atol=1e-5)
    with pytest.raises(ConfigError, match="needs at least two names"):
        scene.relevancy(["lamp"])
    first = scene.complete(["lamp", "table"])
    other = scene.complete(["lamp", "floor"])
    assert not np.array_equal(first.scores, other.scores)


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


def test_a_wider_margin_gives_a_larger_region(scene):
    core = scene.config
    sizes = []
    for margin in (0.0, 0.5, 50.0):
        scene.reconfigure(
            replace(core, localization=replace(core.localization, region_margin=margin))
        )
        sizes.append(len(scene.localize("mug", "on", "table").points_m))
    scene.reconfigure(core)
    assert sizes[0] < sizes[1] < sizes[2]
    grid = scene._state.grid(core.localization)
    assert sizes[2] == grid.open.sum()


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


def test_volumes_stay_within_their_memory(room):
    scene = build(volume_cache_mb=2)  # a volume of 8 x 32^3 float32 is 1 MiB
    scene.set_frame(room.frame(0))
    scene.complete(["a lamp", "sofa", "chair", "table"])
    assert len(scene._state.volumes) == 2


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("vool_semabs", "localization"),
        ("vool_clipspatial", "localization"),
        ("ovssc_semabs", "completion"),
    ],
)
def test_published_checkpoints_run_through_the_pipeline(room, name, task):
    scene = build(**{task: {"checkpoint": str(NETWORK_FIXTURES / name)}})
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
    # A wall right behind the region's near face: all of the view up to 30 m is free, but one pixel.
    depth = np.full_like(frame.depth_m, 30.0)
    depth[60, 80] = 2.0
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
        "    importlib.import_module(m.name)\n"
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
    forgotten = {"volumes": OrderedDict(), "tsdfs": {}}
    scene._state = replace(scene._state, frame=nearer, **forgotten)
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
    assert scene.cutoff == -1.5
    wanted = {"preset": "fast", "prompts": ["{}"], "mean_vocabulary": ["sofa"]}
    checkpoints["completion"]["cutoff"] = -2.0
    scene = build(relevancy=wanted, **checkpoints)
    assert vars(scene.chosen) == wanted | {"augmentations": None}
    assert scene.cutoff == -2.0
    network = build_network(NetworkConfig("localization", **size))
    save_network(network, tmp_path / "localization", trained | {"prompts": ["{}"]})
    with pytest.raises(ConfigError, match=r"different prompts: .*; set relevancy\.prompts to one"):
        build(relevancy={"preset": None}, **checkpoints)
    save_network(network, tmp_path / "localization", {})
    assert build(relevancy={"preset": None}, **checkpoints).chosen.prompts == ["a render of a {}."]
