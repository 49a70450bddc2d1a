"""Ask a running semabs node where something is, with nothing but rclpy and the interfaces.

Usage: python3 examples/ask_from_planner.py "the mug behind the table lamp"
"""

import sys

import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from semabs.action import Localize


def localize(node, client, sentence, timeout_s=120.0):
    """The pose of what a sentence describes, in the frame of its header, or the reason why not."""
    goal = Localize.Goal(sentence=sentence, timeout_s=timeout_s)
    sending = client.send_goal_async(goal)
    rclpy.spin_until_future_complete(node, sending, timeout_sec=timeout_s)
    handle = sending.result()
    if handle is None:
        return None, "the node does not answer"
    if not handle.accepted:
        return None, "the goal was refused: another one is running"
    answering = handle.get_result_async()
    # The node itself ends the goal in time, and says why: hear it out.
    rclpy.spin_until_future_complete(node, answering, timeout_sec=timeout_s + 10.0)
    answer = answering.result()
    if answer is None:
        return None, "no result came"
    # Only the status tells success: a result that is no longer kept has the error code 0 and the
    # pose (0, 0, 0). A best guess that the picture does not support (NOT_FOUND) is aborted.
    if answer.status != GoalStatus.STATUS_SUCCEEDED:
        return None, answer.result.message or f"the goal ended with status {answer.status}"
    return answer.result.pose, answer.result.message


def main():
    """Ask once and print the answer."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rclpy.init()
    node = rclpy.create_node("planner")
    client = ActionClient(node, Localize, "semabs/localize")
    if not client.wait_for_server(timeout_sec=60.0):
        sys.exit("no action server semabs/localize: is the node running?")
    pose, message = localize(node, client, sys.argv[1])
    if pose is None:
        sys.exit(message)
    place = pose.pose.position
    print(f"{place.x:.2f} {place.y:.2f} {place.z:.2f} in {pose.header.frame_id}: {message}")
    rclpy.shutdown()


if __name__ == "__main__":
    main()
