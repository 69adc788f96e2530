"""The trials that a sampler learns from, in a study with more of them than it reads."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.tuning.search.studies import AIMS, METRIC, make, quality
from tuning.faults import Fault, end
from tuning.search import examples
from tuning.search.examples import GOOD, Examples
from tuning.search.study_search import StudySearch
from tuning.study.aims import values_of
from tuning.study.overview import Overview, overview
from tuning.study.trials import SweepTrial

AT_A_TIME = 4


def sweep(search: StudySearch, count: int, rng: random.Random, again: Callable[[], StudySearch] | None = None) -> list:
    """Drive trials of all kinds, several at a time; with `again` the driver is killed halfway."""
    points: list[dict] = []
    running: list[str] = []
    for number in range(count):
        if again is not None and number == count // 2:
            search = again()
        if len(running) == AT_A_TIME:
            complete(search, running.pop(rng.randrange(AT_A_TIME)), rng)
        point = search.suggest(f"t{number}")
        assert isinstance(point, dict)
        points.append(point)
        running.append(f"t{number}")
    return points


def complete(search: StudySearch, name: str, rng: random.Random) -> None:
    trial = search.record.find(name)
    assert trial is not None
    value, kind = quality(trial.point), rng.randrange(10)
    if kind == 0:
        search.on_trial_complete(name, end(Fault(kind="infeasible", reason="MemoryError"), 0, METRIC))
        return
    finished, epoch = kind > 5, rng.choice((1, 2))
    numbers = {"coverage@10": trial.point["model.heads"] / 10 + rng.random() / 100}
    last = {"epoch": epoch, METRIC: value, f"best_{METRIC}": value, "finished": finished, **numbers}
    search.on_trial_result(name, last)
    search.on_trial_complete(name, last, error=kind == 1)


def whole(self: Examples, study: optuna.Study, known: Overview) -> optuna.Study:
    return study


def test_up_to_the_most_the_sampler_proposes_what_it_would_of_the_whole_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = sweep(make(tmp_path / "excerpt"), 60, random.Random(0))
    monkeypatch.setattr(Examples, "study", whole)
    assert sweep(make(tmp_path / "whole"), 60, random.Random(0)) == points


@pytest.mark.parametrize("aims", [(), AIMS])
def test_beyond_the_most_a_resumed_sweep_proposes_what_the_unbroken_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aims: tuple[str, ...]
) -> None:
    monkeypatch.setattr(examples, "MOST", 20)
    monkeypatch.setattr(examples, "GOOD", 5)

    def opened(name: str) -> StudySearch:
        return make(tmp_path / name, aims=aims)

    unbroken = sweep(opened("unbroken"), 60, random.Random(1))
    assert sweep(opened("killed"), 60, random.Random(1), lambda: opened("killed")) == unbroken


def test_beyond_the_most_the_best_are_kept_and_the_newest_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "MOST", 50)
    search = make(tmp_path, sampler="random", trials=200)
    sweep(search, 200, random.Random(2))
    known = overview(search.study)
    chosen = Examples(()).study(search.study, known).trials
    ended = [trial for trial in chosen if trial.state.is_finished()]
    assert len(ended) == 50 and [trial for trial in chosen if not trial.state.is_finished()] == known.running
    below, _ = optuna.samplers._tpe.sampler._split_trials(
        search.study, [trial for trial in known.over if trial.state != TrialState.FAIL], GOOD
    )
    assert {trial.number for trial in below} <= {trial.number for trial in ended}
    best = {one.number for one in below}
    others = sorted(trial.number for trial in known.over if trial.state != TrialState.FAIL and trial.number not in best)
    assert [trial.number for trial in ended if trial.number not in best] == others[-25:]


def test_by_several_aims_whole_fronts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "MOST", 50)
    search = make(tmp_path, sampler="random", aims=AIMS, trials=150)
    sweep(search, 150, random.Random(3))
    chosen = Examples(AIMS).study(search.study, overview(search.study)).trials
    values = {trial.number: trial.values for trial in chosen if trial.values is not None}
    having = {t.stored.number: v for t in search.record.trials() if (v := values_of(t, AIMS)) is not None}
    front = [
        number
        for number, value in having.items()
        if not any(other != value and other[0] >= value[0] and other[1] >= value[1] for other in having.values())
    ]
    assert front and {number: having[number] for number in front}.items() <= values.items()
    assert SweepTrial(chosen[-1]).state == "running"
