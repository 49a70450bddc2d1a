"""Says where the real `tf2_ros.buffer_client` is."""

raise ImportError(
    "semabs' stand-in for tf2_ros has no BufferClient; install the real package "
    "(apt: ros-$ROS_DISTRO-tf2-ros-py)"
)
