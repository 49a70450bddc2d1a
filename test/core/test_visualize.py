"""Meshes, renderings and figures."""

import numpy as np
import open3d as o3d
import pytest

from semabs_core.types import Camera, Completion, Localization
from semabs_core.visualize import figures, meshes
from semabs_core.visualize.colors import PALETTE, class_colors
from semabs_core.visualize.render import View, cast, look_at, shade


@pytest.fixture
def completion():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[0, 0, 0] = labels[1, 0, 0] = 1
    labels[3, 3, 3] = 2
    labels[0, 3, 3] = 255
    T = np.eye(4)
    T[:3, 3] = [1, 2, 3]
    return Completion(["mug", "box"], labels, labels.astype(np.float32), 0.5, T, {})


def test_a_completion_becomes_its_outer_faces(completion):
    mesh = meshes.completion_mesh(completion)
    # Two joined cubes have 10 faces, the single one 6; two triangles each.
    assert len(mesh.triangles) == 2 * (10 + 6)
    np.testing.assert_allclose(mesh.vertices.min(axis=0), [1, 2, 3])
    np.testing.assert_allclose(mesh.vertices.max(axis=0), [3, 4, 5])
    solid = mesh.to_open3d().merge_close_vertices(1e-9)
    assert solid.is_watertight()
    # Signed volume by the divergence theorem: outward faces give + 3 x 0.125.
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    assert (np.cross(a, b) * c).sum() / 6 == pytest.approx(3 * 0.125)


def test_surface_voxels_by_hand():
    labels = np.ones((3, 3, 3), np.uint8)
    surface = meshes.surface_voxels(labels)
    assert surface.sum() == 26
    assert not surface[1, 1, 1]
    labels[0, 1, 1] = 2
    assert meshes.surface_voxels(labels)[1, 1, 1]


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_mesh_files_can_be_read_back(completion, tmp_path, suffix):
    mesh = meshes.completion_mesh(completion)
    path = tmp_path / f"scene{suffix}"
    meshes.write_mesh(mesh, path)
    again = o3d.io.read_triangle_mesh(str(path))
    assert len(again.triangles) == len(mesh.triangles)
    colors = np.unique(np.round(np.asarray(again.vertex_colors), 2), axis=0)
    assert len(colors) == 2
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


def test_meshes_that_cannot_be_written_are_named(completion, tmp_path):
    mesh = meshes.completion_mesh(completion)
    with pytest.raises(ValueError, match=r"must end in .ply or .obj, got scene.stl"):
        meshes.write_mesh(mesh, tmp_path / "scene.stl")
    with pytest.raises(ValueError, match="the mesh has no face"):
        meshes.write_mesh(meshes.Mesh.join([]), tmp_path / "empty.ply")


def test_ray_casting_is_exact():
    floor = meshes.Mesh([[-9, -9, 0], [9, -9, 0], [0, 18, 0]], [[0, 1, 2]], [[1, 0, 0]])
    K = np.array([[50.0, 0, 20.0], [0, 50.0, 15.0], [0, 0, 1]])
    T = np.diag([1.0, -1.0, -1.0, 1.0])  # looks straight down
    T[2, 3] = 2.0
    hits = cast(floor, View(Camera(K, 41, 31), T))
    np.testing.assert_allclose(hits.depth_m, 2.0, rtol=1e-6)
    np.testing.assert_allclose(hits.normals, np.broadcast_to([0, 0, 1], hits.normals.shape))
    # A step in the floor's border: pixel (u, v) sees ((u - 20) / 25, -(v - 15) / 25).
    strip = meshes.Mesh([[0.1, -9, 0], [9, -9, 0], [0.1, 9, 0]], [[0, 1, 2]], [[1, 0, 0]])
    found = cast(strip, View(Camera(K, 41, 31), T)).triangle[15] >= 0
    np.testing.assert_array_equal(found, (np.arange(41) - 20) / 25 > 0.1)


def test_pictures_are_upright_and_not_mirrored():
    red = meshes.cubes(np.ones((1, 1, 1), bool), 1.0, np.eye(4), np.array([1.0, 0, 0]))
    green = meshes.cubes(np.ones((1, 1, 1), bool), 1.0, np.eye(4), np.array([0, 1.0, 0]))
    blue = meshes.cubes(np.ones((1, 1, 1), bool), 1.0, np.eye(4), np.array([0, 0, 1.0]))
    green.vertices += [0, 2, 0]  # to the left of a viewer who looks along +x
    blue.vertices += [0, 0, 2]  # above
    view = look_at(np.array([-8.0, 1.5, 1.5]), np.array([0.5, 1.5, 1.5]), 80, 80)
    picture = shade(meshes.Mesh.join([red, green, blue]), view).astype(int)

    def centre(channel):
        others = picture.sum(axis=-1) - picture[..., channel]
        return np.argwhere((picture[..., channel] > 60) & (others < 30)).mean(axis=0)

    red_at, green_at, blue_at = (centre(channel) for channel in range(3))
    assert green_at[1] < red_at[1] - 5
    assert blue_at[0] < red_at[0] - 5
    assert (picture[0, 0] == 255).all()


def test_colours_belong_to_names():
    first = class_colors(["mug", "box", "lamp"])
    np.testing.assert_array_equal(class_colors(["box"])[0], first[1])
    assert len(np.unique(class_colors([f"class {i}" for i in range(20)]), axis=0)) == 20
    assert class_colors([f"class {i}" for i in range(254)]).shape == (254, 3)
    assert class_colors([]).shape == (0, 3)
    gaps = np.linalg.norm(PALETTE[:, None] - PALETTE[None], axis=-1) + np.eye(20)
    assert gaps.min() > 0.09


def test_figures_show_everything(room, completion):
    frame = room.frame(0)
    maps = np.random.default_rng(0).normal(size=(3, 120, 160)).astype(np.float32)
    mosaic = figures.relevancy_mosaic(frame.rgb, maps, ["a", "b", "a very long name " * 5])
    assert mosaic.shape[2] == 3
    assert mosaic.shape[0] >= 120
    T = np.eye(4)
    T[:3, 3] = [0.8, -1.7, 0]
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:10, 5:10, :5] = 1
    seen = Completion(["mug", "box"], labels, labels.astype(np.float32), 0.17, T, {})
    picture = figures.completion_figure(frame, seen, (120, 100))
    assert picture.std() > 10
    points, _ = seen.points_of(1)
    answer = Localization(points[0], np.ones(3), 0.5, points, np.ones(len(points)), {}, 0.17)
    picture = figures.localization_figure(frame, seen, answer, "mug on table", (120, 100))
    reds = (picture[..., 0] > 120) & (picture[..., 1:].max(axis=-1) < 70)
    assert reds.sum() > 20


def test_the_visible_surface_breaks_where_depth_jumps(room):
    frame = room.frame(0)
    mesh = figures.frame_mesh(frame)
    edges = mesh.vertices[mesh.triangles]
    longest = np.linalg.norm(edges - np.roll(edges, 1, axis=1), axis=-1).max(axis=1)
    assert np.isfinite(mesh.vertices).all()
    assert longest.max() < 0.5
    a, b, c = edges.transpose(1, 0, 2)
    towards = frame.T_world_camera[:3, 3] - a
    facing = (np.cross(b - a, c - a) * towards).sum(axis=-1)
    assert (facing > -1e-9).mean() > 0.99


def cube(size, middle, color):
    """A closed cube around a point."""
    T = np.eye(4)
    T[:3, 3] = np.asarray(middle) - size / 2
    return meshes.cubes(np.ones((1, 1, 1), bool), size, T, np.array(color))


def test_an_answer_inside_a_closed_thing_is_seen_through_it(completion):
    box, inner = cube(2.0, (0, 0, 0), (0.5, 0.5, 0.5)), cube(0.5, (0, 0, 0), (0.9, 0.1, 0.1))
    [view, _] = figures.scene_views(completion, box, (120, 100))
    picture = figures._shine_through(box, inner, view).astype(int)
    inside = cast(inner, view).triangle >= 0
    assert 100 < inside.sum() < 3000
    redness = picture[..., 0] - picture[..., 1:].max(axis=-1)
    assert (redness[inside] > 30).all()
    assert (redness[~inside] == 0).all()
    assert (picture[~inside] == shade(box, view, ambient=0.85)[~inside]).all()


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1), (1, 1, 4)])
def test_views_are_filled(completion, shape):
    content = meshes.cubes(np.ones(shape, bool), 0.3, np.eye(4), np.ones(3))
    for view in figures.scene_views(completion, content, (120, 100)):
        rows, columns = np.nonzero(cast(content, view).triangle >= 0)
        spans = np.ptp(columns) / 120, np.ptp(rows) / 100
        assert 0.88 < max(spans) < 1
        middle = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
        assert middle == pytest.approx((59.5, 49.5), abs=3)
