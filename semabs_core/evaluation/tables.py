"""A table of figures: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table as RichTable
from rich.text import Text

from semabs_core.evaluation.statistics import interval
from semabs_core.files import write_atomic


@dataclass(frozen=True)
class Figure:
    """A number, with its 95 % interval where there is one; NaN if nothing was measured."""

    value: float
    interval: tuple[float, float] | None = None

    @classmethod
    def of(cls, results: NDArray[np.float64]) -> Figure:
        """The mean and the interval of a resampler's result (1 + R,)."""
        return cls(float(results[0]), interval(results))

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        if self.interval is None:
            return f"{self.value:.1f}"
        return f"{self.value:.1f} [{self.interval[0]:.1f}, {self.interval[1]:.1f}]"


@dataclass(frozen=True)
class FigureTable:
    """Lines of figures.

    Attributes:
        title: what is measured, and in which unit.
        keys: names of the text columns, such as ``approach``.
        columns: names of the figures' columns.
        lines: texts and figures of each line.
    """

    title: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[tuple[tuple[str, ...], tuple[Figure, ...]], ...]

    def figure(self, column: str, *texts: str) -> Figure:
        """The figure of the first line with these texts, such as approach and relation."""
        for keys, figures in self.lines:
            if set(texts) <= set(keys):
                return figures[self.columns.index(column)]
        raise KeyError(f"no line of {self.title!r} has {', '.join(texts)}")

    def to_rich(self) -> RichTable:
        """For a terminal."""
        table = RichTable(title=Text(self.title))  # a plain string's [brackets] would be styles
        for key in self.keys:
            table.add_column(Text(key))
        for column in self.columns:
            table.add_column(Text(column), justify="right")
        for texts, figures in self.lines:
            cells = map(Text, (*texts, *map(str, figures)))
            table.add_row(*cells, style="dim" if "published" in texts else None)
        return table

    def to_markdown(self) -> str:
        """A Markdown table under a bold title."""
        rule = ["---"] * len(self.keys) + ["---:"] * len(self.columns)
        lines = [[*self.keys, *self.columns], rule]
        lines += [[*texts, *map(str, figures)] for texts, figures in self.lines]
        escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        rows = [f"| {' | '.join(line)} |" for line in escaped]
        return "\n".join([f"**{self.title}**", "", *rows, ""])

    def to_csv(self) -> str:
        """CSV; intervals become columns ``<name> low`` and ``<name> high``, NaN is empty."""
        with_intervals = any(f.interval for _, figures in self.lines for f in figures)
        header = list(self.keys)
        for column in self.columns:
            header += [column, f"{column} low", f"{column} high"] if with_intervals else [column]
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        for texts, figures in self.lines:
            cells: list[str] = list(texts)
            for figure in figures:
                numbers = [figure.value]
                if with_intervals:
                    numbers += figure.interval or (math.nan, math.nan)
                cells += ["" if math.isnan(number) else f"{number:.3f}" for number in numbers]
            writer.writerow(cells)
        return stream.getvalue()

    def save(self, path: str | os.PathLike) -> None:
        """Write as Markdown (``.md``) or CSV (``.csv``), beside and renamed."""
        save_tables([self], path)


def save_tables(tables: Sequence[FigureTable], path: str | os.PathLike) -> None:
    """Write tables below each other as Markdown (``.md``) or CSV (``.csv``), beside and renamed."""
    file = check_table_path(path)
    texts = [table.to_markdown() if file.suffix == ".md" else table.to_csv() for table in tables]
    write_atomic(file, "\n".join(texts))


def check_table_path(path: str | os.PathLike) -> Path:
    """The file for a table, if one can be written there.

    Raises:
        ValueError: if the suffix is neither ``.md`` nor ``.csv``.
    """
    file = Path(path)
    if file.suffix not in (".md", ".csv"):
        raise ValueError(f"a table is saved as .md or .csv, got {file.name}")
    return file
