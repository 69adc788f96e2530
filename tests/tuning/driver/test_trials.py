"""The sweep's trials under Tune. The tests of whole sweeps run them; here is what needs no Ray."""

from __future__ import annotations

from tuning.driver.trials import save_seconds


def test_a_sweep_of_many_trials_saves_its_state_less_often() -> None:
    assert [save_seconds(trials) for trials in (1, 100, 1000)] == [1.0, 1.0, 10.0]
