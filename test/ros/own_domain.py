"""A DDS domain for one process of tests."""

import os

from semabs_ros.domains import free_domain


def own_domain():
    """One that is free; processes that test side by side never get the same one.

    By chance they would now and then, because they look at the same moment.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        domain = free_domain()
        if domain % workers == worker:
            return domain
