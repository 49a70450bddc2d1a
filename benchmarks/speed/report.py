"""What was measured, as Markdown for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Cell = str | float | int


@dataclass
class Table:
    """One table.

    Attributes:
        title: what is compared.
        note: how to read it.
        columns: their headings.
        rows: as many cells each; numbers are rounded where they are shown.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: list[list[Cell]] = field(default_factory=list)

    def markdown(self) -> str:
        """The table with its heading."""
        lines = [f"## {self.title}", "", self.note, ""]
        lines += [_row(self.columns), _row(["---:"] * len(self.columns))]
        lines += [_row([_shown(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(cell: Cell) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def write(tables: Sequence[Table], facts: dict[str, Any], path: Path) -> None:
    """``path`` with ``.md`` and with ``.json``; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = ", ".join(f"{name} {value}" for name, value in facts.items())
    text = f"# Speed\n\n{said}\n\n" + "\n".join(table.markdown() for table in tables)
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    content = {"machine": facts, "tables": [asdict(table) for table in tables]}
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
