"""What a check found, and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        level: how bad it is.
        subject: what was looked at, in a few words; the same whatever was found.
        text: what was found.
        remedy: what to do; empty where nothing is to be done.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    """As it should be."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Worth a look."""
    return Finding(Level.WARNING, subject, text, remedy)


def error(subject: str, text: str, remedy: str) -> Finding:
    """Nothing useful comes out like this."""
    return Finding(Level.ERROR, subject, text, remedy)


@dataclass
class Report:
    """All findings of an examination, in the order of cause and effect."""

    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> bool:
        """Take findings; returns whether none of them is an error."""
        new = list(findings)
        self.findings += new
        return all(finding.level < Level.ERROR for finding in new)

    def sorted(self) -> list[Finding]:
        """The worst first, causes before their effects."""
        return sorted(self.findings, key=lambda finding: -finding.level)

    @property
    def main(self) -> Finding | None:
        """The first error, else the first warning; None where all is well."""
        worst = self.sorted()[:1]
        return worst[0] if worst and worst[0].level > Level.OK else None

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return self.main is not None and self.main.level == Level.ERROR

    def verdict(self) -> str:
        """One sentence."""
        if self.main is None:
            return "all is well"
        count = sum(finding.level == Level.WARNING for finding in self.findings)
        if not self.failed:
            return f"no error, {count} warning(s); look first at: {self.main.subject}"
        text, remedy = self.main.text.rstrip("."), self.main.remedy
        return f"main fault: {self.main.subject}: {text}. {remedy[:1].upper()}{remedy[1:]}"
