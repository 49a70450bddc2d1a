"""One synthetic room, from a seed to a scene."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.relations import SceneObject, describe
from semabs_core.data.rooms.bodies import CATALOGUE, Body
from semabs_core.data.rooms.classes import NOVEL_CLASSES, base_class
from semabs_core.data.rooms.clutter import fill_areas, strew_floor
from semabs_core.data.rooms.items import Geometry, Item
from semabs_core.data.rooms.layouts import LAYOUTS
from semabs_core.data.rooms.paints import Paint, jittered, randomized, shaded
from semabs_core.data.rooms.picture import depth_and_ids, photograph
from semabs_core.data.rooms.plan import HEIGHT_M, Plan
from semabs_core.data.rooms.shapes import box
from semabs_core.data.rooms.truth import occupant, sample_points
from semabs_core.data.rooms.viewpoint import draw_camera, draw_lighting, sense
from semabs_core.data.scene_data import DEFAULT_SCENE_SCALE, SceneData, SceneDescription
from semabs_core.data.splits import SPLITS
from semabs_core.geometry import Matrix, in_frustum, invert, transform_points
from semabs_core.types import Camera

SCENE_BOUNDS = np.array([[-1.0, -1.0, -0.1], [1.0, 1.0, 1.9]])
CAMERA_X = -1.5
SPECIAL = ("empty", "out of bounds")
FIRST_ID = len(SPECIAL)
WALL_M = 0.12
SLAB_M = 0.1
GRID = 2.0**-13
"""Points lie on a grid of this edge (scene units), which halves their compressed size."""
MIN_POINTS = 4
"""An object with fewer points in view is in no sentence."""


@dataclass(frozen=True)
class RoomOptions:
    """How rooms are made.

    Attributes:
        size: (width, height) of the images, pixels.
        points: labelled points per room.
        noisy_share: share of rooms whose depth has a sensor's noise and holes.
        colored_share: chance that a class's labels state colours, in splits that have such labels.
    """

    size: tuple[int, int] = (256, 192)
    points: int = 120_000
    noisy_share: float = 0.5
    colored_share: float = 0.35

    def __post_init__(self) -> None:
        if min(self.size) < 8:
            raise ValueError(f"size must be (width, height) of at least 8 pixels, got {self.size}")
        if self.points < 1:
            raise ValueError(f"points must be positive, got {self.points}")
        for name in ("noisy_share", "colored_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0..1, got {getattr(self, name)}")


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
    geometry = Geometry.of(plan.items, plan.T_viewer_room)
    camera, T_viewer_camera = draw_camera(rng, options.size)
    T_scene_viewer = _scene_frame(float(rng.uniform(0.01, 0.04)))
    depth, ids, facing = depth_and_ids(geometry, camera, T_viewer_camera)
    if rng.random() < options.noisy_share:
        depth = sense(depth, facing, rng)
    lighting = draw_lighting(plan)
    dye_of = {paint: randomized(paint, rng) for paint in dict.fromkeys(geometry.paints)}
    dyes = [dye_of[paint] for paint in geometry.paints]
    rgb, randomized_rgb = photograph(geometry, camera, T_viewer_camera, lighting, rng, dyes)
    xyz, labels = _labelled_points(plan, geometry, T_scene_viewer, options.points, rng)
    names = [*SPECIAL, *(item.name for item in plan.items)]
    T_scene_camera = T_scene_viewer @ T_viewer_camera
    return SceneData(
        rgb=rgb[None],
        depth=depth[None],
        seg=np.where(ids >= 0, ids + FIRST_ID, -1).astype(np.int32)[None],
        cam_intr=camera.K,
        cam_pose=T_scene_camera,
        scene_bounds=SCENE_BOUNDS.copy(),
        objid_to_class=[f"{name}[{i}]" for i, name in enumerate(names)],
        full_xyz_pts=xyz[None],
        full_objid_pts=labels[None],
        domain_randomized_rgb=randomized_rgb[None],
        descriptions=_sentences(plan, ids, xyz, labels, T_scene_viewer, camera, T_scene_camera),
        scene_scale=DEFAULT_SCENE_SCALE,
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
    _build_shell(plan, kind)
    LAYOUTS[kind](plan)
    strew_floor(plan, kind, int(rng.integers(5, 12)))
    fill_areas(plan, kind, float(rng.uniform(0.8, 2.0)))
    return plan


def _build_shell(plan: Plan, kind: str) -> None:
    """Floor, ceiling and walls, as items that take no space."""
    rng, kit = plan.rng, plan.kit("cabinet")
    wet = kind in ("kitchen", "bathroom")
    tone = jittered(
        [
            (0.87, 0.85, 0.8),
            (0.8, 0.84, 0.86),
            (0.86, 0.82, 0.7),
            (0.76, 0.82, 0.76),
            (0.84, 0.77, 0.75),
        ][int(rng.integers(5))],
        rng,
    )
    if (wet and rng.random() < 0.6) or rng.random() < 0.08:
        tile = [(0.75, 0.73, 0.7), (0.55, 0.53, 0.5), (0.82, 0.8, 0.75), (0.4, 0.42, 0.45)][
            int(rng.integers(4))
        ]
        floor = kit.paint(tile, "tiles", 0.35, float(rng.uniform(0.2, 0.45)), shaded(tile, 0.7))
    elif rng.random() < 0.7:
        wood = [(0.6, 0.43, 0.27), (0.45, 0.3, 0.19), (0.72, 0.58, 0.42), (0.55, 0.5, 0.45)][
            int(rng.integers(4))
        ]
        floor = kit.paint(wood, "planks", 0.25, float(rng.uniform(0.08, 0.15)), shaded(wood, 0.65))
    else:
        carpet = [(0.6, 0.57, 0.52), (0.45, 0.47, 0.5), (0.62, 0.52, 0.42)][int(rng.integers(3))]
        floor = kit.paint(carpet, "cloth", 0.0, 0.1)
    wall = kit.paint(tone, "mottled", 0.05, 0.6, shaded(tone, 0.95))
    if kind == "bathroom" and rng.random() < 0.6:
        wall = kit.paint(tone, "tiles", 0.4, float(rng.uniform(0.12, 0.25)), shaded(tone, 0.85))
    elif rng.random() < 0.15:
        wall = kit.paint(tone, "stripes", 0.02, float(rng.uniform(0.08, 0.2)), shaded(tone, 0.93))
    for name, body in _shell_bodies(plan, floor, wall, kit.paint("white", "plain", 0.0)):
        plan.put(name, body, np.zeros(3), solid=False)


def _shell_bodies(plan: Plan, floor: Paint, wall: Paint, ceiling: Paint) -> list[tuple[str, Body]]:
    depth, width = -plan.front, plan.left - plan.right
    middle = (plan.front / 2, (plan.left + plan.right) / 2)
    broad = (depth + 2 * WALL_M, width + 2 * WALL_M)
    side = (depth, WALL_M, HEIGHT_M)
    return [
        ("floor", Body([box((*broad, SLAB_M), floor, (*middle, -SLAB_M))])),
        ("ceiling", Body([box((*broad, SLAB_M), ceiling, (*middle, HEIGHT_M))])),
        ("wall", Body([box((WALL_M, broad[1], HEIGHT_M), wall, (WALL_M / 2, middle[1], 0))])),
        ("wall", Body([box(side, wall, (middle[0], plan.left + WALL_M / 2, 0))])),
        ("wall", Body([box(side, wall, (middle[0], plan.right - WALL_M / 2, 0))])),
        (
            "wall",
            Body(
                [box((WALL_M, broad[1], HEIGHT_M), wall, (plan.front - WALL_M / 2, middle[1], 0))]
            ),
        ),
    ]


def _scene_frame(lift_m: float) -> Matrix:
    """The similarity (4, 4) ``T_scene_viewer``.

    The floor's face is ``lift_m`` above the lower bound: so it has some volume inside, and noisy
    readings of it are not lost.
    """
    s = DEFAULT_SCENE_SCALE
    T = np.diag([s, s, s, 1.0])
    T[:3, 3] = [CAMERA_X, 0, SCENE_BOUNDS[0, 2] + s * lift_m]
    return T


def _labelled_points(
    plan: Plan, geometry: Geometry, T_scene_viewer: Matrix, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Points (N, 3) float32 in scene units, and the object id of each (N,) int32."""
    T_viewer_scene = invert(T_scene_viewer)
    bounds = transform_points(T_viewer_scene, SCENE_BOUNDS)
    scene = transform_points(T_scene_viewer, sample_points(geometry, bounds, count, rng))
    scene = (np.rint(scene / GRID) * GRID).clip(*SCENE_BOUNDS.astype(np.float32))
    viewer = transform_points(T_viewer_scene, scene)
    item = occupant(geometry, viewer.astype(np.float32))
    x, y, z = transform_points(invert(plan.T_viewer_room), viewer).T
    outside = (
        (x > 0) | (x < plan.front) | (y > plan.left) | (y < plan.right) | (z > HEIGHT_M) | (z < 0)
    )
    labels = np.where(item >= 0, item + FIRST_ID, np.where(outside, 1, 0))
    return scene.astype(np.float32), labels.astype(np.int32)


def _sentences(
    plan: Plan,
    ids: NDArray[np.int32],
    xyz: NDArray[np.float32],
    labels: NDArray[np.int32],
    T_scene_viewer: Matrix,
    camera: Camera,
    T_scene_camera: Matrix,
) -> list[SceneDescription]:
    """What relations say about the objects that are in the volume and the frustum."""
    inside = in_frustum(xyz, camera, T_scene_camera)
    counts = np.bincount(labels[inside], minlength=FIRST_ID + len(plan.items))
    shown, T = set(np.unique(ids)), T_scene_viewer @ plan.T_viewer_room
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
