"""The progress of a training."""

from __future__ import annotations

import sys

import fame


def test_a_bar_shows_the_epochs_on_a_terminal_and_nothing_elsewhere(data, capsys, monkeypatch):
    fame.fit(data, model="sasrec", epochs=2, dim=8)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fame.fit(data, model="sasrec", epochs=2, dim=8)
    shown = capsys.readouterr().err
    assert "sasrec: 100%" in shown and "2/2 epochs" in shown and "best 0." in shown
