"""A pipeline of tiny networks, the analytic room seen by other cameras: for tests of the core."""

import functools
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from support import ENCODER

from semabs_core import geometry
from semabs_core.config import parse_config
from semabs_core.encoder import load_encoder
from semabs_core.frame_state import make_frame_state
from semabs_core.models import load_task_network
from semabs_core.pipeline import SceneUnderstanding
from semabs_core.query_grid import QueryGrid
from semabs_core.types import RGBDFrame
from semabs_core.voxels import grid_axes

CLASSES = ["floor", "table", "blue box"]
BOUNDS = np.array([[-1, -1, -0.1], [1, 1, 1.9]])
REGION = np.array([[2.5 / 3, -5 / 3, 0.0], [2.5 / 3 + 10 / 3, 5 / 3, 10 / 3]])
"""The default region of the analytic room's camera, in the world."""
CPU = torch.device("cpu")


def dense_grid(bounds, resolution):
    """All points of a regular grid, both ends included: (R ** 3, 3) float32, z runs fastest."""
    grid = np.meshgrid(*grid_axes(bounds, resolution), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 3)


def open_grid(axis, voxels, surface=()):
    """A cube that is seen as a whole, with open voxels; `surface` are those of them with readings.

    Args:
        axis: (R,) tensor, the grid's coordinates along each of its three axes.
        voxels: flat indices of the open voxels.
        surface: indices into `voxels`.
    """
    return QueryGrid(
        axes=axis.expand(3, len(axis)),
        T_world_scene=np.eye(4),
        seen=np.ones(len(axis) ** 3, dtype=bool),
        open=np.asarray(voxels, dtype=np.int32),
        surface=np.asarray(surface, dtype=np.int64),
        surface_xyz=np.zeros((len(surface), 3), dtype=np.float32),
    )


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


@functools.cache
def toy_encoder():
    return load_encoder(ENCODER)


def build(**changes):
    """A pipeline as its config loads it, but for the encoder, which all share."""
    config = configure(**changes)
    tasks = (config.completion, "completion"), (config.localization, "localization")
    networks = [load_task_network(o.checkpoint, t, config, toy_encoder()) for o, t in tasks]
    return SceneUnderstanding(config, toy_encoder(), *networks)


def frame_state(frame, **changes):
    """Input points and grids alone, without networks."""
    return make_frame_state(frame, configure(**changes), BOUNDS, CPU)


def move(frame, yaw=0.0, shift=(0, 0, 0)):
    """The same frame in a world that is turned about z and shifted."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    T[:3, 3] = shift
    return replace(frame, T_world_camera=T @ frame.T_world_camera)


def roll(frame, turns=1):
    """The same view by a camera that is turned about its axis: the picture lies on its side.

    Turned by 90 degrees, pixel (u, v) is at (v, W - 1 - u): what was at the right is at the top.
    """
    for _ in range(turns):
        K, width = frame.K, frame.rgb.shape[1]
        T_old_new = np.eye(4)
        T_old_new[:3, :2] = [[0, -1], [1, 0], [0, 0]]
        frame = RGBDFrame(
            np.rot90(frame.rgb),
            np.rot90(frame.depth_m),
            np.array([[K[1, 1], 0, K[1, 2]], [0, K[0, 0], width - 1 - K[0, 2]], [0, 0, 1]]),
            frame.T_world_camera @ T_old_new,
        )
    return frame


def readings(frame):
    """World points (N, 3) of all valid pixels, and their flat pixel indices (N,)."""
    points = geometry.transform_points(
        frame.T_world_camera, geometry.back_project(frame.depth_m, frame.K)
    ).reshape(-1, 3)
    pixels = np.flatnonzero(geometry.valid_depth(frame.depth_m))
    return points[pixels], pixels
