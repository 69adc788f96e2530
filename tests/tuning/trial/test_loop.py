"""A trial reports what would come again, and raises what can heal."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tuning.trial.steps import SMALL, actor, alone, configured, steps
from tuning.trial import loop
from tuning.trial.plan import TrialPlan

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("no more"), "infeasible"),
        (RuntimeError("can't allocate memory: 4 bytes"), "infeasible"),
        (ZeroDivisionError("division by zero"), "failed"),
    ],
)
def test_what_would_come_again_is_reported_and_the_process_takes_the_next_trial(
    make_plan: Callable[..., TrialPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str
) -> None:
    plan = make_plan()
    trial = actor(plan, "a", {"train.lr": 1e30})
    (end,) = steps(trial)
    assert end["fault"].startswith("diverged: ") and "finite" in end["fault"]
    assert math.isnan(end["ndcg@10"]) and end["best_ndcg@10"] == 0

    def fails(*args: object, **kwargs: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", fails)
        assert trial.reset(configured("b", SMALL))
        (end,) = steps(trial)
        assert end["fault"] == f"{kind}: {type(error).__name__}: {error}" and end["epoch"] == 0
    assert trial.reset(configured("c", SMALL))
    assert steps(trial) == alone(plan, SMALL, tmp_path / "alone")


def test_what_can_heal_reaches_tune(make_plan: Callable[..., TrialPlan], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/there")

    trial = actor(make_plan(), "a", SMALL)
    monkeypatch.setattr(loop, "fit", fails)
    with pytest.raises(OSError, match="No space left"):
        trial.step()
