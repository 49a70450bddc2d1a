"""What a class of objects is: a builder of bodies, and where its bodies may stand.

Body frame: origin in the middle of the base, z up, the front looks along -x, metres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.paints import COLORS, Color, Paint, jittered, shaded
from semabs_core.data.rooms.parts import Part
from semabs_core.data.rooms.shapes import box

T = TypeVar("T")

WOODS: tuple[Color, ...] = (
    (0.55, 0.36, 0.2),
    (0.4, 0.24, 0.13),
    (0.72, 0.54, 0.34),
    (0.3, 0.18, 0.11),
    (0.8, 0.66, 0.47),
)
METAL: Color = (0.68, 0.69, 0.71)
DARK_METAL: Color = (0.2, 0.2, 0.22)
CERAMIC: Color = (0.93, 0.93, 0.91)


@dataclass(frozen=True)
class Area:
    """A level rectangle of a body on which things may stand.

    Attributes:
        centre: (x, y, z) of its middle, body frame, metres.
        size: along x and y, metres.
        clearance: free height above it, metres.
        relation: ``on`` or ``in``, what things here are to the body; empty for under it.
        groups: groups of things that belong here; empty leaves it to the room.
        density: how many things per square metre, roughly.
        open_sides: whether things look towards the camera rather than where the body looks; so on
            what stands free in the room.
    """

    centre: tuple[float, float, float]
    size: tuple[float, float]
    clearance: float = 1.0
    relation: str = "on"
    groups: tuple[str, ...] = ()
    density: float = 12.0
    open_sides: bool = False


@dataclass(frozen=True)
class Body:
    """An object's closed parts and the areas it offers."""

    parts: list[Part]
    areas: list[Area] = field(default_factory=list)

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """(2, 3) lower and upper corner, body frame, metres."""
        vertices = np.concatenate([part.vertices for part in self.parts])
        return np.stack([vertices.min(axis=0), vertices.max(axis=0)])


@dataclass(frozen=True)
class Palette:
    """The colours that the furniture of one room shares."""

    wood: Color
    cabinet: Color
    fabric: Color
    accent: Color
    metal: Color

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Palette:
        """A random palette."""
        wood = jittered(WOODS[rng.integers(len(WOODS))], rng)
        muted = ("white", "gray", "teal", "blue", "brown", "green", "red")
        fabric, accent = (COLORS[name] for name in rng.choice(muted, 2, replace=False))
        cabinet = [(0.9, 0.89, 0.86), wood, (0.55, 0.6, 0.62), (0.3, 0.38, 0.42)]
        return cls(
            wood=wood,
            cabinet=jittered(cabinet[rng.integers(4)], rng),
            fabric=jittered(fabric, rng),
            accent=jittered(accent, rng),
            metal=METAL if rng.random() < 0.7 else DARK_METAL,
        )


class Kit:
    """What a builder draws from: chance, the room's palette, and the object's own colour."""

    def __init__(
        self, rng: np.random.Generator, palette: Palette, color: str = "", named: bool = False
    ) -> None:
        self.rng = rng
        self.palette = palette
        self.color_name = color
        self.color = jittered(COLORS[color], rng) if color else palette.fabric
        self.named = named

    def u(self, low: float, high: float) -> float:
        """A uniform number."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        """One of several."""
        return options[int(self.rng.integers(len(options)))]

    def main(self, pattern: str = "mottled", gloss: float = 0.15, scale: float = 0.1) -> Paint:
        """The object's own colour, the one that its name may state."""
        return self._paint(self.color, pattern, gloss, scale, self.named)

    def tone(self, *options: str | Color) -> str | Color:
        """One of several colours."""
        return self.pick(options)

    def paint(
        self,
        color: str | Color,
        pattern: str = "mottled",
        gloss: float = 0.15,
        scale: float = 0.1,
        second: Color | None = None,
        glow: float = 0.0,
    ) -> Paint:
        """Any colour, by name or value, slightly varied."""
        base = COLORS[color] if isinstance(color, str) else color
        return self._paint(
            jittered(base, self.rng, 0.5), pattern, gloss, scale, False, second, glow
        )

    def _paint(
        self,
        color: Color,
        pattern: str,
        gloss: float,
        scale: float,
        named: bool,
        second: Color | None = None,
        glow: float = 0.0,
    ) -> Paint:
        seed = int(self.rng.integers(1 << 31))
        return Paint(color, pattern, second or shaded(color, 0.84), scale, gloss, glow, seed, named)

    def wood(self, gloss: float = 0.15) -> Paint:
        """The room's wood."""
        wood = self.palette.wood
        return self.paint(wood, "wood", gloss, 0.09, second=shaded(wood, 0.72))

    def cabinet(self) -> Paint:
        """The room's cupboard fronts."""
        wooden = self.palette.cabinet[0] > 1.3 * self.palette.cabinet[2]
        return self.paint(self.palette.cabinet, "wood" if wooden else "plain", 0.2, 0.09)

    def metal(self) -> Paint:
        """The room's metal."""
        return self.paint(self.palette.metal, "plain", 0.7)

    def ceramic(self) -> Paint:
        """White glaze."""
        return self.paint(CERAMIC, "plain", 0.6)

    def cloth(self, color: str | Color | None = None) -> Paint:
        """Cloth in the object's own colour, or another."""
        return self.main("cloth", 0.02) if color is None else self.paint(color, "cloth", 0.02)


Builder = Callable[[Kit], Body]


@dataclass(frozen=True)
class ObjectClass:
    """A class of objects.

    Attributes:
        name: as it stands in labels; several may share one.
        build: makes one body.
        group: which places it belongs to.
        colors: the colours it comes in that may stand in its name; empty for none.
        weight: how often it is drawn within its group.
    """

    name: str
    build: Builder
    group: str
    colors: tuple[str, ...] = ()
    weight: float = 1.0


CATALOGUE: dict[str, ObjectClass] = {}
"""All classes by key (the name, but for a second class of that name); filled by the modules that
build bodies, when they are imported."""


def object_class(
    name: str, group: str, colors: str = "", weight: float = 1.0, key: str = ""
) -> Callable[[Builder], Builder]:
    """Decorator that enters a builder into the catalogue."""

    def enter(build: Builder) -> Builder:
        CATALOGUE[key or name] = ObjectClass(name, build, group, tuple(colors.split()), weight)
        return build

    return enter


def legs(size: tuple[float, float], height: float, thickness: float, paint: Paint) -> list[Part]:
    """Four square legs in the corners of a rectangle."""
    x, y = (size[0] - thickness) / 2, (size[1] - thickness) / 2
    return [
        box((thickness, thickness, height), paint, (sx * x, sy * y, 0))
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]


def carcass(
    size: tuple[float, float, float], paint: Paint, wall: float = 0.02, back: Paint | None = None
) -> list[Part]:
    """A hollow box of panels, open in front (-x)."""
    x, y, z = size
    side = (y - wall) / 2
    return [
        box((x, wall, z), paint, (0, -side, 0)),
        box((x, wall, z), paint, (0, side, 0)),
        box((x, y - 2 * wall, wall), paint),
        box((x, y - 2 * wall, wall), paint, (0, 0, z - wall)),
        box((wall, y - 2 * wall, z - 2 * wall), back or paint, ((x - wall) / 2, 0, wall)),
    ]


def standing(parts: list[Part]) -> list[Part]:
    """The parts with their lowest point at z = 0 and their back at x = 0."""
    points = np.concatenate([part.vertices for part in parts])
    return [part.moved(-points[:, 0].max(), 0, -points[:, 2].min()) for part in parts]
