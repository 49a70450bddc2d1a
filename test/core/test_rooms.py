"""Rooms: ground truth, pictures and poses that agree; the rules of splits."""

import dataclasses

import numpy as np
import pytest
from scene_toy import assert_same

from semabs_core.data.hdf5 import class_name
from semabs_core.data.relations import NEVER
from semabs_core.data.rooms import RoomOptions, base_class, contact_sheet, is_novel, make_room
from semabs_core.data.rooms.blocks import Blocks
from semabs_core.data.rooms.bodies import Body
from semabs_core.data.rooms.items import Geometry, Item, tensor
from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.picture import depth_and_ids
from semabs_core.data.rooms.room import FIRST_ID, furnish
from semabs_core.data.rooms.shapes import box, cup
from semabs_core.data.rooms.truth import occupant
from semabs_core.data.rooms.viewpoint import draw_camera, sense
from semabs_core.data.splits import SPLITS
from semabs_core.geometry import back_project, split_similarity, transform_points

SMALL = RoomOptions(size=(64, 48), points=100_000, noisy_share=0.0)
PAINT = Paint((0.5, 0.4, 0.3))


@pytest.fixture(scope="module")
def room():
    return make_room(5, "unseen_instances", SMALL)


def names_of(scene):
    return [class_name(entry) for entry in scene.objid_to_class]


def test_occupancy_of_overlapping_and_hollow_parts():
    cross = Body([box((1, 0.2, 1), PAINT), box((0.2, 1, 1), PAINT)])
    vessel = Body([cup(0.5, 1.0, 0.1, PAINT)])
    items = [Item("cross", cross), Item("vessel", vessel, (3.0, 0, 0), 30.0)]
    points = np.array(
        [
            [0.0, 0, 0.5],  # where both bars overlap
            [0.4, 0, 0.5],
            [0, -0.4, 0.5],
            [0.4, 0.4, 0.5],  # between the bars
            [3, 0, 0.5],  # in the hollow
            [3, 0, 0.05],  # its bottom
            [3.45, 0, 0.5],  # its wall
            [0, 0, 1.01],
        ]
    )
    found = occupant(Geometry.of(items, np.eye(4)), points.astype(np.float32))
    assert found.tolist() == [0, 0, 0, -1, -1, 1, 1, -1]


def test_occupancy_agrees_with_open3d_part_by_part():
    rng = np.random.default_rng(0)
    plan = furnish(rng, "unseen_instances", SMALL)
    points = rng.uniform((-2.5, -1.5, 0.02), (0, 1.5, 1.5), (3000, 3)).astype(np.float32)
    geometry = Geometry.of(plan.items, np.eye(4))
    expected = np.full(len(points), -1)
    for index, item in enumerate(plan.items):
        for part in item.body.parts:
            single = Geometry.of([Item("", Body([part]), item.position, item.yaw_deg)], np.eye(4))
            inside = single.raycaster.compute_occupancy(tensor(points), nsamples=3).numpy() > 0
            expected[inside] = index
    # A ray through an edge counts it once, twice or never, by the last bit of the processor.
    assert (occupant(geometry, points) == expected).mean() > 0.998
    assert (expected >= 0).sum() > 300


@pytest.mark.parametrize(
    ("offset", "yaw", "meets"),
    [((0.9, 0), 0, True), ((1.1, 0), 0, False), ((1.1, 0), 45, True), ((1.05, 1.05), 45, False)],
)
def test_blocks(offset, yaw, meets):
    one = Blocks.one(np.zeros(2), np.array([0.5, 0.5]), 0.0, (0, 1), 0)
    other = Blocks.one(np.array(offset), np.array([0.5, 0.5]), yaw, (0, 1), 1)
    assert one.meet(other).tolist() == [meets]
    above = Blocks.one(np.array(offset), np.array([0.5, 0.5]), yaw, (1, 2), 1)
    assert one.meet(above).tolist() == [False]


def test_shapes_and_names(room):
    assert room.rgb.shape == (1, 48, 64, 3)
    assert room.depth.shape == room.seg.shape == (1, 48, 64)
    assert room.full_xyz_pts.shape == (1, 100_000, 3)
    assert np.isfinite(room.full_xyz_pts).all()
    low, high = room.scene_bounds
    assert ((room.full_xyz_pts >= low) & (room.full_xyz_pts <= high)).all()
    names = names_of(room)
    assert names[:FIRST_ID] == ["empty", "out of bounds"]
    assert room.objid_to_class[7].endswith("[7]")
    present = {names[i] for i in np.unique(room.full_objid_pts)}
    assert {"empty", "out of bounds", "floor", "wall"} <= present


def test_camera_looks_along_x_and_down(room):
    T_world_camera, scale = split_similarity(room.cam_pose)
    assert scale == pytest.approx(0.6)
    assert room.cam_pose[:2, 3] == pytest.approx([-1.5, 0])
    assert room.cam_pose[2, 3] == pytest.approx(0.8, abs=0.2)
    x, y, z = T_world_camera[:3, 2]
    assert x > 0.85
    assert y == pytest.approx(0, abs=1e-9)
    assert z < 0
    assert np.linalg.det(room.cam_pose[:3, :3]) > 0


def test_depth_lies_on_the_object_that_the_ids_name():
    """A millimetre behind a reading is the object of the pixel, a millimetre before it is not."""
    rng = np.random.default_rng(0)
    plan = furnish(rng, "unseen_instances", SMALL)
    geometry = Geometry.of(plan.items, plan.T_viewer_room)
    camera, T_viewer_camera = draw_camera(rng, (64, 48))
    depth, ids, _ = depth_and_ids(geometry, camera, T_viewer_camera)
    points = transform_points(T_viewer_camera, back_project(depth, camera.K)[depth > 0])
    rays = points - T_viewer_camera[:3, 3]
    step = 1e-3 * rays / np.linalg.norm(rays, axis=1, keepdims=True)
    behind = occupant(geometry, (points + step).astype(np.float32))
    before = occupant(geometry, (points - step).astype(np.float32))
    # Not always: grazing rays leave an edge within a millimetre, and things touch.
    assert (behind == ids[depth > 0]).mean() > 0.97
    assert (before == -1).mean() > 0.97


def test_poses_put_the_floor_where_its_points_are(room):
    floor = room.objid_to_class.index("floor[2]")
    scene = transform_points(room.cam_pose, back_project(room.depth[0], room.cam_intr))
    heights = scene[room.seg[0] == floor][:, 2]
    assert len(heights) > 100
    assert np.ptp(heights) < 1e-4
    labelled = room.full_xyz_pts[0][room.full_objid_pts[0] == floor]
    assert len(labelled) > 100
    assert labelled[:, 2].max() <= heights.mean() + 1e-4
    # One to four centimetres above the lower bound, in scene units.
    assert 0.006 <= heights.mean() - room.scene_bounds[0, 2] <= 0.024


def test_everything_visible_has_points(room):
    visible = set(np.unique(room.seg)) - {-1}
    scene = transform_points(room.cam_pose, back_project(room.depth[0], room.cam_intr))
    inside = ((scene > room.scene_bounds[0]) & (scene < room.scene_bounds[1])).all(axis=-1)
    pixels = {i: int(((room.seg[0] == i) & inside).sum()) for i in visible}
    points = np.bincount(room.full_objid_pts[0], minlength=len(room.objid_to_class))
    assert all(points[i] > 0 for i in visible if pixels[i] > 8)


@pytest.mark.parametrize("split", SPLITS)
def test_rules_of_splits(split):
    options = RoomOptions()
    plans = [furnish(np.random.default_rng(seed), split, options) for seed in range(8)]
    labels = {item.name for plan in plans for item in plan.items}
    assert any(is_novel(label) for label in labels) == split.startswith("unseen_instances")
    plain = split in ("unseen_instances_dr", "unseen_instances_synonyms")
    assert any(base_class(label) != label for label in labels) != plain


def test_things_stand_on_their_supports_and_do_not_meet():
    contacts = 0
    for seed in range(6):
        plan = furnish(np.random.default_rng(seed), "unseen_instances", RoomOptions())
        for index, item in enumerate(plan.items):
            if item.parent is None:
                continue
            contacts += 1
            parent = plan.items[item.parent]
            low = item.body.bounds[0, 2] + item.position[2]
            levels = [
                area.centre[2] + parent.position[2]
                for area in parent.body.areas
                if area.relation == item.relation
            ]
            assert min(abs(low - level) for level in levels) < 1e-6
            own = Blocks.around(item.body, np.array(item.position), item.yaw_deg, index)
            met = plan.blocks.owners[plan.blocks.meet(own)]
            relatives = {index, item.parent, parent.parent}
            relatives |= {i for i, other in enumerate(plan.items) if other.parent == index}
            others = [plan.items[i] for i in met if i not in relatives]
            assert all(
                other.parent == item.parent or _family(plan, index, other) for other in others
            )
    assert contacts > 60


def _family(plan, index, other):
    """Whether one of them stands, over any number of others, on or in the other one."""

    def ancestors(item):
        found = []
        while item.parent is not None:
            found.append(item.parent)
            item = plan.items[item.parent]
        return found

    return index in ancestors(other) or plan.items.index(other) in ancestors(plan.items[index])


def test_descriptions(room):
    names = names_of(room)
    assert room.descriptions
    triples = [(d.target_obj_name, d.spatial_relation_name, d.reference_obj_name)
               for d in room.descriptions]  # fmt: skip
    assert len(triples) == len(set(triples))
    for d in room.descriptions:
        assert names[d.target_obj_id] == d.target_obj_name
        assert d.reference_obj_name in names
        assert not {base_class(d.target_obj_name), base_class(d.reference_obj_name)} & NEVER


def test_some_targets_are_hidden():
    rooms = [make_room(seed, "train", RoomOptions((64, 48), 20_000)) for seed in range(4)]
    hidden = [d.target_obj_id not in room.seg[0] for room in rooms for d in room.descriptions]
    assert 0 < sum(hidden) < len(hidden)


def floor_columns(scene):
    """How many of the 32 x 32 columns of the volume hold a point of the floor."""
    low, high = scene.scene_bounds
    floor = scene.full_objid_pts[0] == FIRST_ID + names_of(scene)[FIRST_ID:].index("floor")
    columns = (scene.full_xyz_pts[0][floor] - low) / (high - low) * 32
    return len(np.unique(columns.astype(int)[:, :2], axis=0))


@pytest.mark.parametrize("views", ["classic", "robot"])
def test_evenly_drawn_points_know_the_floor_where_things_stand_on_it(views):
    few = RoomOptions(size=(64, 48), points=20_000, views=views)
    by_shares, evenly = (
        make_room(5, "train", dataclasses.replace(few, even_share=share)) for share in (0.0, 0.5)
    )
    assert len(evenly.full_xyz_pts[0]) == len(by_shares.full_xyz_pts[0]) == few.points
    assert floor_columns(evenly) > 1.5 * floor_columns(by_shares)
    surface = evenly.full_objid_pts[0] >= FIRST_ID
    assert 0.5 < surface.mean() < 0.8, "what is on a surface is inside it, and there is free space"


def test_same_seed_same_room(room):
    assert_same(room, make_room(5, "unseen_instances", SMALL))
    other = make_room(6, "unseen_instances", SMALL)
    assert not np.array_equal(room.rgb, other.rgb)


def test_randomized_picture_shows_the_same_room_in_other_colours(room):
    assert room.domain_randomized_rgb.shape == room.rgb.shape
    difference = np.abs(room.rgb.astype(int) - room.domain_randomized_rgb)
    assert difference.mean() > 15


def test_sensor_noise_and_holes():
    depth = np.full((40, 40), 2.0, np.float32)
    depth[:, 20:] = 3.0
    facing = np.ones_like(depth)
    facing[:5] = 0.01
    noisy = sense(depth, facing, np.random.default_rng(0))
    assert (noisy[:5] == 0).all()
    assert (noisy[5:, 19:21] == 0).any()
    left = noisy[5:, :15]
    # At 2 m: 1.2 mm + 1.9 mm * 1.6^2 = 6.1 mm, and steps of 4.8 mm.
    assert np.std(left[left > 0]) == pytest.approx(0.0062, rel=0.2)
    assert np.median(left[left > 0]) == pytest.approx(2.0, abs=0.005)


def test_contact_sheet(room):
    assert contact_sheet([room] * 5, columns=2).shape == (3 * 48, 2 * 64, 3)
    assert contact_sheet([room], every_image=True).shape == (48, 4 * 64, 3)
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (4, 48)}, "size must be"),
        ({"points": 0}, "points must be positive"),
        ({"noisy_share": 2.0}, "noisy_share must be in 0..1"),
        ({"even_share": -0.1}, "even_share must be in 0..1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        RoomOptions(**options)


def test_unknown_split():
    with pytest.raises(ValueError, match="split must be one of"):
        make_room(0, "test")
