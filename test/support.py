"""Where things are, and waiting with deadlines: for all tests."""

import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "test" / "fixtures"
NETWORK_FIXTURES = FIXTURES / "published_networks"
RELEVANCY_FIXTURES = FIXTURES / "published_relevancy"
ENCODER = f"local-dir:{RELEVANCY_FIXTURES / 'wide'}"
SHARED = Path(os.environ.get("SEMABS_SHARED", ROOT.parent / "shared"))


def wait_for(ready, timeout=60.0, what="condition"):
    """Wait until `ready()` returns something; returns it. The deadline is for a loaded machine."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = ready()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {what} within {timeout} s")
