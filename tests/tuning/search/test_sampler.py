"""The samplers propose points that the space allows and the study has not tried, and learn."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from ray.tune.search import Searcher

from tests.tuning.search.studies import AIMS, FINITE, METRIC, finish, make, quality, reached, run
from tuning.faults import Fault, end
from tuning.search import SAMPLERS
from tuning.search.study_search import StudySearch
from tuning.study.aims import Limit
from tuning.study.overview import identity


def test_tpe_learns_what_does_not_fit_into_memory(tmp_path):
    """Large models are infeasible, and would be the best: TPE leaves them alone, and does not without the constraint."""

    def large_proposals(folder: Path, tells: bool) -> int:
        tree = {"search": {"model.dim": {"low": 8, "high": 512, "step": 8}, "train.lr": {"low": 0.001, "high": 0.01}}}
        search, large = make(folder, tree, trials=40), 0
        for number in range(40):
            name, dim = f"t{number}", search.suggest(f"t{number}")["model.dim"]
            if dim > 128:
                large += number >= 10  # proposals before are random
                fault = Fault(kind="infeasible" if tells else "failed", reason="MemoryError")
                search.on_trial_complete(name, end(fault, 0, METRIC))
            else:
                finish(search, name, dim / 1000)
        return large

    assert large_proposals(tmp_path / "told", True) < large_proposals(tmp_path / "not", False) * 2 / 3


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_take_trials_with_and_without_the_constraint(tmp_path, sampler):
    search = make(tmp_path, sampler=sampler, trials=12)
    for number in range(12):
        point = search.suggest(f"t{number}")
        if number % 3:
            finish(search, f"t{number}", quality(point))
        else:
            search.on_trial_complete(f"t{number}", end(Fault(kind="infeasible", reason="MemoryError"), 0, METRIC))
    assert len(set(map(identity, (t.params for t in search.study.trials)))) == 12
    assert search.study.best_trial.state == TrialState.COMPLETE


@pytest.mark.parametrize("sampler", SAMPLERS[:3])
def test_start_points_come_first_and_in_order(tmp_path, sampler):
    search = make(tmp_path, sampler=sampler)
    assert run(search, 3)[:2] == list(search.space.start)
    assert search.space.start[1]["backbone.lr"] == 0.001


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_same_seed_same_suggestions(tmp_path, sampler):
    points = [run(make(tmp_path / name, sampler=sampler, seed=5), 25) for name in "ab"]
    assert points[0] == points[1]
    assert run(make(tmp_path / "c", sampler=sampler, seed=6), 25)[2:] != points[0][2:]


@given(seed=st.integers(0, 2**32 - 1), sampler=st.sampled_from(["tpe", "random"]))
@settings(max_examples=10, deadline=None)
def test_no_suggestion_breaks_a_constraint(tmp_path_factory, seed, sampler):
    search = make(tmp_path_factory.mktemp("study"), seed=seed, sampler=sampler)
    for point in run(search, 15):
        assert point["model.dim"] % point["model.heads"] == 0
        assert ("backbone.lr" in point) == (point["backbone.epochs"] > 0)
        assert search.space.problem(point) is None
    assert {t.state for t in search.study.trials} == {TrialState.COMPLETE}  # nothing that never ran
    assert search.study.trials[14].params == point  # under the keys' own names


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_finite_space_is_covered_exactly_once(tmp_path, sampler):
    search = make(tmp_path, FINITE, sampler=sampler)
    points = run(search, 50)
    grid = search.space.grid()
    assert len(points) == len(grid) == 15
    assert set(map(identity, points)) == set(map(identity, grid))
    assert search.suggest("more") == Searcher.FINISHED


def test_a_point_that_failed_is_not_tried_again(tmp_path):
    search = make(tmp_path, FINITE)
    for number in range(15):
        search.suggest(f"t{number}")
        search.on_trial_complete(f"t{number}", error=True)
    assert search.suggest("more") == Searcher.FINISHED


def test_tpe_learns(tmp_path):
    points = run(make(tmp_path, trials=40), 40)
    values = [quality(point) for point in points[2:]]
    assert sum(values[-15:]) / 15 > sum(values[:10]) / 10


def test_a_lost_trial_changes_no_later_proposal(tmp_path):
    def search_on(search: StudySearch, names: str) -> None:
        for name in names:
            finish(search, name, quality(search.suggest(name)))

    undisturbed, killed = make(tmp_path / "u", trials=8), make(tmp_path / "k", trials=8)
    search_on(undisturbed, "abcdefgh")
    search_on(killed, "abcd")
    killed.suggest("lost")  # Tune was killed before it saved that
    again = make(tmp_path / "k", trials=8)
    again.record.give_up(())
    search_on(again, "efgh")
    points = [[t.params for t in s.study.trials if "lost" not in t.user_attrs] for s in (undisturbed, again)]
    assert points[0] == points[1] and len(points[0]) == 8


def test_a_space_without_a_key_is_one_trial(tmp_path):
    """As that of a model which only counts."""
    search = make(tmp_path, {"base": {"model": {"name": "popularity"}}, "search": {}, "start": [{}]}, trials=8)
    assert search.suggest("t0") == {}
    finish(search, "t0", 0.01)
    assert search.suggest("t1") == Searcher.FINISHED
    assert [trial.state for trial in search.study.trials] == [TrialState.COMPLETE]


def mean_heads(tmp_path: Path, sampler: str, **options) -> float:
    """Heads that the sampler proposes after 30 trials, where more heads raise the metric and lower the coverage."""
    search = make(tmp_path, sampler=sampler, **options)
    heads = []
    for number in range(30):
        point = search.suggest(f"t{number}")
        heads.append(point["model.heads"])
        numbers = {"coverage@10": 1.0 - heads[-1] / 10}
        reached(search, f"t{number}", 1, 0.1 + heads[-1] / 100, **numbers)
        search.on_trial_complete(f"t{number}", reached(search, f"t{number}", 2, 0.1 + heads[-1] / 100, **numbers))
    return sum(heads[15:]) / 15


def test_the_sampler_learns_from_all_aims_and_to_keep_limits(tmp_path: Path) -> None:
    one = mean_heads(tmp_path / "one", "tpe")
    assert mean_heads(tmp_path / "aims", "tpe", aims=AIMS) < one
    limited = mean_heads(tmp_path / "limits", "tpe", limits=(Limit.parse("coverage@10 > 0.75"),))
    assert limited < min(one, 3)


@pytest.mark.parametrize("sampler", SAMPLERS[:3])
def test_every_sampler_proposes_with_several_aims_after_faults_and_stops(tmp_path: Path, sampler: str) -> None:
    search = make(tmp_path, sampler=sampler, aims=AIMS, limits=(Limit.parse("parameters < 100"),), trials=8)
    for number in range(8):
        assert isinstance(search.suggest(f"t{number}"), dict)
        if number % 3 == 0:
            search.on_trial_complete(
                f"t{number}", end(Fault(kind="limit", reason="x"), 0, METRIC) | {"parameters": 200}
            )
        elif number != 7:
            numbers = {"coverage@10": number / 10, "parameters": 50}
            epochs = 1 if number % 3 == 1 else 2
            search.on_trial_complete(f"t{number}", reached(search, f"t{number}", epochs, 0.1 * number, **numbers))
    assert {"stopped", "failed", "finished", "running"} == {trial.state for trial in search.record.trials()}
