from __future__ import annotations

import signal

import pytest

from tuning.driver.interrupt import STOPPING, stops_softly


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_goes_to_tune_and_the_second_ends(number: int, capfd: pytest.CaptureFixture) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    told = []
    with stops_softly() as interrupted:
        signal.signal(signal.SIGUSR1, lambda *_: told.append(True))  # as Tune does
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted() and told == [True] and capfd.readouterr().err == STOPPING
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert {n: signal.getsignal(n) for n in before} == before


def test_a_signal_before_tune_listens_ends_at_once(capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt), stops_softly():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
