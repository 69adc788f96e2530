"""Every scheduler by name, for any number of epochs, or the reason why not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fame.errors import UserError
from tests.tuning.schedulers.controller import METRIC, TREE, FakeTrial, plan
from tuning.plan.new_plan import make_plan
from tuning.plan.options import Options
from tuning.schedulers import SCHEDULERS
from tuning.schedulers.limits import grace


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_built_for_any_number_of_epochs(name):
    for epochs in (1, 2, 3, 7, 40):
        tree = {**TREE, "base": {**TREE["base"], "train": {"epochs": epochs}}}
        scheduler = SCHEDULERS[name].build(plan(name, tree=tree).schedule)
        assert scheduler.metric in (None, METRIC, f"best_{METRIC}")


def test_asha_stops_at_rungs_that_double_and_never_at_the_end():
    bracket = SCHEDULERS["asha"].build(plan("asha").schedule)._brackets[0]
    assert sorted(rung for rung, _ in bracket._rungs) == [2, 4, 8]
    assert grace(3) == 1


def test_median_never_pauses():
    scheduler = SCHEDULERS["median"].build(plan("median").schedule)
    trials = [FakeTrial("a"), FakeTrial("b")]
    controller = SimpleNamespace(get_live_trials=lambda: trials)
    for epoch in range(1, 8):
        result = {"epoch": epoch, f"best_{METRIC}": 0.1}
        assert scheduler.on_trial_result(controller, trials[0], result) == "CONTINUE"


def test_pbt_needs_a_searched_key_that_may_change():
    options = Options(scheduler="pbt", set=("model.dropout=0.2", "train.lr=0.001", "train.weight_decay=0"))
    with pytest.raises(UserError, match=r"^--scheduler pbt .* search one of train\.lr, ") as error:
        make_plan(options)
    assert "\n" not in str(error.value)


def test_pbt_needs_one_model_and_takes_fame_by_itself():
    named = {"data": {"data.name": "beauty"}, "scheduler": "pbt"}
    assert make_plan(Options(**named)).space.model == "fame"
    with pytest.raises(UserError, match=r"^--scheduler pbt: a trial takes over .* name one --model"):
        make_plan(Options(**named, model="auto"))


def test_pbt_needs_four_trials():
    with pytest.raises(UserError, match="with 3 trials: it compares quarters, so give --trials 4 or more"):
        make_plan(Options(scheduler="pbt", trials=3))
    make_plan(Options(scheduler="pbt", trials=4))
