"""As much of py_trees as a leaf needs, where py_trees is not installed."""

import enum
import sys
import types


class Status(enum.Enum):
    SUCCESS, FAILURE, RUNNING, INVALID = "SUCCESS", "FAILURE", "RUNNING", "INVALID"


class Behaviour:
    """Enters, updates and leaves as py_trees does."""

    def __init__(self, name):
        self.name, self.status, self.feedback_message = name, Status.INVALID, ""

    def tick_once(self):
        if self.status != Status.RUNNING:
            self.initialise()
        self.status = self.update()
        if self.status != Status.RUNNING:
            self.stop(self.status)

    def stop(self, new_status=Status.INVALID):
        self.terminate(new_status)
        self.status = new_status


class BehaviourTree:
    def __init__(self, root):
        self.root = root

    def tick(self):
        self.root.tick_once()


def install(monkeypatch):
    """Make `import py_trees` find the stand-in."""
    names = {
        "behaviour": types.SimpleNamespace(Behaviour=Behaviour),
        "common": types.SimpleNamespace(Status=Status),
        "trees": types.SimpleNamespace(BehaviourTree=BehaviourTree),
    }
    package = types.ModuleType("py_trees")
    package.__dict__.update(names)
    monkeypatch.setitem(sys.modules, "py_trees", package)
