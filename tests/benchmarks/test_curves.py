"""Curves of heads and experts: which seeds a point has, and that the figures' rows differ in that setting alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import curves, train
from benchmarks.quality.rows import FILE, merged, read_rows
from fame.config.tree import read_yaml, write_yaml
from fame.errors import UserError
from tests.commands import TINY, call

FIGURES = FILE.with_name("figures.yaml")


def rows_file(folder: Path) -> Path:
    rows = {
        f"experts_{experts}": {"label": f"N {experts}", "settings": merged(TINY, {"model": {"experts": experts}})}
        for experts in (1, 2)
    }
    file = folder / "figures.yaml"
    file.write_text(write_yaml({"datasets": ["synthetic"], "panels": {"experts": list(rows)}, "rows": rows}))
    return file


def test_a_point_is_the_mean_of_the_best_validation_metrics_of_the_seeds(tmp_path, monkeypatch):
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "cache"))
    file, results = rows_file(tmp_path), tmp_path / "results"
    where = ("--file", file, "--results", results)
    for row, seeds in ((":experts_1", 2), (":experts_2", 1)):
        assert call(train.main, row, "--seeds", seeds, "--folder", tmp_path / "runs", *where).code == 0
    monkeypatch.setattr(curves, "DOCS", tmp_path)
    monkeypatch.setattr("benchmarks.harness.RESULTS", tmp_path)
    done = call(curves.main, *where)
    assert done.code == 0, done.err
    found = {
        path.stem: json.loads(path.read_text())["validation"]["ndcg@10"]
        for path in (results / "synthetic").glob("*.json")
    }
    result = json.loads((tmp_path / "curves.json").read_text())
    ones = [found["experts_1-0"], found["experts_1-1"]]
    assert result["settings"]["curves"] == {"experts": {"1": ones, "2": [found["experts_2-0"]]}}
    values = {row["what"]: row["value"] for row in result["rows"]}
    assert values == pytest.approx({"experts 1, 2 seeds": np.mean(ones), "experts 2, 1 seed": found["experts_2-0"]})
    assert "<svg" in (tmp_path / "curves.svg").read_text()


def test_a_panel_without_results_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no row of the panel experts is trained"):
        curves.read_curves(rows_file(tmp_path), tmp_path / "none")


def test_the_rows_of_a_panel_differ_in_its_setting_alone():
    rows = {row.name: row for row in read_rows(FIGURES)}
    for setting, names in read_yaml(FIGURES)["panels"].items():
        models = [rows[name].settings["model"] for name in names]
        assert [model[setting] for model in models] == [1, 2, 4, 8, 16]
        assert (
            len(
                {
                    json.dumps({**rows[name].settings, "model": {**m, setting: 0}})
                    for name, m in zip(names, models, strict=True)
                }
            )
            == 1
        )


def test_w_f_is_compared_by_one_setting():
    rows = {row.name: row.settings for row in read_rows(FIGURES)}
    assert merged(rows["experts_4"], {"backbone": {"facets": "output"}}) == rows["facets_output"]
