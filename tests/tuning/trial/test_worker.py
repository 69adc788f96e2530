"""A worker trains one trial after the other, and nothing of one is left for the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.tuning.trial.steps import LARGE, SMALL, actor, alone, configured, steps
from tuning.trial.plan import TrialPlan

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train


def test_trials_in_one_process_are_those_that_run_alone(make_plan: Callable[..., TrialPlan], tmp_path: Path) -> None:
    plan = make_plan()
    trial = actor(plan, "a", LARGE)
    assert steps(trial) == alone(plan, LARGE, tmp_path / "large")
    small = alone(plan, SMALL, tmp_path / "small")
    assert trial.reset(configured("b", SMALL))
    assert steps(trial) == small
    # One that is stopped early, and then the first settings again, on threads that somebody changed.
    assert trial.reset(configured("c", LARGE))
    trial.step()
    torch.set_num_threads(2)
    assert trial.reset(configured("d", SMALL))
    assert steps(trial) == small
    assert torch.get_num_threads() == 1
    trial.stop()
    assert not list((tmp_path / "scratch").iterdir())
