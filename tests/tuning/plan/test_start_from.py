"""Sweeps that start from earlier ones: first points, and what the sampler is taught."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from fame.config.tree import write_yaml
from fame.errors import UserError
from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.start_from import start_from
from tuning.plan.sweep_plan import Plan
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage
from tuning.study.lessons import TAUGHT_BY

SPACE = {
    "base": {"train": {"epochs": 4}},
    "search": {
        "model.heads": {"choices": [1, 2, 4]},
        "train.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "train.label_smoothing": {"choices": [0.0, 0.1]},
    },
    "start": [{"model.heads": 2}],
}
METRIC = "ndcg@10"
SAME = SimpleNamespace(fingerprint="beef")


class Folder:
    """A storage with sweeps that were made without Ray."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self, *args: str, **sections) -> Plan:
        (self.folder / "space.yaml").write_text(write_yaml({**SPACE, **sections}))
        space, storage = str(self.folder / "space.yaml"), str(self.folder / "runs")
        return make_plan(parse(["--space", space, "--storage", storage, *args])[0])

    def sweep(self, name: str, *values: float, **sections) -> list[dict]:
        """A sweep whose trials finish with these values; returns their points."""
        plan, storage = self.plan("--name", name, **sections), Storage.of(str(self.folder / "runs"), name)
        storage.create(plan.to_record("beef"))
        search, points = StudySearch(plan.space, storage.study, name=name, trials=50), []
        for number, value in enumerate(values):
            points.append(search.suggest(f"{name}{number}"))
            for epoch in range(1, plan.epochs + 1):
                result = {"epoch": epoch, METRIC: value, f"best_{METRIC}": value, "finished": epoch == plan.epochs}
                search.on_trial_result(f"{name}{number}", result)
            search.on_trial_complete(f"{name}{number}", result)
        return points


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_best_points_come_first_and_finished_trials_teach(folder, tmp_path):
    first, second, third = folder.sweep("before", 0.1, 0.3, 0.2)
    plan = start_from(folder.plan("--start-from", "before:2"), SAME)
    assert [*plan.space.start] == [second, third, first]  # the space's own start point was the first one there
    assert [lesson.value for lesson in plan.lessons] == [0.1, 0.3, 0.2]
    search = StudySearch(plan.space, tmp_path / "new" / "study.log", trials=9, lessons=plan.lessons)
    assert search.suggest("a") == second and search.record.overview.proposed == 1
    assert [trial.id for trial in search.record.trials()] == ["a"]
    assert next(t.user_attrs[TAUGHT_BY] for t in search.study.trials if TAUGHT_BY in t.user_attrs) == "before/before0"
    search.suggest("b"), search.suggest("c")
    assert search.suggest("d") not in (first, second, third)


def test_the_record_has_the_points_and_the_lessons(folder):
    from tuning.plan.recorded_plan import plan_from_record

    folder.sweep("before", 0.1, 0.3)
    plan = start_from(folder.plan("--start-from", "before"), SAME)
    again = plan_from_record(plan.to_record("beef"), dataclasses.replace(plan.options, resume=True), {})
    assert (again.space.start, again.lessons) == (plan.space.start, plan.lessons)


@pytest.mark.parametrize(
    ("sections", "dataset", "why"),
    [
        ({}, SimpleNamespace(fingerprint="other"), "its data are others"),
        ({"base": {"train": {"epochs": 5}}}, SAME, "its other settings differ"),
        ({"search": {**SPACE["search"], "model.heads": {"choices": [1, 2]}}}, SAME, "it searches other settings"),
    ],
)
def test_where_something_differs_the_points_are_taken_and_teach_nothing(folder, capsys, sections, dataset, why):
    folder.sweep("before", 0.1, 0.3)
    plan = start_from(folder.plan("--start-from", "before", **sections), dataset)
    assert not plan.lessons and plan.space.start
    assert f"the trials of before teach the sampler nothing: {why}" in capsys.readouterr().out


def test_all_sweeps_on_the_data_of_a_name_count(folder):
    points = [folder.sweep(name, 0.1, 0.3)[1] for name in ("one", "two")]
    plan = start_from(folder.plan("--start-from", "ml-latest-small:2"), SAME)
    assert plan.space.start[0] == points[0] == points[1] and len(plan.lessons) == 4


def test_an_experiment_is_one_point(folder, tmp_path):
    (tmp_path / "mine.yaml").write_text("{model: {heads: 4}, train: {lr: 0.002}}")
    plan = start_from(folder.plan("--start-from", str(tmp_path / "mine.yaml")), SAME)
    assert plan.space.start[0] == {"model.heads": 4, "train.lr": 0.002, "train.label_smoothing": 0.0}
    assert not plan.lessons


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("befor", "no sweep, experiment or file of this name"),
        ("before:x", "must be a number of points"),
        ("empty", "no trial of it has a value yet"),
    ],
)
def test_what_cannot_be_started_from_is_one_line(folder, asked, words):
    folder.sweep("before", 0.1)
    folder.sweep("empty")
    with pytest.raises(UserError, match=words):
        start_from(folder.plan("--start-from", asked), SAME)


def test_a_trial_that_ended_before_the_number_of_epochs_teaches_only_out_of_patience(folder: Folder) -> None:
    folder.sweep("short", 0.1, 0.2, base={"train": {"epochs": 1}})
    plan = folder.plan("--epochs", "4", "--start-from", "short")
    storage = Storage.of(str(folder.folder / "runs"), "short")
    storage.record.write_text(write_yaml(folder.plan("--name", "short", "--epochs", "4").to_record("beef")))
    assert start_from(plan, SAME).lessons == ()


def test_lessons_have_the_numbers_that_aims_and_limits_need(folder: Folder) -> None:
    folder.sweep("old", 0.1)
    plan = folder.plan("--start-from", "old", "--limit", "parameters < 5")
    assert start_from(plan, SAME).lessons == ()
