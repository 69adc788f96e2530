"""HyperBand halves its trials, and waits for none that has ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial

from tests.tuning.schedulers.controller import TREE, Controller, FakeTrial, plan
from tuning.schedulers import SCHEDULERS


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 8, 9, 40])
def test_hyperbands_first_bracket_stops_most_and_none_begins_at_epoch_0(epochs):
    tree = {**TREE, "base": {**TREE["base"], "train": {"epochs": epochs}}}
    scheduler = SCHEDULERS["hyperband"].build(plan("hyperband", tree=tree).schedule)
    controller = SimpleNamespace(get_trials=list)
    for number in range(40):
        scheduler.on_trial_add(controller, FakeTrial(str(number)))
    brackets = [bracket for band in scheduler._hyperbands for bracket in band]
    assert None not in brackets
    assert brackets[0]._r0 == 1
    assert [b._r0 for b in scheduler._hyperbands[0]] == sorted(b._r0 for b in scheduler._hyperbands[0])


def test_hyperband_halves_and_lets_the_last_end_by_themselves():
    trials = [FakeTrial(str(number)) for number in range(8)]
    controller = Controller(
        SCHEDULERS["hyperband"].build(plan("hyperband").schedule), trials, lambda t, epoch: float(t.trial_id)
    )
    controller.run()
    reached = {trial.trial_id: trial.last_result["epoch"] for trial in trials}
    assert reached == {"7": 8, "6": 4, "5": 2, "4": 2, "3": 1, "2": 1, "1": 1, "0": 1}
    assert len(controller.log) == len(set(controller.log))


def test_hyperband_goes_on_when_a_trial_ends_early_that_others_wait_for():
    trials = [FakeTrial(str(number)) for number in range(8)]

    def scores(trial, epoch):  # the best two end by themselves after the first rung: out of patience
        return None if epoch == 2 and trial.trial_id in "67" else float(trial.trial_id)

    Controller(SCHEDULERS["hyperband"].build(plan("hyperband").schedule), trials, scores).run()


def test_hyperband_of_a_restored_sweep_does_not_wait_for_trials_that_had_ended():
    trials = [FakeTrial(str(number)) for number in range(4)]
    trials[3].status = Trial.TERMINATED
    Controller(
        SCHEDULERS["hyperband"].build(plan("hyperband").schedule), trials, lambda t, epoch: float(t.trial_id)
    ).run()
