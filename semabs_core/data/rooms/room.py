"""One synthetic room, from a seed to a scene."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.relations import SceneObject, describe
from semabs_core.data.rooms.bodies import CATALOGUE
from semabs_core.data.rooms.classes import NOVEL_CLASSES, base_class
from semabs_core.data.rooms.clutter import fill_areas, strew_floor
from semabs_core.data.rooms.doorway import WALL_M, Doorway
from semabs_core.data.rooms.items import Geometry, Item
from semabs_core.data.rooms.layouts import LAYOUTS
from semabs_core.data.rooms.paints import randomized
from semabs_core.data.rooms.picture import camera_rays, depth_and_parts, photograph
from semabs_core.data.rooms.plan import HEIGHT_M, WALLS, Plan
from semabs_core.data.rooms.rest import furnish_rest
from semabs_core.data.rooms.robot_region import CAMERA_X, SCENE_BOUNDS
from semabs_core.data.rooms.robot_view import draw_view
from semabs_core.data.rooms.sensors import Exact, expose, measure
from semabs_core.data.rooms.shell import build_shell
from semabs_core.data.rooms.truth import occupant, sample_points
from semabs_core.data.rooms.viewpoint import View, draw_camera, draw_lighting, sense
from semabs_core.data.scene_data import DEFAULT_SCENE_SCALE, SceneData, SceneDescription
from semabs_core.data.splits import SPLITS
from semabs_core.geometry import Matrix, in_bounds, in_frustum, invert, transform_points

VIEWS = ("classic", "robot")
DOORWAY_SHARE = 0.45
"""How often a robot's room has an opening to what is behind."""
UNITS = ("kitchen", "back")
"""A room and its wall that is full of built-in units, so without a doorway."""
GLASS = ("mirror", "window")
SPECIAL = ("empty", "out of bounds")
FIRST_ID = len(SPECIAL)
GRID = 2.0**-13
"""Points lie on a grid of this edge (scene units), which halves their compressed size."""
MIN_POINTS = 4
"""An object with fewer points in view is in no sentence."""
WIDE_SHARE = 0.15
"""Share of a robot's points that lie anywhere in the region, the others where it looks."""
SIGHT_M = 7.0
SPARE = 2
"""So many times more points are drawn than are kept, to choose useful ones from."""
FACET_M = 0.4
"""Points near surfaces are drawn on triangles of at most this edge, so small regions get some."""


@dataclass(frozen=True)
class RoomOptions:
    """How rooms are made.

    Attributes:
        size: (width, height) of the images, pixels.
        points: labelled points per room.
        even_share: share of them that lie just inside the surfaces, all over them: so that it is
            known of floors and walls where they go on behind things. The others lie half near the
            things, of which each has a fair share, half anywhere.
        noisy_share: share of rooms whose depth has a sensor's noise and holes; of classic views.
        colored_share: chance that a class's labels state colours, in splits that have such labels.
        views: ``classic``, a camera at 1.5 m that looks at furniture before a wall, or ``robot``,
            any camera height, direction and field of view, upright or turned, the faults of several
            depth sensors, a region where the robot looks, and a pose that is a little wrong.
    """

    size: tuple[int, int] = (256, 192)
    points: int = 120_000
    even_share: float = 0.0
    noisy_share: float = 0.5
    colored_share: float = 0.35
    views: str = "classic"

    def __post_init__(self) -> None:
        if min(self.size) < 8:
            raise ValueError(f"size must be (width, height) of at least 8 pixels, got {self.size}")
        if self.points < 1:
            raise ValueError(f"points must be positive, got {self.points}")
        for name in ("even_share", "noisy_share", "colored_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0..1, got {getattr(self, name)}")
        if self.views not in VIEWS:
            raise ValueError(f"views must be one of {', '.join(VIEWS)}, got {self.views!r}")


def make_room(seed: int, split: str, options: RoomOptions | None = None) -> SceneData:
    """A room of a split; the same arguments give the same room on any worker.

    Novel classes occur in the ``unseen_instances`` splits only. Labels with colours occur in
    ``train``, ``validation`` and ``unseen_instances``: random colours would belie them, and
    synonyms have none. Files of the synonym split hold the classes' own names, which readers
    replace.

    Args:
        seed: not negative; different rooms of a split need different seeds.
        split: one of :data:`semabs_core.data.splits.SPLITS`.
        options: sizes and shares.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    options = options or RoomOptions()
    rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
    plan = furnish(rng, split, options)
    view = (
        draw_view(plan, options.size)
        if options.views == "robot"
        else _classic_view(plan, rng, options)
    )
    geometry = Geometry.of(plan.items, view.T_viewer_room)
    depth, parts, facing = depth_and_parts(geometry, view.camera, view.T_viewer_camera)
    ids = np.where(parts >= 0, geometry.item_of[parts], np.int32(-1))
    if options.views == "classic" and rng.random() < options.noisy_share:
        depth = sense(depth, facing, rng)
    lighting = draw_lighting(plan, view.T_viewer_room)
    dye_of = {paint: randomized(paint, rng) for paint in dict.fromkeys(geometry.paints)}
    dyes = [dye_of[paint] for paint in geometry.paints]
    pictures = photograph(geometry, view.camera, view.T_viewer_camera, lighting, rng, dyes)
    info = dict(view.info)
    if options.views == "robot":
        depth, notes = measure(
            _measurable(plan, geometry, view, (depth, parts, facing), pictures[0]), rng
        )
        info |= notes
        pictures = [expose(picture, rng) for picture in pictures]
    xyz, labels = _labelled_points(plan, geometry, view, options, rng)
    names = [*SPECIAL, *(item.name for item in plan.items)]
    T_scene_camera = view.T_scene_viewer @ view.T_viewer_camera
    return SceneData(
        rgb=pictures[0][None],
        depth=depth[None],
        seg=np.where(ids >= 0, ids + FIRST_ID, -1).astype(np.int32)[None],
        cam_intr=view.camera.K,
        cam_pose=T_scene_camera,
        scene_bounds=SCENE_BOUNDS.copy(),
        objid_to_class=[f"{name}[{i}]" for i, name in enumerate(names)],
        full_xyz_pts=xyz[None],
        full_objid_pts=labels[None],
        domain_randomized_rgb=pictures[1][None],
        descriptions=_sentences(plan, ids, xyz, labels, view),
        scene_scale=DEFAULT_SCENE_SCALE if options.views == "classic" else view.scale,
        view_info=info,
    )


def furnish(rng: np.random.Generator, split: str, options: RoomOptions) -> Plan:
    """A room of random kind with all that is in it."""
    novel = split.startswith("unseen_instances")
    allowed = frozenset(
        key for key, entry in CATALOGUE.items() if novel or entry.name not in NOVEL_CLASSES
    )
    plain = split in ("unseen_instances_dr", "unseen_instances_synonyms")
    names = sorted({entry.name for entry in CATALOGUE.values()})
    share = 0.0 if plain else options.colored_share
    colored = frozenset(
        name for name, chance in zip(names, rng.random(len(names))) if chance < share
    )
    plan = Plan.draw(rng, allowed, colored)
    kind = str(rng.choice(list(LAYOUTS)))
    robot = options.views == "robot"
    doorway = None
    if robot:
        plan.front -= float(rng.uniform(0, 1.5))
        if rng.random() < DOORWAY_SHARE:
            doorway = Doorway.draw(plan, [wall for wall in WALLS if (kind, wall) != UNITS])
    build_shell(plan, kind, doorway)
    LAYOUTS[kind](plan)
    if robot:
        furnish_rest(plan, kind)
    strew_floor(plan, kind, int(rng.integers(5, 12)))
    fill_areas(plan, kind, float(rng.uniform(0.8, 2.0)))
    return plan


def _classic_view(plan: Plan, rng: np.random.Generator, options: RoomOptions) -> View:
    """The camera that the room is furnished for.

    The floor's face is a few centimetres above the lower bound: so it has some volume inside, and
    noisy readings of it are not lost.
    """
    camera, T_viewer_camera = draw_camera(rng, options.size)
    s = DEFAULT_SCENE_SCALE
    T = np.diag([s, s, s, 1.0])
    T[:3, 3] = [CAMERA_X, 0, SCENE_BOUNDS[0, 2] + s * float(rng.uniform(0.01, 0.04))]
    return View(camera, T_viewer_camera, plan.T_viewer_room, T)


def _labelled_points(
    plan: Plan, geometry: Geometry, view: View, options: RoomOptions, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Points (N, 3) float32 in scene units, and the object id of each (N,) int32."""
    T_viewer_scene = invert(view.T_scene_viewer)
    bounds = transform_points(T_viewer_scene, SCENE_BOUNDS)
    if options.views == "classic":
        facet_m = FACET_M if options.even_share else np.inf
        points = sample_points(geometry, bounds, options.points, rng, facet_m, options.even_share)
    else:
        points = _points_in_sight(plan, geometry, view, options, rng)
    scene = transform_points(view.T_scene_viewer, points)
    scene = (np.rint(scene / GRID) * GRID).clip(*SCENE_BOUNDS.astype(np.float32))
    viewer = transform_points(T_viewer_scene, scene)
    item = occupant(geometry, viewer.astype(np.float32))
    outside = _is_outside(plan, view, viewer)
    labels = np.where(item >= 0, item + FIRST_ID, np.where(outside, 1, 0))
    return scene.astype(np.float32), labels.astype(np.int32)


def _is_outside(
    plan: Plan, view: View, points: NDArray, margin_m: float = 0.0
) -> NDArray[np.bool_]:
    """(N,) bool: which points (N, 3) of the viewer frame are beyond the room's faces.

    What is behind a doorway belongs to the room here.
    """
    own = np.array([[plan.front, plan.right, 0.0], [0.0, plan.left, HEIGHT_M]])
    room = transform_points(invert(view.T_viewer_room), points)
    return ~np.any([in_bounds(room, box, margin_m) for box in (own, *plan.beyond)], axis=0)


def _points_in_sight(
    plan: Plan, geometry: Geometry, view: View, options: RoomOptions, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Points (options.points, 3) of the region, viewer frame, metres; most of them in the picture.

    A region often reaches far beyond picture and room, where training has no use for points.
    """
    bounds = transform_points(invert(view.T_scene_viewer), SCENE_BOUNDS)
    count, even = options.points, options.even_share
    wide = sample_points(geometry, bounds, int(WIDE_SHARE * count), rng, FACET_M, even)
    rays = camera_rays(view.camera, view.T_viewer_camera)
    corners = rays[:: view.camera.height - 1, :: view.camera.width - 1].reshape(-1, 6)
    cone = np.concatenate([corners[:1, :3], corners[:, :3] + SIGHT_M * corners[:, 3:]])
    box = np.stack([cone.min(axis=0).clip(*bounds), cone.max(axis=0).clip(*bounds)])
    if (box[1] - box[0] < FACET_M).any():
        box = bounds
    points = rng.permutation(sample_points(geometry, box, SPARE * count, rng, FACET_M, even))
    useful = in_frustum(points, view.camera, view.T_viewer_camera)
    useful &= ~_is_outside(plan, view, points, WALL_M)
    best = np.argsort(~useful, kind="stable")[: count - len(wide)]
    return np.concatenate([wide, points[best]])


def _sentences(
    plan: Plan,
    ids: NDArray[np.int32],
    xyz: NDArray[np.float32],
    labels: NDArray[np.int32],
    view: View,
) -> list[SceneDescription]:
    """What relations say about the objects that are in the volume and the frustum."""
    inside = in_frustum(xyz, view.camera, view.T_scene_viewer @ view.T_viewer_camera)
    counts = np.bincount(labels[inside], minlength=FIRST_ID + len(plan.items))
    shown, T = set(np.unique(ids)), view.T_scene_viewer @ view.T_viewer_room
    objects = []
    for index, item in enumerate(plan.items):
        if counts[index + FIRST_ID] < MIN_POINTS:
            continue
        centre, extent = _box_of(item, T)
        parent = None if item.parent is None else item.parent + FIRST_ID
        objects.append(
            SceneObject(
                index + FIRST_ID,
                item.name,
                centre,
                extent,
                index in shown,
                base_class(item.name),
                inside=parent if item.relation == "in" else None,
                support=parent if item.relation == "on" else None,
            )
        )
    return describe(objects)


def _box_of(item: Item, T_scene_room: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle and size (3,) of an item's box along the axes, scene units."""
    vertices = np.concatenate([part.vertices for part in item.body.parts])
    points = transform_points(T_scene_room @ item.T_room_body, vertices)
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, high - low


def _measurable(
    plan: Plan,
    geometry: Geometry,
    view: View,
    met: tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]],
    picture: NDArray[np.uint8],
) -> Exact:
    """What a depth sensor's faults depend on; ``met`` is depth, part and facing of each pixel."""
    depth, parts, facing = met
    gloss = np.array([paint.gloss for paint in geometry.paints], dtype=np.float32)
    glass = np.array([base_class(item.name) in GLASS for item in plan.items])
    there = parts >= 0
    return Exact(
        depth_m=depth,
        facing=facing,
        gloss=np.where(there, gloss[parts], 0),
        glass=there & glass[geometry.item_of[parts]],
        light=picture.mean(axis=2, dtype=np.float32) / 255,
        focal=float(view.camera.K[0, 0]),
    )
