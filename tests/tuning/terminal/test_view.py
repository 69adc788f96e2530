"""The sweep's terminal: a table that fits it, lines elsewhere, silence where it was asked for."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from tuning.terminal.view import NORMAL, QUIET, VERBOSE, Row, View, ViewState, mode, shown, view


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)


def state(running: int, **changes: object) -> ViewState:
    rows = [
        Row(trial=f"{n:08x}", setting="H2 N4 D64 " * 9, reached=f"{n}/40", share=n / 40, best=0.1 + n)
        for n in range(running)
    ]
    settings = {"metric": "ndcg@10", "planned": 8, "ended": 2, "rows": rows, "best": "best 0.0732 (abc)"}
    return ViewState(**settings | changes)


@pytest.mark.parametrize("height", [12, 24, 50])
@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("running", [0, 1, 5, 64])
def test_the_table_fits_the_terminal_whatever_runs(running, width, height):
    console = terminal(width, height)
    found = View(NORMAL, None)
    found.state = state(running)
    with console.capture() as captured:
        console.print(found.render(console))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) == width
    assert len(lines) < height
    text = "\n".join(lines)
    assert f"2/8 trials ended, {running} running" in text and "best 0.0732 (abc)" in text
    named = sum(f"{n:08x}" in text for n in range(running))
    assert named == running or f"and {running - named} more" in text


def test_the_time_left_is_by_what_has_been_done_since_this_process_began():
    now = time.monotonic()
    assert state(0, ended=0, began=now).left() is None
    assert state(0, ended=4, planned=12, began=now - 100).left() == pytest.approx(200, rel=0.05)
    # Resumed: what ended before took no time of this process.
    assert state(0, ended=8, ended_before=4, planned=12, began=now - 100).left() == pytest.approx(100, rel=0.05)
    half = [Row(trial="a", setting="", reached="20/40", share=0.5, best=None)]
    assert state(0, ended=0, rows=half, planned=1, began=now - 100).left() == pytest.approx(100, rel=0.05)
    assert state(0, ended=8, planned=8, began=now - 100).left() == 0


def test_there_is_a_table_on_a_terminal_alone():
    with shown(NORMAL, terminal()) as found:
        assert view() is found and found.live is not None
        found.state = state(2)
        found.line("one ended")
        found.live.refresh()
    text = found.live.console.file.getvalue()
    assert "one ended" in text and "00000001" in text
    assert view() is not found
    for other in (
        Console(file=io.StringIO()),
        Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}),
    ):
        with shown(NORMAL, other) as found:
            assert found.live is None
    with shown(VERBOSE, terminal()) as found:
        assert found.live is None


def test_the_terminal_is_given_back_when_the_sweep_fails():
    console = terminal()
    with pytest.raises(KeyboardInterrupt), shown(NORMAL, console):
        raise KeyboardInterrupt
    assert console.file.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in console.file.getvalue()
    assert view().live is None


def test_quiet_prints_nothing(capsys):
    with shown(QUIET) as found:
        found.line("x")
    assert capsys.readouterr().out == ""
    with shown(NORMAL) as found:
        found.line("x")
    assert capsys.readouterr().out == "[00:00] x\n"


def test_modes():
    assert [mode(False, False), mode(True, False), mode(False, True)] == [NORMAL, QUIET, VERBOSE]
