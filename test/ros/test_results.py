"""Completions and localizations to messages and back."""

import array
import dataclasses
import tracemalloc

import numpy as np
import pytest
from geometry_msgs.msg import Point
from rclpy.serialization import deserialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from semabs_core.description import Description
from semabs_core.types import Completion, Localization
from semabs_ros import results
from semabs_ros.answers import read_voxels
from semabs_ros.wire import markers_to_bytes


def read(data):
    """The markers of a serialized message."""
    return deserialize_message(data, MarkerArray).markers


@pytest.mark.parametrize("frame", ["m", "map", "odometry", "a_frame"])
def test_markers_as_bytes_are_the_message(frame):
    """Whatever comes before the points: their place is aligned to 8 bytes."""
    rng = np.random.default_rng(0)
    points = {0: rng.random((1, 3)), 2: rng.random((4, 3)), 3: rng.random((1000, 3))}
    header = Header(frame_id=frame)
    markers = [Marker(header=header, ns="x" * n, id=n, text=f"marker {n}") for n in range(5)]
    data = markers_to_bytes(MarkerArray(markers=markers), points)
    for number, values in points.items():
        markers[number].points = [Point(x=x, y=y, z=z) for x, y, z in values.tolist()]
    for n in (1, 4):
        markers[n].points = []
    assert deserialize_message(data, MarkerArray) == MarkerArray(markers=markers)


@pytest.fixture
def completion():
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[0, 1, 2], labels[2, 3, 4], labels[1, 0, 0] = 1, 2, 255
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    T[:3, 3] = [1, 0, 0]
    scores = np.where(labels > 0, 0.75, 0).astype(np.float32)
    return Completion(["mug", "box"], labels, scores, 0.1, T, {})


def test_voxels_run_x_fastest_and_round_trip(completion):
    message = results.completion_to_voxels(completion, Header(frame_id="map"))
    assert message.labels[0 + 3 * (1 + 4 * 2)] == 1
    assert message.labels[1] == message.UNKNOWN
    assert isinstance(message.labels, array.array)
    again = read_voxels(message)
    np.testing.assert_array_equal(again.labels, completion.labels)
    np.testing.assert_allclose(again.T_world_grid, completion.T_world_grid, atol=1e-12)
    assert again.voxels_per_class() == {"mug": 1, "box": 1}


def test_cloud_holds_occupied_voxels_in_the_world(completion):
    cloud = results.completion_to_cloud(completion, Header(frame_id="map"))
    points = point_cloud2.read_points(cloud)
    # Voxel (0, 1, 2): centre (0.05, 0.15, 0.25), turned by 90 degrees, shifted by (1, 0, 0).
    np.testing.assert_allclose(
        [float(points[n][0]) for n in "xyz"], [1 - 0.15, 0.05, 0.25], atol=1e-6
    )
    np.testing.assert_array_equal(points["label"], [1, 2])
    np.testing.assert_array_equal(points["score"], [0.75, 0.75])


@pytest.mark.parametrize(
    ("make", "most"), [(results.completion_to_cloud, 90), (results.completion_to_voxels, 2.5)]
)
def test_messages_are_made_without_further_copies(make, most):
    """Bytes that are allocated at a time, for each of the voxels; all are occupied."""
    labels = np.ones((40, 40, 40), np.uint8)
    block = Completion(["mug"], labels, labels.astype(np.float32), 0.1, np.eye(4), {})
    make(block, Header())
    tracemalloc.start()
    try:
        make(block, Header())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= most * labels.size


def test_an_empty_room_is_an_empty_cloud(completion):
    empty = dataclasses.replace(completion, labels=np.zeros_like(completion.labels))
    cloud = results.completion_to_cloud(empty, Header())
    assert (cloud.width, cloud.row_step, len(cloud.data)) == (0, 0, 0)


def test_markers_are_stable_and_named(completion):
    markers = read(results.completion_to_markers(completion, Header(frame_id="map")))
    assert markers[0].action == Marker.DELETEALL
    assert [(m.ns, m.id) for m in markers[1:]] == [
        ("completion", 1), ("names", 1), ("completion", 2), ("names", 2)
    ]  # fmt: skip
    assert markers[2].text == "mug"
    assert markers[2].pose.position.z > 0.25
    (point,) = markers[1].points
    np.testing.assert_allclose([point.x, point.y, point.z], [0.05, 0.15, 0.25])
    message = results.labels_message(["mug", "box"], Header())
    drawn = markers[1].color
    assert message.colors[0].r == pytest.approx(drawn.r)
    assert message.colors[0].g == pytest.approx(drawn.g)
    # A name keeps its colour in another list.
    assert results.labels_message(["box"], Header()).colors[0] == message.colors[1]


def test_inner_voxels_are_not_drawn():
    labels = np.ones((5, 5, 5), np.uint8)
    block = Completion(["mug"], labels, labels.astype(np.float32), 0.1, np.eye(4), {})
    boxes = read(results.completion_to_markers(block, Header()))[1]
    assert len(boxes.points) == 5**3 - 3**3


def test_localization_messages():
    points = np.array([[1.0, 2.0, 0.5], [1.1, 2.0, 0.5]])
    answer = Localization(points[0], np.array([0.2, 0.1, 0.1]), 0.8, points,
                          np.array([0.8, 0.7], np.float32), {}, 0.1)  # fmt: skip
    cloud = point_cloud2.read_points(results.localization_to_cloud(answer, Header()))
    np.testing.assert_allclose(cloud["score"], [0.8, 0.7])
    asked = Description("mug", "on", "table")
    markers = read(results.localization_to_markers(answer, asked, Header()))
    kinds = [m.ns for m in markers[1:]]
    assert kinds == ["region", "best", "extent", "names"]
    assert markers[3].pose.position.x == pytest.approx(1.05)
    for changes, said in [
        ({}, "best guess (no calibration says whether it is there)"),
        ({"probability": 0.63}, "found (probability 0.63)"),
        ({"probability": 0.03, "found": False}, "not found (probability 0.03)"),
        ({"found": False}, "not found"),
    ]:
        told = dataclasses.replace(answer, **changes)
        markers = read(results.localization_to_markers(told, asked, Header()))
        assert markers[4].text == f"mug on table: {said}"


def test_clouds_are_coarse_far_from_the_origin(completion):
    assert results.coarse_coordinates(completion, "map") == ""
    # At 100 km neighbouring float32 numbers are 7.8 mm apart, at 1000 km 6.25 cm; a voxel is 10 cm.
    for metres, coarse in [(100_000.0, False), (1_000_000.0, True)]:
        T = completion.T_world_grid.copy()
        T[1, 3] = -metres
        moved = dataclasses.replace(completion, T_world_grid=T)
        warning = results.coarse_coordinates(moved, "utm")
        assert bool(warning) == coarse
    assert "'utm'" in warning
    assert "0.0625 m apart (a voxel is 0.1 m)" in warning
    points = np.array([[1.0, 5_400_000.0, 0.0]])
    far = Localization(points[0], np.ones(3), 0.8, points, np.ones(1, np.float32), {}, 0.1)
    assert "0.5 m apart" in results.coarse_coordinates(far, "utm")
