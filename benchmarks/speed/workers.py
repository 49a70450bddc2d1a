"""Programs of this folder that run beside the benchmark and answer a line with a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ANSWER = "ANSWER "
"""How the lines begin that hold an answer, in JSON; a program may print others."""


class Worker:
    """A program in a process of its own, in the code of some folder.

    Args:
        script: beside this module.
        folder: a work tree, whose packages the program imports.
        arguments: of the program.
    """

    def __init__(self, script: str, folder: Path, *arguments: str) -> None:
        paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        paths = [path for path in paths if path and (path == str(folder) or path != str(ROOT))]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(script)), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, line: str) -> dict[str, Any]:
        """Send a line and wait for the answer to it.

        Raises:
            RuntimeError: if the program has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        for said in self._process.stdout:
            if said.startswith(ANSWER):
                return dict(json.loads(said.removeprefix(ANSWER)))
        raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)
