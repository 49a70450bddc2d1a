"""Arrays in every layout, type and unit that scene files use: each right, or one clear line."""

import numpy as np
import pytest

from semabs_core.data.scene_file import SceneError, load_scene

HEIGHT, WIDTH = 6, 8
K = np.array([[10.0, 0, 3.5], [0, 10.0, 2.5], [0, 0, 1]])
RGB = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
DEPTH = np.linspace(1, 3, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH).round(3)
POSE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], dtype=float)


def scene(folder, **changed):
    arrays = {"rgb": RGB, "depth": DEPTH, "cam_intr": K, "cam_pose": POSE, **changed}
    np.savez(
        folder / "a.npz", **{name: value for name, value in arrays.items() if value is not None}
    )
    return load_scene(folder / "a.npz")


ALPHA = np.full((HEIGHT, WIDTH, 1), 7, np.uint8)
GREY = np.repeat(RGB[..., :1], 3, axis=2)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        (RGB, RGB),
        (RGB[None], RGB),
        (RGB / 255, RGB),
        ((RGB / 255).astype(np.float32), RGB),
        (RGB.astype(np.float64), RGB),
        (RGB.astype(np.int64), RGB),
        (RGB.astype(np.uint16) * 257, RGB),
        (np.concatenate([RGB, ALPHA], axis=2), RGB),
        (RGB[..., 0], GREY),
        (RGB[..., :1], GREY),
        (RGB[None, ..., 0], GREY),
        (RGB.transpose(2, 0, 1), RGB),
        (RGB.transpose(2, 0, 1)[None], RGB),
    ],
)
def test_colors(tmp_path, rgb, expected):
    loaded = scene(tmp_path, rgb=rgb)
    assert loaded.rgb.dtype == np.uint8
    np.testing.assert_array_equal(loaded.rgb, expected[None])


def test_three_grey_frames_are_no_channels(tmp_path):
    grey = np.stack([RGB[..., 0], RGB[..., 1], RGB[..., 2]])
    loaded = scene(tmp_path, rgb=grey, depth=np.stack([DEPTH] * 3))
    np.testing.assert_array_equal(loaded.rgb[2], np.repeat(RGB[..., 2:], 3, axis=2))


MILLIMETRES = np.rint(DEPTH * 1000)
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[2, 3:6] = True


def holed(depth, value):
    return np.where(HOLE, np.array(value, depth.dtype), depth)


@pytest.mark.parametrize(
    "depth",
    [
        holed(DEPTH, 0),
        holed(DEPTH, np.nan),
        holed(DEPTH, np.inf),
        holed(DEPTH, -1),
        holed(DEPTH, 65.535),
        holed(DEPTH, 65535),
        holed(DEPTH, 1e6),
        holed(DEPTH, np.finfo(np.float32).max),
        holed(DEPTH.astype(np.float64), 0),
        holed(MILLIMETRES.astype(np.uint16), 0),
        holed(MILLIMETRES.astype(np.uint16), 65535),
        holed(MILLIMETRES.astype(np.int32), 2**31 - 1),
        holed(MILLIMETRES.astype(np.int64), -1),
        holed(DEPTH, 0)[..., None],
        holed(DEPTH, 0)[None, ..., None],
    ],
)
def test_depth_in_metres_or_millimetres_with_any_mark_of_no_reading(tmp_path, depth):
    loaded = scene(tmp_path, depth=depth)
    np.testing.assert_allclose(loaded.depth_m[0], np.where(HOLE, 0, DEPTH), atol=1e-6)


@pytest.mark.parametrize("poses", [POSE, POSE[None], POSE[:3], np.diag([0.6, -0.6, 0.6, 1]) @ POSE])
def test_poses(tmp_path, poses):
    loaded = scene(tmp_path, cam_pose=poses)
    np.testing.assert_allclose(loaded.T_world_camera, POSE[None], atol=1e-9)


WIDER = np.eye(4)
WIDER[:3, :3] = K


@pytest.mark.parametrize("intrinsics", [K, K[None], WIDER, WIDER[:3], np.stack([K, K])])
def test_intrinsics(tmp_path, intrinsics):
    np.testing.assert_array_equal(scene(tmp_path, cam_intr=intrinsics).K, K)


def moved(x, y):
    return np.array([[10.0, 0, x], [0, 10.0, y], [0, 0, 1]])


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"rgb": RGB * np.nan}, r"rgb must be in 0\.\.1 or 0\.\.255 where it is float, got nan"),
        ({"rgb": RGB - 300.0}, r"got -300\.\.-157"),
        ({"rgb": RGB.astype(int) * 1000}, r"rgb must be in 0\.\.255 or 0\.\.65535, got 0\.\."),
        ({"rgb": RGB.astype(str)}, "rgb must hold numbers, got <U"),
        ({"rgb": RGB[:0]}, "rgb is empty"),
        ({"rgb": RGB[..., :2]}, r"rgb must be \(H, W, 3\) or \(n, H, W, 3\), got \(6, 8, 2\)"),
        ({"rgb": RGB.transpose(1, 0, 2)}, "rgb is 6x8 but depth is 8x6: one of them is transposed"),
        ({"depth": DEPTH.T}, "one of them is transposed"),
        ({"depth": DEPTH[:3]}, "depth is 8x3 but rgb is 8x6"),
        ({"depth": DEPTH * 1000}, "must be metres where it is float, but its median is"),
        ({"depth": np.rint(DEPTH).astype(int)}, "must be millimetres where it is integer"),
        ({"depth": np.rint(DEPTH * 80).astype(np.uint8)}, "depth has 8 bits"),
        ({"depth": DEPTH * 0}, "depth holds no reading"),
        ({"depth": np.full_like(DEPTH, 65535)}, "depth holds no reading below"),
        ({"depth": DEPTH[None, None]}, r"depth must be \(H, W\) or \(n, H, W\), got \(1, 1,"),
        ({"depth": DEPTH > 1}, "depth must hold numbers, got bool"),
        ({"cam_intr": None}, r"it lacks cam_intr, \(3, 3\) intrinsics .*\(it holds cam_pose"),
        ({"cam_intr": moved(40, 30)}, r"principal point \(40, 30\) is outside the 8x6 image"),
        ({"cam_intr": moved(2.5, 3.5)}, "is that of the image turned by 90 degrees"),
        ({"cam_intr": np.stack([K, 2 * K])}, "cam_intr differs between the frames"),
        ({"cam_intr": np.array([10, 10, 3.5, 2.5])}, r"cam_intr must be \(3, 3\), got \(4,\)"),
        ({"cam_intr": K * np.nan}, "cam_intr must be finite"),
        ({"cam_intr": K.T}, r"principal point \(0, 0\) is not|the last row of K must be 0 0 1"),
        ({"cam_pose": None}, "it lacks cam_pose, .*camera to a world with z up"),
        ({"cam_pose": POSE.T}, "the last row of cam_pose must be 0 0 0 1"),
        ({"cam_pose": POSE.ravel()}, r"cam_pose must be \(4, 4\) or \(n, 4, 4\), got \(16,\)"),
        ({"cam_pose": POSE * np.nan}, "cam_pose must be finite"),
        ({"cam_pose": np.diag([1, 2, 3, 1.0])}, "must be a rotation times a scale"),
        ({"cam_pose": np.stack([POSE, POSE])}, "1 colour images, 1 depth images, 2 poses"),
        ({"scene_bounds": np.zeros(3)}, r"scene_bounds must be finite and \(2, 3\)"),
        ({"classes": np.arange(3)}, "classes must hold texts, got 0"),
        ({"classes": np.array([b"caf\xe9"])}, "which is no UTF-8 text"),
        ({"descriptions": np.array([["mug", "in"]])}, r"descriptions must be \(n, 3\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_clear_line(tmp_path, changed, match):
    with pytest.raises(SceneError, match=match) as caught:
        scene(tmp_path, **changed)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "a.npz") in str(caught.value)


def test_words(tmp_path):
    loaded = scene(
        tmp_path, classes=np.array([b"mug", b""]), descriptions=np.array(["mug", "in", "fridge"])
    )
    assert loaded.classes == ["mug"]
    assert loaded.descriptions == [("mug", "in", "fridge")]
