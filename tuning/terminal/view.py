"""The view of a running sweep: a live table on a terminal, lines elsewhere, or nothing.

The table stays at the foot of the terminal. Ended trials and all other output scroll above it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tuning.pages.tables import clock

QUIET, NORMAL, VERBOSE = "quiet", "normal", "verbose"
LINES_AROUND = 6
"""Lines of the terminal that the table's rows leave free: its head, two lines below, and some for other output."""
REFRESHES = 4
"""Refreshes of the table in a second. Its clocks tick."""


def mode(quiet: bool, verbose: bool) -> str:
    """Return the mode that the options of a sweep ask for."""
    return QUIET if quiet else VERBOSE if verbose else NORMAL


@dataclass(frozen=True, kw_only=True)
class Row:
    """A running trial in the table."""

    trial: str
    setting: str
    reached: str
    """The epoch of the present stage, of how many: `backbone 2/3`, `5/6`."""
    share: float
    """Epochs of all stages, as a share of the most."""
    best: float | None


@dataclass
class ViewState:
    """The values that the view shows."""

    metric: str = ""
    planned: int | None = 0
    """None if a limit ends the sweep, and no number of trials."""
    ended: int = 0
    began: float = field(default_factory=time.monotonic)
    ended_before: int = 0
    """Trials that had ended before this process began."""
    deadline: float | None = None
    """When the time budget is used up, by the clock of `began`."""
    best: str = ""
    rows: list[Row] = field(default_factory=list)

    def left(self) -> float | None:
        """Return the seconds until the end at the present speed. None before an epoch has ended."""
        left, each = [], self._seconds_each()
        if self.planned is not None and each is not None:
            left.append(each * max(0.0, self.planned - self.ended - self._under_way()))
        if self.deadline is not None:
            left.append(max(0.0, self.deadline - time.monotonic()))
        return min(left, default=None)

    def fits(self) -> int | None:
        """Return the number of trials that fit into the time budget at the present speed."""
        each = self._seconds_each()
        if self.deadline is None or each is None:
            return None
        fits = self.ended_before + int((self.deadline - self.began) / each)
        return fits if self.planned is None else min(self.planned, fits)

    def count(self) -> str:
        """Return how many trials have ended, of how many."""
        return str(self.ended) if self.planned is None else f"{self.ended}/{self.planned}"

    def _under_way(self) -> float:
        return sum(min(1.0, row.share) for row in self.rows)

    def _seconds_each(self) -> float | None:
        """Return the time of the sweep for each trial. None before an epoch has ended."""
        done = self.ended - self.ended_before + self._under_way()
        return (time.monotonic() - self.began) / done if done > 0 else None

    def time_text(self) -> str:
        """Return the time since the start, and the time that is left."""
        left = self.left()
        return f"{clock(time.monotonic() - self.began)}{f', about {clock(left)} left' if left is not None else ''}"


class View:
    """The terminal of this process's sweep; made by `shown`."""

    def __init__(self, mode: str, live: Live | None) -> None:
        self.mode, self.live, self.state = mode, live, ViewState()
        self.waits: Spinner | None = None

    def wait(self, text: str) -> bool:
        """Show below the table that the sweep waits. Return False if there is no table.

        It only sets a value: a signal handler may call it while the table is drawn.
        """
        self.waits = Spinner("dots", text=text)
        return self.live is not None

    def line(self, text: str) -> None:
        """Print a line with the time since the start."""
        if self.mode != QUIET:
            print(f"[{clock(time.monotonic() - self.state.began)}] {text}", flush=True)

    def render(self, console: Console) -> Group:
        """Return the table and the lines below it."""
        state, table = self.state, Table(width=console.width)
        shown_columns: dict[str, dict[str, Any]] = {
            "trial": {},
            "setting": {"ratio": 1},
            "epoch": {"justify": "right"},
            f"best {state.metric}": {"justify": "right"},
        }
        for name, options in shown_columns.items():
            table.add_column(name, no_wrap=True, overflow="ellipsis", **options)
        room = max(1, console.height - LINES_AROUND - 2)
        shown = state.rows if len(state.rows) <= room else state.rows[: room - 1]
        for row in shown:
            best = "" if row.best is None else f"{row.best:.4f}"
            table.add_row(row.trial, row.setting, row.reached, best)
        if len(shown) < len(state.rows):
            table.add_row("…", f"and {len(state.rows) - len(shown)} more", "", "")
        lines = [f"{state.count()} trials ended, {len(state.rows)} running; {state.time_text()}"]
        lines += [state.best] if state.best else []
        below = [Text(line, no_wrap=True, overflow="ellipsis") for line in lines]
        return Group(table, *below, *([self.waits] if self.waits else []))


_view = View(NORMAL, None)


def view() -> View:
    """Return the view of this process. Tune's copies of callbacks cannot carry it and find it here."""
    return _view


@contextlib.contextmanager
def shown(mode: str, console: Console | None = None) -> Iterator[View]:
    """Show a sweep as long as the block lasts. The table goes at its end."""
    global _view
    console = console or Console()
    current, before = View(mode, None), _view
    if mode == NORMAL and console.is_terminal and not console.is_dumb_terminal:
        current.live = Live(
            console=console,
            refresh_per_second=REFRESHES,
            transient=True,
            get_renderable=lambda: current.render(console),
        )
    _view = current
    try:
        with current.live or contextlib.nullcontext():
            yield current
    finally:
        _view = before
        if current.live is not None and current.waits is not None:
            console.print(current.waits.text)  # the table is gone, and the sweep still ends
