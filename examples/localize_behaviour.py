"""A leaf for py_trees that finds what a sentence describes, and a tree that uses it.

Usage: python3 examples/localize_behaviour.py "the mug behind the table lamp"
"""

import sys
import time

import py_trees

from semabs_ros.client import SemabsClient, SemabsError


class Localize(py_trees.behaviour.Behaviour):
    """RUNNING while the node works, SUCCESS with ``place`` set, FAILURE with the reason.

    The tree is never held up: the question is sent when the leaf is entered, its answer is looked
    for at every tick, and a leaf that is interrupted takes the question back.

    Args:
        sentence: such as ``"the mug behind the table lamp"``.
        client: asks the node; several leaves can share one.
        timeout_s: how long node, frame and answer may take.
    """

    def __init__(self, sentence: str, client: SemabsClient, timeout_s: float = 60.0) -> None:
        super().__init__(name=f"localize {sentence}")
        self.sentence, self.client, self.timeout_s = sentence, client, timeout_s
        self.answer = self.place = None

    def initialise(self) -> None:
        """Send the question."""
        self.place = None
        self.answer = self.client.localize_async(self.sentence, timeout_s=self.timeout_s)

    def update(self) -> py_trees.common.Status:
        """Look for the answer."""
        if not self.answer.done():
            return py_trees.common.Status.RUNNING
        try:
            place = self.answer.result()
        except SemabsError as error:
            self.feedback_message = f"{error.code}: {error}"
            return py_trees.common.Status.FAILURE
        self.feedback_message = place.message
        if not place.found:
            return py_trees.common.Status.FAILURE
        self.place = place
        return py_trees.common.Status.SUCCESS

    def terminate(self, new_status: py_trees.common.Status) -> None:
        """Take the question back where something else became more urgent."""
        if new_status == py_trees.common.Status.INVALID and self.answer is not None:
            self.answer.cancel()


def main() -> None:
    """Tick the leaf until it is done."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with SemabsClient() as client:
        leaf = Localize(sys.argv[1], client)
        tree = py_trees.trees.BehaviourTree(leaf)
        tree.tick()
        while leaf.status == py_trees.common.Status.RUNNING:
            time.sleep(0.1)
            tree.tick()
        print(f"{leaf.status.value}: {leaf.feedback_message}")
        if leaf.place is not None:
            x, y, z = leaf.place.position_m
            print(f"{x:.2f} {y:.2f} {z:.2f} in {leaf.place.frame}")


if __name__ == "__main__":
    main()
