"""Configurations that the last step trains again, and the choice among them; `test_sweep_final.py` runs it."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.sweep_plan import Plan
from tuning.results.final import Final, repeats
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage
from tuning.study.overview import trials_of
from tuning.study.trials import BROKEN, RAY_ID, SweepTrial

SPACE = """
base: {train: {epochs: 3}}
search:
  model.heads: {choices: [1, 2, 4]}
  train.lr: {low: 1.0e-4, high: 1.0e-2, log: true}
"""
VALUES = {"a": 0.3, "b": 0.5, "c": 0.4, "d": None}
"""Best value of the trials of the sweep; `d` failed."""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "space.yaml").write_text(SPACE)
    args = ["--space", str(tmp_path / "space.yaml"), "--trials", "4", "--final-top", "2", "--final-seeds", "2"]
    return make_plan(parse(args)[0])


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.of(str(tmp_path / "runs"), "mine")


def params(name: str) -> dict[str, object]:
    return {"model.heads": 2, "train.lr": {"a": 1e-3, "b": 2e-3, "c": 3e-3, "d": 4e-3}[name]}


def trials_with(plan: Plan, values: dict[str, float | None]) -> list[SweepTrial]:
    """Trials of a sweep, each called by its id in Tune."""
    study = optuna.create_study(direction="maximize")
    for name, value in values.items():
        study.enqueue_trial(params(name))
        trial = study.ask()
        plan.space.sample(trial)
        trial.set_user_attr(RAY_ID, name)
        study.tell(trial, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)
    return trials_of(study)


def search_of(final: Final) -> StudySearch:
    plan = final.plan
    return StudySearch(plan.space, final.storage.study, sampler=plan.options.sampler, trials=plan.trials)


def run(final: Final, value) -> list[SweepTrial]:
    """All its trainings; `value(name, seed)` is what they come to, None a failure."""
    search, number = search_of(final), 0
    names = {repr(dict(one.params)): one.trial for one in final.finalists}
    while isinstance(point := search.suggest(f"again-{number}"), dict):
        seed = point["seed"]
        found = value(names[repr({key: point[key] for key in ("model.heads", "train.lr")})], seed)
        result = {"epoch": 1, "ndcg@10": math.nan} if found is None else {"epoch": 1, "ndcg@10": found}
        search.on_trial_complete(f"again-{number}", result | {"finished": True, "best_ndcg@10": result["ndcg@10"]})
        number += 1
    return search.record.trials()


def test_the_best_configurations_are_trained_once_with_each_new_seed(plan, storage):
    final = Final.of(plan, storage, trials_with(plan, VALUES))
    assert [one.trial for one in final.finalists] == ["b", "c"] and not final.resumed
    assert final.seeds == (1, 2) and plan.options.seed == 0
    again = run(final, lambda name, seed: 0.1)
    expected = [{**params(name), "seed": seed} for seed in (1, 2) for name in ("b", "c")]
    assert [trial.point for trial in again] == expected
    assert final.plan.options.scheduler == "none" and final.plan.epochs == plan.epochs


def test_its_trials_are_the_experiments_of_these_settings_and_seeds(plan, storage):
    final = Final.of(plan, storage, trials_with(plan, VALUES))
    search = search_of(final)
    points = [search.suggest(str(number)) for number in range(4)]
    assert [final.plan.space.experiment(point)["seed"] for point in points] == [1, 1, 2, 2]
    assert all(final.plan.space.problem(point) is None for point in points)


def test_what_was_begun_goes_on_with_the_same_configurations(plan, storage):
    first = Final.of(plan, storage, trials_with(plan, VALUES))
    search_of(first).suggest("one")
    again = Final.of(plan, storage, trials_with(plan, {**VALUES, "a": 0.9}))
    assert again.resumed and again.finalists == first.finalists
    assert len(search_of(again).study.get_trials()) == 4


def test_there_is_none_unless_asked_for_or_if_no_trial_has_a_result(plan, storage, tmp_path):
    without = make_plan(parse(["--space", str(tmp_path / "space.yaml")])[0])
    assert Final.of(without, storage, trials_with(plan, VALUES)) is None
    assert Final.of(plan, storage, trials_with(plan, {"d": None})) is None
    assert not storage.final.exists


def test_the_best_mean_is_chosen_not_the_best_value(plan, storage):
    final = Final.of(plan, storage, trials_with(plan, VALUES))
    values = {("b", 1): 0.9, ("b", 2): 0.1, ("c", 1): 0.6, ("c", 2): 0.8}
    found = repeats(final, run(final, lambda *key: values[key]))
    assert [one.finalist.trial for one in found] == ["c", "b"]
    assert found[0].values == {1: 0.6, 2: 0.8} and set(found[0].trials.values()) <= {f"again-{n}" for n in range(4)}
    shown = found[0].to_dict()
    assert shown["trial"] == "c" and shown["params"] == params("c") and shown["seeds"] == [1, 2]
    assert (shown["mean"], shown["sd"]) == pytest.approx((0.7, 0.02**0.5))


def test_one_that_fails_with_a_seed_comes_after_those_that_do_not(plan, storage):
    final = Final.of(plan, storage, trials_with(plan, VALUES))
    values = {("b", 1): 0.9, ("b", 2): None, ("c", 1): 0.2, ("c", 2): 0.2}
    found = repeats(final, run(final, lambda *key: values[key]))
    assert [(one.finalist.trial, list(one.values)) for one in found] == [("c", [1, 2]), ("b", [1])]


def test_one_that_breaks_a_limit_with_a_seed_comes_after_those_that_do_not(plan, storage):
    final = Final.of(plan, storage, trials_with(plan, VALUES))
    values = {("b", 1): 0.9, ("b", 2): 0.8, ("c", 1): 0.2, ("c", 2): 0.3}
    trials = run(final, lambda *key: values[key])
    next(trial for trial in trials if trial.value == 0.8).stored.user_attrs[BROKEN] = ["latency_ms < 5"]
    for trial in trials:
        trial.__dict__.pop("value", None)  # computed once
    assert [(one.finalist.trial, list(one.values)) for one in repeats(final, trials)] == [("c", [1, 2]), ("b", [1])]


def test_if_all_fail_there_is_nothing_to_choose_from(plan, storage):
    final = Final.of(plan, storage, trials_with(plan, VALUES))
    assert repeats(final, run(final, lambda *key: None)) == []
