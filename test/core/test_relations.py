"""Relations: hand-worked places around a reference, contacts, visibility, uniqueness."""

from dataclasses import replace

import numpy as np
import pytest

from semabs_core.data.relations import SceneObject, describe, directions


def thing(object_id, name, centre, extent=(0.2, 0.2, 0.2), **options):
    return SceneObject(object_id, name, np.array(centre), np.array(extent), **options)


def triples(objects):
    return {
        (d.target_obj_name, d.spatial_relation_name, d.reference_obj_name)
        for d in describe(objects)
    }


LAMP = thing(1, "lamp", (0, 0, 0))


# x away from the viewer, y left: at (0, -0.3, 0) the target is on the right of the reference.
@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        ((0, -0.3, 0), ["on the right of"]),
        ((0, 0.3, 0), ["on the left of"]),
        ((-0.3, 0, 0), ["in front of"]),
        ((0.3, 0, 0), ["behind"]),
        # 0.7 and 0.714 of the unit vector: right, and independently behind.
        ((0.2, -0.2, 0), ["on the right of", "behind"]),
        # Right excludes in front.
        ((-0.2, -0.2, 0), ["on the right of"]),
        # 3-4-5: d.y = 0.6 exactly is not more than 0.6, d.x = 0.8 is.
        ((-0.28, -0.21, 0), ["in front of"]),
        # Straight above: no horizontal part.
        ((0, 0, 0.3), []),
        ((0, 0, 0), []),
    ],
)
def test_directions(centre, expected):
    assert directions(thing(0, "mug", centre), LAMP) == expected


@pytest.mark.parametrize(
    ("extent", "distance", "near"),
    [
        ((0.2, 0.1, 3.0), 0.39, True),  # twice the larger horizontal extent, not the height
        ((0.2, 0.1, 3.0), 0.41, False),
        ((0.01, 0.01, 0.01), 0.09, True),  # at least 0.1
        ((0.01, 0.01, 0.01), 0.11, False),
        ((4.0, 4.0, 0.1), 0.99, True),  # at most 1
        ((4.0, 4.0, 0.1), 1.01, False),
    ],
)
def test_reach(extent, distance, near):
    reference = thing(1, "sofa", (0, 0, 0), extent)
    assert bool(directions(thing(0, "mug", (distance, 0, 0)), reference)) == near


def test_contact_replaces_direction():
    table = thing(1, "table", (0, 0, 0), (1, 1, 0.5))
    mug = thing(2, "mug", (0.3, 0, 0), support=1)
    assert triples([table, mug]) == {("mug", "on", "table")}
    # Another mug behind the table gets no direction either: the pair of classes is in contact.
    assert triples([table, mug, thing(3, "mug", (0.9, 0, 0))]) == {("mug", "on", "table")}


def test_container_and_support_relations():
    basket = thing(1, "basket", (0, 0, 0))
    apple = thing(2, "apple", (0.05, 0, 0), inside=1)
    assert triples([basket, apple]) == {("apple", "in", "basket")}


def test_hidden_targets_get_in_on_and_behind_only():
    around = [
        thing(2, "mug", (0, -0.3, 0)),
        thing(3, "book", (-0.3, 0, 0)),
        thing(4, "vase", (0.3, 0, 0)),
        thing(5, "key", (0, 0, 0), inside=1),
    ]
    hidden = [replace(one, visible=False) for one in around]
    assert triples([LAMP, *hidden]) == {("vase", "behind", "lamp"), ("key", "in", "lamp")}
    # A reference must be in the picture.
    assert triples([replace(LAMP, visible=False), *hidden]) == set()


@pytest.mark.parametrize("name", ["floor", "rug", "baseboard", "light fixture", "ceiling"])
def test_never_target_nor_reference(name):
    other = thing(1, name, (0, 0, 0), (1, 1, 0.1))
    assert triples(
        [other, thing(2, "mug", (0.3, 0, 0)), thing(3, "cup", (0, 0, 0), support=1)]
    ) <= {
        ("mug", "behind", "cup"),
        ("cup", "in front of", "mug"),
    }


def test_exclusions_look_through_colours():
    rug = thing(1, "red rug", (0, 0, 0), (1, 1, 0.1), kind="rug")
    assert triples([rug, thing(2, "mug", (0.3, 0, 0), support=1)]) == set()


@pytest.mark.parametrize("name", ["wall", "countertop", "drawer"])
def test_no_direction_but_contact(name):
    other = thing(1, name, (0, 0, 0), (1, 1, 0.1))
    assert triples([other, thing(2, "mug", (0.3, 0, 0))]) == set()
    assert triples([other, thing(2, "mug", (0.3, 0, 0), support=1)]) == {("mug", "on", name)}


def test_one_sentence_per_class_triple_with_a_visible_target():
    table = thing(1, "table", (0, 0, 0), (1, 1, 0.5))
    mugs = [
        thing(2, "mug", (0, 0, 0.3), (0.3, 0.3, 0.3), support=1, visible=False),
        thing(3, "mug", (0, 0.1, 0.3), (0.1, 0.1, 0.1), support=1),
        thing(4, "mug", (0, 0.2, 0.3), (0.2, 0.2, 0.2), support=1),
    ]
    (sentence,) = describe([table, *mugs])
    assert sentence.target_obj_id == 4
    assert sentence.sentence == "mug on a table"


def test_same_class_is_no_reference():
    assert triples([thing(1, "chair", (0, 0, 0)), thing(2, "chair", (0.3, 0, 0))]) == set()
