"""Tests of the assumptions of `tuning.ray_internals.in_order` about Ray."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from tuning.ray_internals.in_order import Asha, Fifo, Median


@pytest.mark.parametrize("kind", [Asha, Median, Fifo])
def test_the_first_trial_that_waits_is_chosen_as_ray_does_it(kind: type) -> None:
    order = [(8, Trial.TERMINATED), (9, Trial.PAUSED), (10, Trial.RUNNING), (11, Trial.PENDING), (12, Trial.PENDING)]
    trials = [SimpleNamespace(experiment_tag=f"{number}_lr=1", status=status) for number, status in order]
    controller = SimpleNamespace(
        get_trials=lambda: trials,
        get_live_trials=lambda: [trial for trial in reversed(trials) if trial.status != Trial.TERMINATED],
    )
    while trials:
        chosen = kind().choose_trial_to_run(controller)
        assert chosen is FIFOScheduler().choose_trial_to_run(controller)
        trials.remove(trials[-1] if chosen is None else chosen)
