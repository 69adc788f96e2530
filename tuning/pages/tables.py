"""Tables that look the same on the terminal and on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import table as rich_table
from rich.console import Console
from rich.text import Text


@dataclass(frozen=True, kw_only=True)
class Column:
    name: str
    right: bool = False
    """Whether the column is aligned to the right, as numbers are."""


@dataclass(frozen=True, kw_only=True)
class Table:
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def print(self, console: Console) -> None:
        table = rich_table.Table(title=self.title, title_justify="left")
        for column in self.columns:
            table.add_column(Text(column.name), justify="right" if column.right else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*map(Text, row))
        console.print(table)
        if self.note:
            console.print(self.note, highlight=False)


def columns(left: Sequence[str], right: Sequence[str]) -> list[Column]:
    """Return columns of texts, then columns of numbers."""
    return [*(Column(name=name) for name in left), *(Column(name=name, right=True) for name in right)]


def clock(seconds: float) -> str:
    """``4:05`` or ``1:04:05``."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
