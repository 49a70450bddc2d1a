"""What keeps the node from working, as a text for people that still has a kind for programs."""

from __future__ import annotations


class Problem(str):
    """A text; empty when there is no problem.

    Attributes:
        kind: what is wrong without its numbers, the same for as long as the same thing is wrong:
            for deciding whether a problem is new.
    """

    kind: str

    def __new__(cls, text: str = "", kind: str = "") -> Problem:
        problem = super().__new__(cls, text)
        problem.kind = kind
        return problem


NONE = Problem()
