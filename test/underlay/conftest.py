"""Trees of transforms that the tests of tf2 ask."""

import pytest


@pytest.fixture
def core():
    import tf2_py

    return tf2_py.BufferCore()


@pytest.fixture
def robot(core):
    """map -> base (moving, turned left at (1, 2)) -> camera 1 m ahead, lidar 1 m left, reversed."""
    from tf2_messages import edge

    for seconds in (1.0, 2.0):
        core.set_transform(edge("map", "base", seconds, (1, 2, 0), 90), "odometry")
    core.set_transform_static(edge("base", "camera", 0, (1, 0, 0)), "urdf")
    core.set_transform_static(edge("base", "lidar", 0, (0, 1, 0), 180), "urdf")
    return core
