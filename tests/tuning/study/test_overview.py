"""The overview that is kept up tells what a new look at the whole study tells."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.tuning.search.studies import FINITE, METRIC, finish, make
from tuning.faults import Fault
from tuning.search.study_search import StudySearch
from tuning.study.lessons import TAUGHT_BY, Lesson
from tuning.study.overview import Overview, identity, overview, trials_of
from tuning.study.trials import EARLIER, LOST, ranked


def told(known: Overview) -> tuple:
    numbers = sorted(trial.number for trial in known.over)
    counts = (known.ended, known.queued, known.proposed, [trial.number for trial in known.running])
    return known.trials, known.tried, counts, numbers, known.leader


def check(search: StudySearch) -> None:
    kept, new = overview(search.study), Overview()
    new.look(search.study)
    assert told(kept) == told(new)
    trials, stored = trials_of(search.study), search.study.get_trials()
    taught = {identity(trial.params) for trial in stored if TAUGHT_BY in trial.user_attrs}
    assert set(kept.tried) == taught | {identity(trial.point) for trial in trials}
    assert kept.ended == sum(trial.ended for trial in trials)
    assert kept.leader == next(iter(ranked(trials)), None)
    place = [t for t in stored if t.user_attrs.keys().isdisjoint((LOST, EARLIER, TAUGHT_BY))]
    assert kept.proposed == sum(trial.state != TrialState.WAITING for trial in place)
    assert kept.place(len(stored)) == len(place)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_a_new_look_finds(tmp_path: Path, seed: int) -> None:
    rng, running = random.Random(seed), []
    lessons = [Lesson(origin="x/1", point={"model.heads": 1, "model.dim": 12, "backbone.epochs": 0}, value=0.5)]
    search = make(
        tmp_path, {**FINITE, "start": [{"model.heads": 2, "model.dim": 8}]}, lessons=lessons, sampler="random"
    )
    for number in range(60):
        act = rng.choice(("suggest", "report", "finish", "stop", "fail", "lose", "go on", "adopt"))
        name = rng.choice(running) if running else None
        if act == "suggest" and isinstance(search.suggest(f"t{number}"), dict):
            running.append(f"t{number}")
        elif act == "report" and name:
            search.on_trial_result(name, {"epoch": rng.randrange(1, 4), METRIC: rng.random()})
        elif act in ("finish", "stop", "fail") and name:
            running.remove(name)
            if act == "finish":
                finish(search, name, rng.choice((0.1, 0.2, 0.3)))
            else:
                last = {"epoch": 3, METRIC: rng.random(), "finished": False}
                search.on_trial_complete(name, last, error=act == "fail")
        elif act == "lose" and name:
            running.remove(name)
            search.record.give_up(running)
        elif act == "go on" and (ended := [trial for trial in search.record.trials() if trial.ended]):
            search.record.reopen(again := rng.choice(ended))
            running.append(again.id)
        elif act == "adopt" and name:
            search.record.note_fault(name, Fault(kind="lost", reason="x"))
            search.record.adopt(f"a{number}", {"model.heads": 3, "model.dim": 12, "backbone.epochs": 0})
            running.append(f"a{number}")
        check(search)


def test_trials_that_have_ended_are_not_read_again(tmp_path: Path) -> None:
    search = make(tmp_path)
    search.suggest("a")
    finish(search, "a", 0.1)
    before = overview(search.study).trials["a"]
    search.suggest("b")
    known = overview(search.study)
    assert known.trials["a"] is before and known.trials["b"] is not overview(search.study).trials["b"]
    finish(search, "b", 0.2)
    one, two = (trial.stored.distributions for trial in overview(search.study).trials.values())
    assert one["model.heads"] is two["model.heads"]


def test_a_look_reads_the_trials_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = make(tmp_path)
    for name in "abcde":
        search.suggest(name)
    for name in "abc":
        finish(search, name, 0.1)
    overview(search.study)
    storage, read = search.study._storage, []
    get_trial = storage.get_trial
    monkeypatch.setattr(storage, "get_trial", lambda number: read.append(number) or get_trial(number))
    monkeypatch.setattr(storage, "get_all_trials", lambda *args, **options: pytest.fail("all trials were read"))
    assert overview(search.study).ended == 3 and len(read) == 2
