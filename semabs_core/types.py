"""The frozen dataclasses that travel between the stages of the pipeline."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FREE = 0
"""Voxel label: inside the view and empty."""
UNKNOWN = 255
"""Voxel label: outside the camera's frustum, nothing is said about it."""
MAX_CLASSES = 254
"""Class ``i`` has the label ``i + 1``, and 255 is taken."""
LIKELIEST = 0.8
"""Share of the best score from which on a point is among the likeliest of an answer."""
MIN_IMAGE_EDGE = 16
"""Pixels; a smaller image cannot be cut into tiles."""


class FrameError(ValueError):
    """An RGB-D frame cannot be used; the message names the field and the remedy."""


class InferenceError(RuntimeError):
    """A model has no answer, or one that is no number; the message says which and what to try."""


def require(condition: bool, message: str, error: type[ValueError] = ValueError) -> None:
    """Raise ``error(message)`` unless ``condition`` holds."""
    if not condition:
        raise error(message)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion.

    Attributes:
        K: (3, 3) float64, pixels. Pixel (0, 0) is the centre of the first pixel.
        width: image width in pixels.
        height: image height in pixels.
    """

    K: NDArray[np.float64]
    width: int
    height: int

    def __post_init__(self) -> None:
        K = np.asarray(self.K, dtype=np.float64)
        require(K.shape == (3, 3), f"K must be (3, 3), got {K.shape}", FrameError)
        require(bool(np.isfinite(K).all()), f"K must be finite, got {K.tolist()}", FrameError)
        require(
            K[0, 0] > 0 and K[1, 1] > 0,
            f"K needs positive focal lengths, got fx={K[0, 0]:g}, fy={K[1, 1]:g}: "
            "the camera driver publishes an empty camera_info; calibrate the camera",
            FrameError,
        )
        require(
            np.array_equal(K[2], [0, 0, 1]),
            f"the last row of K must be 0 0 1, got {K[2]}",
            FrameError,
        )
        require(
            self.width > 0 and self.height > 0,
            f"the image must not be empty, got {self.width}x{self.height}",
            FrameError,
        )
        object.__setattr__(self, "K", K)


@dataclass(frozen=True)
class BroughtRelevancy:
    """Relevancy of a frame that a file brings, in the place of an encoder's.

    Attributes:
        maps: (h, w) float32 by name; empty for none.
        centred: whether a mean map is taken off them already.
    """

    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    centred: bool = False

    @property
    def notes(self) -> list[str]:
        """What people should know of it."""
        names = ", ".join(self.maps)
        return [f"the relevancy of {names} is the scene's own"] if names else []


@dataclass(frozen=True)
class RGBDFrame:
    """One registered RGB-D image with its camera pose.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32, metres along the optical axis; NaN, infinite or <= 0 is no reading.
        K: (3, 3) float64 intrinsics in pixels.
        T_world_camera: (4, 4) float64, camera points (x right, y down, z forward, metres) to a
            world frame with z up, metres; rigid.
        stamp_s: time of the exposure, seconds.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    K: NDArray[np.float64]
    T_world_camera: NDArray[np.float64]
    stamp_s: float = 0.0
    camera: Camera = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rgb, depth = np.asarray(self.rgb), np.asarray(self.depth_m)
        require(
            rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8,
            f"rgb must be (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}",
            FrameError,
        )
        require(
            depth.ndim == 2 and depth.dtype.kind == "f",
            f"depth_m must be (H, W) float32 metres, got {depth.shape} {depth.dtype}",
            FrameError,
        )
        require(
            depth.shape == rgb.shape[:2],
            f"depth is {depth.shape[1]}x{depth.shape[0]} but rgb is {rgb.shape[1]}x{rgb.shape[0]}: "
            "give depth that is registered to the colour image",
            FrameError,
        )
        T = np.asarray(self.T_world_camera, dtype=np.float64)
        require(T.shape == (4, 4), f"T_world_camera must be (4, 4), got {T.shape}", FrameError)
        require(bool(np.isfinite(T).all()), "T_world_camera must be finite", FrameError)
        R = T[:3, :3]
        rigid = np.allclose(R @ R.T, np.eye(3), atol=1e-4) and np.linalg.det(R) > 0
        if not (rigid and np.allclose(T[3], [0, 0, 0, 1])):  # to print a matrix takes long
            raise FrameError(
                f"T_world_camera must be rigid (a rotation and a translation in metres), got\n{T}"
            )
        object.__setattr__(self, "rgb", np.ascontiguousarray(rgb))
        object.__setattr__(self, "depth_m", np.ascontiguousarray(depth, dtype=np.float32))
        object.__setattr__(self, "T_world_camera", T)
        camera = Camera(self.K, width=rgb.shape[1], height=rgb.shape[0])
        object.__setattr__(self, "K", camera.K)
        object.__setattr__(self, "camera", camera)


@dataclass(frozen=True)
class Region:
    """The cube that is looked at.

    Attributes:
        T_world_region: (4, 4) float64, rigid; the origin is the cube's lower corner, its axes are
            the cube's edges, z up.
        size_m: length of an edge, metres.
    """

    T_world_region: NDArray[np.float64]
    size_m: float


@dataclass(frozen=True)
class Completion:
    """A labelled voxel grid.

    Attributes:
        classes: the class names asked for; class ``i`` has label ``i + 1``.
        labels: (X, Y, Z) uint8; 0 free, ``i + 1`` for ``classes[i]``, 255 unknown (not in view).
        scores: (X, Y, Z) float32 in 0..1, probability of the best class; 0 where nothing is said.
        voxel_size_m: edge of a voxel, metres.
        T_world_grid: (4, 4) float64, rigid. The grid frame has its origin in the outer corner of
            voxel (0, 0, 0) and its axes along the grid's; the centre of voxel (i, j, k) is
            ``T_world_grid @ [(i + 0.5) s, (j + 0.5) s, (k + 0.5) s, 1]`` with ``s = voxel_size_m``.
        timings_s: seconds per stage.
        stamp_s: time of the frame's exposure, seconds.
        absent: those of the classes that the picture hardly shows, by the encoder, or that it was
            never shown: no voxel was asked for them (``completion.min_presence``).
    """

    classes: list[str]
    labels: NDArray[np.uint8]
    scores: NDArray[np.float32]
    voxel_size_m: float
    T_world_grid: NDArray[np.float64]
    timings_s: dict[str, float]
    stamp_s: float = 0.0
    absent: tuple[str, ...] = ()

    @property
    def region(self) -> Region:
        """The cube that the grid fills."""
        return Region(self.T_world_grid, self.voxel_size_m * self.labels.shape[0])

    @property
    def left_out(self) -> str:
        """What is to be said of the absent classes; empty if there are none."""
        names = ", ".join(self.absent)
        return names and f"the picture hardly shows {names}: no voxel is labelled so"

    def voxels_per_class(self) -> dict[str, int]:
        """How many voxels each class has."""
        counts = np.bincount(self.labels.ravel(), minlength=256)
        return {name: int(counts[i + 1]) for i, name in enumerate(self.classes)}

    def points_of(self, label: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Centres (N, 3), world frame, metres, and scores (N,) of a label's voxels."""
        index = np.argwhere(self.labels == label)
        centres = (index + 0.5) * self.voxel_size_m
        points = centres @ self.T_world_grid[:3, :3].T + self.T_world_grid[:3, 3]
        return points, self.scores[tuple(index.T)]


@dataclass(frozen=True)
class Localization:
    """Where a described object is.

    Attributes:
        position_m: (3,) float64, the best point, world frame, metres: amid the voxels around that
            which fits best.
        extent_m: (3,) float64, size of the answer region along the world axes, metres.
        score: how well the voxel of the region that does so best fits the description, 0..1; high
            for things that are not there too.
        points_m: (M, 3) float64, centres of the region's voxels, world frame, metres.
        scores: (M,) float32, probability of each of them.
        timings_s: seconds per stage.
        voxel_size_m: edge of the region's voxels, metres.
        stamp_s: time of the frame's exposure, seconds.
        found: whether the picture supports the description; where not, all else is a best guess.
            True where nobody can tell (``probability`` is NaN), unless a name is one that the
            encoder was never shown.
        probability: that the described things are there at all, 0..1, if each were with even odds
            before one looked; NaN where it is not calibrated.
    """

    position_m: NDArray[np.float64]
    extent_m: NDArray[np.float64]
    score: float
    points_m: NDArray[np.float64]
    scores: NDArray[np.float32]
    timings_s: dict[str, float]
    voxel_size_m: float
    stamp_s: float = 0.0
    found: bool = True
    probability: float = math.nan

    def likeliest(self) -> Localization:
        """The same answer with those points alone whose score is near the best, as it is drawn.

        A region goes as far as the thing may reach, and where the network is in doubt further.
        """
        near = self.scores >= LIKELIEST * self.scores.max()
        return replace(self, points_m=self.points_m[near], scores=self.scores[near])

    @property
    def outcome(self) -> str:
        """Whether it was found, in a few words for people."""
        unknown = math.isnan(self.probability)
        if self.found and unknown:
            return "best guess (no calibration says whether it is there)"
        said = "" if unknown else f" (probability {self.probability:.2f})"
        return f"{'found' if self.found else 'not found'}{said}"

    @property
    def verdict(self) -> str:
        """Whether it was found, and how large the answer is, for people."""
        region = f"region of {len(self.points_m)} points"
        if self.found:
            return f"{self.outcome}, {region}"
        return f"{self.outcome}: the picture does not support it; the best guess is a {region}"
