"""The plan of a room: walls, the viewer, what stands where, and where there is still room.

Room frame: metres, z up from the floor, the back wall's face at x = 0 and the room at x < 0, y
left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.blocks import Blocks
from semabs_core.data.rooms.bodies import CATALOGUE, Area, Body, Kit, Palette
from semabs_core.data.rooms.items import Item
from semabs_core.data.rooms.parts import rotation
from semabs_core.geometry import Matrix, invert, transform_points

WALLS = {"back": 0.0, "left": 90.0, "right": -90.0, "front": 180.0}
"""The yaw of a body whose back is at the wall."""
HEIGHT_M = 2.5
GAP_M = 0.003
TRIES = 12
"""Spots that are tried for a small thing."""
WALL_TRIES = 50
"""Spots that are tried for furniture at a wall."""
VIEWER = -1
"""Owner of the space that the camera looks from."""


@dataclass
class Plan:
    """A room that is being furnished.

    Attributes:
        rng: source of chance.
        palette: the furniture's colours.
        eye: (2,) where the camera stands, metres.
        heading_deg: where it looks, counter-clockwise from +x.
        left: y of the left wall's face.
        right: y of the right wall's face.
        front: x of the face of the wall behind the camera.
        allowed: keys of the classes that may occur.
        colored: names of the classes whose labels state the colour in this room.
        items: what is there.
        blocks: the space that it takes.
        everywhere: whether things go to all of the room, not only to where the viewpoint looks.
        beyond: spaces behind openings in the walls, (2, 3) lower and upper corners.
        lamps: lights in those, as position (3,) and power.
    """

    rng: np.random.Generator
    palette: Palette
    eye: NDArray[np.float64]
    heading_deg: float
    left: float
    right: float
    front: float
    allowed: frozenset[str]
    colored: frozenset[str]
    blocks: Blocks
    items: list[Item] = field(default_factory=list)
    everywhere: bool = False
    beyond: list[NDArray[np.float64]] = field(default_factory=list)
    lamps: list[tuple[NDArray[np.float64], float]] = field(default_factory=list)

    @classmethod
    def draw(
        cls, rng: np.random.Generator, allowed: frozenset[str], colored: frozenset[str]
    ) -> Plan:
        """An empty room around a random viewpoint that looks at a spot near the back wall."""
        oblique = float(rng.choice([-1, 1]) * rng.uniform(22, 45))
        heading = oblique if rng.random() < 0.35 else float(rng.normal(0, 10))
        focus = np.array([rng.uniform(-1.5, -1.1), rng.uniform(-0.3, 0.3)])
        ahead = rotation("z", heading)[:2, 0]
        eye = focus - rng.uniform(2.2, 2.6) * ahead
        left, right = focus[1] + rng.uniform(1.2, 2.1), focus[1] - rng.uniform(1.2, 2.1)
        return cls(
            rng=rng,
            palette=Palette.draw(rng),
            eye=eye,
            heading_deg=heading,
            left=float(max(left, eye[1] + 0.5)),
            right=float(min(right, eye[1] - 0.5)),
            front=float(eye[0] - rng.uniform(0.5, 1.5)),
            allowed=allowed,
            colored=colored,
            blocks=Blocks.one(
                eye + 0.5 * ahead, np.array([0.8, 0.6]), heading, (0, HEIGHT_M), VIEWER
            ),
        )

    @property
    def T_viewer_room(self) -> Matrix:  # noqa: N802
        """(4, 4) rigid: to the frame below the camera, x where it looks, metres."""
        T = np.eye(4)
        T[:3, :3], T[:2, 3] = rotation("z", self.heading_deg), self.eye
        return invert(T)

    def in_view(self, x: float, y: float) -> bool:
        """Whether a spot of the room is in the cube that networks look at, and in the picture.

        All of the room is, if things go everywhere.
        """
        if self.everywhere:
            return self.front < x < 0 and self.right < y < self.left
        ahead, aside, _ = transform_points(self.T_viewer_room, np.array([x, y, 0.0]))
        return 1.1 < ahead < 4.1 and abs(aside) < min(1.6, 0.6 * ahead)

    def kit(self, key: str) -> Kit:
        """What the builder of a class draws from; picks the object's colour."""
        entry = CATALOGUE[key]
        color = str(self.rng.choice(entry.colors)) if entry.colors else ""
        return Kit(self.rng, self.palette, color, bool(color) and entry.name in self.colored)

    def make(self, key: str) -> tuple[str, Body]:
        """A body of a class, and its label."""
        kit, entry = self.kit(key), CATALOGUE[key]
        return (f"{kit.color_name} {entry.name}" if kit.named else entry.name), entry.build(kit)

    def is_free(self, block: Blocks, ignore: tuple[int, ...] = ()) -> bool:
        """Whether a box is inside the walls and meets nothing but the items to ignore."""
        meets = self.blocks.meet(block) & ~np.isin(self.blocks.owners, ignore)
        return self._inside(block) and not meets.any()

    def _inside(self, block: Blocks) -> bool:
        reach = (np.abs(block.axes[0]) * block.halves[0][:, None]).sum(axis=0)
        low, high = block.centres[0] - reach, block.centres[0] + reach
        return bool(
            low[0] > self.front
            and high[0] < GAP_M
            and low[1] > self.right - GAP_M
            and high[1] < self.left + GAP_M
        )

    def put(
        self,
        name: str,
        body: Body,
        position: NDArray,
        yaw_deg: float = 0.0,
        parent: int | None = None,
        relation: str = "",
        solid: bool = True,
    ) -> int:
        """Place a body without a check (``solid``: its space is taken); its index."""
        index = len(self.items)
        at = np.asarray(position, dtype=np.float64)
        self.items.append(Item(name, body, tuple(at.tolist()), yaw_deg, parent, relation))
        if solid:
            self.blocks = self.blocks + Blocks.around(body, at, yaw_deg, index)
        return index

    def try_put(
        self,
        name: str,
        body: Body,
        position: NDArray,
        yaw_deg: float = 0.0,
        ignore: tuple[int, ...] = (),
    ) -> int | None:
        """Place a body if there is room for it; its index, or None."""
        at = np.asarray(position, dtype=np.float64)
        if not self.is_free(Blocks.around(body, at, yaw_deg, len(self.items)), ignore):
            return None
        return self.put(name, body, at, yaw_deg)

    def at_wall(
        self,
        key: str,
        walls: tuple[str, ...] = ("back", "left", "right"),
        z: float = 0.0,
        gap: float = 0.0,
        built: tuple[str, Body] | None = None,
    ) -> int | None:
        """Place a body with its back to a wall at a random spot in view; its index, or None."""
        name, body = built or self.make(key)
        low, high = body.bounds
        for _ in range(WALL_TRIES):
            wall = str(self.rng.choice(walls))
            half, out = (high[1] - low[1]) / 2, high[0] + GAP_M + gap
            if wall in ("back", "front"):
                y = self.rng.uniform(self.right + half, max(self.left - half, self.right + half))
                at = np.array([-out if wall == "back" else self.front + out, y, z - low[2]])
            else:
                start = self.front if self.everywhere else -2.8
                side, x = self.left - out, self.rng.uniform(start + half, -half)
                at = np.array([x, side if wall == "left" else self.right + out, z - low[2]])
            if self.in_view(at[0], at[1]):
                index = self.try_put(name, body, at, WALLS[wall])
                if index is not None:
                    return index
        return None

    def on_floor(
        self,
        key: str,
        yaw_deg: float | None = None,
        hidden: bool = False,
        built: tuple[str, Body] | None = None,
    ) -> int | None:
        """Place a body on the floor in view, ``hidden`` prefers spots behind something."""
        name, body = built or self.make(key)
        found: tuple[float, NDArray, float] | None = None
        for _ in range(TRIES):
            start = self.front if self.everywhere else -3.0
            at = np.array(
                [self.rng.uniform(start, -0.1), self.rng.uniform(self.right, self.left), 0.0]
            )
            at[2] = -body.bounds[0, 2]
            yaw = float(self.rng.uniform(-180, 180)) if yaw_deg is None else yaw_deg
            if not self.in_view(at[0], at[1]):
                continue
            if self.is_free(Blocks.around(body, at, yaw, len(self.items))):
                cover = self.cover(at, body) if hidden else 1.0
                if found is None or cover > found[0]:
                    found = (cover, at, yaw)
                if cover > 0.5:
                    break
        return None if found is None else self.put(name, body, found[1], found[2])

    def cover(self, position: NDArray, body: Body) -> float:
        """Whether another item hides a body from the camera: 1 behind it, 0 in the open."""
        to_body = position[:2] - self.eye
        distance = float(np.linalg.norm(to_body))
        offsets = self.blocks.centres - self.eye
        along = offsets @ (to_body / distance)
        across = np.abs(offsets @ np.array([-to_body[1], to_body[0]]) / distance)
        width = self.blocks.halves.max(axis=1) * 0.8
        tall = self.blocks.levels[:, 1] > position[2] + 0.7 * body.bounds[1, 2]
        low = self.blocks.levels[:, 0] < position[2] + 0.1
        ahead = (along > 1.0) & (along < distance - 0.05) & (self.blocks.owners != VIEWER)
        return float((ahead & tall & low & (across < width)).any())

    def area_candidates(self, index: int, area: Area, body: Body) -> list[tuple[NDArray, float]]:
        """Random poses (position, yaw) of a body on an area of an item."""
        item, (low, high) = self.items[index], body.bounds
        T, poses = item.T_room_body, []
        quarters = round((self.heading_deg - item.yaw_deg) / 90) if area.open_sides else 0
        for _ in range(TRIES):
            turn = float(self.rng.normal(0, 8)) + 90 * quarters
            c, s = abs(np.cos(np.radians(turn))), abs(np.sin(np.radians(turn)))
            size = (high - low)[:2]
            room = np.array(area.size) - (c * size[0] + s * size[1], s * size[0] + c * size[1])
            if (room < 0).any():
                continue
            spot = np.array([*(self.rng.uniform(-0.5, 0.5, 2) * room), 0.0]) + area.centre
            middle = rotation("z", turn) @ np.array([*((low + high) / 2)[:2], low[2]])
            poses.append((transform_points(T, spot - middle), item.yaw_deg + turn))
        return poses
