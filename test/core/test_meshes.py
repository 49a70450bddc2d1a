"""Meshes: closed, of the right volume and place, and read back from files."""

import numpy as np
import open3d as o3d
import pytest
from completion_toy import toy_completion

from semabs_core.types import Localization, Region
from semabs_core.visualize import figures, mesh_files, meshes
from semabs_core.visualize.views import frame_mesh


@pytest.fixture
def completion():
    return toy_completion()


def volume(mesh):
    """Signed volume by the divergence theorem: outward faces give a positive one."""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    return (np.cross(a, b) * c).sum() / 6


def test_each_class_becomes_a_closed_surface_of_its_own(completion):
    found = meshes.class_meshes(completion)
    assert list(found) == ["mug", "box"]
    for name, count in completion.voxels_per_class().items():
        mesh = found[name]
        assert mesh.to_open3d().merge_close_vertices(1e-9).is_watertight()
        assert volume(mesh) == pytest.approx(count * 0.125, rel=0.35), "corners are rounded off"
    low, high = (found["mug"].vertices.min(axis=0), found["mug"].vertices.max(axis=0))
    np.testing.assert_allclose((low + high) / 2, [1.5, 2.25, 3.25], atol=0.02)
    np.testing.assert_allclose(high - low, [1.0, 0.5, 0.5], atol=0.15)


def test_a_large_surface_lies_where_its_voxels_end():
    occupied = np.ones((12, 10, 8), bool)
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    T[:3, 3] = [1, 2, 3]
    mesh = meshes.isosurface(occupied, 0.1, T, np.ones(3))
    assert volume(mesh) == pytest.approx(1.2 * 1.0 * 0.8, rel=0.03)
    np.testing.assert_allclose(
        mesh.vertices.min(axis=0), [0, 2, 3], atol=0.02
    )  # a fifth of a voxel
    np.testing.assert_allclose(mesh.vertices.max(axis=0), [1, 3.2, 3.8], atol=0.02)
    assert not len(meshes.isosurface(occupied & False, 0.1, T, np.ones(3)).triangles)


def test_the_outer_faces_of_voxels():
    occupied = np.zeros((4, 4, 4), bool)
    occupied[:2, 0, 0] = occupied[3, 3, 3] = True
    colors = np.zeros((4, 4, 4, 3))
    colors[3, 3, 3] = 1
    mesh = meshes.cubes(occupied, 0.5, np.eye(4), colors)
    # Two joined cubes have 10 faces, the single one 6; two triangles each.
    assert len(mesh.triangles) == 2 * (10 + 6)
    assert volume(mesh) == pytest.approx(3 * 0.125)
    white = mesh.triangles[mesh.colors[:, 0] == 1]
    assert len(white) == 12
    assert mesh.vertices[white].min() == 1.5


def test_surface_voxels_by_hand():
    labels = np.ones((3, 3, 3), np.uint8)
    surface = meshes.surface_voxels(labels)
    assert surface.sum() == 26
    assert not surface[1, 1, 1]
    labels[0, 1, 1] = 2
    assert meshes.surface_voxels(labels)[1, 1, 1]


def test_a_ply_can_be_read_back(completion, tmp_path):
    mesh = meshes.Mesh.join(list(meshes.class_meshes(completion).values()))
    path = tmp_path / "scene.ply"
    mesh_files.write_ply(mesh, path)
    again = o3d.io.read_triangle_mesh(str(path))
    assert len(again.triangles) == len(mesh.triangles)
    colors = np.unique(np.round(np.asarray(again.vertex_colors), 2), axis=0)
    assert len(colors) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["scene.ply"]


def test_an_obj_has_an_object_and_a_material_per_class(completion, tmp_path):
    found = meshes.class_meshes(completion)
    files = mesh_files.write_obj({"red mug": found["mug"], "box": found["box"]}, tmp_path / "a.obj")
    assert [file.name for file in files] == ["a.obj", "a.mtl"]
    lines = files[0].read_text().splitlines()
    assert [line for line in lines if line.startswith("o ")] == ["o red_mug", "o box"]
    used = [line.split()[1] for line in lines if line.startswith("usemtl ")]
    library = files[1].read_text()
    assert used == [line.split()[1] for line in library.splitlines() if line.startswith("newmtl")]
    assert "Kd {:.3f} {:.3f} {:.3f}".format(*found["mug"].colors[0]) in library
    again = o3d.io.read_triangle_mesh(str(files[0]))
    count = sum(len(mesh.triangles) for mesh in found.values())
    assert len(again.triangles) == count
    together = meshes.Mesh(again.vertices, again.triangles, np.zeros((count, 3)))
    assert volume(together) == pytest.approx(sum(map(volume, found.values())), rel=1e-3)


def test_meshes_that_cannot_be_written_are_named(tmp_path):
    empty = meshes.Mesh.join([])
    with pytest.raises(ValueError, match=r"must end in .ply, got scene.stl"):
        mesh_files.write_ply(empty, tmp_path / "scene.stl")
    with pytest.raises(ValueError, match="the mesh has no face"):
        mesh_files.write_ply(empty, tmp_path / "empty.ply")
    with pytest.raises(ValueError, match="the mesh has no face"):
        mesh_files.write_obj({"mug": empty}, tmp_path / "empty.obj")


def test_an_answer_is_drawn_where_its_points_are():
    c, s = np.cos(0.5), np.sin(0.5)
    T = np.array([[c, -s, 0, 3], [s, c, 0, -2], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    local = np.array([[0, 0, 0], [1, 0, 0], [0, 3, 2]]) * 0.1 + 0.7
    points = local @ T[:3, :3].T + T[:3, 3]
    scores = np.array([0.26, 0.28, 0.3], np.float32)
    answer = Localization(points[2], np.ones(3), 0.3, points, scores, {}, 0.1)
    mesh = figures.answer_mesh(answer, Region(T, 3.0))
    assert volume(mesh) == pytest.approx(3 * 0.001)
    for point, color in zip(points, figures.answer_heat(answer), strict=True):
        own = mesh.vertices[mesh.triangles[(np.abs(mesh.colors - color) < 1e-9).all(axis=1)]]
        np.testing.assert_allclose(
            (own.reshape(-1, 3).min(axis=0) + own.reshape(-1, 3).max(axis=0)) / 2, point, atol=0.03
        )
    single = Localization(points[0], np.full(3, 0.1), 0.1, points[:1], scores[:1], {}, np.nan)
    assert volume(figures.answer_mesh(single, Region(T, 3.0))) == pytest.approx(0.001)


def test_the_visible_surface_breaks_where_depth_jumps(room):
    frame = room.frame(0)
    mesh = frame_mesh(frame)
    edges = mesh.vertices[mesh.triangles]
    longest = np.linalg.norm(edges - np.roll(edges, 1, axis=1), axis=-1).max(axis=1)
    assert np.isfinite(mesh.vertices).all()
    assert longest.max() < 0.5
    a, b, c = edges.transpose(1, 0, 2)
    towards = frame.T_world_camera[:3, 3] - a
    facing = (np.cross(b - a, c - a) * towards).sum(axis=-1)
    assert (facing > -1e-9).mean() > 0.99
