"""The sweep's own run in MLflow."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from fame.config.tree import parse_yaml
from tests.tuning.driver.ended import PLACE, best
from tuning.driver.sweep_run import end_run, mlflow_tags
from tuning.plan.sweep_plan import Plan
from tuning.storage.layout import Storage
from tuning.study.stage_uses import Uses

SEEDS = {part: {"ndcg@10": {"mean": 0.2, "sd": 0.1}} for part in ("validation", "test")}

SANITY = {"popularity": {"validation": {"ndcg@10": 0.02}, "test": {"ndcg@10": 0.01}}}


def test_the_end_has_the_model_its_metrics_and_the_uses_of_stages(plan: Plan, storage: Storage) -> None:
    told: dict = {}
    storage.best.mkdir(parents=True)
    (storage.best / "config.yaml").write_text("seed: 0")
    storage.report.write_text("<html>")
    storage.curves.write_bytes(b"PNG")
    projection = SimpleNamespace(finish=lambda status, **more: told.update(status=status, **more))
    uses = {"backbone": Uses(computed=1, seconds_saved=2.0)}
    lists = {part: {"coverage@10": 0.5} for part in ("validation", "test")}
    end_run(projection, plan, storage, best(seeds=SEEDS, lists=lists), False, uses, SANITY)
    assert told["status"] == "finished" and told["tags"]["best_trial"] == "a"
    assert parse_yaml(told["tags"]["best_params"].encode(), "params") == {"train.lr": 0.1}
    assert told["files"] == [(storage.report, None), (storage.curves, None), (storage.best / "config.yaml", "best")]
    assert told["metrics"]["test/ndcg_10"] == 0.25 and told["metrics"]["validation/ndcg_10_sd"] == 0.1
    assert told["metrics"]["stage_backbone_seconds_saved"] == 2.0
    assert told["metrics"]["sanity/popularity_test_ndcg@10"] == 0.01 and told["metrics"]["test/coverage_10"] == 0.5
    assert "0.2000 ± 0.1000" in told["note"](PLACE)


def test_an_interrupted_sweep_without_a_model_says_so(plan: Plan, storage: Storage) -> None:
    told: dict = {}
    projection = SimpleNamespace(finish=lambda status, **more: told.update(status=status, **more))
    end_run(projection, plan, storage, None, True, {}, {})
    note = told.pop("note")(PLACE)
    assert told == {"status": "interrupted", "tags": {}, "metrics": {}, "files": [], "front": []}
    assert "interrupted" in note and "--resume --name mine" in note


def test_the_runs_have_the_user_and_the_program_and_no_commit_of_another_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["tuning/sweep.py"])
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    monkeypatch.setattr("tuning.driver.sweep_run.git_commit", lambda: {"commit": "c1", "dirty": "true"})
    tags = {"mlflow.user": "me", "mlflow.source.name": "tuning/sweep.py", "mlflow.source.type": "LOCAL"}
    assert mlflow_tags() == tags | {"mlflow.source.git.commit": "c1"}
    monkeypatch.setattr("tuning.driver.sweep_run.git_commit", dict)
    assert mlflow_tags() == tags
