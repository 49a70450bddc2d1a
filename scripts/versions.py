"""Which versions of the packages are installed: the tested, the oldest allowed, or the newest.

Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHOICES = ("tested", "oldest", "newest")
_LOWER = re.compile(r'^\s*"?([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*>=\s*([0-9.]+)', re.MULTILINE)
_LIST = re.compile(r"^(?:dependencies|app|rerun|dev|docs) = \[(.*?)\]$", re.MULTILINE | re.DOTALL)


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python_range() -> tuple[tuple[int, int], tuple[int, int]]:
    """The first and the last Python that ``pyproject.toml`` allows."""
    text = (ROOT / "pyproject.toml").read_text()
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text).groups()
    return (3, int(low)), (3, int(high) - 1)


def tested() -> list[str]:
    """Lines ``name==version`` of ``requirements/constraints.txt``."""
    lines = (ROOT / "requirements/constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def oldest() -> list[str]:
    """Every lower bound of ``pyproject.toml`` and of the pip-only requirements, made exact."""
    lists = _LIST.findall((ROOT / "pyproject.toml").read_text())
    lists.append((ROOT / "requirements/pip-only.txt").read_text())
    return [f"{name}=={low}" for text in lists for name, low in _LOWER.findall(text)]


def constraints(versions: str, kept: Iterable[str] = ()) -> list[str]:
    """Lines for ``pip install -c``.

    Args:
        versions: one of :data:`CHOICES`.
        kept: names of distributions that are there already and stay as they are.
    """
    lines = {"tested": tested, "oldest": oldest, "newest": list}[versions]()
    names = {canonical(name) for name in kept}
    return [line for line in lines if canonical(line.partition("==")[0]) not in names]
