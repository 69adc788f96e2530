"""Ended trials of a sweep that go on when it gets more trials or epochs."""

from __future__ import annotations

from fame.training.fit import can_go_on
from tuning.plan.sweep_plan import Plan
from tuning.schedulers.again import better_part
from tuning.storage.layout import Storage
from tuning.study.trials import SweepTrial
from tuning.trial.checkpoints import read_trial
from tuning.trial.plan import trial_experiment


def trials_to_go_on(plan: Plan, storage: Storage, trials: list[SweepTrial]) -> list[SweepTrial]:
    """Return the ended trials in the better part whose training is not over by the plan's number of epochs.

    A trial that ended by itself goes on only if there are more epochs now, and its learning rate is constant.
    """
    found = []
    for trial in better_part(trials):
        trained = read_trial(storage.trials, trial.id)
        if trained is not None and can_go_on(trained, trial_experiment(plan.space.base, trial.point).train.epochs):
            found.append(trial)
    return found
