"""Shapes of rooms: closed, outward, of the volume that geometry says; sizes true to life."""

import numpy as np
import pytest

from semabs_core.data.rooms.bodies import CATALOGUE, Kit, Palette
from semabs_core.data.rooms.classes import (
    NOVEL_CLASSES,
    base_class,
    class_names,
    is_novel,
    novel_labels,
)
from semabs_core.data.rooms.paints import PATTERNS, Paint, albedo, randomized
from semabs_core.data.rooms.shapes import (
    arc,
    ball,
    box,
    cup,
    cushion,
    cylinder,
    lathe,
    prism,
    rod,
    torus,
    tube,
)  # fmt: skip

PAINT = Paint((0.5, 0.4, 0.3))
TRIANGLE = np.array([[0, 0], [1, 0], [0, 1]])


def body_of(key, seed=0, named=False):
    rng, entry = np.random.default_rng(seed), CATALOGUE[key]
    return entry.build(Kit(rng, Palette.draw(rng), entry.colors[0] if entry.colors else "", named))


def volume(part):
    a, b, c = np.moveaxis(part.vertices[part.triangles], 1, 0)
    return (np.cross(a, b) * c).sum() / 6


def assert_closed(part):
    """Every edge is there once in each direction; faces and corner normals look outwards."""
    _, vertex = np.unique(part.vertices.round(7), axis=0, return_inverse=True)
    faces = vertex.reshape(-1)[part.triangles]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    forward, counts = np.unique(edges, axis=0, return_counts=True)
    back, back_counts = np.unique(edges[:, ::-1], axis=0, return_counts=True)
    assert np.array_equal(forward, back)
    assert np.array_equal(counts, back_counts)
    assert volume(part) > 0
    assert np.allclose(np.linalg.norm(part.normals, axis=-1), 1)


@pytest.mark.parametrize(
    ("part", "exact", "tolerance"),
    [
        (box((1, 2, 3), PAINT, (5, 5, 5)), 6, 1e-9),
        (prism(TRIANGLE, 2, PAINT), 1, 1e-9),
        (cylinder(1, 2, PAINT), 2 * np.pi, 0.01),  # of 32 sides: 0.6 % too small
        (cylinder(1, 1, PAINT, top=0), np.pi / 3, 0.01),
        (ball((1, 2, 3), PAINT), 8 * np.pi, 0.04),
        (torus(1, 0.1, PAINT), 2 * np.pi**2 * 0.01, 0.08),
        (rod((0, 0, 0), (0, 3, 4), 0.1, PAINT), 5 * np.pi * 0.01, 0.07),
        (tube(arc((0, 0, 0), 1, 0, 180), 0.1, PAINT), np.pi**2 * 0.01, 0.09),
        (cup(1, 1, 0.1, PAINT), np.pi * (1 - 0.81 * 0.9), 0.02),
        (cushion((1, 1, 1), PAINT, roundness=1), np.pi / 6, 0.06),
        (cushion((1, 1, 1), PAINT, roundness=0.05), 1, 0.12),
        (lathe(np.array([(0, 0), (1, 1), (0, 2)]), PAINT), 2 * np.pi / 3, 0.01),
    ],
    ids=lambda value: None,
)
def test_primitives_are_closed_and_of_the_right_volume(part, exact, tolerance):
    assert_closed(part)
    assert volume(part) == pytest.approx(exact, rel=tolerance)


def test_moves_and_turns():
    part = box((1, 2, 3), PAINT).moved(1, 0, 0).turned("z", 90)
    # The box spans x 0.5..1.5, y -1..1; a quarter turn about z makes that y 0.5..1.5, x -1..1.
    assert np.allclose(part.vertices.min(axis=0), [-1, 0.5, 0])
    assert np.allclose(part.vertices.max(axis=0), [1, 1.5, 3])
    assert_closed(part.stretched(2, 0.5, 3))


@pytest.mark.parametrize("key", sorted(CATALOGUE))
def test_bodies_are_closed_and_true_to_life(key):
    body = body_of(key)
    for part in body.parts:
        assert_closed(part)
    size = np.ptp(body.bounds, axis=0)
    assert 0.02 < size.max() < 2.3
    for area in body.areas:
        assert area.relation in ("on", "in", "")
        assert body.bounds[0, 2] - 1e-9 <= area.centre[2] <= body.bounds[1, 2] + 1e-9


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("mug", (0.07, 0.07, 0.08), (0.16, 0.16, 0.12)),
        ("table", (0.6, 0.6, 0.68), (1.2, 1.6, 0.8)),
        ("chair", (0.38, 0.38, 0.8), (0.55, 0.5, 1.0)),
        ("basket ball", (0.23, 0.23, 0.23), (0.25, 0.25, 0.25)),
        ("fridge", (0.55, 0.55, 1.55), (0.8, 0.75, 1.9)),
        ("wine bottle", (0.07, 0.07, 0.28), (0.09, 0.09, 0.34)),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sizes(key, low, high, seed):
    size = np.ptp(body_of(key, seed).bounds, axis=0)
    assert (size >= low).all()
    assert (size <= high).all()


def test_enough_classes():
    furniture = {e.name for e in CATALOGUE.values() if e.group == "furniture"}
    small = {e.name for e in CATALOGUE.values() if e.group not in ("furniture", "wall", "rug")}
    assert len(furniture) >= 14
    assert len(small) >= 36
    assert set(NOVEL_CLASSES) <= set(class_names())


@pytest.mark.parametrize(
    ("label", "base", "novel"),
    [("red mug", "mug", True), ("mug", "mug", True), ("orange", "orange", False),
     ("blue wine bottle", "wine bottle", True), ("water bottle", "water bottle", False)],
)  # fmt: skip
def test_labels(label, base, novel):
    assert base_class(label) == base
    assert is_novel(label) is novel


def test_novel_labels_hold_every_colour():
    labels = novel_labels()
    assert {"mug", "red mug", "brown teddy bear", "basket ball"} <= set(labels)
    assert all(is_novel(label) for label in labels)


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_patterns_give_colours(pattern):
    rng = np.random.default_rng(0)
    points, normals = rng.uniform(-1, 1, (64, 3)), rng.normal(size=(64, 3))
    colors = albedo(Paint((0.2, 0.4, 0.6), pattern, (0.9, 0.8, 0.1), 0.1), points, normals)
    assert colors.shape == (64, 3)
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_random_paint_keeps_a_named_colour():
    rng = np.random.default_rng(0)
    named = Paint((0.8, 0.1, 0.1), named=True)
    assert all(randomized(named, rng).color == named.color for _ in range(5))
    assert randomized(PAINT, rng).color != PAINT.color
