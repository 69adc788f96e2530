"""Curves of a sweep that searched one key: which trials they have, and what is no such sweep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality import curves
from fame import train
from fame.config.tree import write_yaml
from fame.errors import UserError
from tests.commands import call, write_config
from tuning.space.file import read_space


def sweep(folder: Path, *keys: str) -> Path:
    """The record of a sweep that searched these keys."""
    folder.mkdir()
    options = {
        "metric": "ndcg@10",
        "data": {"data.name": "synthetic", "data.dir": "/there"},
        "tracking_uri": "sqlite:///x",
    }
    record = {"options": options, "space": {"search": {key: {"choices": [1, 2]} for key in keys}}}
    (folder / "sweep.yaml").write_text(write_yaml(record))
    return folder


def test_a_point_is_the_best_validation_metric_of_a_trial(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "tiny.yaml")
    folder, best = sweep(tmp_path / "experts", "model.experts", "seed"), {}
    for experts, seed in ((2, 0), (1, 0), (1, 1)):
        trial = folder / "trials" / f"e{experts}s{seed}"
        words = ("--set", f"model.experts={experts}", "--set", f"seed={seed}", "--output", trial / "checkpoint_0")
        assert call(train.main, "--config", "tiny.yaml", *words).code == 0
        listed = {"checkpoint_report_indices": [0], "checkpoint_results": [{"checkpoint_dir_name": "checkpoint_0"}]}
        (trial / "checkpoint_manager_snapshot.json").write_text(json.dumps(listed))
        metrics = json.loads((trial / "checkpoint_0" / "best" / "metrics.json").read_text())
        best[experts, seed] = metrics["validation"]["ndcg@10"]
    monkeypatch.setattr(curves, "DOCS", tmp_path)
    monkeypatch.setattr("benchmarks.harness.RESULTS", tmp_path)
    done = call(curves.main, "drawn", folder)
    assert done.code == 0, done.err
    result = json.loads((tmp_path / "drawn.json").read_text())
    expected = {"1": [best[1, 0], best[1, 1]], "2": [best[2, 0]]}
    assert result["settings"]["curves"] == {"model.experts": expected}
    values = {row["what"]: row["value"] for row in result["rows"]}
    assert values["experts 1, 2 seeds"] == pytest.approx((best[1, 0] + best[1, 1]) / 2)
    assert "/there" not in (tmp_path / "drawn.json").read_text()
    assert "<svg" in (tmp_path / "drawn.svg").read_text()


def test_a_folder_without_a_curve_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match="a curve needs a single key"):
        curves.searched(sweep(tmp_path / "two", "model.heads", "model.experts"))
    with pytest.raises(UserError, match="is not the folder of a sweep"):
        curves.searched(tmp_path / "none")
    with pytest.raises(UserError, match="no trial with a result"):
        curves.read_curve(sweep(tmp_path / "empty", "model.heads"), "model.heads")


@pytest.mark.parametrize("name", ["heads", "experts"])
def test_the_spaces_of_the_papers_figures_search_one_key(name):
    space = read_space(str(Path(curves.__file__).with_name(f"{name}.yaml")))
    assert list(space.search) == [f"model.{name}"]
