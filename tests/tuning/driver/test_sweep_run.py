"""What a sweep tells MLflow of itself at its end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from fame.config.tree import parse_yaml
from tuning.driver.sweep_run import end_run
from tuning.results.best import Best
from tuning.storage.layout import Storage
from tuning.study.stage_uses import Uses

SANITY = {"popularity": {"validation": {"ndcg@10": 0.02}, "test": {"ndcg@10": 0.01}}}


def test_the_end_has_the_model_its_metrics_and_the_uses_of_stages(tmp_path: Path) -> None:
    storage, told = Storage.of(str(tmp_path / "runs"), "mine"), {}
    storage.best.mkdir(parents=True)
    (storage.best / "config.yaml").write_text("seed: 0")
    storage.report.write_text("<html>")
    projection = SimpleNamespace(finish=lambda status, **more: told.update(status=status, **more))
    seeds = {part: {"ndcg@10": {"mean": 0.2, "sd": 0.1}} for part in ("validation", "test")}
    lists = {part: {"coverage@10": 0.5} for part in ("validation", "test")}
    metrics = {"validation": {"ndcg@10": 0.3}, "test": {"ndcg@10": 0.25}, "lists": lists, "seeds": seeds}
    best = Best(trial_id="a", point={"train.lr": 0.1}, finished=True, metrics=metrics, place="runs/mine/best")
    end_run(projection, storage, best, False, {"backbone": Uses(computed=1, seconds_saved=2.0)}, SANITY)
    assert told["status"] == "finished" and told["tags"]["best_trial"] == "a"
    assert parse_yaml(told["tags"]["best_params"].encode(), "params") == {"train.lr": 0.1}
    assert told["files"] == [(storage.report, None), (storage.best / "config.yaml", "best")]
    assert told["metrics"]["test_ndcg@10"] == 0.25 and told["metrics"]["validation_ndcg@10_sd"] == 0.1
    assert told["metrics"]["stage_backbone_seconds_saved"] == 2.0
    assert told["metrics"]["popularity_test_ndcg@10"] == 0.01


def test_an_interrupted_sweep_without_a_model_says_so(tmp_path: Path) -> None:
    told: dict = {}
    projection = SimpleNamespace(finish=lambda status, **more: told.update(status=status, **more))
    end_run(projection, Storage.of(str(tmp_path / "runs"), "mine"), None, True, {}, {})
    assert told == {"status": "interrupted", "tags": {}, "metrics": {}, "files": []}
