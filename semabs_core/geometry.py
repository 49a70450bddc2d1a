"""Back-projection, rigid and similarity transforms, frustum and free-space tests.

Frames (``T_a_b`` maps points of ``b`` to ``a``): camera (x right, y down, z forward, metres), world
(z up, metres), viewer (below the camera at floor height, x forward, y left, z up, metres), scene
(the frame of the networks: the viewer's axes, scaled so that the region fills the networks'
bounds).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from semabs_core.types import Camera

Points = NDArray[np.float64]
Matrix = NDArray[np.float64]

MIN_HORIZONTAL = float(np.sin(np.radians(10.0)))
"""Below this horizontal part the optical axis counts as vertical."""
TIE = 1e-6
"""Quarter turns: a picture that leans by 45 degrees, or this much more, is not turned."""


def transform_points(T: Matrix, points: NDArray) -> NDArray:
    """Apply a (4, 4) affine transform to points (..., 3)."""
    return points @ T[:3, :3].T + T[:3, 3]


def invert(T: Matrix) -> Matrix:
    """Inverse of a (4, 4) affine transform."""
    return np.linalg.inv(T).astype(np.float64)


def valid_depth(depth_m: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(H, W) bool: where the sensor has a reading (finite and positive)."""
    return np.isfinite(depth_m) & (depth_m > 0)


def back_project(depth_m: NDArray[np.float32], K: Matrix) -> Points:
    """Depth image to camera points.

    Args:
        depth_m: (H, W) float32, metres along the optical axis.
        K: (3, 3) intrinsics, pixels.

    Returns:
        (H, W, 3) float64, camera frame, metres; pixels without a reading give NaN or nonsense, mask
        them with :func:`valid_depth`.
    """
    height, width = depth_m.shape
    v, u = np.mgrid[0:height, 0:width].astype(np.float64)
    y = (v - K[1, 2]) / K[1, 1]
    x = (u - K[0, 2] - K[0, 1] * y) / K[0, 0]
    return np.stack([x, y, np.ones_like(x)], axis=-1) * depth_m[..., None].astype(np.float64)


def readings(
    depth_m: NDArray[np.float32], K: Matrix, T: Matrix
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The valid readings of a depth image in another frame, in one go and in single precision.

    A pixel's ray in that frame is linear in u and v, so that two tables hold all of them.

    Args:
        depth_m: (H, W) float32, metres along the optical axis.
        K: (3, 3) intrinsics, pixels.
        T: (4, 4) affine, from camera metres.

    Returns:
        (N, 3) float32 points and (N,) flat pixel indices, ascending.
    """
    height, width = depth_m.shape
    M = T[:3, :3] @ np.linalg.inv(K)
    pixels = np.flatnonzero(valid_depth(depth_m))
    depth = depth_m.ravel()[pixels]
    points = np.empty((len(pixels), 3), dtype=np.float32)
    for axis in range(3):
        across = (M[axis, 0] * np.arange(width)).astype(np.float32)
        down = (M[axis, 1] * np.arange(height) + M[axis, 2]).astype(np.float32)
        rays = np.add.outer(down, across).ravel()
        np.multiply(rays[pixels], depth, out=points[:, axis])
        points[:, axis] += np.float32(T[axis, 3])
    return points, pixels


def project(points_camera: NDArray, K: Matrix) -> tuple[Points, NDArray[np.float64]]:
    """Camera points (..., 3) to pixels (..., 2) as (u, v), and their depths (...,) in metres."""
    z = points_camera[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        uv = (points_camera @ K.T)[..., :2] / z[..., None]
    return uv, z


def viewer_frame(T_world_camera: Matrix, floor_z_m: float = 0.0) -> Matrix:
    """The viewer's frame: below the camera at floor height, x where the camera looks, z up.

    Where the optical axis is within 10 degrees of vertical its horizontal direction means nothing,
    and the image's up direction takes its place.

    Args:
        T_world_camera: (4, 4) rigid, camera to world.
        floor_z_m: height of the floor in the world, metres.

    Returns:
        (4, 4) float64 ``T_world_viewer``, rigid.
    """
    forward = T_world_camera[:2, 2]
    if np.linalg.norm(forward) < MIN_HORIZONTAL:
        forward = -T_world_camera[:2, 1]
    x = np.append(forward / np.linalg.norm(forward), 0.0)
    z = np.array([0.0, 0.0, 1.0])
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    T[:3, 3] = [*T_world_camera[:2, 3], floor_z_m]
    return T


def turns_upright(T_world_camera: Matrix) -> int:
    """How a picture has to be turned so that the world's up is up in it.

    The world's up direction, projected on the image plane, points to the top of the picture, or
    more to one of its other three sides; that side becomes the top. Where it points to a corner,
    the picture is left or turned as little as possible. Where the optical axis is within 10 degrees
    of vertical, no side is up, and the picture stays as it is; :func:`viewer_frame` goes by its top
    there.

    Args:
        T_world_camera: (4, 4) rigid, camera to world.

    Returns:
        Quarter turns for ``np.rot90(picture, turns)``: 0 to 3, counterclockwise as seen.
    """
    right, down = T_world_camera[2, 0], T_world_camera[2, 1]
    if np.hypot(right, down) < MIN_HORIZONTAL:
        return 0
    # From the top of the picture clockwise to where the world's up points, in quarter turns.
    angle = float(np.arctan2(right, -down) / (np.pi / 2))
    nearest = np.sign(angle) * np.ceil(abs(angle) - 0.5 - TIE)
    return int(nearest) % 4


def region_to_bounds(region_min_m: NDArray, region_size_m: float, bounds: NDArray) -> Matrix:
    """The similarity that maps a cube of the viewer frame onto the networks' bounds.

    Args:
        region_min_m: (3,) lower corner in the viewer frame, metres.
        region_size_m: edge of the cube, metres.
        bounds: (2, 3) lower and upper corner in scene units; a cube.

    Returns:
        (4, 4) float64 ``T_scene_viewer``.
    """
    lower, upper = np.asarray(bounds, dtype=np.float64)
    scale = float((upper - lower)[0]) / float(region_size_m)
    T = np.diag([scale, scale, scale, 1.0])
    T[:3, 3] = lower - scale * np.asarray(region_min_m, dtype=np.float64)
    return T


def split_similarity(T: Matrix) -> tuple[Matrix, float]:
    """A camera-to-scene transform that may hold a scale and a reflection, as a rigid one in metres.

    The published scene files store such transforms. The scale is divided out of the whole
    transform; a reflection is undone by mirroring the scene's y axis, because the images are not
    mirrored.

    Args:
        T: (4, 4) ``T_scene_camera``.

    Returns:
        (4, 4) rigid ``T_world_camera`` in metres, and the scale in scene units per metre.

    Raises:
        ValueError: if ``T`` is no similarity.
    """
    T = np.asarray(T, dtype=np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise ValueError(f"the camera pose must be a finite (4, 4) matrix, got {T.shape}")
    determinant = np.linalg.det(T[:3, :3])
    scale = float(np.cbrt(abs(determinant)))
    R = T[:3, :3] / scale if scale > 0 else T[:3, :3]
    if scale == 0 or not np.allclose(R @ R.T, np.eye(3), atol=1e-3):
        raise ValueError(f"the camera pose must be a rotation times a scale, got\n{T}")
    rigid = np.eye(4)
    rigid[:3, :3], rigid[:3, 3] = R, T[:3, 3] / scale
    if determinant < 0:
        rigid = np.diag([1.0, -1.0, 1.0, 1.0]) @ rigid
    u, _, vt = np.linalg.svd(rigid[:3, :3])
    rigid[:3, :3] = u @ vt
    return rigid, scale


def in_bounds(points: NDArray, bounds: NDArray, margin: float = 0.0) -> NDArray[np.bool_]:
    """Which points lie in a box, or not farther than a margin from it along any axis.

    Args:
        points: (..., 3).
        bounds: (2, 3) lower and upper corner, in the frame of the points.
        margin: in the same unit.

    Returns:
        (...,) bool.
    """
    lower, upper = np.asarray(bounds, dtype=np.float64)
    return ((points >= lower - margin) & (points <= upper + margin)).all(axis=-1)


def in_frustum(points_world: NDArray, camera: Camera, T_world_camera: Matrix) -> NDArray[np.bool_]:
    """(N,) bool: which points (N, 3) of the world the camera has in its image."""
    uv, z = project(transform_points(invert(T_world_camera), points_world), camera.K)
    return _in_image(uv[..., 0], uv[..., 1], z, camera)


def _in_image(
    u: NDArray[np.float64], v: NDArray[np.float64], z: NDArray[np.float64], camera: Camera
) -> NDArray[np.bool_]:
    """Which (u, v) at a depth are in front of the camera and in its image; all (N,)."""
    with np.errstate(invalid="ignore"):
        in_columns = (u >= -0.5) & (u < camera.width - 0.5)
        in_rows = (v >= -0.5) & (v < camera.height - 0.5)
        return (z > 0) & in_columns & in_rows


def pixels_of(
    points_world: NDArray, camera: Camera, T_world_camera: Matrix
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The flat pixel index (N,) of points (N, 3), -1 outside the image, and their depths (N,)."""
    uv, z = project(transform_points(invert(T_world_camera), points_world), camera.K)
    return _flat_pixels(uv[..., 0], uv[..., 1], z, camera), z


def pixels_of_grid(
    axes: Sequence[NDArray], camera: Camera, T_world_camera: Matrix
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float64]]]:
    """As :func:`pixels_of` the points of a regular grid; several times as fast.

    Before it is divided by the depth, a projection is a sum of what each axis gives.

    Args:
        axes: (X,), (Y,) and (Z,), the grid's coordinates along x, y and z, world frame.
        camera: intrinsics and image size.
        T_world_camera: (4, 4); it may hold a scale.

    Yields:
        For each x, the flat pixel indices (Y * Z,) and depths (Y * Z,); z runs fastest.
    """
    projection = camera.K @ invert(T_world_camera)[:3]
    x, y, z = (np.asarray(along, dtype=np.float64) for along in axes)
    part_x, part_y, part_z, shift = projection.T[:, :, None]
    plane = ((part_y * y)[:, :, None] + (part_z * z)[:, None, :]).reshape(3, -1) + shift
    for offset in (part_x * x).T:
        u, v, depth = plane + offset[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v = u / depth, v / depth
        yield _flat_pixels(u, v, depth, camera), depth


def _flat_pixels(
    u: NDArray[np.float64], v: NDArray[np.float64], z: NDArray[np.float64], camera: Camera
) -> NDArray[np.int32]:
    """The flat pixel index (N,) at each (u, v) and depth, -1 outside the image."""
    inside = _in_image(u, v, z, camera)
    pixel = np.full(len(z), -1, dtype=np.int32)
    column = np.rint(u[inside]).astype(np.int32).clip(0, camera.width - 1)
    row = np.rint(v[inside]).astype(np.int32).clip(0, camera.height - 1)
    pixel[inside] = row * camera.width + column
    return pixel


def seen_free(
    points_world: NDArray,
    depth_m: NDArray[np.float32],
    camera: Camera,
    T_world_camera: Matrix,
    margin_m: float = 0.0,
) -> NDArray[np.bool_]:
    """Which points the camera looked through: nearer than the reading of their pixel.

    Args:
        points_world: (N, 3) world frame, metres.
        depth_m: (H, W) float32, metres.
        camera: intrinsics and image size.
        T_world_camera: (4, 4) rigid.
        margin_m: how much nearer than the reading a point must be, metres.

    Returns:
        (N,) bool; False outside the frustum and where the pixel has no reading.
    """
    pixel, z = pixels_of(points_world, camera, T_world_camera)
    inside = pixel >= 0
    free = np.zeros(len(points_world), dtype=bool)
    reading = depth_m.ravel()[pixel[inside]]
    free[inside] = valid_depth(reading) & (z[inside] < reading - margin_m)
    return free


def projective_tsdf(
    pixel: NDArray[np.int32],
    z: NDArray[np.float64],
    depth_m: NDArray[np.float32],
    truncation_m: float,
) -> NDArray[np.float32]:
    """Truncated signed distance of points along the optical axis (Curless and Levoy, 1996).

    Args:
        pixel: (N,) flat pixel index of each point, -1 out of view, as of :func:`pixels_of`.
        z: (N,) their depths, metres.
        depth_m: (H, W) float32, metres.
        truncation_m: distance at which the value is 1, metres.

    Returns:
        (N,) float32: from 1 before a surface to -1 behind it; 1 where nothing was measured, and
        farther behind a surface than the truncation, as in the published fusion.
    """
    inside = pixel >= 0
    values = np.ones(len(pixel), dtype=np.float32)
    reading = depth_m.ravel()[pixel[inside]]
    distance = np.where(valid_depth(reading), (reading - z[inside]) / truncation_m, 1.0)
    values[inside] = np.where(distance < -1, 1.0, np.minimum(distance, 1.0))
    return values
