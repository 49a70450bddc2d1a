"""Results of the actions as core types, as a planner reads them; loads neither torch nor Open3D."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Transform, Vector3
from numpy.typing import NDArray
from scipy.spatial import KDTree
from semabs.action import Complete, Localize
from semabs.msg import SemanticVoxels
from sensor_msgs_py import point_cloud2

from semabs_core import types
from semabs_core.readers.messages import stamp_to_seconds
from semabs_ros.convert import transform_to_matrix


@dataclass(frozen=True)
class Localization(types.Localization):
    """Where a described thing is.

    Attributes:
        frame: name of the frame of all positions, with z up.
        message: what the node says of the answer, for people: how sure it is, and which words its
            encoder was never shown.
    """

    frame: str = ""
    message: str = ""


@dataclass(frozen=True)
class Completion(types.Completion):
    """A labelled voxel grid; ``scores`` do not travel and are 0.

    Attributes:
        frame: name of the frame of ``T_world_grid`` and of all points, with z up.
        message: what the node says of the answer, for people.
    """

    frame: str = ""
    message: str = ""


def read_localization(result: Localize.Result) -> Localization:
    """A result of the action Localize that holds an answer (NONE or NOT_FOUND)."""
    points = point_cloud2.read_points(result.region)
    places = np.stack([points[axis] for axis in "xyz"], axis=-1).astype(float)
    position, extent = result.pose.pose.position, result.extent
    return Localization(
        position_m=np.array([position.x, position.y, position.z]),
        extent_m=np.array([extent.x, extent.y, extent.z]),
        score=float(result.score),
        points_m=places,
        scores=points["score"].astype(np.float32),
        timings_s={},
        voxel_size_m=_spacing(places),
        stamp_s=stamp_to_seconds(result.pose.header.stamp),
        found=result.error_code != Localize.Result.NOT_FOUND,
        probability=float(result.probability),
        frame=result.pose.header.frame_id,
        message=result.message,
    )


def read_completion(result: Complete.Result) -> Completion:
    """A result of the action Complete that holds an answer."""
    return read_voxels(result.voxels, result.message)


def read_voxels(voxels: SemanticVoxels, message: str = "") -> Completion:
    """A voxel grid, from an answer or from the topic ``~/completion/voxels``."""
    shape = tuple(int(n) for n in voxels.shape)
    labels = np.frombuffer(bytes(voxels.labels), dtype=np.uint8).reshape(shape, order="F")
    at = voxels.origin.position
    pose = Transform(
        translation=Vector3(x=at.x, y=at.y, z=at.z), rotation=voxels.origin.orientation
    )
    return Completion(
        classes=list(voxels.classes),
        labels=labels.copy(),
        scores=np.zeros(shape, dtype=np.float32),
        voxel_size_m=float(voxels.voxel_size),
        T_world_grid=transform_to_matrix(pose),
        timings_s={},
        stamp_s=stamp_to_seconds(voxels.header.stamp),
        frame=voxels.header.frame_id,
        message=message,
    )


def _spacing(places: NDArray[np.float64]) -> float:
    """Distance of the nearest neighbours among voxel centres, metres; NaN for one point."""
    distances, _ = KDTree(places).query(places, k=2)
    nearest = distances[np.isfinite(distances[:, 1]), 1]
    return float(nearest.min()) if len(nearest) else math.nan
