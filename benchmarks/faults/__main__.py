"""Run the campaign: every kind of fault again and again until enough messages were sent.

``python -m benchmarks.faults --seed 0 --messages 10000``

Every fault must be named by the node (diagnostics, a goal's result, a service's answer) in words
that fit it, and be over when it is over: the next frames are completed without a reactivation.
Ends with 1 if one was not, if anything was left without an answer, if the node died, or if its
memory grew.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rich.console import Console
from rich.table import Table

from benchmarks.faults.calls import GOALS, SERVICES
from benchmarks.faults.kinds import HEALTHY, Fault, GoalFault, StreamFault
from benchmarks.faults.rig import ANSWER_S, NoAnswerError, NodeProcess, Rig, start_rig, stop_rig
from benchmarks.faults.streams import FAULTS

RECOVERY_S = 25.0
GROWTH_MB = 40.0
"""More than this from the first sample of the node's memory to the last is a leak."""
SAMPLE_EVERY = 28
"""Faults between two samples: about a quarter of the kinds."""


@dataclass
class Outcome:
    """What became of a fault.

    Attributes:
        name: which.
        fault: what was wrong with the answer; empty when nothing was.
        said: what the node said.
        recovery_s: until frames were completed again.
    """

    name: str
    fault: str
    said: str
    recovery_s: float


def run_fault(rig: Rig, fault: Fault) -> tuple[str, str]:
    """Do one fault; what is wrong with the node's answer (empty if nothing), and the answer."""
    if isinstance(fault, StreamFault):
        return run_stream(rig, fault)
    try:
        if isinstance(fault, GoalFault):
            answers = rig.ask(fault)
        else:
            said = fault.call(rig)
            return ("" if re.search(fault.expected, said, re.S) else "wrong answer"), said
    except NoAnswerError as error:
        return "no answer", str(error)
    said = "; ".join(sorted({f"{code}: {message}" for code, message in answers}))
    right = all(code in fault.codes for code, _ in answers)
    right &= not fault.expected or any(re.search(fault.expected, text) for _, text in answers)
    return ("" if right else "wrong answer"), said


def run_stream(rig: Rig, fault: StreamFault) -> tuple[str, str]:
    """Let the camera or TF misbehave until the node has said so."""
    if fault.qos:
        rig.open_camera(**fault.qos)
    rig.spoil, rig.transform, rig.said = fault.spoil, fault.transform, []
    try:
        if fault.expected == HEALTHY:
            return ("" if rig.healthy(RECOVERY_S) else "frames stop"), ""
        said = rig.wait(lambda: rig.heard(fault.expected), fault.seconds)
        others = "; ".join(dict.fromkeys(rig.said))
        return ("" if said else "no right reason"), said or others
    finally:
        rig.spoil = rig.transform = None
        if fault.qos:
            rig.open_camera()


def campaign(rig: Rig, node: NodeProcess, messages: int, minutes: float) -> tuple[list, list]:
    """Rounds over all faults in random order, until enough was sent; outcomes and memory."""
    kinds: list[Fault] = [*FAULTS, *GOALS, *SERVICES]
    outcomes: list[Outcome] = []
    memory: list[float] = []
    order = random.Random(int(rig.rng.integers(2**31)))
    end = time.monotonic() + 60 * minutes
    while not outcomes or (rig.messages < messages and time.monotonic() < end):
        order.shuffle(kinds)
        for fault in kinds:
            wrong, said = run_fault(rig, fault)
            start = time.monotonic()
            if not wrong and not rig.healthy(RECOVERY_S):
                wrong = "no recovery"
            if not node.alive:
                wrong = f"the node died ({node.process.returncode})"
            outcomes.append(Outcome(fault.name, wrong, said, time.monotonic() - start))
            print(f"{rig.messages:6d} {fault.name}: {wrong or 'ok'} | {said[:150]}", flush=True)
            if not node.alive:
                return outcomes, memory
            if len(outcomes) % SAMPLE_EVERY == 0:
                memory.append(node.memory_mb())
    return outcomes, memory


def show(outcomes: list[Outcome], memory: list[float], messages: int) -> int:
    """Print the table; returns how many things were wrong."""
    table = Table("fault", "times", "wrong", "slowest recovery", "what the node said")
    for name in dict.fromkeys(outcome.name for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.name == name]
        wrong = [outcome for outcome in mine if outcome.fault]
        shown = (wrong or mine)[0]
        slowest = max(outcome.recovery_s for outcome in mine)
        text = f"{shown.fault}: {shown.said}" if wrong else shown.said
        table.add_row(name, str(len(mine)), str(len(wrong)), f"{slowest:.1f} s", text[:90])
    Console(width=160).print(table, markup=False)
    wrong = sum(bool(outcome.fault) for outcome in outcomes)
    kinds = len({outcome.name for outcome in outcomes})
    print(f"{kinds} kinds, {len(outcomes)} faults, {messages} messages, {wrong} wrong")
    print(
        f"node's memory after every {SAMPLE_EVERY} faults: "
        + ", ".join(f"{m:.0f} MiB" for m in memory)
    )
    grown = bool(memory) and memory[-1] - memory[0] > GROWTH_MB
    if grown:
        print(f"the node's memory grew by {memory[-1] - memory[0]:.0f} MiB")
    return wrong + grown


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--messages", type=int, default=10_000, help="at least so many are sent")
    parser.add_argument("--minutes", type=float, default=60.0, help="no new round after that long")
    parser.add_argument("--encoder", default="shipped:encoder_fine")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "faults_node.log")
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rclpy.init()
    rig, thread = start_rig(options.seed)
    node = NodeProcess(options.log, options.encoder)
    try:
        if not rig.healthy(10 * ANSWER_S):
            sys.exit(f"the node completes nothing before any fault; see {options.log}")
        outcomes, memory = campaign(rig, node, options.messages, options.minutes)
        wrong = show(outcomes, memory, rig.messages)
    finally:
        code = node.stop()
        stop_rig(rig, thread)
    print(f"the node ended with {code} on Ctrl-C; its log: {options.log}")
    sys.exit(1 if wrong or code not in (0, -2, 130) else 0)


if __name__ == "__main__":
    main()
