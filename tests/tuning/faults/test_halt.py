"""The first reason stops the sweep, by the signal that Tune listens to."""

from __future__ import annotations

import signal

import pytest

from tuning.faults import halt as module


def test_the_first_reason_counts_and_is_signalled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr(module, "REASONS", [])
    monkeypatch.setattr(module.signal, "raise_signal", signals.append)
    assert module.halted() is None
    module.halt("a full disk")
    module.halt("another")
    assert module.halted() == "a full disk" and signals == [signal.SIGUSR1]


def test_a_new_sweep_forgets_why_an_earlier_one_was_stopped(monkeypatch):
    monkeypatch.setattr(module, "REASONS", ["the disk is full"])
    module.begin()
    assert module.halted() is None
