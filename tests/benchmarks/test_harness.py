"""Timing in turns, rows and their targets, and what a result file holds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from benchmarks import harness
from benchmarks.harness import Row, in_turns, publish, table, without_folders


def test_actions_take_turns_and_the_median_of_the_counted_rounds_is_returned(monkeypatch):
    met, clock = [], iter([0, 0, 0, 1, 0, 2, 0, 5, 0, 4, 0, 3, 0, 3])
    monkeypatch.setattr(harness, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    seconds = in_turns({"a": lambda: met.append("a"), "b": lambda: met.append("b")}, rounds=3)
    assert met == ["a", "b"] * 4
    assert seconds == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    ("row", "reached", "target"),
    [
        (Row(what="x", value=2.0, at_least=2), True, "≥ 2"),
        (Row(what="x", value=1.9, at_least=2), False, "≥ 2"),
        (Row(what="x", value=0.25, at_most=0.25), True, "≤ 0.25"),
        (Row(what="x", value=0.3, at_most=0.25), False, "≤ 0.25"),
        (Row(what="x", value=0.3), None, ""),
    ],
)
def test_a_target_is_reached_from_its_side(row, reached, target):
    assert row.reached is reached
    assert row.cells()[2:] == (target, {True: "yes", False: "NO", None: ""}[reached])


def test_a_result_says_where_it_comes_from_and_the_table_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    rows = [Row(what="epoch", value=13.51, unit="s"), Row(what="ratio", value=3.0, at_most=2.5)]
    publish("some", rows, {"threads": 1})
    result = json.loads((tmp_path / "results" / "some.json").read_text())
    assert result["rows"][1] | {} == {
        "what": "ratio", "value": 3.0, "unit": "", "at_least": None, "at_most": 2.5, "reached": False,
    }  # fmt: skip
    assert result["settings"] == {"threads": 1}
    assert {"command", "date", "python", "torch", "cpu", "cpus"} <= result.keys()
    assert capsys.readouterr().out == table(rows) + "\n"


def test_columns_of_the_table_are_aligned():
    rows = [Row(what="a", value=1.0, unit="s"), Row(what="a longer one", value=12345.678, at_least=1)]
    head, first, second = table(rows).splitlines()
    assert first.startswith("a  ") and second.startswith("a longer one  ")
    end = head.index("measured") + len("measured")
    assert first[:end].endswith("1 s") and second[:end].endswith("1.235e+04")


def test_the_pages_show_every_result_between_its_marks():
    from benchmarks import page

    names = set()
    for path in page.PAGES:
        text = path.read_text(encoding="utf-8")
        assert page.filled(text) == text, "run python -m benchmarks.page"
        names |= {match[2] for match in page.TABLE.finditer(text)}
    assert {"training", "evaluation", "large_catalogue", "sweep_efficiency", "reliability"} <= names


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("python -m x --config /home/me/runs/a/config.yaml -v", "python -m x --config …/config.yaml -v"),
        ("x --tracking-uri sqlite:////home/me/mlflow.db", "x --tracking-uri sqlite:///…/mlflow.db"),
        ("x --tracking-uri=http://server:5000/a/b --data-dir ../data", None),
        ("x --data=/d/e.csv", "x --data=…/e.csv"),
    ],
)
def test_a_result_names_no_folder_of_the_machine(command, kept):
    assert without_folders(command) == (kept or command)
