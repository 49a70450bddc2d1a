"""The published demo's scene pickles: read, resized, and never run."""

import os
import pickle

import numpy as np
import pytest

from semabs_core.data.scene_file import SceneError, load_scene

POSE = np.array([[0, 0, 1, -2], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], dtype=float)
K = np.array([[10.0, 0, 3.5], [0, 10.0, 2.5], [0, 0, 1]])


def published(width=8, height=6, **changed):
    rng = np.random.default_rng(0)
    return {
        "rgb": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "depth": rng.uniform(1, 3, (height, width)).astype(np.float32),
        "cam_intr": K,
        "cam_extr": POSE,
        "ovssc_obj_classes": ["mug", np.str_("red lamp")],
        "descriptions": [["mug", "behind", "red lamp"], ("mug", "on", "table")],
        **changed,
    }


def load(folder, content, protocol=4):
    (folder / "a.pkl").write_bytes(pickle.dumps(content, protocol))
    return load_scene(folder / "a.pkl")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_published_pickle(tmp_path, protocol):
    content = published()
    scene = load(tmp_path, content, protocol)
    np.testing.assert_array_equal(scene.rgb[0], content["rgb"])
    np.testing.assert_array_equal(scene.depth_m[0], content["depth"])
    np.testing.assert_array_equal(scene.K, K)
    np.testing.assert_allclose(scene.T_world_camera[0], POSE, atol=1e-12)
    assert scene.classes == ["mug", "red lamp"]
    assert scene.descriptions == [("mug", "behind", "red lamp"), ("mug", "on", "table")]


def test_names_of_the_other_version_of_numpy(tmp_path):
    """NumPy 1 wrote numpy.core, NumPy 2 writes numpy._core."""
    raw = pickle.dumps(published(), 2)
    for ours, other in ((b"numpy._core.", b"numpy.core."), (b"numpy.core.", b"numpy._core.")):
        (tmp_path / "a.pkl").write_bytes(raw.replace(ours, other))
        assert len(load_scene(tmp_path / "a.pkl")) == 1


def test_images_are_resized_to_what_the_intrinsics_are_for(tmp_path):
    small = published(
        rgb=np.full((3, 4, 3), 90, np.uint8), depth=np.repeat([[1.0, 3.0]], 3, 0).repeat(2, 1),
        img_shape=(8, 6),
    )  # fmt: skip
    scene = load(tmp_path, small)
    assert scene.rgb.shape == (1, 6, 8, 3)
    assert (scene.rgb == 90).all()
    # Every reading is one that was measured: nothing between near and far.
    np.testing.assert_array_equal(scene.depth_m[0], np.repeat([[1.0, 3.0]], 6, 0).repeat(4, 1))
    np.testing.assert_array_equal(scene.K, K)


def test_the_sensors_intrinsics_are_turned_with_a_portrait_image(tmp_path):
    sensor = np.array([[10.0, 0, 3.5], [0, 12.0, 2.5], [0, 0, 1]])
    scene = load(tmp_path, published(width=6, height=8, cam_intr=sensor))
    np.testing.assert_array_equal(scene.K, [[12.0, 0, 2.5], [0, 10.0, 3.5], [0, 0, 1]])


class Hostile:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_hostile_pickle_does_not_run(tmp_path):
    trap = tmp_path / "trap"
    with pytest.raises(SceneError, match=r"a\.pkl: it refers to \w+\.mkdir.*could run code"):
        load(tmp_path, published(extra=Hostile(trap)))
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], "a scene pickle must hold a dict, got a list"),
        ({}, "it lacks rgb"),
        ({"rgb": np.zeros((2, 2, 3), np.uint8)}, r"it lacks depth.*\(it holds rgb\)"),
        (published(img_shape=(8, 6, 3)), r"img_shape must be \(width, height\)"),
        (published(img_shape=(0, 6)), r"img_shape must be \(width, height\)"),
        (published(img_shape="big"), r"img_shape must be \(width, height\)"),
        (published(img_shape=(3, 2)), "is outside the 3x2 image"),
        (published(depth="far"), "depth must hold numbers"),
        (published(rgb=np.zeros((6, 8)), img_shape=(8, 6)), "uint8 beside img_shape"),
        (published(depth=np.array([[1.0]], dtype="c16")), "dtype 'c16' is not one of"),
    ],
)
def test_other_pickles_are_one_clear_line(tmp_path, content, match):
    with pytest.raises(SceneError, match=match):
        load(tmp_path, content)
