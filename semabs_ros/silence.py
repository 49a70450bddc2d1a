"""Why no frame comes although the node waits for one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rclpy.node import Node

from semabs_core.problem import NONE, Problem
from semabs_core.text import shorten
from semabs_ros.node_config import LONGEST_QUEUE, NodeConfig
from semabs_ros.pairing import Pairing
from semabs_ros.subscriptions import Topic


def explain_silence(
    node: Node, topics: Sequence[Topic], pairing: Pairing, config: NodeConfig
) -> Problem:
    """What is wrong with the inputs.

    Args:
        node: whose clock and parameters matter.
        topics: colour, depth and camera_info.
        pairing: what pairs their messages.
        config: the node's.
    """
    faults = [fault for fault in (clock_fault(node), *(t.fault() for t in topics)) if fault]
    if not faults:
        faults = [_mismatch(topics, pairing, config.sync_slop_s, config.sync_queue_size)]
    kinds = ", ".join(fault.kind for fault in faults)
    return Problem("; ".join(filter(None, [*faults, _others(node, topics)])), kinds)


def _others(node: Node, topics: Sequence[Topic]) -> str:
    """What is published of the types of topics that have no publisher; empty where nothing is."""
    lacking = {f"sensor_msgs/msg/{topic.kind.__name__}" for topic in topics if not topic.publishers}
    if not lacking:
        return ""
    own = f"{node.get_fully_qualified_name()}/"
    found = [
        name
        for name, types in node.get_topic_names_and_types()
        if lacking & set(types) and node.count_publishers(name) and not name.startswith(own)
    ]
    return f"published are {shorten(', '.join(sorted(found)), 300)}" if found else ""


def clock_fault(node: Node) -> Problem:
    """With simulated time everything waits for /clock."""
    clock = node.get_clock()
    if clock.ros_time_is_active and clock.now().nanoseconds == 0:
        return Problem(
            "use_sim_time is set but no /clock arrives: start the simulator, play the bag with its "
            "clock (ros2 bag play --clock), or set use_sim_time to false",
            "clock",
        )
    return NONE


def _mismatch(topics: Sequence[Topic], pairing: Pairing, slop_s: float, queue_size: int) -> Problem:
    """All topics have messages; their stamps are to blame."""
    rates = ", ".join(f"{topic.name} {topic.rate_hz():.1f} Hz" for topic in topics)
    text = (
        f"messages arrive ({rates}) but their stamps do not match within sync_slop_s = {slop_s:g} s"
    )
    ahead = pairing.ahead_s()
    if abs(ahead) > slop_s:
        first, second = topics[:2] if ahead > 0 else topics[1::-1]
        text += f": those of {first.name} are {abs(ahead):.3g} s ahead of those of {second.name}"
        needed = math.ceil(abs(ahead) * first.rate_hz()) + 1
        if queue_size < needed <= LONGEST_QUEUE:
            text += f"; if these only arrive later, set sync_queue_size to {needed} or more"
    return Problem(text, "stamps")
