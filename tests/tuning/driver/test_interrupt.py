from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import signal
import sys

import pytest
from rich.console import Console

from tuning.driver.interrupt import STOPPING, stops_softly
from tuning.terminal.view import NORMAL, shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_goes_to_tune_and_the_second_ends(number: int, capfd: pytest.CaptureFixture) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    told = []
    with stops_softly() as interrupted:
        signal.signal(signal.SIGUSR1, lambda *_: told.append(True))  # as Tune does
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted() and told == [True] and capfd.readouterr().err == f"{STOPPING}\n"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert {n: signal.getsignal(n) for n in before} == before


def test_a_signal_before_tune_listens_ends_at_once(capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt), stops_softly():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_below_a_table_the_wait_is_part_of_it(capfd: pytest.CaptureFixture) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None)
    with shown(NORMAL, console) as view, stops_softly():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.raise_signal(signal.SIGINT)
        view.live.refresh()
        view.live.refresh()
    assert capfd.readouterr().err == "" and console.file.getvalue().count(STOPPING) >= 2


SWEEP = """
import signal, time
from tuning.driver.interrupt import stops_softly
from tuning.terminal.view import NORMAL, shown
with shown(NORMAL) as view, stops_softly() as interrupted:
    signal.signal(signal.SIGUSR1, lambda *_: None)  # as Tune does
    print("trials run", flush=True)
    while not interrupted():
        time.sleep(0.01)
    time.sleep(0.6)  # Tune saves its state
print("the results")
"""


def test_on_a_terminal_the_wait_is_drawn_and_stays_when_the_table_goes() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", SWEEP], os.environ | {"TERM": "xterm", "COLUMNS": "100"})
    seen = b""
    with open(terminal, "rb", buffering=0) as file, contextlib.suppress(OSError):  # Linux's end of a terminal
        while read := file.read(65536):
            if b"trials run" not in seen and b"trials run" in seen + read:
                os.write(terminal, b"\x03")
            seen += read
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen.decode()
    assert len(re.findall(f". {re.escape(STOPPING)}", seen.decode())) >= 2, "the spinner turns"
    lines = [line.strip() for line in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen.decode()).splitlines()]
    assert lines[-2:] == [STOPPING, "the results"]
