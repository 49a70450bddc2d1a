"""ROS 2 nodes around semabs_core."""
