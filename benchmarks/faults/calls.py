"""Faults of goals, parameters, services and lifecycle transitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter

from benchmarks.faults.kinds import GoalFault, ServiceFault

NAN, INFINITY = float("nan"), float("inf")
MUG = {"target": "mug", "relation": "behind", "reference": "sofa"}
ANSWERED = ("NONE", "NOT_FOUND")
INVALID = ("INVALID_GOAL",)


def parameter(name: str, value: Any, kind: Parameter.Type | None = None) -> Callable[[Any], str]:
    """Set a parameter of the node."""
    return lambda rig: rig.set_parameter(Parameter(name, kind, value))


def classes(*names: str) -> Callable[[Any], str]:
    """Set the classes by their service."""
    return lambda rig: rig.set_classes(list(names))


def other_world(rig: Any) -> str:
    """Ask for a world frame that TF does not have, until the node says so, and for none again."""
    rig.said = []
    rig.set_parameter(Parameter("world_frame", value="nowhere"))
    said = rig.wait(lambda: rig.heard("no transform"), 15.0)
    return f"{said}; {rig.set_parameter(Parameter('world_frame', value=''))}"


def transition(number: int) -> Callable[[Any], str]:
    """Ask for a transition of the lifecycle."""
    return lambda rig: rig.change_state(number)


GOALS: tuple[GoalFault, ...] = (
    GoalFault("a good goal", "localize", MUG, ANSWERED),
    GoalFault("nothing asked", "localize", {}, INVALID, "target"),
    GoalFault("an empty reference", "localize", {**MUG, "reference": "  "}, INVALID, "reference"),
    GoalFault("only an article", "localize", {**MUG, "target": "the"}, INVALID, "target"),
    GoalFault("an unknown relation", "localize", {**MUG, "relation": "beneath"},
              ("UNKNOWN_RELATION",), "beneath"),
    GoalFault("a sentence and parts", "localize", {**MUG, "sentence": "the mug on the sofa"},
              INVALID, "either a sentence"),
    GoalFault("a sentence without relation", "localize", {"sentence": "the mug"}, INVALID,
              "relation"),
    GoalFault("a sentence of 100,000 letters", "localize", {"sentence": "mug " * 25_000},
              INVALID, "characters"),
    GoalFault("a word of 10,000 letters", "localize", {**MUG, "target": "m" * 10_000}, INVALID,
              "characters"),
    GoalFault("control characters", "localize", {**MUG, "target": "mug\x00\x1b[31m"},
              (*ANSWERED, *INVALID)),
    GoalFault("words of other scripts", "localize", {**MUG, "target": "カップ ☕"}, ANSWERED),
    GoalFault("timeout of NaN", "localize", {**MUG, "timeout_s": NAN}, INVALID, "timeout_s"),
    GoalFault("timeout of infinity", "localize", {**MUG, "timeout_s": INFINITY}, INVALID,
              "timeout_s"),
    GoalFault("negative timeout", "localize", {**MUG, "timeout_s": -1.0}, INVALID, "timeout_s"),
    GoalFault("timeout of a microsecond", "localize", {**MUG, "timeout_s": 1e-6},
              ("TIMEOUT", "NO_FRAME")),
    GoalFault("timeout of 1e30 s", "localize", {**MUG, "timeout_s": 1e30}, (*ANSWERED, *INVALID)),
    GoalFault("200 goals at once", "localize", MUG, (*ANSWERED, "QUEUE_FULL"), burst=200),
    GoalFault("20 goals, cancelled at once", "localize", MUG, (*ANSWERED, "CANCELED", "QUEUE_FULL"),
              burst=20, cancel=True),
    GoalFault("a good completion", "complete", {"classes": ["sofa", "floor"]}, ("NONE",)),
    GoalFault("a repeated class", "complete", {"classes": ["mug", "mug"]}, INVALID, "repeated"),
    GoalFault("an empty class", "complete", {"classes": ["mug", ""]}, INVALID, "class name"),
    GoalFault("300 classes", "complete", {"classes": [f"thing {i}" for i in range(300)]}, INVALID,
              "1 to 254"),
    GoalFault("a class of 10,000 letters", "complete", {"classes": ["c" * 10_000]}, INVALID,
              "characters"),
    GoalFault("completion within a microsecond", "complete", {"timeout_s": 1e-6},
              ("TIMEOUT", "NO_FRAME")),
)  # fmt: skip

SERVICES: tuple[ServiceFault, ...] = (
    ServiceFault("classes as a number", parameter("classes", 5), "refused: .*classes"),
    ServiceFault("classes as a word", parameter("classes", "bed"), "refused: .*classes|ok"),
    ServiceFault("no classes", parameter("classes", [], Parameter.Type.STRING_ARRAY), "refused"),
    ServiceFault("classes deleted", parameter("classes", None, Parameter.Type.NOT_SET), "refused"),
    ServiceFault("cutoff deleted", parameter("completion.cutoff", None, Parameter.Type.NOT_SET),
                 "refused|ok"),
    ServiceFault("resolution of 2", parameter("completion.resolution", 2), "refused: .*resolution"),
    ServiceFault("resolution of 10^9", parameter("completion.resolution", 10**9),
                 "refused: .*resolution"),
    ServiceFault("resolution as text", parameter("completion.resolution", "many"), "refused"),
    ServiceFault("region of NaN", parameter("region.region_size_m", NAN), "refused: .*region"),
    ServiceFault("region of two numbers", parameter("region.region_min_m", [0.0, 1.0]),
                 "refused: .*region"),
    ServiceFault("an unknown policy", parameter("goal_policy", "first"), "refused: .*goal_policy"),
    ServiceFault("what is read when configured", parameter("sync_slop_s", 1.0),
                 "refused: .*configured"),
    ServiceFault("an unknown parameter", parameter("no_such_thing", 1), "refused"),
    ServiceFault("a world frame that is none, and back", other_world, "no transform.*nowhere.*ok"),
    ServiceFault("classes by service", classes("floor", "sofa", "mug"), "ok"),
    ServiceFault("repeated classes by service", classes("bed", "bed"), "refused: .*repeated"),
    ServiceFault("a long class by service", classes("c" * 10_000), "refused: .*characters"),
    ServiceFault("300 classes by service", classes(*(f"c{i}" for i in range(300))),
                 "refused: .*1 to 254"),
    ServiceFault("configure while active", transition(Transition.TRANSITION_CONFIGURE), "refused"),
    ServiceFault("clean up while active", transition(Transition.TRANSITION_CLEANUP), "refused"),
    ServiceFault("a transition that is none", transition(200), "refused"),
    ServiceFault("all parameters listed", lambda rig: rig.list_parameters(), "ok"),
)  # fmt: skip
