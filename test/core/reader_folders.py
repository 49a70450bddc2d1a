"""Tiny folders in published formats, written by hand: a wall 2 m ahead of a level camera.

The camera is at (1, 2, 1.5) of a world with z up and looks along +x: its right is -y, its down -z.
So the middle of the picture shows the point (3, 2, 1.5), and a pixel that is u right of and v below
the middle (3, 2 - 2 u / F, 1.5 - 2 v / F).
"""

import json

import numpy as np
from PIL import Image

WIDTH, HEIGHT, F = 40, 30, 32.0
CX, CY = 19.5, 14.5
DEPTH_M = 2.0
MATRIX = np.array([[0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 1.5], [0, 0, 0, 1]])
QUATERNION = "-0.5 0.5 -0.5 0.5"  # x y z w: 120 degrees about (-1, 1, -1)
TURN = 2 * np.pi / 3 / np.sqrt(3)
WORLD_TO_CAMERA = f"{TURN} {-TURN} {TURN} 2 1.5 -1"  # the inverse: rotation vector, translation
MIDDLE = np.array([3.0, 2, 1.5])


def color():
    """Red grows to the right, green downwards."""
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([5 * u, 7 * v, 0 * u], axis=-1).astype(np.uint8)


def save_color(file, rgb=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(color() if rgb is None else rgb).save(file, quality=100, subsampling=0)


def save_depth(file, units, size=(HEIGHT, WIDTH)):
    """The wall; the pixel (0, 0) has no reading."""
    file.parent.mkdir(parents=True, exist_ok=True)
    depth = np.full(size, round(DEPTH_M * units), np.uint16)
    depth[0, 0] = 0
    Image.fromarray(depth).save(file)


def write_tum(folder, count=3, rgb_offset=0.004):
    lists = {"rgb": [], "depth": []}
    for i in range(count):
        stamp = 100 + 0.1 * i
        save_color(folder / f"rgb/{i}.png")
        save_depth(folder / f"depth/{i}.png", 5000)
        lists["rgb"].append(f"{stamp + rgb_offset:.4f} rgb/{i}.png")
        lists["depth"].append(f"{stamp:.4f} depth/{i}.png")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(["# stamp file", *lines]))
    poses = [f"{100 + 0.01 * i:.4f} 1 2 1.5 {QUATERNION}" for i in range(10 * count)]
    (folder / "groundtruth.txt").write_text("\n".join(["# stamp tx ty tz qx qy qz qw", *poses]))
    return folder


def write_scannet(folder, count=3):
    for i in range(count):
        big = np.repeat(np.repeat(color(), 2, axis=0), 2, axis=1)
        save_color(folder / f"color/{i}.jpg", big)
        save_depth(folder / f"depth/{i}.png", 1000)
        (folder / "pose").mkdir(exist_ok=True)
        np.savetxt(folder / f"pose/{i}.txt", MATRIX if i != 1 else np.full((4, 4), -np.inf))
    (folder / "intrinsic").mkdir()
    for name, K in (
        ("depth", [F, F, CX, CY]), ("color", [2 * F, 2 * F, 2 * CX + 0.5, 2 * CY + 0.5]),
    ):  # fmt: skip
        matrix = np.eye(4)
        matrix[[0, 1, 0, 1], [0, 1, 2, 2]] = K
        np.savetxt(folder / f"intrinsic/intrinsic_{name}.txt", matrix)
    return folder


def write_arkit(folder, count=3):
    (folder / "lowres_wide_intrinsics").mkdir(parents=True)
    for i in range(count):
        stamp = 50 + 0.1 * i
        save_color(folder / f"lowres_wide/77_{stamp:.3f}.png")
        save_depth(folder / f"lowres_depth/77_{stamp:.3f}.png", 1000)
        # The published files' names differ by a millisecond here and there.
        pincam = folder / f"lowres_wide_intrinsics/77_{stamp + 0.001:.3f}.pincam"
        pincam.write_text(f"{WIDTH} {HEIGHT} {F} {F} {CX} {CY}")
    poses = [f"{50 + 0.1 * i:.5f} {WORLD_TO_CAMERA}" for i in range(count)]
    (folder / "lowres_wide.traj").write_text("\n".join(poses))
    return folder


def write_replica(folder, count=3):
    for i in range(count):
        save_color(folder / f"results/frame{i:06d}.jpg")
        save_depth(folder / f"results/depth{i:06d}.png", 6553.5)
    line = " ".join(map(str, MATRIX.ravel()))
    (folder / "traj.txt").write_text("\n".join([line] * count))
    camera = {"w": WIDTH, "h": HEIGHT, "fx": F, "fy": F, "cx": CX, "cy": CY, "scale": 6553.5}
    (folder / "cam_params.json").write_text(json.dumps({"camera": camera}))
    return folder


def write_pair(folder):
    save_color(folder / "rgb.png")
    save_depth(folder / "depth.png", 1000)
    (folder / "intrinsics.txt").write_text(f"{F} {F} {CX} {CY}")
    return folder
