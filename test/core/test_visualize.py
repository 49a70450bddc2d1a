"""Renderings, colours, labels and figures."""

import numpy as np
import pytest
from completion_toy import toy_completion
from PIL import Image

from semabs_core.types import Camera, Completion, Localization
from semabs_core.visualize import figures, meshes
from semabs_core.visualize.colors import NEIGHBOUR_GAP, PALETTE, class_colors, oklab
from semabs_core.visualize.labels import color_bar, font, legend, titled_alike, wrap_text
from semabs_core.visualize.png import UNSEEN, write_png
from semabs_core.visualize.render import View, cast, look_at, shade
from semabs_core.visualize.views import scene_views, turntable

LONG = "brown modern upholstered chair in faux leather with wooden legs"


@pytest.fixture
def completion():
    return toy_completion()


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


def test_colours_belong_to_names_and_neighbours_are_far_apart():
    names = [f"class {i}" for i in range(254)]
    colors = class_colors(names)
    assert colors.shape == (254, 3)
    assert len(np.unique(colors[: len(PALETTE)], axis=0)) == len(PALETTE)
    gaps = np.linalg.norm(np.diff(oklab(colors), axis=0), axis=1)
    assert gaps.min() > 0.1
    assert np.linalg.norm(np.diff(oklab(colors[:12]), axis=0), axis=1).min() >= NEIGHBOUR_GAP
    alone = np.concatenate([class_colors([name]) for name in names[:12]])
    assert (alone == colors[:12]).all(axis=1).mean() > 0.5, "most keep the colour of their name"
    assert class_colors([]).shape == (0, 3)


def test_all_colours_can_be_told_apart():
    lab = oklab(PALETTE)
    gaps = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + np.eye(len(PALETTE))
    assert gaps.min() > 0.12
    assert lab[:, 0].max() < 0.92, "none is lost on white"
    np.testing.assert_allclose(oklab(np.ones(3)), [1, 0, 0], atol=1e-3)


def test_no_letter_of_a_long_name_is_lost():
    for width in (60, 200, 5000):
        lines = wrap_text(LONG, 15, width)
        assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
        assert max(font(15).getlength(line) for line in lines) <= width
    assert wrap_text("x" * 100, 15, 60)[0] == wrap_text("x" * 200, 15, 60)[0]
    assert wrap_text("", 15, 60) == [""]


def dark(picture):
    """Where a picture has ink of text."""
    return (picture.astype(int).sum(axis=-1) < 200).any(axis=0)


def test_a_legend_shows_every_name_and_clips_none():
    colors = [np.array([1.0, 0, 0]), np.array([0, 0, 1.0])] * 20
    entries = [(f"{LONG} {i}", color) for i, color in enumerate(colors)]
    picture = legend(entries, 300, 220)
    assert picture.shape[0] == 300
    columns = picture.shape[1] // 220
    assert columns > 3
    assert not dark(picture[:, -4:]).any()
    reds = (picture == [255, 0, 0]).all(axis=-1).sum()
    assert reds == (picture == [0, 0, 255]).all(axis=-1).sum() == 20 * 14 * 14
    tall = legend([(LONG, colors[0])], 20, 120)
    assert tall.shape[0] > 100, "it grows where a single name needs it"
    assert not dark(tall[-6:]).any()


def test_titles_keep_pictures_of_a_row_level():
    blank = np.full((40, 100, 3), 255, np.uint8)
    short, long = titled_alike([blank, blank], ["mug", LONG])
    assert short.shape == long.shape
    assert short.shape[0] > 40 + 4 * 15


def test_maps_share_one_range_and_leave_the_picture_where_they_are_low(room):
    rgb = room.rgb[0]
    maps = np.zeros((3, *rgb.shape[:2]), np.float32)
    maps[0, :, :80], maps[1, :, :80], maps[2] = 2.0, 0.2, -1.0
    top = figures.relevancy_top(maps)
    assert top == 2.0
    strong, weak, none = (figures.overlay(rgb, values, top) for values in maps)
    np.testing.assert_array_equal(none, rgb)
    np.testing.assert_array_equal(strong[:, 80:], rgb[:, 80:])
    far = np.abs(strong[:, :80].astype(int) - rgb[:, :80]).mean()
    near = np.abs(weak[:, :80].astype(int) - rgb[:, :80]).mean()
    assert far > 3 * near > 0
    assert figures.relevancy_top(maps[2:]) == figures.LOWEST_TOP, "weak alone looks weak too"


def test_the_mosaic_has_panels_as_large_as_the_picture_and_a_bar(room):
    rgb, labels = room.rgb[0], ["a", "b", LONG]
    maps = np.zeros((3, *rgb.shape[:2]), np.float32)
    mosaic = figures.relevancy_mosaic(rgb, maps, labels)
    height, width = rgb.shape[:2]
    found = sum(
        (mosaic[y : y + height, x : x + width] == rgb).all()
        for y in range(mosaic.shape[0] - height + 1)
        for x in range(0, mosaic.shape[1] - width + 1, width + 12)
    )
    assert found == 4, "the image, and three maps in which nothing is seen"
    bar = color_bar(2.0, 200, "relevancy above the mean")
    redder = bar[..., 0].astype(int) - bar[..., 2]
    assert redder[:90].max() > 200 > redder[110:180].max()


def test_a_photograph_is_stored_in_fewer_bytes_without_a_visible_change(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.7, (120, 160, 3))
    photograph = np.clip(np.linspace(0, 300, 120)[:, None, None] + noise, 0, 255).astype(np.uint8)
    photograph[:, :9] = 255
    for name, tolerance in (("same.png", 0), ("near.png", UNSEEN)):
        write_png(photograph, tmp_path / name, tolerance)
    same, near = (np.asarray(Image.open(tmp_path / name)) for name in ("same.png", "near.png"))
    np.testing.assert_array_equal(same, photograph)
    difference = near.astype(int) - photograph
    assert np.abs(difference).max() == UNSEEN
    assert abs(difference.mean()) < 0.1
    assert (near[photograph == 255] == 255).all()
    sizes = [(tmp_path / name).stat().st_size for name in ("near.png", "same.png")]
    assert sizes[0] < 0.6 * sizes[1]


def test_figures_show_everything(room):
    frame = room.frame(0)
    T = np.eye(4)
    T[:3, 3] = [0.8, -1.7, 0]
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:10, 5:10, :5] = 1
    seen = Completion(["mug", LONG], labels, labels.astype(np.float32), 0.17, T, {})
    picture = figures.completion_figure(frame, seen, (120, 100))
    assert picture.std() > 10
    points, _ = seen.points_of(1)
    scores = np.linspace(0.4, 0.5, len(points)).astype(np.float32)
    answer = Localization(points[-1], np.ones(3), 0.5, points, scores, {}, 0.17)
    picture = figures.localization_figure(frame, seen.region, answer, LONG, (120, 100))
    reds = (picture[..., 0] > 120) & (picture[..., 1:].max(axis=-1) < 70)
    assert reds.sum() > 5


def cube(size, middle, color):
    """A closed cube around a point."""
    T = np.eye(4)
    T[:3, 3] = np.asarray(middle) - size / 2
    return meshes.cubes(np.ones((1, 1, 1), bool), size, T, np.array(color))


def test_an_answer_inside_a_closed_thing_is_seen_through_it(completion):
    box, inner = cube(2.0, (0, 0, 0), (0.5, 0.5, 0.5)), cube(0.5, (0, 0, 0), (0.9, 0.1, 0.1))
    [view, _] = scene_views(completion.region, box, (120, 100))
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
    for view in scene_views(completion.region, content, (120, 100)):
        rows, columns = np.nonzero(cast(content, view).triangle >= 0)
        spans = np.ptp(columns) / 120, np.ptp(rows) / 100
        assert 0.88 < max(spans) < 1
        middle = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
        assert middle == pytest.approx((59.5, 49.5), abs=3)


def test_a_turntable_holds_everything_all_around(completion):
    content = meshes.cubes(np.ones((3, 1, 2), bool), 0.3, np.eye(4), np.ones(3))
    views = turntable(completion.region, content, (120, 100), 5)
    eyes = np.array([view.T_world_camera[:3, 3] for view in views])
    middle = content.vertices.mean(axis=0)
    away = np.linalg.norm(eyes - middle, axis=1)
    np.testing.assert_allclose(away, away[0])
    assert eyes[0][0] < middle[0], "the first is from where the camera was"
    for view in views:
        shown = cast(content, view).triangle >= 0
        border = np.concatenate([shown[0], shown[-1], shown[:, 0], shown[:, -1]])
        assert shown.sum() > 500
        assert not border.any()


def test_drawn_is_where_the_thing_most_likely_is():
    points = np.arange(12.0).reshape(4, 3)
    scores = np.array([0.1, 0.5, 0.4, 0.39], np.float32)
    answer = Localization(points[1], np.ones(3), 0.5, points, scores, {}, 0.1)
    drawn = answer.likeliest()
    np.testing.assert_array_equal(drawn.points_m, points[[1, 2]])
    np.testing.assert_array_equal(drawn.scores, scores[[1, 2]])
    assert len(answer.points_m) == 4, "the answer itself is whole"
    assert drawn.likeliest().scores.tolist() == drawn.scores.tolist()
