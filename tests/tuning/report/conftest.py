"""A sweep's folder with a study in it, made without Ray."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tuning.plan.command_line import parse
from tuning.plan.new_plan import make_plan
from tuning.plan.sweep_plan import Plan
from tuning.search.study_search import StudySearch
from tuning.storage.layout import Storage

SPACE = """
base: {train: {epochs: 4}}
search:
  model.heads: {choices: [1, 2, 4]}
  model.experts: {choices: [1, 2, 4]}
  model.dropout: {low: 0.1, high: 0.6, step: 0.1}
  train.lr: {low: 1.0e-4, high: 1.0e-2, log: true}
"""
STATISTICS = {
    "users": 1234, "items": 99, "actions": 5678, "average_length": 4.6, "density": 0.046, "longest": 17,
    "steps": [{"name": "read", "users": 2000, "items": 150, "actions": 7000}],
}  # fmt: skip


@dataclass
class Swept:
    """A sweep as its driver leaves it."""

    plan: Plan
    storage: Storage

    def search(self) -> StudySearch:
        return StudySearch(
            self.plan.space, self.storage.study, name=self.storage.name, sampler="random", trials=self.plan.trials
        )

    def trials(self, count: int) -> optuna.Study:
        """Trials that get better with their number; every third is stopped after two epochs, the last still runs."""
        search = self.search()
        for number in range(count):
            id = f"{number:08x}"
            search.suggest(id)
            for epoch in range(1, 5):
                value = 0.01 * (number + 1) + 0.001 * epoch
                result = {"epoch": epoch, "ndcg@10": value, "best_ndcg@10": value, "finished": epoch == 4}
                if number == count - 1 and epoch == 3:
                    break
                if epoch == 4 or (number % 3 == 2 and number < count - 1 and epoch == 2):
                    search.on_trial_complete(id, result)
                    break
                search.on_trial_result(id, result)
        states = [trial.state for trial in search.study.get_trials()]
        assert {TrialState.COMPLETE, TrialState.RUNNING} <= set(states) or count < 4
        return search.study

    def export(self) -> None:
        self.storage.best.mkdir()
        parts = {part: {"hr@10": 0.3, "ndcg@10": value} for part, value in (("validation", 0.1123), ("test", 0.0987))}
        metrics = {"dataset": {"statistics": STATISTICS}, "trial": "00000003", **parts}
        metrics["lists"] = {part: {"coverage@10": value} for part, value in (("validation", 0.25), ("test", 0.26))}
        catalogue = {"ids": [7, 8], "titles": ["a", "b"], "counts": [1, 2]}
        (self.storage.best / "metrics.json").write_text(json.dumps(metrics))
        (self.storage.best / "items.json").write_text(json.dumps(catalogue))
        (self.storage.best / "config.yaml").write_text("model:\n  name: fame\n  heads: 4\n")


@pytest.fixture
def swept(tmp_path: Path) -> Swept:
    (tmp_path / "space.yaml").write_text(SPACE)
    plan = make_plan(parse(["--space", str(tmp_path / "space.yaml"), "--trials", "12"])[0])
    storage = Storage.of(str(tmp_path / "runs"), "mine")
    storage.create(plan.to_record("abc"))
    return Swept(plan, storage)
