"""The plan that all trials share, and the experiment of one."""

from __future__ import annotations

import dataclasses

import pytest

from fame.errors import UserError
from tuning.trial.plan import TrialPlan, trial_experiment

PLAN = TrialPlan(
    base={"train": {"epochs": 3}}, dataset=None, folder="f", metric="hr@5", workers=2, cpus_per_worker=3,
    gpus_per_worker=0,
)  # fmt: skip


def test_a_worker_asks_for_gpus_only_if_it_has_some() -> None:
    assert PLAN.worker_resources == {"CPU": 3}
    assert dataclasses.replace(PLAN, gpus_per_worker=0.5).worker_resources == {"CPU": 3, "GPU": 0.5}


def test_a_point_is_set_into_the_settings_of_all_trials() -> None:
    experiment = trial_experiment(PLAN.base, {"train.lr": 0.5, "model.heads": 4})
    assert (experiment.train.epochs, experiment.train.lr, experiment.model.heads) == (3, 0.5, 4)
    assert PLAN.base == {"train": {"epochs": 3}}
    with pytest.raises(UserError, match="unknown"):
        trial_experiment(PLAN.base, {"train.rate": 1})
