"""Where a robot's camera is in a room, and which region of it the robot has in its sight.

What a robot believes of its camera's height and tilt is a little wrong. All that the scene says is
in the frames that it believes in, so the room stands there a little askew and a little too high or
low; what was measured and what is true stay consistent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.blocks import Blocks
from semabs_core.data.rooms.items import Geometry
from semabs_core.data.rooms.parts import rotation
from semabs_core.data.rooms.picture import depth_and_ids
from semabs_core.data.rooms.plan import VIEWER, Plan
from semabs_core.data.rooms.robot_region import Sight, draw_region
from semabs_core.data.rooms.viewpoint import OPTICAL, View
from semabs_core.geometry import Matrix, back_project, invert, transform_points
from semabs_core.types import Camera

HEIGHTS_M = (0.3, 2.0)
PITCHES_DEG = (-20.0, 70.0)
"""Up and down; here positive is down, as rotations about y are."""
FOVS_DEG = (45.0, 90.0)
"""Along the longer side of the picture."""
ROLL_DEG = 5.0
PORTRAIT_SHARE = 0.35
CLOSE_SHARE = 0.28
AIMED_SHARE = 0.6
BEYOND_SHARE = 0.4
"""How often an aimed view of a room with a doorway looks at what is behind."""
TRIES = 60
CLOSE_TRIES = 30
NEAR_M = 0.45
"""What is nearer than this is too near for most sensors; a tenth of the picture may be."""
PROBE = 32
"""Pixels along the longer side of the picture by which a viewpoint is judged."""
TILT_ERROR_DEG = 0.7
HEIGHT_ERROR_M = 0.007
FLOOR_ERROR_M = (0.02, 0.05)
"""Standard deviation of the floor's error, and its bound."""
SURFACE_M = (0.35, 1.15)
"""Heights of the surfaces that close-ups look at."""


@dataclass(frozen=True)
class Aim:
    """A camera's true place.

    Attributes:
        eye: (3,) room frame, metres.
        heading_deg: counter-clockwise from +x of the room.
        pitch_deg: down is positive.
        roll_deg: about the optical axis.
        surface: index of the item whose top a close-up looks at, if it is one.
        top_m: height of that top; 0 where there is none.
    """

    eye: NDArray[np.float64]
    heading_deg: float
    pitch_deg: float
    roll_deg: float
    surface: int | None = None
    top_m: float = 0.0

    @property
    def T_room_camera(self) -> Matrix:  # noqa: N802
        """(4, 4) rigid, metres."""
        T = np.eye(4)
        T[:3, :3] = rotation("z", self.heading_deg) @ _tilt(self.pitch_deg, self.roll_deg)
        T[:3, 3] = self.eye
        return T


def draw_view(plan: Plan, size: tuple[int, int]) -> View:
    """A camera anywhere in a furnished room that sees something of it, and the robot's region.

    Args:
        plan: the furnished room; its own viewpoint is not used.
        size: (width, height) of a landscape picture, pixels; some cameras are turned.
    """
    rng = plan.rng
    geometry = Geometry.of(plan.items, np.eye(4))
    wanted = rng.random() < CLOSE_SHARE
    fallback: tuple[float, Aim, Camera, Sight] | None = None
    for number in range(TRIES):
        aim = _close_up(plan) if wanted and number < CLOSE_TRIES else _overview(plan)
        if aim is None:
            continue
        camera = _lens(rng, size)
        sight = _probe(plan, geometry, camera, aim)
        merit = _merit(sight, aim)
        if fallback is None or merit > fallback[0]:
            fallback = (merit, aim, camera, sight)
        if merit >= 1:
            break
    if fallback is None:
        eye = np.array([*plan.eye, 1.5])
        aim = Aim(eye, plan.heading_deg, 20.0, 0.0)
        camera = _lens(rng, size)
        fallback = (0.0, aim, camera, _probe(plan, geometry, camera, aim))
    return _believed(rng, *fallback[1:])


def _lens(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Intrinsics of a random field of view, landscape or portrait."""
    width, height = size[::-1] if rng.random() < PORTRAIT_SHARE else size
    focal = max(size) / 2 / np.tan(np.radians(rng.uniform(*FOVS_DEG)) / 2)
    centre = np.array([width - 1, height - 1]) / 2 + rng.normal(0, 0.01 * max(size), 2)
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    return Camera(K, width, height)


def _tilt(pitch_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """(3, 3) from the camera's axes to those of a viewer."""
    return rotation("y", pitch_deg) @ rotation("x", roll_deg) @ OPTICAL


def _is_free(plan: Plan, eye: NDArray, heading_deg: float) -> bool:
    """Whether a camera and what carries it fit at a place."""
    levels = (max(float(eye[2]) - 0.2, 0.02), float(eye[2]) + 0.12)
    block = Blocks.one(eye[:2], np.array([0.15, 0.15]), heading_deg, levels, VIEWER)
    return plan.is_free(block, (VIEWER,))


def _overview(plan: Plan) -> Aim | None:
    """A free spot at any height, looking at some item or anywhere; None where it is taken."""
    rng = plan.rng
    low, high = HEIGHTS_M
    eye = np.array(
        [
            rng.uniform(plan.front + 0.2, -0.2),
            rng.uniform(plan.right + 0.2, plan.left - 0.2),
            rng.uniform(low, high),
        ]
    )
    if rng.random() < AIMED_SHARE:
        if plan.beyond and rng.random() < BEYOND_SHARE:
            target = plan.beyond[0].mean(axis=0)
        else:
            target = np.array(plan.items[int(rng.integers(len(plan.items)))].position)
        to = target - eye
        heading = np.degrees(np.arctan2(to[1], to[0])) + rng.normal(0, 12)
        pitch = np.degrees(np.arctan2(-to[2], np.hypot(to[0], to[1]))) + rng.normal(-6, 8)
    else:
        heading = rng.uniform(-180, 180)
        pitch = rng.normal(8 + 14 * (eye[2] - 0.8), 13)
    if not _is_free(plan, eye, float(heading)):
        return None
    return Aim(eye, float(heading), float(np.clip(pitch, *PITCHES_DEG)), _roll(rng))


def _close_up(plan: Plan) -> Aim | None:
    """A spot from which a table, desk or counter fills much of the picture, or None."""
    rng, tops = plan.rng, []
    children = [item.parent for item in plan.items]
    for index, item in enumerate(plan.items):
        for area in item.body.areas:
            top = area.centre[2] + item.position[2]
            if area.relation == "on" and min(area.size) > 0.3 and _between(top, SURFACE_M):
                tops.append((index, area, top, 0.5 + children.count(index)))
    if not tops:
        return None
    chances = np.array([weight for *_, weight in tops])
    index, area, top, _ = tops[int(rng.choice(len(tops), p=chances / chances.sum()))]
    spot = np.array([*(rng.uniform(-0.3, 0.3, 2) * area.size), 0.0]) + area.centre
    target = transform_points(plan.items[index].T_room_body, spot)
    heading, pitch = float(rng.uniform(-180, 180)), float(rng.uniform(12, 65))
    away = rotation("z", heading) @ rotation("y", pitch) @ np.array([1.0, 0, 0])
    eye = target - float(rng.uniform(0.6, 1.5)) * away
    if not _between(float(eye[2]), HEIGHTS_M) or not _is_free(plan, eye, heading):
        return None
    heading, pitch = heading + float(rng.normal(0, 4)), pitch + float(rng.normal(0, 4))
    return Aim(eye, heading, float(np.clip(pitch, *PITCHES_DEG)), _roll(rng), index, float(top))


def _between(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def _roll(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(0, 2), -ROLL_DEG, ROLL_DEG))


def _probe(plan: Plan, geometry: Geometry, camera: Camera, aim: Aim) -> Sight:
    """What a camera sees, coarsely, in the frame below it."""
    factor = PROBE / max(camera.width, camera.height)
    width, height = (max(round(factor * side), 2) for side in (camera.width, camera.height))
    K = camera.K.copy()
    K[:2] *= factor
    depth, ids, _ = depth_and_ids(geometry, Camera(K, width, height), aim.T_room_camera)
    seen = depth > 0
    T = np.eye(4)
    T[:3, :3] = _tilt(aim.pitch_deg, aim.roll_deg)
    T[2, 3] = aim.eye[2]
    points = transform_points(T, back_project(depth, K)[seen])
    shell = np.array([item.name in ("floor", "ceiling", "wall") for item in plan.items])
    ids = ids[seen]
    on_surface = np.zeros(len(ids), dtype=bool)
    if aim.surface is not None:
        family = np.array(
            [aim.surface in (i, item.parent) for i, item in enumerate(plan.items)], dtype=bool
        )
        on_surface = family[ids]
    return Sight(points, depth[seen], np.where(shell[ids], -1, ids), on_surface)


def _merit(sight: Sight, aim: Aim) -> float:
    """1 or more for a view that is worth a picture: not too near, and several things in it."""
    if not len(sight.things):
        return 0.0
    close = aim.surface is not None
    _, counts = np.unique(sight.things[sight.things >= 0], return_counts=True)
    share = counts / len(sight.things)
    conditions = [
        1.1 - float((sight.depth_m < NEAR_M).mean()),
        float(np.median(sight.depth_m)) / (0.55 if close else 0.9),
        float(share.sum()) / (0.3 if close else 0.15),
        int((counts >= 4).sum()) / (2 if close else 4),
        (0.85 if close else 0.65) / max(float(share.max(initial=0)), 1e-3),
        float(sight.on_surface.mean()) / 0.2 if close else 1.0,
    ]
    return min(1.0, *conditions)


def _believed(rng: np.random.Generator, aim: Aim, camera: Camera, sight: Sight) -> View:
    """The view as the robot believes it to be."""
    tilt = rng.normal(0, TILT_ERROR_DEG, 2)
    spread, most = FLOOR_ERROR_M
    floor = float(np.clip(rng.normal(0, spread), -most, most))
    T = np.eye(4)
    T[:3, :3] = _tilt(aim.pitch_deg + tilt[0], aim.roll_deg + tilt[1])
    T[2, 3] = aim.eye[2] + rng.normal(0, HEIGHT_ERROR_M) + floor
    region = draw_region(rng, sight, aim.top_m if aim.surface is not None else None)
    longer = max(camera.width, camera.height)
    info: dict[str, float | str] = {
        "camera_height_m": float(aim.eye[2]),
        "pitch_deg": -aim.pitch_deg,
        "roll_deg": aim.roll_deg,
        "fov_deg": float(2 * np.degrees(np.arctan(longer / 2 / camera.K[0, 0]))),
        "orientation": "portrait" if camera.height > camera.width else "landscape",
        "view": "close-up" if aim.surface is not None else "room",
        "region": region.kind,
        "region_m": region.size_m,
        "region_share": region.share,
        "tilt_error_deg": float(np.hypot(*tilt)),
        "floor_error_m": floor,
    }
    T_viewer_room = T @ invert(aim.T_room_camera)
    return View(camera, T, T_viewer_room, region.T_scene_viewer, info)
