"""Scene files in and out."""

import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
from scene_toy import toy_scene

from semabs_core import geometry
from semabs_core.data.hdf5 import write_scene
from semabs_core.data.scene_file import SceneError, built_in_scene, load_scene, save_scene

HALF = np.array([[20.0, 0, 9.5], [0, 20.0, 7.0], [0, 0, 1]])
"""Intrinsics for 20x15 pixels."""


def test_round_trip(room, tmp_path):
    save_scene(room, tmp_path / "room.npz")
    again = load_scene(tmp_path / "room.npz")
    np.testing.assert_array_equal(again.rgb, room.rgb)
    np.testing.assert_array_equal(again.depth_m, room.depth_m)
    np.testing.assert_allclose(again.T_world_camera, room.T_world_camera)
    assert again.classes == room.classes
    assert again.descriptions == room.descriptions
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("references", [False, True])
def test_hdf5_at_the_root_or_by_region_references(room, tmp_path, references):
    path = tmp_path / "room.hdf5"
    pose = np.diag([0.6, -0.6, 0.6, 1.0]) @ room.T_world_camera[0]
    with h5py.File(path, "w") as archive:
        for name, value in (("rgb", room.rgb), ("depth", room.depth_m)):
            stack = archive.create_dataset(name, data=np.concatenate([value[:0], value, value]))
            if references:
                refs = archive.create_dataset(f"data/{name}", (1,), dtype=h5py.regionref_dtype)
                refs[0] = stack.regionref[1:2]
        prefix = "data/" if references else ""
        archive[f"{prefix}cam_intr"] = room.K
        archive[f"{prefix}cam_pose"] = pose
    scene = load_scene(path)
    assert len(scene) == (1 if references else 2)
    np.testing.assert_array_equal(scene.rgb[0], room.rgb[0])
    # The published scale and reflection are taken out.
    np.testing.assert_allclose(scene.T_world_camera[0], room.T_world_camera[0], atol=1e-9)


def test_the_region_of_a_published_scene_begins_at_zero(tmp_path):
    toy = toy_scene()
    write_scene(tmp_path / "room.hdf5", toy)
    scene = load_scene(tmp_path / "room.hdf5")
    # 0.6 scene units are a metre; the camera is 0.9 units above the lower bound.
    assert scene.T_world_camera[0][2, 3] == pytest.approx(1.5)


def test_the_built_in_room_stands_on_its_floor():
    scene = built_in_scene()
    assert "basket ball" in scene.classes
    points = geometry.back_project(scene.depth_m[0], scene.K)
    world = geometry.transform_points(scene.T_world_camera[0], points[scene.depth_m[0] > 0])
    heights = world[:, 2][world[:, 2] < 0.3]
    assert np.median(heights) == pytest.approx(0.03, abs=0.03)
    assert world[:, 2].min() > -0.1


@pytest.mark.parametrize("kind", ["fixed", "variable"])
def test_words_of_an_hdf5_file(room, tmp_path, kind):
    path = tmp_path / "room.h5"
    words = np.array(room.descriptions)
    stored = words.astype("S") if kind == "fixed" else words.astype(object)
    text = None if kind == "fixed" else h5py.string_dtype()
    with h5py.File(path, "w") as archive:
        archive["rgb"], archive["depth"] = room.rgb, room.depth_m
        archive["cam_intr"], archive["cam_pose"] = room.K, room.T_world_camera
        archive.create_dataset("descriptions", data=stored, dtype=text)
        names = np.array(room.classes).astype(stored.dtype.kind)
        archive.create_dataset("classes", data=names, dtype=text)
    scene = load_scene(path)
    assert scene.descriptions == room.descriptions
    assert scene.classes == room.classes


def test_words_of_a_published_scene(tmp_path):
    write_scene(tmp_path / "room.hdf5", toy_scene())
    scene = load_scene(tmp_path / "room.hdf5")
    assert scene.descriptions == [("mug", "in", "cabinet"), ("red mug", "on", "cabinet")]
    assert scene.classes == ["cabinet", "red mug", "wall"]  # the mug is hidden


def test_what_does_not_belong_to_a_scene_is_not_read(room, tmp_path):
    arrays = dict(rgb=room.rgb, depth=room.depth_m, cam_intr=room.K, cam_pose=room.T_world_camera)
    np.savez(tmp_path / "room.npz", **arrays, notes=np.array([{"a": 1}], dtype=object))
    assert len(load_scene(tmp_path / "room.npz")) == len(room)
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(SceneError, match=r"it lacks rgb, .*\(it holds nothing that a scene has\)"):
        load_scene(tmp_path / "other.npz")


@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
def test_a_damaged_byte_never_ends_in_another_error(room, tmp_path, suffix):
    small = replace(room, rgb=room.rgb[:, ::8, ::8], depth_m=room.depth_m[:, ::8, ::8], K=HALF)
    path = tmp_path / f"room{suffix}"
    if suffix == ".npz":
        save_scene(small, path)
    else:
        content = dict(rgb=small.rgb[0], depth=small.depth_m[0], cam_intr=small.K)
        path.write_bytes(pickle.dumps({**content, "cam_extr": small.T_world_camera[0]}))
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = []
    for place in rng.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            load_scene(path)
        except SceneError as error:
            refused.append(str(error))
    assert refused
    assert all(path.name in text and "\n" not in text for text in refused)


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
@pytest.mark.parametrize("kept", [0, 50, 3000])
def test_truncated_files_are_named(room, tmp_path, suffix, kept):
    path = tmp_path / f"room{suffix}"
    if suffix == ".npz":
        save_scene(room, path)
    else:
        with h5py.File(path, "w") as archive:
            archive["rgb"], archive["depth"] = room.rgb, room.depth_m
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SceneError, match=f"room{suffix} is damaged"):
        load_scene(path)


def test_incomplete_and_foreign_files_are_named(room, tmp_path):
    with pytest.raises(SceneError, match="there is no scene file"):
        load_scene(tmp_path / "nothing.npz")
    (tmp_path / "scene.txt").write_text("")
    with pytest.raises(SceneError, match=r"must end in .npz, .hdf5, .*, got scene.txt"):
        load_scene(tmp_path / "scene.txt")
    np.savez(tmp_path / "half.npz", rgb=room.rgb[0])
    with pytest.raises(SceneError, match=r"half.npz: it lacks depth, .*cam_intr, .*cam_pose"):
        load_scene(tmp_path / "half.npz")
    np.savez(
        tmp_path / "bad.npz", rgb=room.rgb[0], depth=room.depth_m[0, :5], cam_intr=room.K,
        cam_pose=np.eye(4),
    )  # fmt: skip
    with pytest.raises(SceneError, match=r"bad.npz: depth is 160x5 but rgb is 160x120"):
        load_scene(tmp_path / "bad.npz")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", rgb=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SceneError, match=r"evil.npz is damaged or no scene file: .*allow_pickle"):
        load_scene(tmp_path / "evil.npz")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"PK\x03\x04 cut off"])
def test_what_is_no_archive_is_said_to_be_none(tmp_path, content):
    file = tmp_path / "text.npz"
    file.write_bytes(content)
    with pytest.raises(
        SceneError, match=r"text.npz is damaged or no scene file: .*no NumPy archive"
    ):
        load_scene(file)


def load_scene_without_relevancy(room, folder):
    save_scene(room, folder / "plain.npz")
    return load_scene(folder / "plain.npz")


@pytest.mark.parametrize("shape", [(2, 12, 16), (1, 2, 12, 16)])
def test_a_scene_may_bring_its_relevancy(tmp_path, room, shape):
    maps = np.random.default_rng(0).random(shape).astype(np.float32)
    save_scene(replace(room, relevancy=maps, relevancy_labels=["lamp", "sofa"]), tmp_path / "r.npz")
    found = load_scene(tmp_path / "r.npz")
    assert found.relevancy_labels == ["lamp", "sofa"]
    assert found.relevancy_centred is False
    np.testing.assert_array_equal(found.relevancy, maps.reshape(1, 2, 12, 16))
    assert load_scene_without_relevancy(room, tmp_path).relevancy is None


@pytest.mark.parametrize(
    ("maps", "labels", "match"),
    [
        (np.zeros((3, 4, 5)), ["lamp", "sofa"], r"relevancy must be \(1, 2, h, w\)"),
        (np.full((2, 4, 5), np.nan), ["lamp", "sofa"], "relevancy holds NaN"),
        (np.full((2, 4, 5), "x"), ["lamp", "sofa"], "must hold numbers or bool"),
    ],
)
def test_relevancy_that_fits_no_frame_is_named(tmp_path, room, maps, labels, match):
    save_scene(replace(room, relevancy=maps, relevancy_labels=labels), tmp_path / "r.npz")
    with pytest.raises(SceneError, match=match):
        load_scene(tmp_path / "r.npz")
