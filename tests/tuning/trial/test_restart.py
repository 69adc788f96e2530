"""A note for a restarted trial lies beside its point."""

from __future__ import annotations

import dataclasses

from tuning.faults import Fault
from tuning.trial.restart import Restart, fault_noted, leave_note, milestone_name, point_of, restart_of


class Trial:
    """As much of Tune's trial as a note needs."""

    def __init__(self) -> None:
        self.config: dict = {"train.lr": 0.1}

    def set_config(self, config: dict) -> None:
        self.config = config


def test_a_note_is_read_back_and_is_no_setting() -> None:
    trial = Trial()
    assert restart_of(trial.config) == Restart() and fault_noted(trial.config) is None
    note = Restart(seen=3, generation=1, origin="other/epoch-2-0", lost=1, lost_at=3)
    leave_note(trial, note)
    assert restart_of(trial.config) == note and point_of(trial.config) == {"train.lr": 0.1}
    leave_note(trial, dataclasses.replace(note, fault="failed: why"), {"train.lr": 0.2})
    assert fault_noted(trial.config) == Fault(kind="failed", reason="why")
    assert point_of(trial.config) == {"train.lr": 0.2}


def test_a_milestone_is_named_by_epoch_and_generation() -> None:
    assert milestone_name(4, 2) == "epoch-4-2"
