"""A frame source that is watched without models."""

import rclpy
from rclpy.parameter import Parameter
from support import wait_for

from semabs_ros.frames import FrameSource
from semabs_ros.node_config import NodeConfig


class Watch:
    """A frame source in a node of its own, without models; `look` is what the node does."""

    def __init__(self, spinner, name="watch", prefix="", use_sim_time=False, **config):
        overrides = [Parameter("use_sim_time", value=use_sim_time)]
        self.node = rclpy.create_node(name, context=spinner.context, parameter_overrides=overrides)
        self.source = FrameSource(
            self.node, lambda: NodeConfig(**config), lambda: None, prefix=prefix
        )
        spinner.add(self.node)
        self.source.start()

    def look(self):
        self.source.follow()
        self.source.check_transform()
        return self.source.problem()

    def take(self):
        self.look()
        return self.source.take()

    def frame(self):
        return wait_for(self.take, what="frame")

    def reason(self, *parts):
        """Wait until the reason has all the parts."""

        def says():
            self.look()
            return all(part in self.source.reason for part in parts) and self.source.reason

        return wait_for(says, what=f"reason with {parts}")
