"""Asking a node: actions, services, parameters and topics with deadlines."""

import time

from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from semabs.action import Localize
from support import wait_for

STATUS = GoalStatus
RESULT = Localize.Result
BEHIND = dict(target="mug", relation="behind", reference="lamp")


class Asker:
    """An action client that keeps feedback and waits with deadlines."""

    def __init__(self, node, action, name):
        self.action, self.feedback = action, []
        self.client = ActionClient(node, action, name)

    def send(self, **goal):
        wait_for(self.client.server_is_ready, what="action server")
        future = self.client.send_goal_async(
            self.action.Goal(**goal), feedback_callback=lambda m: self.feedback.append(m.feedback)
        )
        wait_for(future.done, what="answer to the goal")
        return future.result()

    @staticmethod
    def outcome(handle):
        assert handle.accepted
        future = handle.get_result_async()
        wait_for(future.done, what="result")
        return future.result().status, future.result().result

    def ask(self, **goal):
        return self.outcome(self.send(**goal))


def diagnostics(peer):
    """The last diagnostics by name; filled while the test runs."""
    last = {}

    def store(array):
        for status in array.status:
            last[status.name] = (status.level, status.message)

    peer.create_subscription(DiagnosticArray, "/diagnostics", store, 10)
    return last


def collect(peer, kind, topic, qos=10):
    messages = []
    peer.create_subscription(kind, topic, messages.append, qos)
    return messages


def call(peer, kind, name, request):
    client = peer.create_client(kind, name)
    assert client.wait_for_service(timeout_sec=60)
    future = client.call_async(request)
    wait_for(future.done, what=name)
    return future.result()


def set_parameter(peer, name, value):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    return call(peer, SetParameters, "/semabs/set_parameters", request).results[0]


def change_state(peer, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return call(peer, ChangeState, "/semabs/change_state", request).success


def ask_when_active(asker, **goal):
    """Ask until the node is active (autostart takes a moment)."""

    def attempt():
        status, result = asker.ask(**goal)
        return None if result.error_code == RESULT.NOT_ACTIVE else (status, result)

    return wait_for(attempt, what="active node")


class Slow:
    """Makes the node's image tower wait at every batch of tiles until released."""

    def __init__(self, node):
        wait_for(lambda: node._scene is not None and node._worker, what="active node")
        self.open, self.entered = False, 0
        extractor = node._scene.extractor
        embed = extractor.embed

        def slow(image, on_progress=None):
            def hook(stage, fraction):
                self.entered += 1
                while not self.open:
                    time.sleep(0.01)
                    if on_progress:
                        on_progress(stage, fraction)
                if on_progress:
                    on_progress(stage, fraction)

            return embed(image, hook)

        extractor.embed = slow
        if node._scene._state is not None:
            node._scene._state.tiles = None  # a goal may come before the next frame
