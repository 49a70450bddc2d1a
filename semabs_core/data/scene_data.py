"""A scene as it is stored, in memory, and what must hold of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SPECIAL_NAMES = ("empty", "out of bounds", "unlabelled")
SOURCES = ("rgb", "domain_randomized_rgb")
MEAN_LABEL = "mean"
DEFAULT_SCENE_SCALE = 0.6

STACKS: dict[str, tuple[type, tuple[int, ...]]] = {
    "rgb": (np.uint8, (0, 0, 0, 3)),
    "depth": (np.float32, (0, 0, 0)),
    "seg": (np.int32, (0, 0, 0)),
    "full_xyz_pts": (np.float32, (0, 0, 3)),
    "full_objid_pts": (np.int32, (0, 0)),
}
"""Referenced stacks: dtype, and the shape of "not read"."""
TSDF = {"tsdf_xyz_pts": (0, 0, 3), "tsdf_value_pts": (0, 0)}
OPTIONAL = (*TSDF, "domain_randomized_rgb")
DESCRIPTION_FIELDS = (
    "target_obj_name", "target_obj_id", "reference_obj_name", "spatial_relation_name"
)  # fmt: skip


class SceneFileError(ValueError):
    """A scene file cannot be used; the message names the file and the fault."""


@dataclass(frozen=True)
class SceneDescription:
    """One sentence about a scene: "<target> <relation> a <reference>".

    Attributes:
        target_obj_name: class of the target, without an id.
        target_obj_id: the target's object id.
        reference_obj_name: class of the reference.
        spatial_relation_name: such as one of :data:`semabs_core.network_config.RELATIONS`.
    """

    target_obj_name: str
    target_obj_id: int
    reference_obj_name: str
    spatial_relation_name: str

    @property
    def sentence(self) -> str:
        """The sentence whose relevancy ``clip_spatial`` reads."""
        return f"{self.target_obj_name} {self.spatial_relation_name} a {self.reference_obj_name}"


@dataclass(frozen=True)
class SceneData:
    """A scene as it is stored, n views of one camera.

    Attributes:
        rgb: (n, H, W, 3) uint8.
        depth: (n, H, W) float32, metres along the optical axis; 0 is no reading.
        seg: (n, H, W) int32, object id or -1.
        cam_intr: (3, 3) float64 intrinsics, pixels.
        cam_pose: (4, 4) float64 ``T_scene_camera``, camera metres to scene units: it holds the
            scale and may hold a reflection.
        scene_bounds: (2, 3) float64, lower and upper corner, scene units.
        objid_to_class: name of each object id, ``mug[3]``; special names may come plain.
        full_xyz_pts: (n, K, 3) float32, points of the volume, scene units.
        full_objid_pts: (n, K) int32, the object id of each, -1 where there is none.
        tsdf_xyz_pts: (n, Q, 3) float32, scene units, or None.
        tsdf_value_pts: (n, Q) float32, or None.
        domain_randomized_rgb: (n, H, W, 3) uint8, or None.
        descriptions: sentences about the scene.
        scene_scale: scene units per metre.
        view_info: notes about the first view by name, numbers or words, such as
            ``camera_height_m``, ``pitch_deg`` and ``sensor``; empty where the file has none.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    seg: NDArray[np.int32]
    cam_intr: NDArray[np.float64]
    cam_pose: NDArray[np.float64]
    scene_bounds: NDArray[np.float64]
    objid_to_class: list[str]
    full_xyz_pts: NDArray[np.float32]
    full_objid_pts: NDArray[np.int32]
    tsdf_xyz_pts: NDArray[np.float32] | None = None
    tsdf_value_pts: NDArray[np.float32] | None = None
    domain_randomized_rgb: NDArray[np.uint8] | None = None
    descriptions: list[SceneDescription] = field(default_factory=list)
    scene_scale: float = DEFAULT_SCENE_SCALE
    view_info: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class RelevancyRecord:
    """Relevancy of the first view of a scene, as stored.

    Attributes:
        labels: L names.
        maps: (L, h, w) float32, not negative; the mean is not subtracted.
        mean: (h, w) float32, the mean map that networks subtract.
        features: (L, D) float32, normalised text features.
    """

    labels: list[str]
    maps: NDArray[np.float32]
    mean: NDArray[np.float32]
    features: NDArray[np.float32]


def class_name(entry: str) -> str:
    """The class of an object's name: ``mug[3]`` is a ``mug``."""
    return re.sub(r"\[-?\d+\]$", "", entry)


def check_scene_data(scene: SceneData, present: Collection[str], where: str) -> None:
    """Raise :class:`SceneFileError` unless the arrays fit together.

    Args:
        scene: what to check.
        present: its big arrays that were read.
        where: file name for the message.
    """
    faults = []
    for name, shape in _expected_shapes(scene, present).items():
        value = getattr(scene, name)
        if value is None:
            continue
        fits = value.ndim == len(shape) and all(
            want is None or want == got for want, got in zip(shape, value.shape)
        )
        if not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            faults.append(f"{name} must be ({wanted}), got {value.shape}")
    for name in ("cam_intr", "cam_pose", "scene_bounds"):
        if not np.isfinite(getattr(scene, name)).all():
            faults.append(f"{name} must be finite")
    if any(name in present and not len(getattr(scene, name)) for name in STACKS):
        faults.append("there is no view")
    if "full_objid_pts" in present and scene.full_objid_pts.size:
        low, high = scene.full_objid_pts.min(), scene.full_objid_pts.max()
        if low < -1 or high >= len(scene.objid_to_class):
            faults.append(
                f"full_objid_pts must index the {len(scene.objid_to_class)} names of "
                f"objid_to_class, got {low}..{high}"
            )
    if faults:
        raise SceneFileError(f"{where}: {'; '.join(faults)}")


def _expected_shapes(
    scene: SceneData, present: Collection[str]
) -> dict[str, tuple[int | None, ...]]:
    """The shape of each array that is there, after the first of its kind; None is any size."""
    pictures = [getattr(scene, name) for name in ("rgb", "depth", "seg") if name in present]
    image = pictures[0].shape[1:3] if pictures and pictures[0].ndim > 2 else (None, None)
    views = next((len(getattr(scene, name)) for name in STACKS if name in present), None)
    points = "full_objid_pts" in present and scene.full_objid_pts.ndim == 2
    count = scene.full_objid_pts.shape[1] if points else None
    big: dict[str, tuple[int | None, ...]] = {
        "rgb": (views, *image, 3),
        "depth": (views, *image),
        "seg": (views, *image),
        "full_xyz_pts": (views, count, 3),
        "full_objid_pts": (views, count),
        "tsdf_xyz_pts": (None, None, 3),
        "tsdf_value_pts": (None, None),
        "domain_randomized_rgb": (views, *image, 3),
    }
    small = {"cam_intr": (3, 3), "cam_pose": (4, 4), "scene_bounds": (2, 3)}
    return {name: shape for name, shape in big.items() if name in present} | small


def check_record(source: str, preset: str, record: RelevancyRecord) -> None:
    """Raise ``ValueError`` unless a record can be stored under its source and preset."""
    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
    if "|" in preset or not preset:
        raise ValueError(f"preset must be a name without '|', got {preset!r}")
    count = len(record.labels)
    if not len(record.maps) == len(record.features) == count > 0 or MEAN_LABEL in record.labels:
        raise ValueError(
            f"a record needs one map and one feature per label and no label {MEAN_LABEL!r}, got "
            f"{count} labels, maps {record.maps.shape}, features {record.features.shape}"
        )
