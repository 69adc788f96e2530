"""Epochs that early stopping saved."""

from __future__ import annotations

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tuning.report.savings import spent
from tuning.space.file import space_from_dict
from tuning.study.trials import SweepTrial


def test_what_was_not_trained_is_counted_at_the_speed_of_each_trial():
    space = space_from_dict({"base": {"train": {"epochs": 10}}, "search": {"backbone.epochs": {"choices": [0, 4]}}})
    began = datetime(2026, 1, 1)

    def trial(state: TrialState, epochs: int, seconds: float, backbone: int) -> SweepTrial:
        made = create_trial(
            state=state,
            value=0.1 if state == TrialState.COMPLETE else None,
            params={"backbone.epochs": backbone},
            distributions={"backbone.epochs": optuna.distributions.CategoricalDistribution([0, 4])},
            intermediate_values=dict.fromkeys(range(1, epochs + 1), 0.1),
        )
        made.datetime_start, made.datetime_complete = began, began + timedelta(seconds=seconds)
        return SweepTrial(made)

    found = spent(
        [
            trial(TrialState.COMPLETE, 10, 100, 0),
            trial(TrialState.PRUNED, 2, 20, 0),  # 8 epochs of 10 s
            trial(TrialState.PRUNED, 6, 30, 4),  # 8 epochs of 5 s
            trial(TrialState.FAIL, 1, 7, 0),
        ],
        space,
        began,
    )
    assert (found.epochs, found.stopped, found.epochs_spared) == (19, 2, 16)
    assert (found.seconds, found.seconds_spared) == pytest.approx((157, 120))
