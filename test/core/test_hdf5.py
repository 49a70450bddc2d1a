import dataclasses
import os
import resource

import h5py
import numpy as np
import pytest
from scene_toy import assert_same, toy_record, toy_scene

from semabs_core.data import regions
from semabs_core.data.hdf5 import (
    RelevancyRecord,
    SceneData,
    SceneFileError,
    check_scene,
    class_name,
    image_sources,
    read_relevancy,
    read_scene,
    relevancy_keys,
    relevancy_labels,
    write_relevancies,
    write_relevancy,
    write_scene,
)


def references(stack: h5py.Dataset, rows) -> np.ndarray:
    """Region references written out the long way: (row, every other axis from 0 to its end)."""
    rest = tuple(slice(0, size) for size in stack.shape[1:])
    found = np.empty(len(rows), dtype=h5py.regionref_dtype)
    for place, row in enumerate(rows):
        found[place] = stack.regionref[(slice(row, row + 1), *rest)]
    return found


def write_by_hand(path, scene: SceneData, records: dict[str, RelevancyRecord]) -> None:
    """The published layout with h5py alone: the scene's item is the second one of each stack."""
    with h5py.File(path, "w") as archive:
        data = archive.create_group("data")
        for name in ("rgb", "depth", "seg", "full_xyz_pts", "full_objid_pts"):
            value = getattr(scene, name)
            stack = archive.create_dataset(
                name,
                shape=(3, *value.shape[1:]),
                maxshape=(None, *value.shape[1:]),
                chunks=(1, *value.shape[1:]),
                compression="gzip",
                dtype=value.dtype,
            )
            stack[1:2] = value
            data.create_dataset(name, data=references(stack, [1]), dtype=h5py.regionref_dtype)
        for name in ("tsdf_xyz_pts", "tsdf_value_pts"):
            if getattr(scene, name) is not None:
                archive.create_dataset(name, data=getattr(scene, name))
        for name in ("cam_intr", "cam_pose", "scene_bounds"):
            data.create_dataset(name, data=getattr(scene, name))
        data.create_dataset("objid_to_class", data=np.array(scene.objid_to_class).astype("S"))
        data.create_dataset("domain_randomized_rgb", data=np.zeros((1, 1)))
        columns = [dataclasses.asdict(item) for item in scene.descriptions]
        for name in columns[0]:
            values = np.array([column[name] for column in columns])
            values = values if name == "target_obj_id" else values.astype("S")
            data.create_dataset(f"descriptions/{name}", data=values)
        sizes = [len(record.labels) + 1 for record in records.values()]
        maps = archive.create_dataset(
            "saliencies", shape=(sum(sizes), 8, 8), maxshape=(None, 8, 8), dtype="f4"
        )
        first = 0
        for (preset, record), size in zip(records.items(), sizes, strict=True):
            key = f"data/saliencies/rgb|{preset}"
            maps[first : first + size] = [*record.maps, record.mean]
            archive[key] = references(maps, range(first, first + size))
            labels = np.array([*record.labels, "mean"]).astype("S")
            archive[f"{key}|saliency_text_labels"] = labels
            features = np.concatenate([record.features, np.ones_like(record.features[:1])])
            archive[f"{key}|saliency_text_label_features"] = features.astype(np.float16)
            first += size


@pytest.fixture
def scene() -> SceneData:
    return toy_scene()


@pytest.fixture
def path(tmp_path, scene):
    write_scene(tmp_path / "room.hdf5", scene)
    return tmp_path / "room.hdf5"


def test_a_file_written_by_hand_in_the_published_layout_reads_identically(tmp_path, scene):
    records = {"chefer_et_al": toy_record(scene, 1), "ours": toy_record(scene, 2)}
    records["chefer_et_al"] = dataclasses.replace(
        records["chefer_et_al"],
        labels=records["chefer_et_al"].labels[:2],
        maps=records["chefer_et_al"].maps[:2],
        features=records["chefer_et_al"].features[:2],
    )
    write_by_hand(tmp_path / "hand.hdf5", scene, records)
    assert_same(read_scene(tmp_path / "hand.hdf5"), scene)
    assert sorted(relevancy_keys(tmp_path / "hand.hdf5")) == [
        ("rgb", "chefer_et_al"),
        ("rgb", "ours"),
    ]
    for preset, record in records.items():
        read = read_relevancy(tmp_path / "hand.hdf5", "rgb", preset)
        stored = record.features.astype(np.float16).astype(np.float32)
        assert_same(read, dataclasses.replace(record, features=stored))


@pytest.mark.parametrize("extra", ["none", "tsdf", "randomized", "no descriptions"])
def test_what_is_written_is_read(tmp_path, extra):
    scene = toy_scene(randomized=extra == "randomized")
    rng = np.random.default_rng(0)
    if extra == "tsdf":
        scene = dataclasses.replace(
            scene,
            tsdf_xyz_pts=rng.random((1, 50, 3), dtype=np.float32),
            tsdf_value_pts=rng.random((1, 50), dtype=np.float32),
        )
    if extra == "no descriptions":
        scene = dataclasses.replace(scene, descriptions=[], scene_scale=2.0)
    write_scene(tmp_path / "room.hdf5", scene)
    assert_same(read_scene(tmp_path / "room.hdf5"), scene)
    assert len(image_sources(tmp_path / "room.hdf5")) == 1 + (extra == "randomized")
    assert [file.name for file in tmp_path.iterdir()] == ["room.hdf5"]


def test_the_written_layout_is_the_published_one(path, scene):
    with h5py.File(path) as archive:
        assert archive["rgb"].maxshape == (None, 24, 32, 3)
        assert archive["rgb"].chunks == (1, 24, 32, 3)
        assert archive["rgb"].compression == "gzip"
        assert archive["data/depth"].dtype == h5py.regionref_dtype
        assert archive["data/domain_randomized_rgb"].shape == (1, 1)
        assert archive["data/objid_to_class"][3] == b"mug[3]"
        assert archive["data/descriptions/spatial_relation_name"][0] == b"in"
        assert archive.attrs["scene_scale"] == 0.6


def test_only_what_is_needed_is_read(path, scene):
    read = read_scene(path, need={"depth"})
    np.testing.assert_array_equal(read.depth, scene.depth)
    assert read.rgb.size == read.full_xyz_pts.size == 0
    assert read.descriptions == scene.descriptions
    with pytest.raises(ValueError, match=r"unknown arrays \['dept'\]"):
        read_scene(path, need={"dept"})


@pytest.mark.parametrize("part", [0.02, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(SceneFileError, match=r"room\.hdf5 is damaged or incomplete"):
        check_scene(path)


def test_damage_inside_an_array_is_named(path):
    with h5py.File(path) as archive:
        offset = archive["depth"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = bytes(20)
    path.write_bytes(content)
    check_scene(path)
    with pytest.raises(SceneFileError, match=r"room\.hdf5 is damaged"):
        read_scene(path)


@pytest.mark.parametrize("name", ["seg", "cam_pose", "objid_to_class"])
def test_a_missing_part_is_named(path, name):
    with h5py.File(path, "a") as archive:
        del archive["data"][name]
    with pytest.raises(SceneFileError, match=name):
        check_scene(path)


def test_what_is_no_scene_file_is_refused(tmp_path):
    with pytest.raises(SceneFileError, match="there is no scene file"):
        read_scene(tmp_path / "none.hdf5")
    with h5py.File(tmp_path / "other.hdf5", "w") as archive:
        archive["x"] = 1
    with pytest.raises(SceneFileError, match="no group 'data'"):
        read_scene(tmp_path / "other.hdf5")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("depth", np.zeros((1, 5, 5), np.float32), r"depth must be \(1, 24, 32\)"),
        ("full_xyz_pts", np.zeros((1, 5, 3), np.float32), r"full_xyz_pts must be \(1, 3000, 3\)"),
        ("full_objid_pts", np.full((1, 3000), 6, np.int32), r"must index the 6 names.*6\.\.6"),
        ("cam_pose", np.eye(3), r"cam_pose must be \(4, 4\)"),
        ("cam_intr", np.full((3, 3), np.nan), "cam_intr must be finite"),
    ],
)
def test_arrays_that_do_not_fit_are_not_written(tmp_path, scene, name, value, message):
    with pytest.raises(SceneFileError, match=message):
        write_scene(tmp_path / "room.hdf5", dataclasses.replace(scene, **{name: value}))
    assert not list(tmp_path.iterdir())


def test_a_write_that_breaks_off_leaves_the_old_file(path, scene, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(regions.os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_relevancy(path, "rgb", "ours", toy_record(scene))
    assert relevancy_keys(path) == []
    monkeypatch.undo()
    write_relevancy(path, "rgb", "ours", toy_record(scene))
    assert os.listdir(path.parent) == ["room.hdf5"]


def test_relevancy_of_several_presets_keeps_its_own_mean(path, scene):
    records = {
        ("rgb", "ours"): toy_record(scene, 1),
        ("domain_randomized_rgb", "ours"): toy_record(scene, 2),
    }
    write_relevancies(path, records)
    write_relevancy(path, "rgb", "fast", toy_record(scene, 3))
    write_relevancy(path, "rgb", "ours", toy_record(scene, 4))
    records |= {("rgb", "ours"): toy_record(scene, 4), ("rgb", "fast"): toy_record(scene, 3)}
    for key, record in records.items():
        assert_same(read_relevancy(path, *key), record)
    assert_same(read_scene(path), scene)


def test_some_labels_are_read_alone(path, scene):
    record = toy_record(scene)
    write_relevancy(path, "rgb", "ours", record)
    read = read_relevancy(path, "rgb", "ours", {"mug", "wall", "unheard of"})
    assert read.labels == ["wall", "mug"]
    np.testing.assert_array_equal(read.maps, record.maps[[0, 2]])
    np.testing.assert_array_equal(read.features, record.features[[0, 2]])
    np.testing.assert_array_equal(read.mean, record.mean)
    assert relevancy_labels(path, "rgb", "ours") == record.labels


def test_one_reference_may_hold_all_maps(path, scene):
    record = toy_record(scene)
    write_relevancy(path, "rgb", "ours", record)
    with h5py.File(path, "a") as archive:
        key = "data/saliencies/rgb|ours"
        del archive[key]
        archive[key] = np.array([archive["saliencies"].regionref[:]], dtype=h5py.regionref_dtype)
    assert_same(read_relevancy(path, "rgb", "ours"), record)


def test_relevancy_that_is_not_there_is_named(path, scene):
    write_relevancy(path, "rgb", "fast", toy_record(scene))
    with pytest.raises(SceneFileError, match=r"no relevancy 'rgb\|ours', but rgb\|fast: make it"):
        read_relevancy(path, "rgb", "ours")


@pytest.mark.parametrize(
    ("source", "preset", "change", "message"),
    [
        ("depth", "ours", {}, "source must be one of rgb"),
        ("rgb", "a|b", {}, "preset must be a name"),
        ("rgb", "ours", {"labels": ["one"]}, "one map and one feature per label"),
        ("rgb", "ours", {"labels": ["mean"] * 6}, "no label 'mean'"),
    ],
)
def test_a_record_that_cannot_be_stored_is_refused(path, scene, source, preset, change, message):
    record = dataclasses.replace(toy_record(scene), **change)
    with pytest.raises(ValueError, match=message):
        write_relevancy(path, source, preset, record)


@pytest.mark.parametrize(
    ("entry", "name"),
    [("mug[3]", "mug"), ("red mug[12]", "red mug"), ("empty", "empty"), ("wall[-1]", "wall")],
)
def test_class_name(entry, name):
    assert class_name(entry) == name


@pytest.fixture
def small_disk():
    """No file may become larger than 20 kB; the error is that of a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_what_was_there_and_names_the_file(tmp_path, request):
    path = tmp_path / "room.hdf5"
    write_scene(path, toy_scene())
    before = path.read_bytes()
    request.getfixturevalue("small_disk")
    with pytest.raises(OSError, match=r"other\.hdf5"):
        write_scene(tmp_path / "other.hdf5", toy_scene())
    with pytest.raises(OSError, match=r"room\.hdf5"):
        write_relevancy(path, "rgb", "ours", toy_record(toy_scene()))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["room.hdf5"]
